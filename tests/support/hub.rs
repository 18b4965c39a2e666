//! The real hub as a process.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::api::Api;
use crate::link::Link;
use crate::process::{self, Process};
use crate::{secrets, target_dir, tokens, wait};

/// E-mail of the owner that [`Hub::owner`] signs in.
pub const OWNER_EMAIL: &str = "owner@example.test";

/// How a hub is started.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Self-signed TLS instead of plain http on loopback.
    pub tls: bool,
    /// Where the data lies; a fresh temporary directory when `None`.
    pub data_dir: Option<PathBuf>,
    /// A `postgres://` URL instead of SQLite.
    pub database: Option<String>,
    /// Where it listens, and what its public URL names.
    pub address: Ipv4Addr,
    /// Where agent builds lie.
    pub agents_dir: Option<PathBuf>,
    /// The port of the public URL, where a [`Link`] stands between the hub and its agents.
    pub link_port: Option<u16>,
    /// More arguments.
    pub args: Vec<String>,
}

impl HubOptions {
    /// For one client that asks more often than a person would.
    #[must_use]
    pub fn without_rate_limit() -> Self {
        Self { args: ["--requests-per-minute", "10000000"].map(str::to_owned).into(), ..Self::default() }
    }
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            tls: true,
            data_dir: None,
            database: None,
            address: Ipv4Addr::LOCALHOST,
            agents_dir: None,
            link_port: None,
            args: Vec::new(),
        }
    }
}

/// A running hub with its data directory. It can be killed and started again over the same data and port.
#[derive(Debug)]
pub struct Hub {
    process: Option<Process>,
    options: HubOptions,
    data: PathBuf,
    port: u16,
    password: String,
    _dir: TempDir,
}

impl Drop for Hub {
    /// Whatever a test was about: no secret of it may lie where a copy of the hub's files or its log takes it along.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.log_file();
        for place in [self.data.as_path(), &log] {
            let found = tokens::find(place).expect("what the hub leaves behind");
            assert_eq!(found, [], "tokens lie in the clear");
        }
        assert_eq!(secrets::scan(&[&self.data, &log], |_| false), [], "secrets lie in the clear");
    }
}

impl Hub {
    /// Starts a hub on SQLite with TLS, an owner in it.
    pub async fn start() -> Self {
        Self::start_with(HubOptions::default()).await
    }

    /// Starts a hub whose agents reach it over a link that can be cut.
    pub async fn start_behind_link(mut options: HubOptions) -> (Self, Link) {
        let port = free_port();
        let link = Link::to(port).await;
        options.link_port = Some(link.port());
        (Self::start_on(port, options).await, link)
    }

    /// Starts a hub, an owner in it.
    pub async fn start_with(options: HubOptions) -> Self {
        Self::start_on(free_port(), options).await
    }

    async fn start_on(port: u16, options: HubOptions) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = options.data_dir.clone().unwrap_or_else(|| dir.path().join("hub"));
        std::fs::create_dir_all(&data).expect("a data directory");
        let password = secrets::new_password();
        let mut hub = Self { process: None, options, data, port, password, _dir: dir };
        hub.start_again().await;
        hub.create_owner().await;
        hub
    }

    async fn create_owner(&self) {
        let mut args =
            vec!["admin".to_owned(), "create-owner".to_owned(), "--email".to_owned(), OWNER_EMAIL.to_owned()];
        args.extend(["--name", "Owner", "--workspace", "Tests", "--password-stdin"].map(str::to_owned));
        args.extend(self.storage_args());
        let (status, output) = process::run(&binary(), &args, &self.password).await;
        assert!(status.success(), "create-owner failed: {output}");
    }

    fn storage_args(&self) -> Vec<String> {
        let mut args = vec!["--data-dir".to_owned(), self.data.display().to_string()];
        if let Some(database) = &self.options.database {
            args.extend(["--database".to_owned(), database.clone()]);
        }
        args
    }

    /// Starts the process again over the same data and port.
    ///
    /// # Panics
    /// When it runs already or does not answer within 20 s.
    pub async fn start_again(&mut self) {
        assert!(self.process.is_none(), "the hub runs already");
        let mut args = vec!["serve".to_owned()];
        args.extend(self.storage_args());
        args.extend(["--listen".to_owned(), format!("{}:{}", self.options.address, self.port)]);
        args.extend(["--public-url".to_owned(), self.public_url()]);
        if self.options.tls {
            args.extend(["--tls-mode".to_owned(), "self_signed".to_owned()]);
        }
        if let Some(agents) = &self.options.agents_dir {
            args.extend(["--agents-dir".to_owned(), agents.display().to_string()]);
        }
        args.extend(self.options.args.iter().cloned());
        let mut process = Process::start(&binary(), &args, &[], &self.log_file());
        let api = self.api();
        wait::until("the hub to answer", Duration::from_secs(20), async || {
            assert!(!process.has_ended(), "the hub ended:\n{}", process.log_tail());
            api.get("/healthz").await.map(|answer| assert_eq!(answer.status, 200))
        })
        .await;
        self.process = Some(process);
    }

    /// `kill -9`.
    pub async fn kill_9(&mut self) {
        self.process.take().expect("a running hub").kill_9().await;
    }

    /// TERM, and waits for an orderly end.
    pub async fn stop(&mut self) {
        let status = self.process.take().expect("a running hub").terminate().await;
        assert!(status.success(), "the hub ended with {status}");
    }

    /// The running process.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a running hub")
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The file its output goes to.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self._dir.path().join("hub.log")
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_with(self.port)
    }

    /// How agents reach it.
    #[must_use]
    pub fn public_url(&self) -> String {
        self.url_with(self.options.link_port.unwrap_or(self.port))
    }

    fn url_with(&self, port: u16) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}:{port}", self.options.address)
    }

    /// A client that is nobody.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(&self.url(), &self.public_url())
    }

    /// The owner's password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// A client that is signed in as the owner.
    ///
    /// # Panics
    /// When signing in fails.
    pub async fn owner(&self) -> Api {
        let mut api = self.api();
        let body = json!({ "email": OWNER_EMAIL, "password": self.password });
        let answer = api.post("/v1/auth/login", &body).await.expect("an answer to sign-in");
        assert_eq!(answer.status, 200, "sign-in: {}", answer.text);
        api.keep_session(&answer);
        api
    }
}

/// Path of the hub's binary: the release one where a benchmark has built it.
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("ROADSTEAD_TEST_HUB").map_or_else(|| target_dir().join("roadstead"), PathBuf::from)
}

/// A port that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
