//! One side comes back from a backup, or there are two of it: nothing runs twice, and what can be known is told.

use std::time::Duration;

use protocol::Message;
use protocol::job::{Already, CmdOutcome, EndState, SpoolState};
use serde_json::json;

use super::support::{Agent, World, id_of, worlds};
use crate::clock::Timestamp;
use crate::jobs;
use crate::testing::TestHub;

/// Orders among messages.
fn orders(messages: &[Message]) -> usize {
    messages.iter().filter(|message| matches!(message, Message::Cmd(_))).count()
}

#[tokio::test]
async fn a_hub_that_forgot_that_it_had_sent_a_job_takes_its_end() {
    let mut world = World::new(TestHub::sqlite().await).await;
    let mut agent = Agent::new(&world);
    let (running, ended) = (id_of(&world.create("a").await), id_of(&world.create("b").await));
    let backup = world.test.backup();
    agent.connect(&world.hub).await;
    for id in [running, ended] {
        assert_eq!(agent.order().await.job_id, id);
        agent.accept(&world.hub, id).await;
        agent.write(&world.hub, id, b"so far").await;
    }
    agent.finish(&world.hub, ended, EndState::Failed, Some(3));
    agent.disconnect(&world.hub).await;

    world.restore(backup).await;
    assert_eq!((world.state(running).await, world.state(ended).await), ("queued".into(), "queued".into()));
    agent.connect(&world.hub).await;
    assert_eq!(orders(&agent.drain()), 0, "what the host has was sent again");
    assert_eq!(world.state(running).await, "running");
    agent.finish(&world.hub, running, EndState::Succeeded, Some(0));
    for id in [running, ended] {
        agent.send(&world.hub, id, 0, 6).await;
        agent.send_done(&world.hub, id).await;
        agent.until_forgotten(id).await;
        assert_eq!(world.text_log(id).await, b"so far");
    }
    assert_eq!((world.state(running).await, world.state(ended).await), ("succeeded".into(), "failed".into()));
}

#[tokio::test]
async fn a_hub_that_forgot_an_end_asks_and_is_told_it_again() {
    let mut world = World::new(TestHub::sqlite().await).await;
    let mut agent = Agent::new(&world);
    let id = id_of(&world.create("a").await);
    let backup = world.test.backup();
    agent.connect(&world.hub).await;
    agent.accept(&world.hub, id).await;
    agent.write(&world.hub, id, b"all of it").await;
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    let kept = agent.spool[&id].clone();
    agent.until_forgotten(id).await;
    agent.disconnect(&world.hub).await;

    world.restore(backup).await;
    agent.connect(&world.hub).await;
    assert_eq!(agent.order().await.job_id, id, "it cannot know better");
    // The claim is there for as long as the order could come; log and end are among the last 50.
    let already = Already { state: SpoolState::Succeeded, next_offset: 9 };
    agent.answer(&world.hub, id, CmdOutcome::Already(already)).await;
    agent.spool.insert(id, kept);
    agent.send(&world.hub, id, 0, 9).await;
    agent.send_done(&world.hub, id).await;
    agent.until_forgotten(id).await;
    let job = world.job(id).await;
    assert_eq!((&job["state"], &job["exit_code"], &job["log"]["bytes"]), (&json!("succeeded"), &json!(0), &json!(9)));
}

#[tokio::test]
async fn a_host_whose_disk_is_of_yesterday_runs_nothing_again_that_the_hub_knows_of() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(id_of(&world.create("work").await));
        }
        let [claimed, heard, ended] = ids[..] else { panic!("{ids:?}") };
        agent.accept(&world.hub, claimed).await;
        // Of this one the answer was lost, its output was not.
        agent.claim(heard);
        agent.write(&world.hub, heard, b"I run").await;
        agent.until_acked(heard, 5).await;
        agent.accept(&world.hub, ended).await;
        let of_yesterday = agent.spool[&ended].clone();
        agent.end(&world.hub, ended, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(ended).await;
        agent.drain();
        let end = world.job(ended).await;

        agent.disconnect(&world.hub).await;
        agent.spool.clear();
        agent.spool.insert(ended, of_yesterday);
        let welcome = agent.connect(&world.hub).await;
        assert!(welcome[0].done, "it ended here long ago");
        for seconds in [31, 3600] {
            world.test.clock.advance(Duration::from_secs(seconds));
            jobs::reconcile(&world.hub).await.unwrap();
        }
        assert_eq!(orders(&agent.drain()), 0, "something would run twice");
        assert_eq!((world.state(claimed).await, world.state(heard).await), ("lost".into(), "lost".into()));
        assert_eq!(world.job(ended).await, end, "an end was rewritten");
    }
}

#[tokio::test]
async fn of_two_hosts_with_one_identity_one_runs_each_job() {
    for world in worlds().await {
        let (mut first, mut second) = (Agent::new(&world), Agent::new(&world));
        second.boot_id = "boot-of-the-clone".to_owned();
        first.connect(&world.hub).await;
        let id = id_of(&world.create("once").await);
        assert_eq!(first.order().await.job_id, id);
        first.accept(&world.hub, id).await;

        // The clone knows nothing of it. The gateway has closed the older connection by now.
        second.connect(&world.hub).await;
        assert_eq!(orders(&second.drain()), 0, "a claimed job was sent to the clone");
        assert_eq!(world.state(id).await, "interrupted", "to the hub it is the machine that was started anew");
        let end = world.job(id).await;
        let next = id_of(&world.create("next").await);
        assert_eq!(second.order().await.job_id, next);
        assert_eq!(orders(&first.drain()), 0, "a job was sent to both");
        second.accept(&world.hub, next).await;

        // What the first one says later changes nothing, and it does not get what the second has.
        first.finish(&world.hub, id, EndState::Succeeded, Some(0));
        let welcome = first.connect(&world.hub).await;
        assert!(welcome[0].done);
        assert_eq!(orders(&first.drain()), 0, "a job was sent to both");
        assert_eq!(world.job(id).await, end, "an end was rewritten");
    }
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_changes_no_time_that_the_hub_shows() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        for skew_ms in [3_600_000, -3_600_000] {
            let id = id_of(&world.create("date").await);
            let sent_at = world.hub.now();
            world.test.clock.advance(Duration::from_secs(7));
            let claimed_at = world.hub.now();
            let accepted = protocol::job::Accepted { started_at_ms: claimed_at.as_ms() + skew_ms };
            agent.claim(id);
            agent.answer(&world.hub, id, CmdOutcome::Accepted(accepted)).await;
            assert_eq!(world.job(id).await["started_at"], json!(claimed_at), "the host's word is not plausible");
            world.test.clock.advance(Duration::from_secs(60));
            agent.finish(&world.hub, id, EndState::Succeeded, Some(0));
            let done = agent.spool.get_mut(&id).unwrap().done.as_mut().unwrap();
            (done.started_at_ms, done.duration_ms) = (claimed_at.as_ms() + skew_ms, 59_000);
            agent.send_done(&world.hub, id).await;
            agent.until_forgotten(id).await;
            let job = world.job(id).await;
            assert_eq!(job["sent_at"], json!(sent_at));
            assert_eq!(job["finished_at"], json!(claimed_at.plus(Duration::from_secs(59))));
            let expires_at = Timestamp::from_ms(sent_at.as_ms() + 86_400_000);
            assert_eq!(job["expires_at"], json!(expires_at), "orders expire by the hub's clock");
        }
    }
}
