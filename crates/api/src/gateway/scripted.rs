//! A scripted agent for tests: it speaks to a real hub over a real socket, checks what it is told as an agent must, and
//! otherwise does what the test says.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::frame::{BinaryFrame, LOG_STREAM};
use protocol::policy::PolicySummary;
use protocol::session::{AgentBuild, Hello, HelloJob, Host, WelcomeBody};
use protocol::version::{SUBPROTOCOL, VersionRange};
use protocol::{Envelope, Hex, Message, MessageId, Outgoing, ServerId, WorkspaceId, enroll, signing};
use ring::{agreement, hkdf, hmac, signature};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tungstenite::Message as Frame;
use uuid::Uuid;

use crate::hub::App;
use crate::secret::{self, TokenDigest};
use crate::servers::{self, Labels, Name, NewServer};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens on a free port of loopback and serves the hub there until it stops.
///
/// # Panics
/// When there is no free port.
#[expect(clippy::expect_used, reason = "a test without its hub has nothing to test")]
pub async fn listen(hub: &App) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let router = crate::http::router(Arc::clone(hub));
    let stop = hub.tasks.stop_token();
    hub.tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        served.expect("a listener that works");
    });
    address
}

/// A server in the database, and the token that its agent connects with.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The server.
    pub server_id: ServerId,
    /// Its agent token.
    pub token: enroll::Token,
}

/// Adds a server as registration does.
///
/// # Panics
/// When it cannot be added.
#[expect(clippy::expect_used, reason = "a test without its server has nothing to test")]
pub async fn enroll(hub: &App, workspace_id: WorkspaceId, name: &str) -> Enrolled {
    let token = secret::new_token(enroll::AGENT_TOKEN_PREFIX, hub.random.as_ref());
    let mut unit = hub.begin().await.expect("a database");
    let new = NewServer {
        workspace_id,
        name: Name::parse("name", name).expect("a name"),
        labels: Labels::default(),
        project_id: None,
        token: TokenDigest::of(token.reveal()),
        machine_id_hash: Hex([5; 32]),
    };
    let server = servers::register(hub, &mut unit, new).await.expect("a new server");
    unit.commit().await.expect("a commit");
    Enrolled { server_id: server.id, token }
}

/// A hello of an ordinary host; the connection puts nonce and key in.
#[must_use]
pub fn hello() -> Hello {
    Hello {
        agent: AgentBuild { version: "0.1.0".into(), target: "x86_64-linux".into(), sha256: Hex([1; 32]) },
        protocol: VersionRange::OURS,
        nonce: Hex([0; 32]),
        ephemeral_key: Hex([0; 32]),
        host: Host {
            hostname: "web-1".into(),
            os: "debian".into(),
            os_version: "12".into(),
            kernel: "6.1.0".into(),
            arch: "x86_64".into(),
            cpus: 4,
            memory_bytes: 8 << 30,
            machine_id_hash: Hex([2; 32]),
            boot_id: "0c3b8e7a-5d0f-4f0a-9d3e-2f6f1c9b7a11".into(),
        },
        capabilities: vec!["exec".into()],
        policy: PolicySummary::open(),
        jobs: Vec::new(),
    }
}

/// Why there was no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The upgrade was answered with this status.
    Status(u16),
    /// The connection failed otherwise.
    Broken(String),
}

/// A socket that has not said hello.
#[derive(Debug)]
pub struct RawSocket {
    hub: App,
    socket: WebSocketStream<TcpStream>,
    /// How far the agent's clock is ahead of the hub's.
    pub clock_offset_ms: i64,
}

/// An agent with a session: every frame from the hub is checked against the session key.
#[derive(Debug)]
pub struct ScriptedAgent {
    raw: RawSocket,
    key: hmac::Key,
    counter: u64,
    sent: u64,
    /// What the hub said at the start.
    pub welcome: WelcomeBody,
}

/// A message from the hub.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its id.
    pub id: MessageId,
    /// What it answers.
    pub reference: Option<MessageId>,
    /// What it says.
    pub message: Message,
}

/// How the hub closed a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// The close code; `None` when the connection just broke.
    pub code: Option<u16>,
    /// What came before the close frame.
    pub last: Vec<Message>,
}

