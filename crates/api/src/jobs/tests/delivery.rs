//! From the order to the end, whatever breaks in between.

use std::time::Duration;

use axum::http::StatusCode;
use protocol::job::{CmdOutcome, EndState, RejectCode, Rejected, SpoolState};
use serde_json::{Value, json};

use super::support::{Agent, id_of, worlds};
use crate::jobs;

#[tokio::test]
async fn a_job_runs_and_its_end_is_told() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let job = world.create("echo hello").await;
        let id = id_of(&job);
        assert_eq!(job["state"], "sent");
        assert_eq!(job["created_by"]["type"], "user");
        assert_eq!(job["log"], json!({ "bytes": 0, "truncated": false, "removed_at": null }));

        let order = agent.order().await;
        assert_eq!((order.job_id, order.server_id, order.timeout_s), (id, world.server.server_id, 3600));
        assert_eq!(order.actor.name, "Olga Owner");
        agent.accept(&world.hub, id).await;
        assert_eq!(world.state(id).await, "running");
        agent.write(&world.hub, id, b"hello\n").await;
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;

        let job = world.job(id).await;
        assert_eq!(
            (&job["state"], &job["exit_code"], &job["duration_ms"]),
            (&json!("succeeded"), &json!(0), &json!(7))
        );
        assert_eq!(job["log"], json!({ "bytes": 6, "truncated": false, "removed_at": null }));
        for field in ["sent_at", "started_at", "finished_at"] {
            assert!(job[field].is_string(), "{field}");
        }
        assert_eq!(world.text_log(id).await, b"hello\n");
        let actions = world.owner.get("/v1/audit?subject_id=".to_owned().as_str()).await;
        let audit = world.owner.get(&format!("/v1/audit?subject_id={id}")).await.json();
        let actions: Vec<_> = match audit["data"].as_array() {
            Some(records) => records.iter().map(|record| record["action"].clone()).collect(),
            None => panic!("{audit} {}", actions.text()),
        };
        assert_eq!(actions, [json!("job.end"), json!("job.create")]);
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("ls").await);
        let refusal = |code, message: &str| CmdOutcome::Rejected(Rejected { code, message: message.to_owned() });
        agent.answer(&world.hub, id, refusal(RejectCode::PolicyDenied, "exec is not allowed\0here")).await;
        let job = world.job(id).await;
        assert_eq!(job["state"], "rejected");
        assert_eq!(job["error"], json!({ "code": "policy_denied", "message": "exec is not allowed\u{fffd}here" }));
        // A host whose clock is an hour ahead refuses what is not late at all.
        let id = id_of(&world.create("ls").await);
        agent.answer(&world.hub, id, refusal(RejectCode::Expired, "too late")).await;
        assert_eq!(world.state(id).await, "rejected");
        let id = id_of(&world.create("ls").await);
        world.test.clock.advance(Duration::from_secs(86_401));
        agent.answer(&world.hub, id, refusal(RejectCode::Expired, "too late")).await;
        assert_eq!(world.state(id).await, "expired");
    }
}

#[tokio::test]
async fn a_server_gets_its_jobs_in_order_and_four_at_once() {
    for world in worlds().await {
        let mut ids = Vec::new();
        for number in 0..7 {
            ids.push(id_of(&world.create(&format!("echo {number}")).await));
        }
        assert_eq!(world.state(ids[0]).await, "queued");
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        for id in &ids[..4] {
            assert_eq!(agent.order().await.job_id, *id);
        }
        assert!(agent.drain().is_empty(), "more than four at once");
        let late = id_of(&world.create("echo late").await);
        assert_eq!(world.state(late).await, "queued");
        for (ended, next) in [(2, ids[4]), (0, ids[5]), (3, ids[6]), (1, late)] {
            agent.accept(&world.hub, ids[ended]).await;
            agent.end(&world.hub, ids[ended], EndState::Failed, Some(1)).await;
            assert_eq!(agent.order().await.job_id, next);
        }
    }
}

