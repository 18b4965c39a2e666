//! Names that a test decides, servers that do what a test says, and short ways to ask.

pub(crate) mod authority;
pub(crate) mod name_server;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use probe::{Env, Lookup, LookupError};
use protocol::address::Reach;
use protocol::probe::{FailureCode, Probe, ProbeOutcome, ProbeSpec};
use rustls::RootCertStore;
use rustls_pki_types::UnixTime;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The first of January 2026.
pub(crate) const NOW: u64 = 1_767_225_600;
/// No probe of a test may take longer than a multiple of its own time.
const FAR_TOO_LONG: Duration = Duration::from_secs(25);

/// What names say, one answer after the other, the last for ever.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
    servers: Mutex<Vec<SocketAddr>>,
}

impl Names {
    pub(crate) fn say(&self, name: &str, answers: &[&[&str]]) {
        let answers = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
        self.answers.lock().unwrap().insert(name.to_owned(), answers.collect());
    }

    /// The machine's own name servers.
    pub(crate) fn servers(&self, servers: &[SocketAddr]) {
        *self.servers.lock().unwrap() = servers.to_vec();
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lookup for Names {
    fn lookup(&self, host: String) -> BoxFuture<'static, Result<Vec<IpAddr>, LookupError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let found = answers
            .get_mut(&host)
            .and_then(|answers| if answers.len() > 1 { Some(answers.remove(0)) } else { answers.first().cloned() });
        async move { found.ok_or(LookupError::NotFound) }.boxed()
    }

    fn name_servers(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.servers.lock().unwrap().clone())
    }
}

/// A machine to look from: it may reach its own networks, trusts `authority::root`, and lives on the first of January 2026.
pub(crate) fn env(names: &Arc<Names>) -> Env {
    let mut roots = RootCertStore::empty();
    roots.add(authority::root().der().clone()).unwrap();
    Env {
        lookup: Arc::clone(names) as Arc<dyn Lookup>,
        roots: Arc::new(roots),
        reach: Reach::Private,
        clock: Arc::new(|| UnixTime::since_unix_epoch(Duration::from_secs(NOW))),
        random: Arc::new(|| 0x1234_5678_9abc_def0),
    }
}

/// A name `a.test` and another, `b.test`, both of this machine.
pub(crate) fn names() -> Arc<Names> {
    let names = Arc::new(Names::default());
    names.say("a.test", &[&["127.0.0.1"]]);
    names.say("b.test", &[&["127.0.0.1"]]);
    names
}

/// Looks with one second of time.
pub(crate) async fn look(probe: Value, env: &Env) -> ProbeOutcome {
    look_for(1000, probe, env).await
}

/// Looks with time enough for whatever happens at once.
pub(crate) async fn look_long(probe: Value, env: &Env) -> ProbeOutcome {
    look_for(20_000, probe, env).await
}

async fn look_for(timeout_ms: u32, probe: Value, env: &Env) -> ProbeOutcome {
    let probe: Probe = serde_json::from_value(probe).unwrap();
    let spec = ProbeSpec { probe, timeout_ms, reach: Reach::Private };
    let outcome = tokio::time::timeout(FAR_TOO_LONG, probe::run(&spec, env)).await.unwrap();
    assert_eq!(outcome.ok, outcome.failure.is_none());
    assert_eq!(outcome.clone().bounded(), outcome, "an outcome is within its limits");
    outcome
}

/// The spec of an HTTP probe: a URL, and further fields.
pub(crate) fn http(url: &str, fields: Value) -> Value {
    let mut http = json!({ "url": url });
    for (name, value) in fields.as_object().unwrap() {
        http[name] = value.clone();
    }
    json!({ "http": http })
}

pub(crate) fn code(outcome: &ProbeOutcome) -> Option<FailureCode> {
    outcome.failure.as_ref().map(|failure| failure.code)
}

/// What people read.
pub(crate) fn text(outcome: &ProbeOutcome) -> &str {
    outcome.failure.as_ref().map_or("", |failure| &failure.text)
}

/// A server on loopback; ends with its value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Gives every connection to `handle`, with what to note requests in.
    pub(crate) async fn start<F, H>(handle: F) -> Self
    where
        F: Fn(TcpStream, Requests) -> H + Send + 'static,
        H: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Requests::default());
        let (counted, noted) = (Arc::clone(&connections), Arc::clone(&requests));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connected = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let handled = handle(stream, Arc::clone(&noted));
                connected.spawn(async move { drop(handled.await) });
            }
        });
        Self { address, connections, requests, _tasks: tasks }
    }

    /// Reads a request, writes `answer`, closes.
    pub(crate) async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |mut stream, requests| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream, &requests).await?;
                tokio::io::AsyncWriteExt::write_all(&mut stream, &answer).await
            }
        })
        .await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, scheme: &str, host: &str, path: &str) -> String {
        format!("{scheme}://{host}:{}{path}", self.port())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// What was asked so far.
pub(crate) type Requests = Arc<Mutex<Vec<String>>>;

/// Reads up to the end of the headers and, where a length is announced, the body.
pub(crate) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, requests: &Requests) -> io::Result<()> {
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        text.push(char::from(stream.read_u8().await?));
    }
    let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    text.push_str(&String::from_utf8_lossy(&body));
    requests.lock().unwrap().push(text);
    Ok(())
}
