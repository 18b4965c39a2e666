//! Simulated agents in this process: registered and connected over wss as real ones are, and faster than any real one.
//!
//! They verify neither signatures nor macs and run nothing: each order is taken and done at once. So what a measurement
//! with them shows is the hub's doing. They send no heartbeats, and answer the hub's pings.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use protocol::enroll::{INSTALL_TOKEN_PREFIX, RegisterRequest, RegisterResponse, Token};
use protocol::job::{Accepted, Ack, Cmd, CmdAck, CmdBody, CmdOutcome, EndState, JobDone};
use protocol::policy::PolicySummary;
use protocol::session::{AgentBuild, Hello, Host, WelcomeBody};
use protocol::version::{SUBPROTOCOL, VersionRange};
use protocol::{Envelope, Hex, Message, MessageId, Outgoing};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use serde_json::json;
use support::api::Api;
use support::hub::Hub;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use uuid::Uuid;

/// Agents that register from one address: the hub takes 300 at once from each.
const PER_ADDRESS: usize = 200;
/// Agents that register at the same time.
const AT_ONCE: usize = 16;
/// How long a round may take before something is taken for broken.
const PATIENCE: Duration = Duration::from_secs(600);

type Socket = WebSocketStream<reqwest::Upgraded>;

/// Agents of one hub.
#[derive(Debug)]
pub struct Fleet {
    url: String,
    owner: Api,
    server_ids: Vec<String>,
    agents: JoinSet<anyhow::Result<()>>,
    ended: watch::Sender<usize>,
}

impl Fleet {
    /// No agent yet. The hub must allow the owner many requests a minute.
    #[must_use]
    pub fn new(hub: &Hub, owner: &Api) -> Self {
        let ended = watch::Sender::new(0);
        Self { url: hub.url(), owner: owner.clone(), server_ids: Vec::new(), agents: JoinSet::new(), ended }
    }

    /// Registers and connects agents until there are `count`.
    ///
    /// # Errors
    /// When the hub refuses one.
    pub async fn grow_to(&mut self, count: usize) -> anyhow::Result<()> {
        while self.server_ids.len() < count {
            let first = self.server_ids.len();
            let next = count.min((first / PER_ADDRESS + 1) * PER_ADDRESS);
            let client = client(first / PER_ADDRESS)?;
            let this = &*self;
            let joining = stream::iter(first..next).map(|index| this.join(&client, index)).buffer_unordered(AT_ONCE);
            let joined: Vec<_> = joining.try_collect().await?;
            for (server_id, socket) in joined {
                self.server_ids.push(server_id);
                self.agents.spawn(obey(socket, self.ended.clone()));
            }
        }
        Ok(())
    }

    /// Their servers.
    #[must_use]
    pub fn server_ids(&self) -> &[String] {
        &self.server_ids
    }

    /// Jobs whose end the hub has stored: it said so to the agents.
    #[must_use]
    pub fn ended(&self) -> usize {
        *self.ended.borrow()
    }

    /// Waits until so many jobs have ended, in all.
    ///
    /// # Errors
    /// When an agent was disconnected, or it takes too long.
    pub async fn until_ended(&mut self, total: usize) -> anyhow::Result<()> {
        let mut ended = self.ended.subscribe();
        tokio::select! {
            waited = tokio::time::timeout(PATIENCE, ended.wait_for(|ended| *ended >= total)) => {
                waited.with_context(|| format!("{} of {total} jobs ended within {PATIENCE:?}", self.ended()))??;
                Ok(())
            }
            Some(gone) = self.agents.join_next() => gone?.context("an agent"),
        }
    }

    async fn join(&self, client: &reqwest::Client, index: usize) -> anyhow::Result<(String, Socket)> {
        let name = format!("simulated-{index:05}");
        let token = self.owner.post("/v1/servers/install-tokens", &json!({ "name": name })).await?;
        ensure!(token.status == 201, "install token: {}", token.text);
        let token = token.json();
        let token = Token::parse(INSTALL_TOKEN_PREFIX, token["token"].as_str().unwrap_or_default());
        let own = Hex(unique(index));
        let request = RegisterRequest {
            token: token.context("an install token")?,
            nonce: own,
            hostname: name,
            os: "debian".to_owned(),
            arch: "x86_64".to_owned(),
            machine_id_hash: own,
            agent_version: "0.1.0".to_owned(),
            hub_fingerprint: None,
        };
        let answer = client.post(format!("{}/v1/agent/register", self.url)).json(&request).send().await?;
        let answer = answer.error_for_status().context("register")?.json::<RegisterResponse>().await?;
        let socket = connect(client, &self.url, &answer, own).await?;
        Ok((answer.server_id.to_string(), socket))
    }
}