#[tokio::test]
async fn an_exclusive_job_is_alone_and_nothing_overtakes_it() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let before = id_of(&world.create("echo before").await);
        let body = json!({
            "server_id": world.server.server_id, "kind": "exec", "args": { "command": "reboot" }, "exclusive": true,
        });
        let alone = world.owner.post("/v1/jobs", body).await.json();
        assert_eq!((&alone["exclusive"], &alone["state"]), (&json!(true), &json!("queued")));
        let (alone, after) = (id_of(&alone), id_of(&world.create("echo after").await));
        assert_eq!(agent.order().await.job_id, before);
        assert!(agent.drain().is_empty(), "there would be room for it, were it not for the one before");
        for (ended, next) in [(before, alone), (alone, after)] {
            agent.accept(&world.hub, ended).await;
            // Neither an end that was missed nor a new connection makes room.
            jobs::reconcile(&world.hub).await.unwrap();
            agent.disconnect(&world.hub).await;
            agent.connect(&world.hub).await;
            assert!(agent.drain().iter().all(|message| !matches!(message, protocol::Message::Cmd(_))));
            agent.end(&world.hub, ended, EndState::Succeeded, Some(0)).await;
            assert_eq!(agent.order().await.job_id, next);
        }
    }
}

#[tokio::test]
async fn what_waits_too_long_expires_and_is_never_sent() {
    for world in worlds().await {
        let body = json!({
            "server_id": world.server.server_id, "kind": "exec", "args": { "command": "ls" }, "expires_in_s": 60,
        });
        let id = id_of(&world.owner.post("/v1/jobs", body).await.json());
        jobs::reconcile(&world.hub).await.unwrap();
        assert_eq!(world.state(id).await, "queued");
        world.test.clock.advance(Duration::from_secs(60));
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        assert!(agent.drain().is_empty());
        jobs::reconcile(&world.hub).await.unwrap();
        let job = world.job(id).await;
        assert_eq!((&job["state"], &job["sent_at"]), (&json!("expired"), &Value::Null));
    }
}

#[tokio::test]
async fn an_order_that_was_lost_is_sent_again_and_runs_once() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let (lost, claimed) = (id_of(&world.create("a").await), id_of(&world.create("b").await));
        // One order never arrived; the answer to the other did not.
        agent.claim(claimed);
        agent.disconnect(&world.hub).await;
        assert_eq!((world.state(lost).await, world.state(claimed).await), ("reconciling".into(), "reconciling".into()));
        agent.connect(&world.hub).await;
        assert_eq!(world.state(claimed).await, "running");
        assert_eq!(agent.order().await.job_id, lost);
        assert!(agent.drain().is_empty(), "a claimed job was sent again");
        agent.accept(&world.hub, lost).await;
        // Without an answer for half a minute it is sent once more, and the agent says that it has it.
        let id = id_of(&world.create("c").await);
        assert_eq!(agent.order().await.job_id, id);
        agent.claim(id);
        world.test.clock.advance(Duration::from_secs(31));
        jobs::reconcile(&world.hub).await.unwrap();
        assert_eq!(agent.order().await.job_id, id);
        agent.already(&world.hub, id).await;
        assert_eq!(world.state(id).await, "running");
        assert!(agent.spool.values().all(|job| job.runs == 1));
    }
}

