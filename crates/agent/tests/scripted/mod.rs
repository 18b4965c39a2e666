//! A hub that says exactly what a test tells it to, and the agent as a real process.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on stops, and looks at the machine directly"
)]
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses its part of this module"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agent::paths::Paths;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::envelope::Outgoing;
use protocol::heartbeat::Watch;
use protocol::job::{Ack, Log, LogStream};
use protocol::message::Welcome;
use protocol::session::{Desired, Hello, HubInfo, WelcomeBody, WelcomeJob};
use protocol::{Envelope, Hex, JobId, Message, MessageId, ServerId, signing, version};
use rcgen::PublicKeyData as _;
use ring::{agreement, hkdf, hmac};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use crate::support::{HubKey, PATIENCE, PROGRAM, new_id, now_ms};

pub const AGENT_TOKEN: &str = "rsa_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A hub with a self-signed certificate.
pub struct Hub {
    listener: TcpListener,
    tls: TlsAcceptor,
    pub key: HubKey,
    /// Of its certificate, as curl wants it.
    pub pin: String,
    pub server_id: ServerId,
}

impl Hub {
    /// With the signing key that [`crate::support::Host`] pins.
    pub async fn start(server_id: ServerId) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), server_id)
    }

    pub fn on(listener: TcpListener, server_id: ServerId) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["hub.test".to_owned()]).unwrap();
        let key_info = certified.signing_key.subject_public_key_info();
        let pin = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, &key_info));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { listener, tls: TlsAcceptor::from(Arc::new(config)), key: HubKey::new(7), pin, server_id }
    }

    /// The same certificate as another hub has.
    pub fn take_certificate(&mut self, other: &Self) {
        self.tls = other.tls.clone();
        self.pin.clone_from(&other.pin);
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port())
    }

    /// The next TLS connection; connections that break in the handshake are passed over.
    pub async fn accept(&self) -> TlsStream<TcpStream> {
        loop {
            let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return stream;
            }
        }
    }

    /// Whether the next connection breaks in the TLS handshake, on the client's side.
    pub async fn is_distrusted(&self) -> bool {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.expect("a connection").unwrap();
        match self.tls.accept(stream).await {
            Err(_) => true,
            // In TLS 1.3 the client's alarm comes after the server has finished.
            Ok(mut stream) => !matches!(stream.read(&mut [0; 1]).await, Ok(1)),
        }
    }

    /// The next HTTP request.
    pub async fn request(&self) -> HttpRequest {
        HttpRequest::read(self.accept().await).await
    }

    /// Answers the next upgrade with this status instead.
    pub async fn refuse(&self, status: &str) -> HashMap<String, String> {
        let request = self.request().await;
        let headers = request.headers.clone();
        request.answer(status, "").await;
        headers
    }

    /// The next agent, up to its hello.
    pub async fn hello(&self) -> Peer {
        let stream = self.accept().await;
        let mut authorization = String::new();
        let callback = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(request.uri().path(), "/v1/agent");
            assert_eq!(header("sec-websocket-protocol").as_deref(), Some(version::SUBPROTOCOL));
            authorization = header("authorization").unwrap_or_default();
            response.headers_mut().insert("sec-websocket-protocol", version::SUBPROTOCOL.parse().unwrap());
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, callback).await.unwrap();
        let mut peer = Peer { socket, authorization, hello: None, session: None };
        let (id, _, message) = peer.message().await;
        let Message::Hello(hello) = message else { panic!("not a hello: {message:?}") };
        peer.hello = Some((id, hello));
        peer
    }

    /// The next agent, welcomed; `stored` says how far the hub has each job.
    pub async fn session(&self, stored: &[(JobId, u64, bool)]) -> Peer {
        let mut peer = self.hello().await;
        let mut body = peer.welcome_body(self.server_id);
        body.jobs = stored
            .iter()
            .map(|(job_id, next_offset, done)| WelcomeJob { job_id: *job_id, next_offset: *next_offset, done: *done })
            .collect();
        peer.welcome(&self.key, body).await;
        peer
    }

    pub fn license(&self, server_id: ServerId) -> protocol::Signed {
        license(&self.key, server_id)
    }

    /// Writes the relay's credential for this hub.
    pub fn enrol(&self, paths: &Paths) {
        let identity = serde_json::json!({
            "hub_url": self.url(),
            "ws_url": format!("wss://127.0.0.1:{}/v1/agent", self.port()),
            "server_id": self.server_id,
            "agent_token": AGENT_TOKEN,
            "tls_pin": self.pin,
            "install_token_sha256": Hex([0; 32]),
        });
        std::fs::write(paths.identity_file(), identity.to_string()).unwrap();
    }
}

