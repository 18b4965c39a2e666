//! Cancel and timeout end the whole tree, whatever it does.

use std::time::Duration;

use serde_json::json;
use support::agent::Agent;
use support::hub::Hub;
use support::wait;

const LIMIT: Duration = Duration::from_secs(14);

/// A tree with a session of its own, a double-forked grandchild in another, all deaf to TERM, INT and HUP. Prints pids.
const STUBBORN: &str = r#"
trap '' TERM INT HUP
echo pid $$
setsid sh -c 'trap "" TERM INT HUP; echo pid $$; (setsid sh -c "trap \"\" TERM INT HUP; echo pid \$\$; while :; do sleep 1; done" &) ; while :; do sleep 1; done' &
while :; do sleep 1; done
"#;

async fn pids(owner: &support::api::Api, job: &str) -> Vec<i32> {
    wait::until("three pids", LIMIT, async || {
        let log = owner.log_text(job).await;
        let pids: Vec<i32> = log.lines().filter_map(|line| line.strip_prefix("pid ")?.parse().ok()).collect();
        if pids.len() == 3 { Ok(pids) } else { Err(log) }
    })
    .await
}

fn alive(pids: &[i32]) -> Vec<i32> {
    let running = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    pids.iter().copied().filter(running).collect()
}

#[tokio::test]
async fn cancel_kills_grandchildren() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), STUBBORN).await;
    let id = job["id"].as_str().unwrap();
    let tree = pids(&owner, id).await;
    assert_eq!(alive(&tree).len(), 3);
    owner.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.unwrap().expect(202);
    let end = owner.job_end(id, LIMIT).await;
    assert_eq!(end["state"], "cancelled", "{end}");
    assert_eq!(alive(&tree), Vec::<i32>::new());
    let again = owner.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.unwrap();
    assert_eq!((again.status, again.code().as_str()), (409, "conflict"));
}

#[tokio::test]
async fn timeout_kills_grandchildren() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let body = json!({
        "server_id": agent.server_id(), "kind": "exec", "args": { "command": STUBBORN }, "timeout_s": 2,
    });
    let job = owner.post("/v1/jobs", &body).await.unwrap().expect(201);
    let id = job["id"].as_str().unwrap();
    let tree = pids(&owner, id).await;
    let end = owner.job_end(id, LIMIT + Duration::from_secs(2)).await;
    assert_eq!(end["state"], "timed_out", "{end}");
    assert_eq!(alive(&tree), Vec::<i32>::new());
}

#[tokio::test]
async fn a_cancel_that_the_agent_missed_is_delivered_when_it_is_back() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "echo started; sleep 600").await;
    let id = job["id"].as_str().unwrap();
    owner.job_in(id, &["running"], LIMIT).await;
    agent.kill_9().await;
    owner.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.unwrap().expect(202);
    agent.start();
    assert_eq!(owner.job_end(id, Duration::from_secs(40)).await["state"], "cancelled");
}

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::registered(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "true").await;
    let id = job["id"].as_str().unwrap();
    let cancelled = owner.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await.unwrap().expect(202);
    assert_eq!(cancelled["state"], "cancelled");
}
