//! A hub with one server, and an agent that does what the test says.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use protocol::job::{
    Accepted, Ack, Already, CancelBody, CmdAck, CmdBody, CmdOutcome, EndState, JobDone, Log, LogStream, SpoolState,
};
use protocol::policy::PolicySummary;
use protocol::session::{AgentBuild, Hello, HelloJob, Host, WelcomeJob};
use protocol::version::VersionRange;
use protocol::{Hex, JobId, Message, WorkspaceId};
use serde_json::{Value, json};

use crate::access::{Actor, authorize};
use crate::db::testing::Backup;
use crate::gateway::test_link::TestLink;
use crate::hub::App;
use crate::jobs;
use crate::secret::TokenDigest;
use crate::servers::{self, AgentIdentity, Labels, Name, NewServer};
use crate::testing::{Client, TestHub};

/// A hub with an owner and a server that has never connected.
pub(crate) struct World {
    pub(crate) test: TestHub,
    pub(crate) hub: App,
    pub(crate) owner: Client,
    pub(crate) server: AgentIdentity,
}

/// One world per engine.
pub(crate) async fn worlds() -> Vec<World> {
    let mut worlds = Vec::new();
    for test in TestHub::each_engine().await {
        worlds.push(World::new(test).await);
    }
    worlds
}

impl World {
    pub(crate) async fn new(test: TestHub) -> Self {
        let owner = test.owner().await;
        let hub = Arc::clone(&test.hub);
        let session = owner.get("/v1/auth/session").await.json();
        let workspace = session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap();
        let server = add_server(&hub, workspace, "web-1").await;
        Self { test, hub, owner, server }
    }

    /// The hub starts anew on the same database.
    pub(crate) fn restart(&mut self) {
        self.hub = self.test.restarted();
        self.owner = self.owner.at(Arc::clone(&self.hub));
    }

    /// The hub goes on with the database of a backup.
    pub(crate) async fn restore(&mut self, backup: Backup) {
        self.hub = self.test.restored(backup).await;
        self.owner = self.owner.at(Arc::clone(&self.hub));
    }

