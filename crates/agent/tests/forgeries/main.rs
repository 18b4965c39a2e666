//! What somebody can do who has everything but the keys: nothing runs, and it is said.
//!
//! The attacker holds a stolen copy of the database (every id, digest and job), the TLS key and the socket, and has seen
//! what passed. In [`orders`] and [`beliefs`] a relay of his own talks straight to workers, in [`line`] he speaks to an
//! honest relay. In [`taken_over`] he has the hub's process, signing key included, and the host reserves `root` for
//! operators.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests look at the machine directly, and fail loudly"
)]

mod beliefs;
mod line;
mod orders;
#[path = "../scripted/mod.rs"]
mod scripted;
#[path = "../support/mod.rs"]
mod support;
mod taken_over;

use std::path::PathBuf;

use agent::trust::claims::Claims;
use agent::work::wire::{JobOrder, Note, Op, Request, VERSION};
use protocol::job::{Cmd, CmdBody, CmdOutcome, EndState, RejectCode};
use protocol::{Hex, Signed};
use support::{Host, HubKey, OperatorKey, command, now_ms, op_body, read, rejection};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// A host, what the attacker wants to run there, and what he has.
struct Scene {
    host: Host,
    mark: PathBuf,
    /// An order that the hub would sign.
    body: CmdBody,
    /// A key that is not the hub's.
    stranger: HubKey,
    /// An operator of the host, and somebody with a key of his own.
    ada: OperatorKey,
    eve: OperatorKey,
}

impl Scene {
    fn new() -> Self {
        let host = Host::new();
        let mark = host.dir.path().join("ran");
        let body = host.body(&command(&format!("echo ran >> {}", mark.display())));
        Self { host, mark, body, stranger: HubKey::new(8), ada: OperatorKey::new(1), eve: OperatorKey::new(2) }
    }

    /// A host whose policy reserves `root` for the operator.
    fn reserved() -> Self {
        let scene = Self::new();
        let line = scene.ada.line();
        scene.host.policy(&format!("require_operator_signature = [\"root\"]\noperators = [{line:?}]\n"));
        scene
    }

    /// The order as the hub sent it.
    fn order(&self) -> Cmd {
        self.host.cmd(&self.body)
    }

    /// The order with another body under the old signature.
    fn altered(&self, from: &str, to: &str) -> Vec<Op> {
        let mut cmd = self.order();
        let body = cmd.signed.body.replacen(from, to, 1);
        assert_ne!(body, cmd.signed.body, "{from} is there");
        cmd.signed.body = body;
        vec![job(cmd)]
    }

    /// The order's body, signed by the hub for another purpose.
    fn for_another_purpose(&self, prefix: &str) -> Vec<Op> {
        let signed = self.host.hub.sign(prefix, self.order().signed.body);
        vec![job(Cmd { signed, op_body: None, op_sigs: vec![] })]
    }

    /// An order that the hub's own key signed, with these changes, and what an operator has signed of the unchanged one.
    fn after_signing(&self, change: impl FnOnce(&mut CmdBody)) -> Vec<Op> {
        let text = op_body(&self.body);
        let mut changed = self.body.clone();
        change(&mut changed);
        vec![job(self.host.cmd_with(&changed, &text, vec![self.ada.sign(&text)]))]
    }

    /// The unchanged order with these signatures of operators.
    fn with_sigs(&self, sigs: impl FnOnce(&str) -> Vec<String>) -> Vec<Op> {
        let text = op_body(&self.body);
        vec![job(self.host.cmd_with(&self.body, &text, sigs(&text)))]
    }

    fn welcome(&self, key: &HubKey, prefix: &str, server_id: impl serde::Serialize, time_ms: i64) -> Op {
        let license = Signed { body: "{}".to_owned(), key_id: Hex([0; 8]), sig: Hex([0; 64]) };
        let body = serde_json::json!({
            "server_id": server_id, "protocol": 1, "nonce": Hex([0; 32]), "agent_ephemeral_key": Hex([0; 32]),
            "ephemeral_key": Hex([0; 32]), "hub": {"version": "0.1.0", "time_ms": time_ms},
            "heartbeat_interval_s": 30, "license": license,
        });
        Op::Welcome(key.sign(prefix, body.to_string()))
    }

    /// The order, which expired a minute ago.
    fn expired(&self) -> Op {
        let mut body = self.body.clone();
        body.expires_at_ms = now_ms() - 60_000;
        job(self.host.cmd(&body))
    }

    /// Says one thing to a worker of its own, and gives the first thing it answers.
    async fn tell(&self, op: Op) -> Note {
        let line = Request { v: VERSION, op }.to_line().unwrap();
        let answer = self.tell_line(&line).await;
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{answer}: {error}"))
    }

    async fn tell_line(&self, line: &[u8]) -> String {
        let mut worker = BufReader::new(support::raw_worker(&self.host));
        worker.write_all(line).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(support::PATIENCE, worker.read_line(&mut answer)).await.unwrap().unwrap();
        answer
    }

    /// Says everything, and gives how the last was refused.
    async fn attempt(&self, ops: Vec<Op>) -> Option<RejectCode> {
        let mut refused = None;
        for op in ops {
            refused = match self.tell(op).await {
                Note::Ack(ack) => rejection(&ack),
                Note::Refused(rejected) => Some(rejected.code),
                _ => None,
            };
        }
        refused
    }

    fn assert_nothing_ran(&self, name: &str) {
        assert!(!self.mark.exists(), "{name}: it ran");
        assert_eq!(std::fs::read_dir(self.host.paths.claims_dir()).unwrap().count(), 0, "{name}: it was claimed");
    }

    /// The untouched order is still good, once.
    async fn runs_once(&self, cmd: Cmd) {
        let job_id = self.body.job_id;
        let (ack, job) = self.host.workers.submit(job_id, cmd.clone(), None).await.unwrap();
        let mut job = job.unwrap_or_else(|| panic!("{ack:?}"));
        assert_eq!(self.host.finish(&mut job).await.done.state, EndState::Succeeded);
        let claims = Claims::open(&self.host.paths).unwrap();
        support::wait_for("the end of the worker", || (!claims.is_alive(job_id)).then_some(()));
        let (ack, _) = self.host.workers.submit(job_id, cmd, None).await.unwrap();
        assert!(matches!(ack.outcome, CmdOutcome::Already(_)), "{ack:?}");
        assert_eq!(read(&self.mark), "ran\n");
    }

    /// The untouched order is still good.
    async fn runs_once_untouched(&self) {
        self.runs_once(self.order()).await;
    }
}

fn job(cmd: Cmd) -> Op {
    Op::Job(Box::new(JobOrder { cmd, welcome: None }))
}

type Forgery = (&'static str, fn(&Scene) -> Vec<Op>, RejectCode);

async fn each_is_refused(scene: fn() -> Scene, forgeries: &[Forgery]) {
    for (name, forge, code) in forgeries {
        let scene = scene();
        let hub_file = read(&scene.host.paths.hub_file());
        let refused = scene.attempt(forge(&scene)).await;
        assert_eq!(refused, Some(*code), "{name}");
        scene.assert_nothing_ran(name);
        assert_eq!(read(&scene.host.paths.hub_file()), hub_file, "{name}: the pinned key");
    }
}