fn license(key: &HubKey, server_id: ServerId) -> protocol::Signed {
    let body = serde_json::json!({
        "server_id": server_id, "workspace_id": new_id(), "plan": "unlimited",
        "issued_at_ms": now_ms(), "expires_at_ms": now_ms() + 1,
    });
    key.sign(signing::LICENSE, body.to_string())
}

/// A request whose answer is up to the test.
pub struct HttpRequest {
    stream: TlsStream<TcpStream>,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl HttpRequest {
    async fn read(mut stream: TlsStream<TcpStream>) -> Self {
        let mut received = Vec::new();
        let end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(stream.read_buf(&mut received).await.unwrap() > 0, "the client hung up");
        };
        let head = String::from_utf8(received[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while received.len() < end + length {
            assert!(stream.read_buf(&mut received).await.unwrap() > 0, "the client hung up");
        }
        Self { stream, path, headers, body: received[end..].to_vec() }
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub async fn answer(mut self, status: &str, body: &str) {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        // A client that has heard enough may hang up before the end.
        let _ = self.stream.write_all(head.as_bytes()).await;
        let _ = self.stream.shutdown().await;
    }
}

/// The hub's end of one connection.
pub struct Peer {
    socket: Socket,
    pub authorization: String,
    hello: Option<(MessageId, Hello)>,
    session: Option<Keys>,
}

struct Keys {
    mac: hmac::Key,
    counter: u64,
}

/// What an agent sent.
#[derive(Debug)]
pub enum Received {
    Message(MessageId, Option<MessageId>, Box<Message>),
    Binary(Vec<u8>),
    Closed(Option<u16>),
}

impl Peer {
    pub fn said(&self) -> &Hello {
        &self.hello.as_ref().unwrap().1
    }

    /// A welcome without jobs. The key agreement takes place in [`Peer::welcome`].
    pub fn welcome_body(&self, server_id: ServerId) -> WelcomeBody {
        let hello = self.said();
        WelcomeBody {
            server_id,
            protocol: 1,
            nonce: hello.nonce,
            agent_ephemeral_key: hello.ephemeral_key,
            ephemeral_key: Hex([0; 32]),
            hub: HubInfo { version: "1.2.3".to_owned(), time_ms: now_ms() },
            heartbeat_interval_s: 3_600,
            license: license(&HubKey::new(7), server_id),
            jobs: Vec::new(),
            desired: Desired::default(),
        }
    }

    pub async fn welcome(&mut self, key: &HubKey, body: WelcomeBody) {
        self.welcome_with(key, body, Vec::new()).await;
    }

    /// A welcome with the chain of keys that leads to `key`.
    pub async fn welcome_with(&mut self, key: &HubKey, mut body: WelcomeBody, rotations: Vec<protocol::Signed>) {
        let (id, hello) = self.hello.as_ref().unwrap();
        let (id, nonce, agent_key) = (*id, hello.nonce, hello.ephemeral_key);
        let random = ring::rand::SystemRandom::new();
        let private = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &random).unwrap();
        let public: [u8; 32] = private.compute_public_key().unwrap().as_ref().try_into().unwrap();
        body.ephemeral_key = Hex(public);
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, agent_key.0);
        let mut session_key = [0; 32];
        agreement::agree_ephemeral(private, &peer, |secret| {
            let info = [signing::SESSION_KEY_INFO.as_bytes(), agent_key.0.as_slice(), public.as_slice()];
            let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &nonce.0).extract(secret);
            extracted.expand(&info, hkdf::HKDF_SHA256).unwrap().fill(&mut session_key).unwrap();
        })
        .unwrap();
        let signed = key.sign(signing::WELCOME, serde_json::to_string(&body).unwrap());
        let outgoing =
            Outgoing::new(&Message::Welcome(Welcome { signed, rotations }), message_id(), now_ms(), Some(id)).unwrap();
        self.text(outgoing.to_text(None).unwrap()).await;
        self.session = Some(Keys { mac: hmac::Key::new(hmac::HMAC_SHA256, &session_key), counter: 0 });
    }

