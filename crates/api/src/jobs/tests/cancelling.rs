//! Cancel, in every state.

use axum::http::StatusCode;
use protocol::job::{CmdOutcome, EndState, RejectCode, Rejected};
use serde_json::{Value, json};

use super::support::{Agent, World, id_of, worlds};
use protocol::JobId;

async fn cancel(world: &World, id: JobId) -> (StatusCode, Value) {
    let answer = world.owner.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn what_was_not_sent_ends_at_once() {
    for world in worlds().await {
        let id = id_of(&world.create("ls").await);
        let (status, job) = cancel(&world, id).await;
        assert_eq!((status, &job["state"]), (StatusCode::ACCEPTED, &json!("cancelled")));
        let (status, error) = cancel(&world, id).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("conflict")));
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        assert!(agent.drain().is_empty());
    }
}

#[tokio::test]
async fn what_runs_is_told_until_its_end_is_known() {
    for mut world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("sleep 1000").await);
        agent.accept(&world.hub, id).await;
        agent.drain();
        let (status, job) = cancel(&world, id).await;
        assert_eq!((status, &job["state"]), (StatusCode::ACCEPTED, &json!("running")));
        assert!(job["cancel_requested_at"].is_string());
        assert_eq!(cancel(&world, id).await.0, StatusCode::ACCEPTED);
        agent.drain();
        assert_eq!(agent.cancelled, [id, id]);
        // The order to end it is given again after every interruption.
        agent.disconnect(&world.hub).await;
        assert_eq!(cancel(&world, id).await.1["state"], "reconciling");
        world.restart();
        agent.connect(&world.hub).await;
        agent.drain();
        assert_eq!(agent.cancelled, [id, id, id]);
        agent.end(&world.hub, id, EndState::Cancelled, None).await;
        agent.until_forgotten(id).await;
        assert_eq!(world.state(id).await, "cancelled");
    }
}

#[tokio::test]
async fn a_job_that_ends_by_itself_meanwhile_keeps_its_own_end() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("ls").await);
        agent.accept(&world.hub, id).await;
        cancel(&world, id).await;
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        assert_eq!(world.state(id).await, "succeeded");
        assert_eq!(cancel(&world, id).await.0, StatusCode::CONFLICT);
    }
}

#[tokio::test]
async fn an_order_that_never_arrived_is_not_carried_out_after_a_cancel() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let (lost, slow) = (id_of(&world.create("a").await), id_of(&world.create("b").await));
        agent.disconnect(&world.hub).await;
        cancel(&world, lost).await;
        cancel(&world, slow).await;
        agent.connect(&world.hub).await;
        assert!(agent.drain().is_empty());
        assert_eq!((world.state(lost).await, world.state(slow).await), ("cancelled".into(), "cancelled".into()));
        // One of the orders was on its way to a worker all the time: it is ended there too, and stays cancelled here.
        agent.accept(&world.hub, slow).await;
        agent.drain();
        assert_eq!(agent.cancelled, [slow]);
        agent.disconnect(&world.hub).await;
        agent.claim(slow);
        agent.connect(&world.hub).await;
        agent.drain();
        assert_eq!(agent.cancelled, [slow, slow]);
        assert_eq!(world.state(slow).await, "cancelled");
    }
}

#[tokio::test]
async fn what_was_taken_for_never_started_is_ended_when_it_shows_itself() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("sleep 1000").await);
        assert_eq!(agent.order().await.job_id, id);
        assert_eq!(cancel(&world, id).await.1["state"], "sent");
        agent.drain();
        // Its worker has the order and no claim yet when the relay says hello.
        agent.disconnect(&world.hub).await;
        agent.connect(&world.hub).await;
        assert_eq!(world.state(id).await, "cancelled");
        agent.claim(id);
        agent.cancelled.clear();
        agent.write(&world.hub, id, b"here I am").await;
        agent.drain();
        assert_eq!(agent.cancelled, [id]);
        assert_eq!(world.state(id).await, "cancelled");
    }
}

#[tokio::test]
async fn what_was_refused_and_runs_all_the_same_is_ended() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("sleep 1000").await);
        // The order came twice: the first worker died on it, the second did not.
        let refusal = Rejected { code: RejectCode::Unavailable, message: "no worker".to_owned() };
        agent.answer(&world.hub, id, CmdOutcome::Rejected(refusal)).await;
        assert_eq!(world.state(id).await, "rejected");
        agent.accept(&world.hub, id).await;
        agent.drain();
        assert_eq!(agent.cancelled, [id]);
    }
}
