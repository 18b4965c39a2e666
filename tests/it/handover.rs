//! Orders that reach a host twice, at moments that chance hits too rarely: what the hub is told stays true.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::agent::{Agent, binary};
use support::hub::{Hub, HubOptions};
use support::link::State;
use support::wait;

const SOON: Duration = Duration::from_secs(20);

/// Workers that wait for a job, when nothing runs: they stay the same for two looks in a row.
async fn spares(agent: &Agent, wanted: usize) -> Vec<Pid> {
    let mut before = Vec::new();
    wait::until("spare workers", SOON, async || {
        let now = agent.workers();
        let is_settled = now.len() == wanted && now == before;
        before.clone_from(&now);
        if is_settled { Ok(now) } else { Err(now) }
    })
    .await
}

#[tokio::test]
async fn a_job_is_not_called_unrun_while_an_earlier_order_may_still_start_it() {
    let (hub, link) = Hub::start_behind_link(HubOptions::default()).await;
    let owner = hub.owner().await;
    let mut agent = Agent::registered(&hub, &owner).await;
    let dir = tempfile::tempdir().unwrap();
    let (program, marker) = (dir.path().join("roadstead-agent"), dir.path().join("marker"));
    fs::copy(binary(), &program).unwrap();
    agent.start_as(&program);
    owner.server_is(agent.server_id(), "online", SOON).await;

    // The spare gets the order and does nothing with it. What was ordered after it has run: so it has the order.
    let slow = spares(&agent, 1).await[0];
    kill(slow, Signal::SIGSTOP).unwrap();
    let job = owner.exec(agent.server_id(), &format!("echo ran >>{}; echo done", marker.display())).await;
    let id = job["id"].as_str().unwrap();
    let next = owner.exec(agent.server_id(), "true").await;
    assert_eq!(owner.job_end(next["id"].as_str().unwrap(), SOON).await["state"], "succeeded");

    // After a reconnect the hub sends it again, and this time no worker can be had.
    let others: Vec<_> = spares(&agent, 2).await.into_iter().filter(|worker| *worker != slow).collect();
    fs::remove_file(&program).unwrap();
    fs::copy("/bin/false", &program).unwrap();
    kill(others[0], Signal::SIGKILL).unwrap();
    link.set(State::Cut);
    link.set(State::Up);
    wait::until("the second order to fail", SOON, async || {
        let log = fs::read_to_string(agent.log_file()).unwrap();
        if log.contains(&format!("job {id}: the worker gave no answer")) { Ok(()) } else { Err(log) }
    })
    .await;

    kill(slow, Signal::SIGCONT).unwrap();
    let end = owner.job_end(id, SOON).await;
    assert_eq!(end["state"], "succeeded", "{end:#}");
    assert_eq!(owner.log_text(id).await, "done\n");
    assert_eq!(fs::read_to_string(&marker).unwrap(), "ran\n");
}

#[tokio::test]
async fn a_job_whose_worker_died_with_nothing_but_its_claim_is_lost_and_not_running_for_ever() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let earlier = owner.exec(agent.server_id(), "true").await;
    let earlier = earlier["id"].as_str().unwrap();
    assert_eq!(owner.job_end(earlier, SOON).await["state"], "succeeded");
    agent.stop().await;

    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("marker");
    let job = owner.exec(agent.server_id(), &format!("touch {}", marker.display())).await;
    let id = job["id"].as_str().unwrap();
    let claims = agent.state_dir().join("claims");
    fs::copy(claims.join(earlier), claims.join(id)).unwrap();
    agent.start();
    let end = owner.job_end(id, SOON).await;
    assert_eq!(end["state"], "lost", "{end:#}");
    assert_eq!(owner.log_text(id).await, "");
    assert!(!marker.exists());
    // Nor does it come back.
    agent.stop().await;
    agent.start();
    owner.server_is(agent.server_id(), "online", SOON).await;
    let next = owner.exec(agent.server_id(), "true").await;
    assert_eq!(owner.job_end(next["id"].as_str().unwrap(), SOON).await["state"], "succeeded");
    assert_eq!(owner.job(id).await, end);
}
