//! The relay is killed in the middle of a job: the job's process runs on, and nothing of its log or end is lost.

use std::time::Duration;

use support::agent::Agent;
use support::hub::Hub;

#[tokio::test]
async fn a_job_runs_on_while_the_agent_is_dead() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let command = "echo pid $$; for i in $(seq 1 60); do echo tick $i; sleep 0.1; done; echo pid $$; exit 4";
    let job = owner.exec(agent.server_id(), command).await;
    let id = job["id"].as_str().unwrap();
    let mut follow = owner.events(&format!("/v1/jobs/{id}/log?follow=true"), None).await;
    follow.find(Duration::from_secs(10), |event| event.kind == "log").await;

    agent.kill_9().await;
    agent.start();

    let end = owner.job_end(id, Duration::from_secs(60)).await;
    assert_eq!((end["state"].as_str(), end["exit_code"].as_i64()), (Some("failed"), Some(4)), "{end}");
    let log = owner.log_text(id).await;
    let (first, rest) = log.split_once('\n').unwrap();
    let ticks: String = (1..=60).map(|n| format!("tick {n}\n")).collect();
    assert_eq!(rest, format!("{ticks}{first}\n"), "one process wrote it all, once");
}

#[tokio::test]
async fn a_job_that_ends_while_the_agent_is_dead_is_told_afterwards() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("done");
    let command = format!("seq 1 1000; sleep 2; touch {}; exit 5", marker.display());
    let job = owner.exec(agent.server_id(), &command).await;
    let id = job["id"].as_str().unwrap();
    owner.job_in(id, &["running"], Duration::from_secs(10)).await;
    agent.kill_9().await;
    support::wait::until("the job to end without its relay", Duration::from_secs(20), async || {
        if marker.exists() { Ok(()) } else { Err("no marker yet") }
    })
    .await;
    agent.start();
    let end = owner.job_end(id, Duration::from_secs(60)).await;
    assert_eq!((end["state"].as_str(), end["exit_code"].as_i64()), (Some("failed"), Some(5)), "{end}");
    assert_eq!(owner.log_text(id).await, (1..=1000).map(|n| format!("{n}\n")).collect::<String>());
}
