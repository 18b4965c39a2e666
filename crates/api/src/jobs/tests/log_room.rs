//! All logs together have only so much room: the oldest go, and say so.

use std::time::Duration;

use axum::http::StatusCode;
use protocol::JobId;
use protocol::job::EndState;
use serde_json::json;

use super::support::{Agent, World, id_of};
use crate::jobs::{log_bytes, reconcile};
use crate::testing::TestHub;

/// Ends a job that wrote so much that cannot be compressed.
async fn job(world: &World, agent: &mut Agent, kib: usize) -> JobId {
    let id = id_of(&world.create("write").await);
    agent.accept(&world.hub, id).await;
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    for _ in 0..kib {
        let block: Vec<u8> = (0..1024).map(|_| noise()).collect();
        agent.write(&world.hub, id, &block).await;
    }
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    agent.until_forgotten(id).await;
    world.test.clock.advance(Duration::from_secs(1));
    id
}

async fn world(bytes: Option<u64>) -> (World, Agent) {
    let test = TestHub::with_config(|config| config.retention.job_logs_bytes = bytes).await;
    let world = World::new(test).await;
    let mut agent = Agent::new(&world);
    agent.connect(&world.hub).await;
    (world, agent)
}

#[tokio::test]
async fn the_oldest_logs_go_first_and_say_so() {
    let (world, mut agent) = world(Some(100 << 10)).await;
    let (first, second) = (job(&world, &mut agent, 40).await, job(&world, &mut agent, 40).await);
    let silent = job(&world, &mut agent, 0).await;
    reconcile(&world.hub).await.unwrap();
    assert_eq!(world.job(first).await["log"]["removed_at"], json!(null), "they have room");
    let counted = log_bytes(&world.hub);
    assert!((80 << 10..90 << 10).contains(&counted), "{counted}");

    let third = job(&world, &mut agent, 40).await;
    reconcile(&world.hub).await.unwrap();
    assert_eq!(world.job(first).await["log"]["removed_at"], json!(null), "it is not added up all the time");
    world.test.clock.advance(Duration::from_secs(60));
    reconcile(&world.hub).await.unwrap();
    let gone = world.job(first).await;
    assert_eq!(gone["log"]["bytes"], 40 << 10, "the job still says how much it wrote");
    assert!(gone["log"]["removed_at"].is_string(), "{gone}");
    for (id, bytes) in [(second, 40 << 10), (third, 40 << 10), (silent, 0)] {
        assert_eq!(world.job(id).await["log"]["removed_at"], json!(null));
        assert_eq!(world.text_log(id).await.len(), bytes);
    }
    assert!(log_bytes(&world.hub) < 100 << 10);

    for path in ["log", "log?follow=true", "log?download=true", "log/search?q=x"] {
        let answer = world.owner.get(&format!("/v1/jobs/{first}/{path}")).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::GONE, "gone".to_owned()), "{path}");
        assert!(answer.text().contains("was removed at") && answer.text().contains("retention.job_logs_gib"), "{path}");
    }
    world.test.clock.advance(Duration::from_secs(60));
    reconcile(&world.hub).await.unwrap();
    assert_eq!(world.job(second).await["log"]["removed_at"], json!(null), "no more than needed goes");
}

#[tokio::test]
async fn logs_of_unfinished_jobs_stay_whatever_their_size() {
    let (world, mut agent) = world(Some(1)).await;
    let ended = job(&world, &mut agent, 1).await;
    let running = id_of(&world.create("write").await);
    agent.accept(&world.hub, running).await;
    agent.write(&world.hub, running, &[b'x'; 5000]).await;
    agent.until_acked(running, 5000).await;
    for _ in 0..3 {
        world.test.clock.advance(Duration::from_secs(60));
        reconcile(&world.hub).await.unwrap();
    }
    assert!(world.job(ended).await["log"]["removed_at"].is_string());
    assert_eq!(world.text_log(running).await.len(), 5000);
    assert_eq!(world.job(running).await["log"]["removed_at"], json!(null));
}

#[tokio::test]
async fn without_a_limit_nothing_goes_and_the_room_is_known_still() {
    let (mut world, mut agent) = world(None).await;
    let id = job(&world, &mut agent, 10).await;
    reconcile(&world.hub).await.unwrap();
    assert!(log_bytes(&world.hub) >= 10 << 10);
    assert_eq!(world.text_log(id).await.len(), 10 << 10);
    world.restart();
    reconcile(&world.hub).await.unwrap();
    assert!(log_bytes(&world.hub) >= 10 << 10, "it is in the database");
}