#[tokio::test]
async fn what_a_server_does_not_list_any_more_is_interrupted_or_lost() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let mut run = Vec::new();
        for _ in 0..2 {
            let id = id_of(&world.create("sleep 1000").await);
            agent.accept(&world.hub, id).await;
            agent.write(&world.hub, id, b"so far").await;
            agent.until_acked(id, 6).await;
            run.push(id);
        }
        agent.disconnect(&world.hub).await;
        agent.spool.remove(&run[0]);
        agent.connect(&world.hub).await;
        let job = world.job(run[0]).await;
        assert_eq!((&job["state"], &job["error"]["code"]), (&json!("lost"), &json!("outcome_unknown")));
        assert_eq!(job["log"]["bytes"], 6);
        agent.disconnect(&world.hub).await;
        agent.spool.remove(&run[1]);
        agent.boot_id = "boot-2".to_owned();
        agent.connect(&world.hub).await;
        let job = world.job(run[1]).await;
        assert_eq!((&job["state"], &job["error"]["code"]), (&json!("interrupted"), &json!("server_restarted")));
        assert_eq!(world.text_log(run[1]).await, b"so far");
    }
}

#[tokio::test]
async fn a_job_goes_on_where_it_was_when_the_hub_is_restarted() {
    for mut world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("long").await);
        agent.accept(&world.hub, id).await;
        agent.write(&world.hub, id, "first €".as_bytes()).await;
        agent.until_acked(id, 9).await;
        // The hub is killed: nobody is told that the connection is gone.
        agent.connection = None;
        world.restart();
        assert_eq!(world.state(id).await, "running");
        jobs::reconcile(&world.hub).await.unwrap();
        assert_eq!(world.state(id).await, "reconciling");
        agent.append(id, b" second");
        agent.finish(&world.hub, id, EndState::Failed, Some(3));
        let welcome = agent.connect(&world.hub).await;
        assert_eq!((welcome[0].next_offset, welcome[0].done), (9, false));
        assert_eq!(world.state(id).await, "reconciling");
        // The end alone is not enough.
        agent.send_done(&world.hub, id).await;
        assert_eq!(world.state(id).await, "reconciling");
        agent.send(&world.hub, id, 9, 16).await;
        agent.send_done(&world.hub, id).await;
        agent.until_forgotten(id).await;
        let job = world.job(id).await;
        assert_eq!((&job["state"], &job["exit_code"]), (&json!("failed"), &json!(3)));
        assert_eq!(world.text_log(id).await, "first € second".as_bytes());
    }
}

#[tokio::test]
async fn repeats_change_nothing() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("ls").await);
        for _ in 0..3 {
            agent.accept(&world.hub, id).await;
        }
        agent.write(&world.hub, id, b"abcdef").await;
        agent.send(&world.hub, id, 0, 3).await;
        agent.send(&world.hub, id, 2, 6).await;
        agent.append(id, b"ghi");
        // Cut otherwise than before: only what is new counts.
        agent.send(&world.hub, id, 4, 9).await;
        agent.finish(&world.hub, id, EndState::Succeeded, Some(0));
        let spooled = agent.spool[&id].clone();
        agent.send_done(&world.hub, id).await;
        agent.until_forgotten(id).await;
        let first = world.job(id).await;
        // The acknowledgement was lost: the agent tells everything once more, with another end.
        agent.spool.insert(id, spooled);
        agent.send(&world.hub, id, 0, 9).await;
        agent.finish(&world.hub, id, EndState::Failed, Some(9));
        agent.send_done(&world.hub, id).await;
        agent.until_forgotten(id).await;
        agent.spool.insert(id, agent_job());
        assert!(agent.connect(&world.hub).await[0].done);
        assert_eq!(world.job(id).await, first);
        assert_eq!(world.text_log(id).await, b"abcdefghi");
    }
}

fn agent_job() -> super::support::Spooled {
    super::support::Spooled { state: SpoolState::Failed, log: b"abcdefghi".to_vec(), acked: 9, done: None, runs: 1 }
}

#[tokio::test]
async fn jobs_that_the_hub_does_not_know_are_forgotten() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        let unknown = world.hub.ids.job();
        agent.claim(unknown);
        agent.append(unknown, b"who asked for this?");
        let welcome = agent.connect(&world.hub).await;
        assert!(welcome[0].done && agent.spool.is_empty());
        agent.claim(unknown);
        agent.write(&world.hub, unknown, b"output").await;
        agent.until_forgotten(unknown).await;
        agent.claim(unknown);
        agent.end(&world.hub, unknown, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(unknown).await;
    }
}

