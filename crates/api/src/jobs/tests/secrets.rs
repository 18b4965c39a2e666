//! Secret variables: sent to the server, shown to nobody, kept no longer than needed.

use axum::http::StatusCode;
use protocol::JobId;
use protocol::job::EndState;
use serde_json::{Value, json};

use super::support::{Agent, World, id_of, worlds};
use crate::jobs::store;

const SECRET: &str = "s3cr3t-väl\"ue";

async fn create(world: &World) -> Value {
    let args = json!({ "command": "deploy", "secret_env": { "TOKEN": SECRET, "KEY": "line-one\nline-two" } });
    let body = json!({ "server_id": world.server.server_id, "kind": "exec", "args": args });
    let answer = world.owner.post("/v1/jobs", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

fn masked() -> Value {
    json!({ "command": "deploy", "secret_env": { "TOKEN": "***", "KEY": "***" } })
}

/// What is stored of a job's secrets, sealed.
async fn stored(world: &World, id: JobId) -> Option<String> {
    let mut session = world.hub.db.read().await.unwrap();
    let job = store::by_id(&mut session.conn(), id).await.unwrap().unwrap();
    job.secrets.map(|secrets| serde_json::to_string(&secrets).unwrap())
}

#[tokio::test]
async fn the_server_gets_what_everybody_else_does_not_see() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let job = create(&world).await;
        let id = id_of(&job);
        assert_eq!(job["args"], masked());
        let sealed = stored(&world, id).await.unwrap();
        assert!(!sealed.contains("s3cr3t") && !sealed.contains("line-one"), "{sealed}");

        let order = agent.order().await;
        let args: Value = serde_json::from_str(order.args.get()).unwrap();
        assert_eq!(args["secret_env"], json!({ "TOKEN": SECRET, "KEY": "line-one\nline-two" }));
        assert_eq!(args["command"], "deploy");

        agent.accept(&world.hub, id).await;
        let live = world.hub.jobs.live(id).and_then(|live| live.job()).unwrap();
        assert!(!format!("{live:?}").contains("s3cr3t"), "what is remembered cannot be printed");
        let audit = world.owner.get("/v1/audit").await.text();
        let list = world.owner.get("/v1/jobs").await.text();
        for shown in [audit, list, world.job(id).await.to_string()] {
            assert!(!shown.contains("s3cr3t") && !shown.contains("line-one"), "{shown}");
        }

        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        assert_eq!(stored(&world, id).await, None, "erased with the end");
        assert_eq!(world.job(id).await["args"], masked());
        let again = world.owner.post(&format!("/v1/jobs/{id}/retry"), json!({})).await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        assert!(again.text().contains("secrets of this job were erased"), "{}", again.text());
    }
}

#[tokio::test]
async fn secrets_that_wait_survive_the_hub_and_are_erased_by_a_cancel() {
    for mut world in worlds().await {
        let waiting = id_of(&create(&world).await);
        let cancelled = id_of(&create(&world).await);
        world.restart();
        world.owner.post(&format!("/v1/jobs/{cancelled}/cancel"), json!({})).await;
        assert_eq!(stored(&world, cancelled).await, None);
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let order = agent.order().await;
        assert_eq!(order.job_id, waiting);
        assert!(order.args.get().contains("s3cr3t"), "{}", order.args);
        // Nobody has answered: it is sent again with its secrets.
        agent.disconnect(&world.hub).await;
        agent.connect(&world.hub).await;
        assert!(agent.order().await.args.get().contains("s3cr3t"));
    }
}

#[tokio::test]
async fn a_job_whose_secrets_cannot_be_read_is_not_sent() {
    for mut world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let sent = id_of(&create(&world).await);
        assert_eq!(agent.order().await.job_id, sent);
        agent.disconnect(&world.hub).await;
        let waiting = id_of(&create(&world).await);
        let plain = id_of(&world.create("echo").await);

        world.hub = world.test.restarted_without_sealing_key();
        world.owner = world.owner.at(std::sync::Arc::clone(&world.hub));
        agent.connect(&world.hub).await;
        assert_eq!(agent.order().await.job_id, plain, "others go on");
        for id in [sent, waiting] {
            let job = world.job(id).await;
            assert_eq!((&job["state"], &job["error"]["code"]), (&json!("cancelled"), &json!("secrets_unreadable")));
            assert_eq!(stored(&world, id).await, None);
        }
    }
}

#[tokio::test]
async fn unacceptable_secrets_are_refused_without_repeating_them() {
    for world in worlds().await {
        for secret_env in [
            json!({ "TOKEN": "short" }),
            json!({ "A=B": "long-enough" }),
            json!({ "TOKEN": 123_456_789 }),
            json!("s3cr3t-value"),
            json!(["s3cr3t-value"]),
        ] {
            let args = json!({ "command": "ls", "secret_env": secret_env });
            let body = json!({ "server_id": world.server.server_id, "kind": "exec", "args": args });
            let answer = world.owner.post("/v1/jobs", body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text());
            assert!(!answer.json()["error"]["details"]["fields"]["args.secret_env"].is_null(), "{}", answer.text());
            assert!(!answer.text().contains("s3cr3t") && !answer.text().contains("123"), "{}", answer.text());
        }
    }
}