    pub(crate) async fn create(&self, command: &str) -> Value {
        let body = json!({ "server_id": self.server.server_id, "kind": "exec", "args": { "command": command } });
        let answer = self.owner.post("/v1/jobs", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }

    /// A job made past the API, which limits how often one may ask.
    pub(crate) async fn create_directly(&self, expires_in_s: u32) -> JobId {
        let server_id = self.server.server_id;
        let body = json!({
            "server_id": server_id, "kind": "exec", "args": { "command": "work" }, "expires_in_s": expires_in_s,
        });
        let new = serde_json::from_value::<jobs::input::Body>(body).unwrap().parse().unwrap();
        let server = authorize(&self.hub, self.actor(), server_id).await.unwrap();
        jobs::create(&self.hub, server, new).await.unwrap().id
    }

    /// Somebody who may do everything in the workspace.
    pub(crate) fn actor(&self) -> Actor {
        Actor::system(self.server.workspace_id)
    }

    pub(crate) async fn job(&self, id: JobId) -> Value {
        let answer = self.owner.get(&format!("/v1/jobs/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    pub(crate) async fn state(&self, id: JobId) -> String {
        self.job(id).await["state"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn text_log(&self, id: JobId) -> Vec<u8> {
        let owner = self.owner.with_header("accept", "text/plain");
        owner.get(&format!("/v1/jobs/{id}/log")).await.bytes().to_vec()
    }

    pub(crate) async fn follow(&self, id: JobId, query: &str, last_event_id: Option<&str>) -> Follower {
        let mut request = Request::builder().method(Method::GET).uri(format!("/v1/jobs/{id}/log?follow=true{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = self.owner.send_raw(request, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK);
        Follower { body: answer.body, buffer: String::new() }
    }
}

pub(crate) async fn add_server(hub: &App, workspace_id: WorkspaceId, name: &str) -> AgentIdentity {
    let mut unit = hub.begin().await.unwrap();
    let new = NewServer {
        workspace_id,
        name: Name::parse("name", name).unwrap(),
        labels: Labels::default(),
        project_id: None,
        token: TokenDigest::of(&hub.ids.uuid().to_string()),
        machine_id_hash: Hex([1; 32]),
    };
    let server = servers::register(hub, &mut unit, new).await.unwrap();
    unit.commit().await.unwrap();
    AgentIdentity { server_id: server.id, workspace_id, server_name: name.to_owned() }
}

pub(crate) fn id_of(job: &Value) -> JobId {
    job["id"].as_str().unwrap().parse().unwrap()
}

/// An event stream as it arrives.
pub(crate) struct Follower {
    body: Body,
    buffer: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Follower {
    /// The next `log` or `end`; `None` when the stream is over.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let block: String = self.buffer.drain(..end + 2).collect();
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.unwrap_or_default().to_owned()
                };
                if field("event").is_empty() {
                    continue;
                }
                let data = serde_json::from_str(&field("data")).unwrap();
                return Some(Event { kind: field("event"), id: field("id"), data });
            }
            let frame = http_body_util::BodyExt::frame(&mut self.body).await?.unwrap();
            self.buffer += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
        }
    }

    /// Everything up to the end, as text, and the job of the end.
    pub(crate) async fn rest(mut self) -> (String, Value) {
        let mut text = String::new();
        while let Some(event) = self.next().await {
            if event.kind == "end" {
                assert!(self.next().await.is_none(), "something came after the end");
                return (text, event.data);
            }
            text += event.data["text"].as_str().unwrap();
        }
        panic!("the stream broke off before the end");
    }
}

/// What an agent keeps of a job.
#[derive(Debug, Clone)]
pub(crate) struct Spooled {
    pub(crate) state: SpoolState,
    pub(crate) log: Vec<u8>,
    pub(crate) acked: u64,
    pub(crate) done: Option<JobDone>,
    pub(crate) runs: u32,
}

/// An agent with its spool. It survives its connections.
pub(crate) struct Agent {
    pub(crate) identity: AgentIdentity,
    pub(crate) boot_id: String,
    pub(crate) spool: BTreeMap<JobId, Spooled>,
    pub(crate) forgotten: Vec<JobId>,
    pub(crate) connection: Option<TestLink>,
    pub(crate) cancelled: Vec<JobId>,
}

impl Agent {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            identity: world.server.clone(),
            boot_id: "boot-1".to_owned(),
            spool: BTreeMap::new(),
            forgotten: Vec::new(),
            connection: None,
            cancelled: Vec::new(),
        }
    }

    /// Hello, welcome, and the resume that follows from it.
    pub(crate) async fn connect(&mut self, hub: &App) -> Vec<WelcomeJob> {
        let jobs = self.spool.iter().map(|(id, job)| HelloJob {
            job_id: *id,
            state: job.state,
            next_offset: u64::try_from(job.log.len()).unwrap(),
        });
        let hello = hello(&self.boot_id, jobs.collect());
        let connection = TestLink::new(hub, self.identity.clone());
        let welcome = jobs::agent::connected(hub, &connection.link, &hello).await.unwrap();
        jobs::agent::ready(hub, &connection.link).await.unwrap();
        self.connection = Some(connection);
        for job in &welcome {
            if job.done {
                self.forget(job.job_id);
            } else if let Some(spooled) = self.spool.get_mut(&job.job_id) {
                spooled.acked = job.next_offset;
            }
        }
        welcome
    }

    /// The connection breaks, and the hub notices.
    pub(crate) async fn disconnect(&mut self, hub: &App) {
        if let Some(connection) = self.connection.take() {
            connection.cut();
            jobs::agent::disconnected(hub, self.identity.server_id).await.unwrap();
        }
    }

    pub(crate) fn forget(&mut self, id: JobId) {
        if self.spool.remove(&id).is_some() {
            self.forgotten.push(id);
        }
    }

    fn link(&mut self) -> &mut TestLink {
        self.connection.as_mut().expect("a connected agent")
    }

    /// The order that comes next.
    pub(crate) async fn order(&mut self) -> CmdBody {
        loop {
            if let Message::Cmd(cmd) = self.link().next().await {
                return serde_json::from_str(&cmd.signed.body).unwrap();
            }
        }
    }

    /// Every message that is there already; acknowledgements and cancels are obeyed.
    pub(crate) fn drain(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.connection.as_mut().and_then(TestLink::try_next) {
            self.obey(&message);
            messages.push(message);
        }
        messages
    }

    pub(crate) fn obey(&mut self, message: &Message) {
        match message {
            Message::Ack(Ack::Job { job_id, next_offset, done }) => {
                if let Some(job) = self.spool.get_mut(job_id) {
                    assert!(*next_offset <= u64::try_from(job.log.len()).unwrap(), "acknowledged what was never sent");
                    job.acked = job.acked.max(*next_offset);
                }
                if *done {
                    self.forget(*job_id);
                }
            }
            Message::Cancel(cancel) => {
                let body: CancelBody = serde_json::from_str(&cancel.0.body).unwrap();
                self.cancelled.push(body.job_id);
            }
            _ => {}
        }
    }

    /// Claims a job and says so.
    pub(crate) async fn accept(&mut self, hub: &App, id: JobId) {
        self.claim(id);
        self.answer(hub, id, CmdOutcome::Accepted(Accepted { started_at_ms: hub.now().as_ms() })).await;
    }

    /// Claims a job silently.
    pub(crate) fn claim(&mut self, id: JobId) {
        let fresh = Spooled { state: SpoolState::Running, log: Vec::new(), acked: 0, done: None, runs: 0 };
        self.spool.entry(id).or_insert(fresh).runs += 1;
    }

    pub(crate) async fn answer(&mut self, hub: &App, job_id: JobId, outcome: CmdOutcome) {
        let link = self.link().link.clone();
        jobs::agent::cmd_ack(hub, &link, CmdAck { job_id, outcome }).await.unwrap();
    }

    pub(crate) async fn already(&mut self, hub: &App, id: JobId) {
        let job = &self.spool[&id];
        let already = Already { state: job.state, next_offset: u64::try_from(job.log.len()).unwrap() };
        self.answer(hub, id, CmdOutcome::Already(already)).await;
    }

    /// The job writes, and the piece is sent.
    pub(crate) async fn write(&mut self, hub: &App, id: JobId, output: &[u8]) {
        let from = self.append(id, output);
        self.send(hub, id, from, self.spool[&id].log.len()).await;
    }

    /// The job writes; the offset before it.
    pub(crate) fn append(&mut self, id: JobId, output: &[u8]) -> usize {
        let log = &mut self.spool.get_mut(&id).unwrap().log;
        let from = log.len();
        log.extend_from_slice(output);
        from
    }

    /// Sends a part of what the job wrote.
    pub(crate) async fn send(&mut self, hub: &App, id: JobId, from: usize, to: usize) {
        let data = self.spool[&id].log[from..to].to_vec();
        let log = piece(id, from, data);
        self.send_log(hub, log).await;
    }

    pub(crate) async fn send_log(&mut self, hub: &App, (log, bytes): (Log, Option<bytes::Bytes>)) {
        let link = self.link().link.clone();
        jobs::agent::log(hub, &link, log, bytes).await.unwrap();
    }

    /// The job ends, and that is sent.
    pub(crate) async fn end(&mut self, hub: &App, id: JobId, state: EndState, exit_code: Option<i32>) {
        self.finish(hub, id, state, exit_code);
        self.send_done(hub, id).await;
    }

    /// The job ends.
    pub(crate) fn finish(&mut self, hub: &App, id: JobId, state: EndState, exit_code: Option<i32>) {
        let job = self.spool.get_mut(&id).unwrap();
        job.state = state.into();
        job.done = Some(JobDone {
            job_id: id,
            state,
            exit_code,
            signal: None,
            started_at_ms: hub.now().as_ms(),
            duration_ms: 7,
            next_offset: u64::try_from(job.log.len()).unwrap(),
            result: None,
            error: None,
        });
    }

    pub(crate) async fn send_done(&mut self, hub: &App, id: JobId) {
        let done = self.spool[&id].done.clone().unwrap();
        let link = self.link().link.clone();
        jobs::agent::done(hub, &link, done).await.unwrap();
    }

    /// Reads until the hub has everything of the job.
    pub(crate) async fn until_forgotten(&mut self, id: JobId) {
        while self.spool.contains_key(&id) {
            let message = self.link().next().await;
            self.obey(&message);
        }
    }

    /// Reads until so much of the job's log is acknowledged.
    pub(crate) async fn until_acked(&mut self, id: JobId, offset: usize) {
        while self.spool[&id].acked < u64::try_from(offset).unwrap() {
            let message = self.link().next().await;
            self.obey(&message);
        }
    }
}

/// A piece of standard output as it goes over the wire: in a frame of its own where it is long or no text.
pub(crate) fn piece(job_id: JobId, offset: usize, data: Vec<u8>) -> (Log, Option<bytes::Bytes>) {
    let offset = u64::try_from(offset).unwrap();
    let log =
        Log { job_id, offset, s: LogStream::Out, at_ms: 1_767_225_600_000, text: None, bytes: None, gap_bytes: None };
    match String::from_utf8(data) {
        Ok(text) if text.len() <= protocol::MAX_LOG_TEXT => (Log { text: Some(text), ..log }, None),
        Ok(text) => (Log { bytes: u32::try_from(text.len()).ok(), ..log }, Some(text.into())),
        Err(error) => {
            let data = error.into_bytes();
            (Log { bytes: u32::try_from(data.len()).ok(), ..log }, Some(data.into()))
        }
    }
}

pub(crate) fn hello(boot_id: &str, jobs: Vec<HelloJob>) -> Hello {
    Hello {
        agent: AgentBuild { version: "0.1.0".to_owned(), target: "x86_64-linux".to_owned(), sha256: Hex([0; 32]) },
        protocol: VersionRange::OURS,
        nonce: Hex([2; 32]),
        ephemeral_key: Hex([3; 32]),
        host: Host {
            hostname: "web-1".to_owned(),
            os: "debian".to_owned(),
            os_version: "12".to_owned(),
            kernel: "6.1".to_owned(),
            arch: "x86_64".to_owned(),
            cpus: 2,
            memory_bytes: 1 << 30,
            machine_id_hash: Hex([1; 32]),
            boot_id: boot_id.to_owned(),
        },
        capabilities: vec!["exec".to_owned()],
        policy: PolicySummary::open(),
        jobs,
    }
}
