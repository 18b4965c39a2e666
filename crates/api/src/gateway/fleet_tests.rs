//! Many agents at once, some of which do nothing at all, and two that hold one identity.

use std::net::SocketAddr;

use protocol::heartbeat::Heartbeat;
use protocol::job::{Accepted, Ack, CmdAck, CmdBody, CmdOutcome, EndState, JobDone};
use protocol::session::{ErrorCode, WireError};
use protocol::{JobId, Message, WorkspaceId};
use serde_json::{Value, json};

use super::scripted::{Enrolled, ScriptedAgent, enroll, listen};
use crate::testing::{Client, TestHub};

const AGENTS: usize = 200;
/// Every fifth agent is frozen.
const FROZEN_EVERY: usize = 5;
const JOBS: usize = 3;
const BEATS: u64 = 5;

struct Fleet {
    test: TestHub,
    owner: Client,
    address: SocketAddr,
    workspace_id: WorkspaceId,
}

impl Fleet {
    async fn new() -> Self {
        let test = TestHub::with_config(|config| config.requests_per_minute = 10_000_000).await;
        let owner = test.owner().await;
        let session = owner.get("/v1/auth/session").await.json();
        let workspace_id = session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap();
        let address = listen(&test.hub).await;
        Self { test, owner, address, workspace_id }
    }

    async fn connect(&self, server: &Enrolled) -> ScriptedAgent {
        ScriptedAgent::connect(&self.test.hub, self.address, server).await
    }

    async fn create(&self, server: &Enrolled) -> JobId {
        let body = json!({ "server_id": server.server_id, "kind": "exec", "args": { "command": "true" } });
        let answer = self.owner.post("/v1/jobs", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().parse().unwrap()
    }

    async fn state(&self, id: JobId) -> Value {
        self.owner.get(&format!("/v1/jobs/{id}")).await.json()["state"].clone()
    }
}

/// The next order, past everything else.
async fn order(agent: &mut ScriptedAgent) -> JobId {
    agent
        .expect(|received| match &received.message {
            Message::Cmd(cmd) => serde_json::from_str::<CmdBody>(&cmd.signed.body).ok().map(|body| body.job_id),
            _ => None,
        })
        .await
}

async fn accept(agent: &mut ScriptedAgent, job_id: JobId) {
    agent.send(CmdAck { job_id, outcome: CmdOutcome::Accepted(Accepted { started_at_ms: 0 }) }).await;
}

/// Runs a job to its end, which the hub has when this returns.
async fn carry_out(agent: &mut ScriptedAgent, job_id: JobId) {
    accept(agent, job_id).await;
    let done = JobDone {
        job_id,
        state: EndState::Succeeded,
        exit_code: Some(0),
        signal: None,
        started_at_ms: 0,
        duration_ms: 1,
        next_offset: 0,
        result: None,
        error: None,
    };
    agent.send(done).await;
    let is_acked =
        |message: &Message| matches!(message, Message::Ack(Ack::Job { job_id: id, done: true, .. }) if *id == job_id);
    agent.expect(|received| is_acked(&received.message).then_some(())).await;
}

#[tokio::test]
async fn frozen_agents_hold_up_nobody_else() {
    let fleet = Fleet::new().await;
    let (mut frozen, mut live) = (Vec::new(), Vec::new());
    for number in 0..AGENTS {
        let server = enroll(&fleet.test.hub, fleet.workspace_id, &format!("server-{number:03}")).await;
        let agent = fleet.connect(&server).await;
        if number % FROZEN_EVERY == 0 {
            frozen.push((server, agent));
        } else {
            live.push((server, agent));
        }
    }
    assert_eq!((frozen.len(), live.len()), (40, 160));
    // More than the sockets of some of them hold: the hub is in the middle of a write that does not end.
    for (server, _) in frozen.iter().step_by(4) {
        let link = fleet.test.hub.gateway.link(server.server_id).unwrap();
        for _ in 0..18 {
            let message = Message::Error(WireError { code: ErrorCode::Other, message: "x".repeat(200 << 10) });
            link.send(message, None).unwrap();
            tokio::task::yield_now().await;
        }
    }
    // Theirs come first everywhere.
    let mut stuck = Vec::new();
    for (server, _) in &frozen {
        stuck.push(fleet.create(server).await);
    }
    let mut wanted = Vec::new();
    for (server, _) in &live {
        let mut ids = Vec::new();
        for _ in 0..JOBS {
            ids.push(fleet.create(server).await);
        }
        wanted.push(ids);
    }

    for ((_, agent), ids) in live.iter_mut().zip(&wanted) {
        let mut orders = Vec::new();
        for _ in ids {
            orders.push(order(agent).await);
        }
        assert_eq!(&orders, ids, "not in the order of the queue");
    }
    for beat in 1..=BEATS {
        for (_, agent) in &mut live {
            agent.send(Heartbeat { seq: beat, uptime_s: beat, ..Heartbeat::default() }).await;
        }
    }
    for ((_, agent), ids) in live.iter_mut().zip(&wanted) {
        for id in ids {
            carry_out(agent, *id).await;
        }
        agent.settle().await;
    }

    let mut ended = 0;
    for id in wanted.iter().flatten() {
        ended += usize::from(fleet.state(*id).await == "succeeded");
    }
    assert_eq!(ended, live.len() * JOBS);
    for (server, _) in &live {
        let shown = fleet.owner.get(&format!("/v1/servers/{}", server.server_id)).await.json();
        assert_eq!(shown["live"]["uptime_s"], BEATS, "not every beat was taken");
    }
    for id in stuck {
        let state = fleet.state(id).await;
        assert!(state == "sent" || state == "reconciling", "a frozen agent's job is {state}");
    }
    drop(frozen);
}

#[tokio::test]
async fn a_clone_gets_no_job_that_the_other_has_and_raises_an_alarm() {
    let fleet = Fleet::new().await;
    let server = enroll(&fleet.test.hub, fleet.workspace_id, "web").await;
    let mut first = fleet.connect(&server).await;
    let id = fleet.create(&server).await;
    assert_eq!(order(&mut first).await, id);
    accept(&mut first, id).await;
    first.settle().await;

    // The clone does not know of the job, and they replace each other from here on.
    let mut orders = 0;
    let mut agents = vec![first];
    for _ in 0..7 {
        let mut agent = fleet.connect(&server).await;
        let refused = agent.send(protocol::heartbeat::Watch { interval_ms: 1, ttl_s: 1 }).await;
        loop {
            let received = agent.next().await;
            orders += usize::from(matches!(received.message, Message::Cmd(_)));
            if received.reference == Some(refused) {
                break;
            }
        }
        agents.push(agent);
    }
    assert_eq!(orders, 0, "a claimed job was sent to a clone");
    assert_eq!(fleet.state(id).await, "lost", "the boot is the same, and nobody has a trace of it");
    let audit = fleet.owner.get("/v1/audit?action=security.event").await.json();
    assert_eq!(audit["data"].as_array().unwrap().len(), 1, "{audit}");
    assert_eq!(audit["data"][0]["details"]["kind"], "security.cloned_credential");
}