#[tokio::test]
async fn an_agent_cannot_touch_the_jobs_of_another() {
    for world in worlds().await {
        let mut owner = Agent::new(&world);
        owner.connect(&world.hub).await;
        let id = id_of(&world.create("ls").await);
        owner.accept(&world.hub, id).await;
        let mut intruder = Agent::new(&world);
        intruder.identity = super::support::add_server(&world.hub, world.server.workspace_id, "web-2").await;
        intruder.claim(id);
        assert!(intruder.connect(&world.hub).await[0].done);
        intruder.accept(&world.hub, id).await;
        intruder.write(&world.hub, id, b"forged").await;
        intruder.claim(id);
        intruder.end(&world.hub, id, EndState::Failed, Some(1)).await;
        owner.write(&world.hub, id, b"true").await;
        owner.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        owner.until_forgotten(id).await;
        assert_eq!(world.state(id).await, "succeeded");
        assert_eq!(world.text_log(id).await, b"true");
    }
}

#[tokio::test]
async fn a_removed_server_takes_its_jobs_to_an_end() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(id_of(&world.create("sleep 1000").await));
        }
        agent.accept(&world.hub, ids[0]).await;
        let mut unit = world.hub.begin().await.unwrap();
        jobs::agent::server_removed(&world.hub, &mut unit, world.server.server_id).await.unwrap();
        unit.commit().await.unwrap();
        let mut states = Vec::new();
        for id in ids {
            let job = world.job(id).await;
            assert_eq!(job["error"]["code"], "server_removed");
            states.push(job["state"].as_str().unwrap().to_owned());
        }
        assert_eq!(states, ["lost", "lost", "lost", "lost", "cancelled"]);
    }
}

#[tokio::test]
async fn retry_repeats_the_definition_of_what_has_ended() {
    for world in worlds().await {
        let body = json!({
            "server_id": world.server.server_id, "kind": "exec", "timeout_s": 17, "expires_in_s": 120,
            "args": { "argv": ["ls", "-l"], "env": { "A": "b" } },
        });
        let first = world.owner.post("/v1/jobs", body).await.json();
        let id = id_of(&first);
        let early = world.owner.post(&format!("/v1/jobs/{id}/retry"), json!({})).await;
        assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "conflict"));
        world.owner.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
        let answer = world.owner.post(&format!("/v1/jobs/{id}/retry"), json!({})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let second = answer.json();
        assert_eq!((&second["args"], &second["timeout_s"]), (&first["args"], &json!(17)));
        assert_eq!((&second["retry_of"], &second["state"]), (&first["id"], &json!("queued")));
        assert_eq!(second["expires_at"], first["expires_at"]);
        assert_ne!(second["id"], first["id"]);
    }
}

#[tokio::test]
async fn old_jobs_go_with_their_logs() {
    for world in worlds().await {
        let mut agent = Agent::new(&world);
        agent.connect(&world.hub).await;
        let id = id_of(&world.create("ls").await);
        agent.accept(&world.hub, id).await;
        agent.write(&world.hub, id, b"output").await;
        agent.end(&world.hub, id, EndState::Succeeded, Some(0)).await;
        agent.until_forgotten(id).await;
        let running = id_of(&world.create("sleep").await);
        world.test.clock.advance(Duration::from_secs(91 * 24 * 3600));
        jobs::reconcile(&world.hub).await.unwrap();
        // The session is as old: this looks past the API.
        let size = jobs::log::size(&world.hub, id).await.unwrap();
        assert_eq!(size.bytes, 0);
        let mut session = world.hub.db.read().await.unwrap();
        assert!(jobs::store::by_id(&mut session.conn(), id).await.unwrap().is_none());
        assert!(jobs::store::by_id(&mut session.conn(), running).await.unwrap().is_some());
    }
}
