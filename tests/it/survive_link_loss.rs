//! The link dies without a word, in the middle of a log: presence tells the truth, and no line is lost or doubled.

use std::time::Duration;

use support::agent::Agent;
use support::hub::{Hub, HubOptions};
use support::link::State;

#[tokio::test]
async fn a_stalled_link_is_noticed_and_the_log_goes_on_where_it_was() {
    let options = HubOptions { args: vec!["--offline-after-s".into(), "12".into()], ..HubOptions::default() };
    let (hub, link) = Hub::start_behind_link(options).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let id = agent.server_id();
    let job = owner.exec(id, "for i in $(seq 1 300); do echo tick $i; sleep 0.1; done").await;
    let job_id = job["id"].as_str().unwrap();
    let mut follow = owner.events(&format!("/v1/jobs/{job_id}/log?follow=true"), None).await;
    follow.find(Duration::from_secs(10), |event| event.kind == "log").await;

    link.set(State::Stalled);
    owner.server_is(id, "offline", Duration::from_secs(40)).await;
    let away = owner.job(job_id).await;
    assert!(["running", "reconciling"].contains(&away["state"].as_str().unwrap()), "never a guess: {away}");
    link.set(State::Cut);
    link.set(State::Up);
    owner.server_is(id, "online", Duration::from_secs(90)).await;

    let end = owner.job_end(job_id, Duration::from_secs(60)).await;
    assert_eq!(end["state"], "succeeded", "{end}");
    let expected: String = (1..=300).map(|n| format!("tick {n}\n")).collect();
    assert_eq!(owner.log_text(job_id).await, expected);
}

#[tokio::test]
async fn a_closed_link_is_suspect_at_once() {
    let (hub, link) = Hub::start_behind_link(HubOptions::default()).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    link.set(State::Cut);
    owner.server_is(agent.server_id(), "suspect", Duration::from_secs(3)).await;
    link.set(State::Up);
    owner.server_is(agent.server_id(), "online", Duration::from_secs(70)).await;
}