    /// Sends a message with its mac; gives its id.
    pub async fn send(&mut self, message: impl Into<Message>) -> MessageId {
        let id = message_id();
        let outgoing = Outgoing::new(&message.into(), id, now_ms(), None).unwrap();
        let mac = self.mac(&outgoing);
        self.text(outgoing.to_text(Some(mac)).unwrap()).await;
        id
    }

    /// A message as it would be sent, for a test to damage.
    pub fn sealed(&mut self, message: impl Into<Message>) -> String {
        let outgoing = Outgoing::new(&message.into(), message_id(), now_ms(), None).unwrap();
        let mac = self.mac(&outgoing);
        outgoing.to_text(Some(mac)).unwrap()
    }

    /// A message of any type and payload, with a right mac.
    pub async fn send_raw(&mut self, kind: &str, payload: &str) -> MessageId {
        let id = message_id();
        let keys = self.session.as_mut().unwrap();
        let input = signing::mac_input(keys.counter, kind, id, None, payload.as_bytes());
        keys.counter += 1;
        let mac = protocol::hex::encode(hmac::sign(&keys.mac, &input).as_ref());
        self.text(format!(
            r#"{{"v":1,"id":"{id}","ts":0,"type":"{kind}","payload":{payload},"mac":"{mac}","new_field":1}}"#
        ))
        .await;
        id
    }

    fn mac(&mut self, outgoing: &Outgoing) -> Hex<32> {
        let keys = self.session.as_mut().unwrap();
        let mac = hmac::sign(&keys.mac, &outgoing.mac_input(keys.counter));
        keys.counter += 1;
        Hex(mac.as_ref().try_into().unwrap())
    }

    pub async fn text(&mut self, text: String) {
        self.socket.send(Frame::text(text)).await.unwrap();
    }

