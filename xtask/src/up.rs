//! `cargo xtask up`: a hub and an agent on this machine, enrolled the way every agent is. Everything lies in `.roadstead/`
//! and listens on loopback only.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::http::Client;
use crate::service::{self, Service};
use crate::{install, interrupt, paths, proc, stage, web};

/// Builds, starts, prints where to sign in, and stops both on Ctrl-C.
pub(crate) fn up() -> Result<()> {
    let signals = interrupt::subscribe();
    let dirs = Dirs::new();
    let _lock = lock(&dirs)?;
    install::require(&[install::NODE])?;
    web::build()?;
    println!("Building the hub and the agent");
    proc::run(proc::cargo().args(["build", "--quiet", "--workspace", "--bins"]))?;
    stage::stage_dev(&dirs.agents, &paths::dev_binary("roadstead-agent"))?;

    let mut demo = demo(&dirs)?;
    let mut hub = start_hub(&dirs, &mut demo)?;
    let mut client = Client::new(demo.port);
    client.sign_in(&demo.email, &demo.password)?;
    enroll(&dirs, &mut demo, &client)?;
    let mut agent = start_agent(&dirs, &demo, &client)?;

    println!(
        "\n  Roadstead runs at  {}\n  e-mail             {}\n  password           {}",
        demo.url(),
        demo.email,
        demo.password
    );
    println!(
        "\nData and logs (each below 16 MiB): {}\nCtrl-C stops both; the next start finds everything again.",
        dirs.state.display()
    );
    let ended = watch(&signals, &mut [&mut hub, &mut agent]);
    println!("\nStopping");
    agent.stop(Duration::from_secs(15));
    hub.stop(Duration::from_secs(30));
    ended
}

/// What is remembered between starts.
#[derive(Serialize, Deserialize)]
struct Demo {
    email: String,
    password: String,
    port: u16,
    /// The server that this machine is enrolled as, and the port that its agent knows.
    server: Option<Enrolled>,
}

#[derive(Serialize, Deserialize)]
struct Enrolled {
    id: String,
    port: u16,
}

impl Demo {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn save(&self, dirs: &Dirs) -> Result<()> {
        write_private(&dirs.demo, &serde_json::to_string_pretty(self)?)
    }
}

struct Dirs {
    state: PathBuf,
    hub: PathBuf,
    agent: PathBuf,
    agents: PathBuf,
    demo: PathBuf,
}

impl Dirs {
    fn new() -> Self {
        let state = paths::state();
        let below = |name: &str| state.join(name);
        Self { hub: below("hub"), agent: below("agent"), agents: below("agents"), demo: below("demo.json"), state }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.state.join(format!("{name}.log"))
    }
}

fn lock(dirs: &Dirs) -> Result<File> {
    paths::create_state()?;
    let file = File::create(dirs.state.join("up.lock"))?;
    if file.try_lock().is_err() {
        bail!("`cargo xtask up` runs already in this folder");
    }
    Ok(file)
}

/// Reads what the last start left, or makes the data directory and its owner.
fn demo(dirs: &Dirs) -> Result<Demo> {
    if dirs.demo.exists() && dirs.hub.exists() {
        let text = std::fs::read_to_string(&dirs.demo)?;
        return serde_json::from_str(&text).with_context(|| {
            format!("{} is damaged; remove {} to start over", dirs.demo.display(), dirs.state.display())
        });
    }
    // Half of an installation is of no use: its password is lost, or its data.
    for leftover in [&dirs.hub, &dirs.agent] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).with_context(|| format!("cannot remove {}", leftover.display()))?;
        }
    }
    let demo = Demo { email: "owner@example.test".into(), password: random_password()?, port: 8460, server: None };
    create_owner(dirs, &demo)?;
    demo.save(dirs)?;
    Ok(demo)
}