impl RawSocket {
    /// Connects with a credential as it stands in `Authorization: Bearer …`.
    ///
    /// # Errors
    /// [`Refused`] when the hub does not take the upgrade.
    ///
    /// # Panics
    /// When nobody listens.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub async fn connect(hub: &App, address: SocketAddr, credential: Option<&str>) -> Result<Self, Refused> {
        let stream = TcpStream::connect(address).await.expect("a hub that listens");
        stream.set_nodelay(true).expect("a socket");
        let mut request = tungstenite::handshake::client::Request::builder()
            .uri("ws://hub/v1/agent")
            .header("host", hub.config.public_url.authority())
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", tungstenite::handshake::client::generate_key())
            .header("sec-websocket-protocol", SUBPROTOCOL);
        if let Some(credential) = credential {
            request = request.header("authorization", format!("Bearer {credential}"));
        }
        let request = request.body(()).expect("a request");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self { hub: Arc::clone(hub), socket, clock_offset_ms: 0 }),
            Err(tungstenite::Error::Http(response)) => Err(Refused::Status(response.status().as_u16())),
            Err(error) => Err(Refused::Broken(error.to_string())),
        }
    }

    /// Says hello and takes the welcome, which must be signed over what this agent sent.
    ///
    /// # Panics
    /// When no proper welcome comes.
    #[expect(clippy::expect_used, clippy::panic, reason = "that is what the test wants to know")]
    #[expect(clippy::disallowed_methods, reason = "ring makes ephemeral keys with its own generator only")]
    pub async fn say_hello(mut self, mut hello: Hello) -> ScriptedAgent {
        let random = ring::rand::SystemRandom::new();
        let private = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &random).expect("a key");
        let public = private.compute_public_key().expect("its public half");
        hello.ephemeral_key = Hex(public.as_ref().try_into().expect("32 bytes"));
        hello.nonce = Hex(self.hub.random.bytes());
        let (nonce, agent_key) = (hello.nonce, hello.ephemeral_key);
        let id = self.hub.ids.message();
        let text = self.text_of(&hello.into(), id, None);
        self.send_text(text).await;

        let text = loop {
            match self.next_frame().await {
                Some(Frame::Text(text)) => break text,
                Some(Frame::Ping(_) | Frame::Pong(_)) => {}
                other => panic!("{other:?} instead of a welcome"),
            }
        };
        let envelope = Envelope::decode(&text).expect("an envelope");
        assert_eq!((envelope.reference, envelope.mac), (Some(id), None), "{text}");
        let Message::Welcome(welcome) = envelope.message().expect("a message") else { panic!("{text}") };
        let signed = welcome.signed;
        let hub_key = self.hub.keys.public();
        let verify = signature::UnparsedPublicKey::new(&signature::ED25519, hub_key.as_ref());
        verify.verify(&signing::signed_bytes(signing::WELCOME, &signed.body), &signed.sig.0).expect("a signed welcome");
        let welcome: WelcomeBody = serde_json::from_str(&signed.body).expect("a welcome");
        assert_eq!((welcome.nonce, welcome.agent_ephemeral_key), (nonce, agent_key));
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, welcome.ephemeral_key.0);
        let key = agreement::agree_ephemeral(private, &peer, |secret| {
            session_key(secret, nonce, agent_key, welcome.ephemeral_key)
        });
        ScriptedAgent { raw: self, key: key.expect("a secret"), counter: 0, sent: 0, welcome }
    }

    /// Sends a text frame as it is.
    ///
    /// # Panics
    /// When the socket is closed.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub async fn send_text(&mut self, text: String) {
        self.socket.send(Frame::text(text)).await.expect("an open socket");
    }

    /// Sends a binary frame as it is.
    ///
    /// # Panics
    /// When the socket is closed.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Frame::binary(bytes)).await.expect("an open socket");
    }

    /// Sends bytes that are no WebSocket frame.
    ///
    /// # Panics
    /// When the socket is closed.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub async fn send_rubbish(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).await.expect("an open socket");
    }

    #[expect(clippy::expect_used, reason = "every message can be written")]
    fn text_of(&self, message: &Message, id: MessageId, reference: Option<MessageId>) -> String {
        let now = self.hub.now().as_ms() + self.clock_offset_ms;
        let outgoing = Outgoing::new(message, id, now, reference).expect("a message");
        outgoing.to_text(None).expect("a text")
    }

    /// Waits until the hub closes the connection.
    pub async fn closed(mut self) -> Closed {
        let mut last = Vec::new();
        loop {
            match self.next_frame().await {
                Some(Frame::Text(text)) => {
                    last.extend(Envelope::decode(&text).ok().and_then(|envelope| envelope.message().ok()));
                }
                Some(Frame::Close(frame)) => return Closed { code: frame.map(|frame| frame.code.into()), last },
                Some(_) => {}
                None => return Closed { code: None, last },
            }
        }
    }

    /// The next frame; `None` when the connection is gone.
    #[expect(clippy::expect_used, reason = "that is what the test wants to know")]
    async fn next_frame(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.socket.next()).await.expect("a frame in time")?.ok()
    }
}

impl ScriptedAgent {
    /// Connects as an enrolled server's agent with nothing in its spool.
    ///
    /// # Panics
    /// When the hub does not take it.
    pub async fn connect(hub: &App, address: SocketAddr, enrolled: &Enrolled) -> Self {
        Self::connect_with(hub, address, enrolled, hello()).await
    }