    pub async fn binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Frame::binary(bytes)).await.unwrap();
    }

    pub async fn next(&mut self) -> Received {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("something from the agent") {
                Some(Ok(Frame::Text(text))) => {
                    let envelope = Envelope::decode(&text).unwrap();
                    let message = Box::new(envelope.message().unwrap());
                    return Received::Message(envelope.id, envelope.reference, message);
                }
                Some(Ok(Frame::Binary(bytes))) => return Received::Binary(bytes.to_vec()),
                Some(Ok(Frame::Close(reason))) => return Received::Closed(reason.map(|reason| reason.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Received::Closed(None),
            }
        }
    }

    pub async fn message(&mut self) -> (MessageId, Option<MessageId>, Message) {
        match self.next().await {
            Received::Message(id, reference, message) => (id, reference, *message),
            other => panic!("not a message: {other:?}"),
        }
    }

    /// The next message that `pick` takes; others are passed over.
    pub async fn expect<T>(&mut self, mut pick: impl FnMut(Option<MessageId>, Message) -> Option<T>) -> T {
        loop {
            match self.next().await {
                Received::Message(_, reference, message) => {
                    if let Some(picked) = pick(reference, *message) {
                        return picked;
                    }
                }
                Received::Binary(_) => {}
                Received::Closed(code) => panic!("closed with {code:?} before it came"),
            }
        }
    }

    /// Everything up to the close, and its code.
    pub async fn until_closed(&mut self) -> (Vec<Message>, Option<u16>) {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Received::Message(_, _, message) => messages.push(*message),
                Received::Binary(_) => {}
                Received::Closed(code) => return (messages, code),
            }
        }
    }

    /// The next piece of a log and its bytes, whichever way they travel.
    pub async fn log(&mut self) -> (Log, Vec<u8>) {
        let log = self.expect(|_, message| if let Message::Log(log) = message { Some(log) } else { None }).await;
        let bytes = self.bytes_of(&log).await;
        (log, bytes)
    }

    pub async fn bytes_of(&mut self, log: &Log) -> Vec<u8> {
        match (&log.text, log.bytes) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(count)) => {
                let Received::Binary(frame) = self.next().await else { panic!("the bytes follow their message") };
                assert_eq!(frame[..4], [0; 4]);
                assert_eq!(frame.len() - 4, count as usize);
                frame[4..].to_vec()
            }
            both => panic!("{both:?}"),
        }
    }

    /// Follows one job to its end, acknowledging everything.
    pub async fn follow(&mut self, job_id: JobId, gathered: &mut Gathered) {
        loop {
            match self.message().await.2 {
                Message::Log(log) if log.job_id == job_id => {
                    let bytes = self.bytes_of(&log).await;
                    let end = log.offset + bytes.len() as u64;
                    gathered.add(&log, bytes);
                    self.send(Ack::Job { job_id, next_offset: end, done: false }).await;
                }
                Message::JobDone(done) if done.job_id == job_id => {
                    self.send(Ack::Job { job_id, next_offset: done.next_offset, done: true }).await;
                    gathered.done = Some(done);
                    return;
                }
                Message::Heartbeat(_) | Message::CmdAck(_) | Message::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// A watch is answered by a beat: everything sent before it has been dealt with.
    pub async fn round_trip(&mut self) -> protocol::heartbeat::Heartbeat {
        self.send(Watch { interval_ms: 500, ttl_s: 1 }).await;
        self.expect(|_, message| if let Message::Heartbeat(beat) = message { Some(beat) } else { None }).await
    }

    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
    }
}

/// A job as the hub has put it together.
#[derive(Debug, Default)]
pub struct Gathered {
    pub log: Vec<u8>,
    pub out: Vec<u8>,
    pub done: Option<protocol::job::JobDone>,
}

impl Gathered {
    pub fn add(&mut self, log: &Log, bytes: Vec<u8>) {
        assert_eq!(log.offset, self.log.len() as u64, "every byte once and in order");
        if log.s == LogStream::Out {
            self.out.extend_from_slice(&bytes);
        }
        self.log.extend(bytes);
    }
}

pub fn message_id() -> MessageId {
    new_id().parse().unwrap()
}

/// The agent as a process; ended when dropped. Its jobs go on.
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    pub fn run(paths: &Paths) -> Self {
        let log = paths.state_dir().join("agent.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(PROGRAM)
            .args(["run", "--state-dir"])
            .arg(paths.state_dir())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, as systemd sends it; gives the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), nix::sys::signal::Signal::SIGTERM).unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(std::time::Instant::now() < deadline, "the agent did not stop");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the agent's program, beside the hub's side of the conversation.
pub fn start_program(arguments: Vec<String>) -> tokio::task::JoinHandle<Output> {
    tokio::task::spawn_blocking(move || Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap())
}

pub async fn program(arguments: Vec<String>) -> Output {
    start_program(arguments).await.unwrap()
}

pub async fn status(paths: &Paths) -> (i32, serde_json::Value) {
    let state_dir = paths.state_dir().display().to_string();
    let arguments = ["status", "--json", "--state-dir", &state_dir].map(ToOwned::to_owned).to_vec();
    let output = program(arguments).await;
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Asks for the status until it is as `wanted`.
pub async fn status_until(paths: &Paths, wanted: impl Fn(i32, &serde_json::Value) -> bool) -> serde_json::Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let (code, value) = status(paths).await;
        if wanted(code, &value) {
            return value;
        }
        assert!(std::time::Instant::now() < deadline, "still {code} {value}");
    }
}

/// Lets a job go on that waits for this file, or reads it.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

pub fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

pub fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
