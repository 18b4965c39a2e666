//! Followers: live, resumed, slow.

use protocol::job::EndState;
use serde_json::json;

use super::support::{Agent, World, id_of, worlds};
use crate::testing::TestHub;

#[tokio::test]
async fn output_is_followed_while_it_comes_and_resumed_where_it_broke() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("loop").await);
        // From before the first byte on.
        let mut follower = world.follow(id, "", None).await;
        agent.accept(&world.hub, id).await;
        agent.write(&world.hub, id, b"one\n").await;
        let first = follower.next().await.unwrap();
        assert_eq!((first.kind.as_str(), first.id.as_str(), &first.data["text"]), ("log", "4", &json!("one\n")));
        agent.write(&world.hub, id, b"two\n").await;
        let second = follower.next().await.unwrap();
        assert_eq!((second.id.as_str(), &second.data["offset"]), ("8", &json!(4)));
        drop(follower);
        agent.write(&world.hub, id, b"three\n").await;
        let resumed = world.follow(id, "&tail=1", Some(&second.id)).await;
        agent.write(&world.hub, id, "fo€".as_bytes()).await;
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        let (text, end) = resumed.rest().await;
        assert_eq!((text.as_str(), &end["state"]), ("three\nfo€", &json!("succeeded")));
        // Once it has ended, the rest and the end come at once.
        let (text, end) = world.follow(id, "", None).await.rest().await;
        assert_eq!((text.as_str(), &end["exit_code"]), ("one\ntwo\nthree\nfo€", &json!(0)));
        let (text, _) = world.follow(id, "&tail=5", None).await.rest().await;
        assert_eq!(text, "fo€");
    }
}

#[tokio::test]
async fn a_cancelled_job_without_output_ends_its_followers() {
    for world in worlds().await {
        let id = id_of(&world.create("ls").await);
        let follower = world.follow(id, "", None).await;
        world.owner.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
        let (text, end) = follower.rest().await;
        assert_eq!((text.as_str(), &end["state"]), ("", &json!("cancelled")));
        assert!(world.hub.jobs.live(id).is_none(), "the log stays in memory");
    }
}

#[tokio::test]
async fn a_follower_that_stands_still_holds_up_nobody() {
    let world = World::new(TestHub::sqlite().await).await;
    let mut agent = Agent::new(&world);
    agent.connect(&world.hub).await;
    let id = id_of(&world.create("flood").await);
    agent.accept(&world.hub, id).await;
    let mut stalled = world.follow(id, "", None).await;
    let brisk = world.hub.tasks.spawn(world.follow(id, "", None).await.rest());
    let block = b"0123456789abcde\n".repeat(4096);
    agent.write(&world.hub, id, &block).await;
    assert!(stalled.next().await.is_some());
    for _ in 0..64 {
        agent.write(&world.hub, id, &block).await;
        agent.drain();
    }
    agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
    agent.until_forgotten(id).await;
    // Everybody else is through although this one read one piece only, and it finds all of it in the database.
    assert_eq!(brisk.await.unwrap().0.len(), block.len() * 65);
    assert_eq!(stalled.rest().await.0.len(), block.len() * 64);
}

#[tokio::test]
async fn followers_of_a_job_that_nobody_ran_leave_nothing_behind() {
    for world in worlds().await {
        let id = id_of(&world.create("ls").await);
        let follower = world.follow(id, "", None).await;
        assert!(world.hub.jobs.live(id).is_some());
        drop(follower);
        assert!(world.hub.jobs.live(id).is_none());
    }
}