    /// Connects with these jobs in its spool.
    ///
    /// # Panics
    /// When the hub does not take it.
    pub async fn connect_holding(hub: &App, address: SocketAddr, enrolled: &Enrolled, jobs: Vec<HelloJob>) -> Self {
        Self::connect_with(hub, address, enrolled, Hello { jobs, ..hello() }).await
    }

    /// Connects with this hello.
    ///
    /// # Panics
    /// When the hub does not take it.
    #[expect(clippy::expect_used, reason = "that is what the test wants to know")]
    pub async fn connect_with(hub: &App, address: SocketAddr, enrolled: &Enrolled, hello: Hello) -> Self {
        let socket = RawSocket::connect(hub, address, Some(enrolled.token.reveal())).await;
        socket.expect("a connection").say_hello(hello).await
    }

    /// Sends a message; its id, to compare with what refers to it.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send(&mut self, message: impl Into<Message>) -> MessageId {
        self.answer(message, None).await
    }

    /// Sends a message that refers to one of the hub's.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn answer(&mut self, message: impl Into<Message>, reference: Option<MessageId>) -> MessageId {
        // Numbered by hand: ids of the seeded generator are the hub's.
        self.sent += 1;
        let id = MessageId::new(Uuid::from_u128(u128::from(self.sent) | 0xa9e << 100));
        let text = self.raw.text_of(&message.into(), id, reference);
        self.raw.send_text(text).await;
        id
    }

    /// Sends a text frame as it is.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send_text(&mut self, text: String) {
        self.raw.send_text(text).await;
    }

    /// Sends a text frame, if the hub still takes it.
    pub async fn try_send_text(&mut self, text: String) -> bool {
        self.raw.socket.send(Frame::text(text)).await.is_ok()
    }

    /// Sends a binary frame as it is.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.raw.send_binary(bytes).await;
    }

    /// Sends the bytes of a log message that announced them.
    ///
    /// # Panics
    /// When the socket is closed.
    pub async fn send_log_bytes(&mut self, bytes: &[u8]) {
        self.send_binary(BinaryFrame { stream: LOG_STREAM, bytes }.encode()).await;
    }

    /// The next message of the hub; its mac is checked.
    ///
    /// # Panics
    /// When none comes, the connection ends, or the mac is wrong.
    #[expect(clippy::expect_used, clippy::panic, reason = "that is what the test wants to know")]
    pub async fn next(&mut self) -> Received {
        loop {
            match self.raw.next_frame().await {
                Some(Frame::Text(text)) => {
                    let envelope = Envelope::decode(&text).expect("an envelope");
                    let mac = envelope.mac.expect("a mac on every frame after the welcome");
                    let sealed = hmac::verify(&self.key, &envelope.mac_input(self.counter), &mac.0);
                    sealed.expect("the mac of the session");
                    self.counter += 1;
                    let message = envelope.message().expect("a message");
                    return Received { id: envelope.id, reference: envelope.reference, message };
                }
                Some(Frame::Ping(_) | Frame::Pong(_)) => {}
                other => panic!("{other:?} instead of a message"),
            }
        }
    }

    /// The next message for which `wanted` gives something; others are skipped.
    ///
    /// # Panics
    /// As [`ScriptedAgent::next`].
    pub async fn expect<T>(&mut self, mut wanted: impl FnMut(&Received) -> Option<T>) -> T {
        loop {
            let received = self.next().await;
            if let Some(found) = wanted(&received) {
                return found;
            }
        }
    }

    /// Waits until the hub has dealt with everything that was sent so far.
    ///
    /// # Panics
    /// As [`ScriptedAgent::next`].
    pub async fn settle(&mut self) {
        // A hub refuses a watch, after everything that came before it.
        let id = self.send(protocol::heartbeat::Watch { interval_ms: 1, ttl_s: 1 }).await;
        self.expect(|received| (received.reference == Some(id)).then_some(())).await;
    }

    /// Reads what the hub still sends until it closes the connection.
    pub async fn closed(self) -> Closed {
        self.raw.closed().await
    }

    /// Leaves as an agent that stops.
    pub async fn leave(mut self) {
        // The other end may be faster.
        let _ = self.raw.socket.close(None).await;
        while self.raw.next_frame().await.is_some() {}
    }
}

/// As protocol.md says, and not taken from the hub's own code.
#[expect(clippy::expect_used, reason = "32 bytes can always be derived")]
fn session_key(secret: &[u8], nonce: Hex<32>, agent: Hex<32>, hub: Hex<32>) -> hmac::Key {
    let info = [signing::SESSION_KEY_INFO.as_bytes(), agent.0.as_slice(), hub.0.as_slice()];
    let mut key = [0; 32];
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &nonce.0).extract(secret);
    derived.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).expect("a key");
    hmac::Key::new(hmac::HMAC_SHA256, &key)
}
