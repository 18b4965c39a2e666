//! The real agent as a process.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::Api;
use crate::hub::Hub;
use crate::process::{self, Process};
use crate::{secrets, target_dir};

/// A registered agent with its state directory. It can be killed and started again.
#[derive(Debug)]
pub struct Agent {
    process: Option<Process>,
    dir: TempDir,
    server_id: String,
}

impl Agent {
    /// Registers an agent at the hub the normal way, starts it and waits until its server is online.
    pub async fn online(hub: &Hub, api: &Api) -> Self {
        let mut agent = Self::registered(hub, api).await;
        agent.start();
        api.server_is(agent.server_id(), "online", Duration::from_secs(20)).await;
        agent
    }

    /// Registers an agent at the hub, without starting it.
    ///
    /// # Panics
    /// When registration fails.
    pub async fn registered(hub: &Hub, api: &Api) -> Self {
        let token = api.install_token(&json!({ "name": "vps" })).await;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (status, output) = register(hub, &token, dir.path()).await;
        assert!(status, "register failed: {output}");
        let server_id = read_server_id(dir.path());
        let agent = Self { process: None, dir, server_id };
        secrets::issued(&agent.token());
        agent
    }

    /// Starts the process.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start(&mut self) {
        self.start_as(&binary());
    }

    /// Starts the process from another file, which its workers come from too.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start_as(&mut self, program: &Path) {
        assert!(self.process.is_none(), "the agent runs already");
        let state = self.state_dir().display().to_string();
        let args = ["run".to_owned(), "--state-dir".to_owned(), state];
        self.process = Some(Process::start(program, &args, &[], &self.log_file()));
    }

    /// `kill -9` of the relay; its workers go on.
    pub async fn kill_9(&mut self) {
        self.process.take().expect("a running agent").kill_9().await;
    }

    /// TERM, and waits for an orderly end.
    pub async fn stop(&mut self) {
        let status = self.process.take().expect("a running agent").terminate().await;
        assert!(status.success(), "the agent ended with {status}");
    }

    /// The running process.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a running agent")
    }

    /// Its workers that live, spare ones too, by their arguments.
    ///
    /// # Panics
    /// When processes cannot be listed.
    #[must_use]
    pub fn workers(&self) -> Vec<Pid> {
        let state_dir = self.state_dir();
        let is_worker = |pid: &i32| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments: Vec<_> = arguments.split(|byte| *byte == 0).collect();
            arguments.contains(&b"work".as_slice()) && arguments.contains(&state_dir.as_os_str().as_bytes())
        };
        let entries = std::fs::read_dir("/proc").expect("a list of processes");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut pids: Vec<i32> = pids.filter(is_worker).collect();
        pids.sort_unstable();
        // What a worker has just forked is its job already, although it still has the worker's arguments.
        let is_job = |pid: &i32| process::parent_of(*pid).is_some_and(|parent| pids.contains(&parent));
        pids.iter().filter(|pid| !is_job(pid)).map(|pid| Pid::from_raw(*pid)).collect()
    }

    /// Its server at the hub.
    #[must_use]
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// What the host's own policy file says from now on.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_policy(&self, text: &str) {
        std::fs::write(self.state_dir().join("policy.toml"), text).expect("a policy file");
    }

    /// The credential that it shows at the hub.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn token(&self) -> String {
        let file = read_json(&self.state_dir().join("relay/agent.json"));
        file["agent_token"].as_str().expect("an agent token").to_owned()
    }

    /// What it says of its connection (`relay/status.json`), null before it has said anything.
    #[must_use]
    pub fn status(&self) -> Value {
        let text = std::fs::read(self.state_dir().join("relay/status.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The file its output goes to.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("agent.log")
    }
}

/// Runs `register`; whether it succeeded, and what it said. The state directory is `dir/state`.
pub async fn register(hub: &Hub, token: &Value, dir: &Path) -> (bool, String) {
    Registration::with(hub, token).run(dir).await
}

/// The arguments of `register`, to be spoilt one by one.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The install token.
    pub token: String,
    /// SHA-256 of the hub's signing key.
    pub fingerprint: String,
    /// SHA-256 of the public key of a self-signed certificate, base64.
    pub tls_pin: Option<String>,
    /// Where the hub is.
    pub url: String,
}

impl Registration {
    /// What the line to paste says.
    ///
    /// # Panics
    /// When `token` is no answer of the route that makes tokens.
    #[must_use]
    pub fn with(hub: &Hub, token: &Value) -> Self {
        Self {
            token: token["token"].as_str().expect("a token").to_owned(),
            fingerprint: token["hub_fingerprint"].as_str().expect("a fingerprint").to_owned(),
            tls_pin: tls_pin(token),
            url: hub.public_url(),
        }
    }

    /// Runs `register` with `dir/state`; whether it succeeded, and what it said.
    pub async fn run(&self, dir: &Path) -> (bool, String) {
        let state = dir.join("state").display().to_string();
        let mut args = vec!["register", "--hub", &self.url, "--token-file", "-"];
        args.extend(["--hub-fingerprint", &self.fingerprint, "--state-dir", &state]);
        if let Some(pin) = &self.tls_pin {
            args.extend(["--tls-pin", pin]);
        }
        let (status, output) = process::run(&binary(), &args, &self.token).await;
        (status.success(), output)
    }
}

/// The pin inside the line to paste.
fn tls_pin(token: &Value) -> Option<String> {
    let command = token["command"].as_str().expect("a line to paste");
    Some(command.split_once("sha256//")?.1.split('\'').next()?.to_owned())
}

fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_server_id(dir: &Path) -> String {
    read_json(&dir.join("state/trust/hub.json"))["server_id"].as_str().expect("a server id").to_owned()
}

/// Path of the agent's binary: the static one where the run has built it.
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("ROADSTEAD_TEST_AGENT").map_or_else(|| target_dir().join("roadstead-agent"), PathBuf::from)
}