fn create_owner(dirs: &Dirs, demo: &Demo) -> Result<()> {
    let mut command = proc::command(paths::dev_binary("roadstead"));
    command.args(["admin", "create-owner", "--name", "Demo Owner", "--workspace", "Demo", "--email", &demo.email]);
    command.arg("--password-stdin").arg("--data-dir").arg(&dirs.hub).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().context("cannot start the hub")?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{}", demo.password)?;
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` ended with {status}", proc::shown(&command));
    }
    Ok(())
}

fn start_hub(dirs: &Dirs, demo: &mut Demo) -> Result<Service> {
    if TcpListener::bind(("127.0.0.1", demo.port)).is_err() {
        let other = service::free_port()?;
        println!("Port {} is taken; the hub listens on {other} instead", demo.port);
        demo.port = other;
        demo.save(dirs)?;
    }
    let mut command = proc::command(paths::dev_binary("roadstead"));
    command.arg("serve").arg("--data-dir").arg(&dirs.hub).arg("--agents-dir").arg(&dirs.agents);
    command.arg("--listen").arg(format!("127.0.0.1:{}", demo.port)).arg("--public-url").arg(demo.url());
    let mut hub = Service::start("hub", &mut command, &dirs.log("hub"))?;
    let client = Client::new(demo.port);
    hub.wait_until("ready", Duration::from_secs(60), || {
        client.request("GET", "/readyz", None).is_ok_and(|answer| answer.status == 200)
    })?;
    Ok(hub)
}

/// Enrols this machine unless it is; an agent that knows another port is enrolled anew, as the same server.
fn enroll(dirs: &Dirs, demo: &mut Demo, client: &Client) -> Result<()> {
    let known = demo.server.as_ref().filter(|_| dirs.agent.exists());
    if known.is_some_and(|server| server.port == demo.port) {
        return Ok(());
    }
    println!("Enrolling this machine");
    if dirs.agent.exists() {
        std::fs::remove_dir_all(&dirs.agent)?;
    }
    let request = match &demo.server {
        Some(server) => json!({"server_id": server.id}),
        None => json!({"name": "this-machine"}),
    };
    let answer = client.request("POST", "/v1/servers/install-tokens", Some(&request))?;
    let text = |field: &str| answer.body.get(field).and_then(|value| value.as_str()).map(str::to_owned);
    let (Some(id), Some(token), Some(fingerprint)) = (text("id"), text("token"), text("hub_fingerprint")) else {
        bail!("the hub gave no install token ({}): {}", answer.status, answer.body);
    };
    let token_file = dirs.state.join("install-token");
    write_private(&token_file, &token)?;
    let mut register = proc::command(paths::dev_binary("roadstead-agent"));
    register.args(["register", "--hub", &demo.url(), "--hub-fingerprint", &fingerprint, "--token-file"]);
    let registered = proc::run(register.arg(&token_file).arg("--state-dir").arg(&dirs.agent));
    std::fs::remove_file(&token_file)?;
    registered?;
    let used = client.request("GET", &format!("/v1/servers/install-tokens/{id}"), None)?;
    let server_id = used.body.get("server_id").and_then(|value| value.as_str());
    let id = server_id.with_context(|| format!("the hub does not know the new server: {}", used.body))?.to_owned();
    demo.server = Some(Enrolled { id, port: demo.port });
    demo.save(dirs)
}

fn start_agent(dirs: &Dirs, demo: &Demo, client: &Client) -> Result<Service> {
    let mut command = proc::command(paths::dev_binary("roadstead-agent"));
    command.arg("run").arg("--state-dir").arg(&dirs.agent);
    let mut agent = Service::start("agent", &mut command, &dirs.log("agent"))?;
    let server = demo.server.as_ref().context("this machine is not enrolled")?;
    let path = format!("/v1/servers/{}", server.id);
    agent.wait_until("online", Duration::from_secs(30), || {
        let answer = client.request("GET", &path, None);
        answer.is_ok_and(|answer| answer.body.get("status").and_then(|status| status.as_str()) == Some("online"))
    })?;
    Ok(agent)
}

/// Returns when somebody wants to stop, or with an error when one of the two has died.
fn watch(signals: &Receiver<()>, services: &mut [&mut Service]) -> Result<()> {
    loop {
        match signals.recv_timeout(Duration::from_millis(200)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        for service in services.iter_mut() {
            if let Some(status) = service.ended()? {
                bail!("the {} has died ({status}). Its last words:\n{}", service.name(), service.tail());
            }
        }
    }
}

fn random_password() -> Result<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 20];
    if SystemRandom::new().fill(&mut random).is_err() {
        bail!("no randomness to make a password");
    }
    Ok(random.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect())
}

/// Readable by this user only, and complete or not there.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    let _leftover = std::fs::remove_file(&beside);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
