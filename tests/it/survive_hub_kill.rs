//! The hub is killed in the middle of a job: the job runs on, and afterwards log and end state are complete and right.

use std::time::Duration;

use support::agent::Agent;
use support::hub::Hub;

#[tokio::test]
async fn a_job_runs_on_while_the_hub_is_dead() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "for i in $(seq 1 60); do echo tick $i; sleep 0.1; done; exit 3").await;
    let id = job["id"].as_str().unwrap();
    let mut follow = owner.events(&format!("/v1/jobs/{id}/log?follow=true"), None).await;
    follow.find(Duration::from_secs(10), |event| event.kind == "log").await;

    hub.kill_9().await;
    hub.start_again().await;

    let end = owner.job_end(id, Duration::from_secs(60)).await;
    assert_eq!((end["state"].as_str(), end["exit_code"].as_i64()), (Some("failed"), Some(3)), "{end}");
    let expected: String = (1..=60).map(|n| format!("tick {n}\n")).collect();
    assert_eq!(owner.log_text(id).await, expected);
}

#[tokio::test]
async fn a_job_that_ends_while_the_hub_is_dead_is_told_afterwards() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("done");
    let command = format!("echo before; sleep 2; echo after; touch {}", marker.display());
    let job = owner.exec(agent.server_id(), &command).await;
    let id = job["id"].as_str().unwrap();
    owner.job_in(id, &["running"], Duration::from_secs(10)).await;
    hub.kill_9().await;
    support::wait::until("the job to end without a hub", Duration::from_secs(20), async || {
        if marker.exists() { Ok(()) } else { Err("no marker yet") }
    })
    .await;
    hub.start_again().await;
    assert_eq!(owner.job_end(id, Duration::from_secs(60)).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, "before\nafter\n");
}

#[tokio::test]
async fn what_was_answered_survives_the_kill() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::registered(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "true").await;
    hub.kill_9().await;
    hub.start_again().await;
    let id = job["id"].as_str().unwrap();
    assert_eq!(owner.job(id).await["state"], "queued");
    let servers = owner.get("/v1/servers").await.unwrap().expect(200);
    assert_eq!(servers["data"].as_array().unwrap().len(), 1);
}