/// A client of its own address, all of which are this machine.
fn client(group: usize) -> anyhow::Result<reqwest::Client> {
    let [high, low] = u16::try_from(group + 2)?.to_be_bytes();
    let address = Ipv4Addr::new(127, 1, high, low);
    let client = reqwest::Client::builder().local_address(IpAddr::V4(address)).http1_only();
    Ok(client.tls_danger_accept_invalid_certs(true).timeout(Duration::from_secs(60)).build()?)
}

/// Opens the socket, says hello and takes the welcome.
async fn connect(
    client: &reqwest::Client,
    url: &str,
    registered: &RegisterResponse,
    own: Hex<32>,
) -> anyhow::Result<Socket> {
    let request = client
        .get(format!("{url}/v1/agent"))
        .bearer_auth(registered.agent_token.reveal())
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
        .header(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let response = request.send().await?;
    ensure!(response.status() == 101, "the hub answers {} instead of opening a socket", response.status());
    // As small as the agent's own.
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let mut socket = Socket::from_raw_socket(response.upgrade().await?, Role::Client, Some(config)).await;
    socket.send(text_of(hello(own), None)?).await?;
    while let Some(frame) = socket.next().await {
        let Frame::Text(text) = frame? else { continue };
        let envelope = Envelope::decode(&text)?;
        let Message::Welcome(welcome) = envelope.message()? else { bail!("{text} instead of a welcome") };
        let welcome: WelcomeBody = serde_json::from_str(&welcome.signed.body)?;
        ensure!(welcome.server_id == registered.server_id && welcome.nonce == own, "a welcome for somebody else");
        return Ok(socket);
    }
    bail!("the hub hung up before its welcome")
}

fn hello(own: Hex<32>) -> Hello {
    // The base point of X25519: a key as good as any other for somebody who never looks at a mac.
    let mut base_point = [0; 32];
    base_point[0] = 9;
    Hello {
        agent: AgentBuild { version: "0.1.0".to_owned(), target: "x86_64-linux".to_owned(), sha256: Hex([1; 32]) },
        protocol: VersionRange::OURS,
        nonce: own,
        ephemeral_key: Hex(base_point),
        host: Host {
            hostname: "simulated".to_owned(),
            os: "debian".to_owned(),
            os_version: "12".to_owned(),
            kernel: "6.1.0".to_owned(),
            arch: "x86_64".to_owned(),
            cpus: 2,
            memory_bytes: 4 << 30,
            machine_id_hash: own,
            boot_id: "0c3b8e7a-5d0f-4f0a-9d3e-2f6f1c9b7a11".to_owned(),
        },
        capabilities: vec!["exec".to_owned()],
        policy: PolicySummary::open(),
        jobs: Vec::new(),
    }
}

/// Takes and ends every job until the hub hangs up.
async fn obey(mut socket: Socket, ended: watch::Sender<usize>) -> anyhow::Result<()> {
    while let Some(frame) = socket.next().await {
        let Frame::Text(text) = frame? else { continue };
        let envelope = Envelope::decode(&text)?;
        match envelope.message()? {
            Message::Cmd(cmd) => {
                let (ack, done) = answers(&cmd)?;
                socket.feed(text_of(ack, Some(envelope.id))?).await?;
                socket.feed(text_of(done, Some(envelope.id))?).await?;
                socket.flush().await?;
            }
            Message::Ack(Ack::Job { done: true, .. }) => ended.send_modify(|ended| *ended += 1),
            Message::Error(error) => bail!("the hub refused a message: {error:?}"),
            _ => {}
        }
    }
    bail!("the hub hung up")
}

fn answers(cmd: &Cmd) -> anyhow::Result<(CmdAck, JobDone)> {
    let CmdBody { job_id, .. } = serde_json::from_str(&cmd.signed.body)?;
    let started_at_ms = now_ms()?;
    let ack = CmdAck { job_id, outcome: CmdOutcome::Accepted(Accepted { started_at_ms }) };
    let done = JobDone {
        job_id,
        state: EndState::Succeeded,
        exit_code: Some(0),
        signal: None,
        started_at_ms,
        duration_ms: 0,
        next_offset: 0,
        result: None,
        error: None,
    };
    Ok((ack, done))
}

fn text_of(message: impl Into<Message>, reference: Option<MessageId>) -> anyhow::Result<Frame> {
    // Ids of the hub's messages lie elsewhere, and nothing refers to these.
    let id = MessageId::new(Uuid::from_u128(0xa9e << 100));
    let outgoing = Outgoing::new(&message.into(), id, now_ms()?, reference)?;
    Ok(Frame::text(outgoing.to_text(None)?))
}

fn now_ms() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?)
}

/// 32 bytes that no other agent has.
fn unique(index: usize) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
    bytes
}
