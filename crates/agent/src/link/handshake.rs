//! From a byte stream to a session: upgrade, hello, and a welcome that only the pinned hub could have signed.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::enroll::Token;
use protocol::envelope::{DecodeError, Outgoing};
use protocol::message::Welcome;
use protocol::policy::PolicySummary;
use protocol::session::{AgentBuild, Bye, Hello, HelloJob, Host, WelcomeBody, WireError};
use protocol::version::{SUBPROTOCOL, VersionRange};
use protocol::{Envelope, Hex, MAX_TEXT_FRAME, Message, Signed, signing};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::host::clock::Clock;
use crate::host::ids::Ids;
use crate::host::random::{NoRandomness, Random};
use crate::link::endpoint::{Endpoint, Family};
use crate::link::guard::{Ephemeral, FrameGuard};
use crate::trust::{SignatureError, Trust, rotation};

/// For the upgrade, and again for the welcome.
const DEADLINE: Duration = Duration::from_secs(15);
/// Buffers stay with a connection for life; messages are small.
const READ_BUFFER: usize = 4 << 10;

/// What `hello` says of this agent, apart from what is new for each connection.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// The running build.
    pub build: AgentBuild,
    /// The machine.
    pub host: Host,
    /// What this agent can do.
    pub capabilities: Vec<String>,
    /// What the host's own policy allows.
    pub policy: PolicySummary,
    /// Everything in the spool.
    pub jobs: Vec<HelloJob>,
}

/// A session that may begin.
#[derive(Debug)]
pub struct Welcomed {
    /// Checks what the hub sends from here on.
    pub guard: FrameGuard,
    /// What the hub said.
    pub body: WelcomeBody,
    /// The same, as the hub signed it: workers believe its clock.
    pub signed: Signed,
    /// How the pinned key came to be the one that signed this; empty where it is the pinned one itself. Until a worker
    /// has followed them too, nothing of this session counts.
    pub rotations: Vec<Signed>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The hub answered the upgrade with this HTTP status.
    #[error("{}", explain_status(*.0))]
    Status(u16),
    /// What answers is no hub.
    #[error("what answers there is not a Roadstead hub: {0}")]
    NoHub(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The hub took too long.
    #[error("the hub did not answer within {} s", DEADLINE.as_secs())]
    Deadline,
    /// The hub ended the connection on purpose.
    #[error("the hub ended the connection ({:?})", .0.code)]
    Bye(Bye),
    /// The hub did not take the hello.
    #[error("the hub did not accept this agent: {} ({:?})", .0.message, .0.code)]
    Refused(WireError),
    /// The welcome is not the pinned hub's.
    #[error("whoever answers is not the hub that this server was registered with: {why}")]
    BadWelcome {
        /// Which key it claims.
        key_id: Hex<8>,
        /// What is wrong.
        why: &'static str,
    },
    /// No nonce.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

fn explain_status(status: u16) -> String {
    match status {
        401 => "the hub does not know this agent's credential any more; register this server again".to_owned(),
        404 => "there is no agent endpoint at that address; is it the hub's?".to_owned(),
        429 => "the hub takes no more connections right now".to_owned(),
        500.. => format!("the hub is not ready (status {status})"),
        _ => format!("the hub refused the connection (status {status})"),
    }
}

/// Makes a WebSocket of `stream`.
///
/// # Errors
/// [`HandshakeError`], within fifteen seconds.
pub async fn upgrade<S>(stream: S, endpoint: &Endpoint, token: &Token) -> Result<WebSocketStream<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let no_hub = |error: &dyn std::fmt::Display| HandshakeError::NoHub(error.to_string());
    let mut request = endpoint.to_url(Family::WebSocket).into_client_request().map_err(|error| no_hub(&error))?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.reveal())).map_err(|error| no_hub(&error))?;
    bearer.set_sensitive(true);
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("roadstead-agent/", env!("CARGO_PKG_VERSION"))));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_TEXT_FRAME))
        .max_frame_size(Some(MAX_TEXT_FRAME));
    match timeout(DEADLINE, Box::pin(client_async_with_config(request, stream, Some(config)))).await {
        Err(_) => Err(HandshakeError::Deadline),
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(response))) => Err(HandshakeError::Status(response.status().as_u16())),
        Ok(Err(tungstenite::Error::Io(error))) => Err(HandshakeError::Broken(error.to_string())),
        Ok(Err(error)) => Err(no_hub(&error)),
    }
}

/// What must be the same on both sides of one handshake.
#[derive(Debug)]
struct Opening {
    nonce: Hex<32>,
    ephemeral: Ephemeral,
}

/// Says hello and checks the welcome.
///
/// # Errors
/// [`HandshakeError`], within fifteen seconds.
pub async fn introduce<S>(
    socket: &mut WebSocketStream<S>,
    introduction: Introduction,
    trust: &Trust,
    ids: &Ids,
    clock: Clock,
    random: &Random,
) -> Result<Welcomed, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let opening = Opening { nonce: Hex(random.bytes()?), ephemeral: Ephemeral::generate(random)? };
    let hello = Message::Hello(Hello {
        agent: introduction.build,
        protocol: VersionRange::OURS,
        nonce: opening.nonce,
        ephemeral_key: opening.ephemeral.public(),
        host: introduction.host,
        capabilities: introduction.capabilities,
        policy: introduction.policy,
        jobs: introduction.jobs,
    });
    let text = Outgoing::new(&hello, ids.message()?, clock.now_ms(), None)
        .and_then(|outgoing| outgoing.to_text(None))
        .map_err(|error| HandshakeError::Broken(error.to_string()))?;
    let exchange = async {
        socket.send(Frame::text(text)).await.map_err(|error| HandshakeError::Broken(error.to_string()))?;
        wait_for_welcome(socket).await
    };
    let welcome = timeout(DEADLINE, exchange).await.unwrap_or(Err(HandshakeError::Deadline))?;
    check_welcome(welcome, opening, trust)
}

/// Before the welcome only `error` and `bye` may come, and neither is believed further than to end this connection.
async fn wait_for_welcome<S>(socket: &mut WebSocketStream<S>) -> Result<Welcome, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let frame = match socket.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Err(HandshakeError::Broken(error.to_string())),
            None => return Err(HandshakeError::Broken("it was closed before the welcome".to_owned())),
        };
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Ping(_) | Frame::Pong(_) => continue,
            Frame::Close(reason) => {
                let reason = reason.map(|reason| reason.reason.to_string()).unwrap_or_default();
                return Err(HandshakeError::Broken(format!("it was closed before the welcome {reason}")));
            }
            Frame::Binary(_) | Frame::Frame(_) => return Err(HandshakeError::NoHub("binary frame".to_owned())),
        };
        let no_hub = |error: DecodeError| HandshakeError::NoHub(error.to_string());
        match Envelope::decode(&text).map_err(no_hub)?.message().map_err(no_hub)? {
            Message::Welcome(welcome) => return Ok(welcome),
            Message::Bye(bye) => return Err(HandshakeError::Bye(bye)),
            Message::Error(error) => return Err(HandshakeError::Refused(error)),
            other => return Err(HandshakeError::NoHub(format!("{} before the welcome", other.kind()))),
        }
    }
}

fn check_welcome(welcome: Welcome, opening: Opening, trust: &Trust) -> Result<Welcomed, HandshakeError> {
    let Welcome { signed, rotations } = welcome;
    let key_id = signed.key_id;
    let bad = |why: &'static str| HandshakeError::BadWelcome { key_id, why };
    let (anchor, rotations) = if key_id == trust.anchor().hub_key_id {
        (trust.anchor().clone(), Vec::new())
    } else {
        match rotation::follow(trust.anchor(), &rotations) {
            Ok((anchor, _)) => (anchor, rotations),
            Err(error) => {
                log::warn!("the hub's chain of keys does not lead here: {error}");
                return Err(bad("the welcome is signed with another key"));
            }
        }
    };
    anchor.verify(signing::WELCOME, &signed).map_err(|error| match error {
        SignatureError::OtherKey => bad("the welcome is signed with another key"),
        SignatureError::Forged => bad("the welcome's signature does not verify"),
    })?;
    // From here on the pinned hub has spoken; what is left to find out is whether it spoke here and now.
    let body: WelcomeBody = serde_json::from_str(&signed.body).map_err(|_| bad("the welcome is not readable"))?;
    if body.nonce != opening.nonce || body.agent_ephemeral_key != opening.ephemeral.public() {
        return Err(bad("the welcome answers another hello"));
    }
    if body.server_id != trust.server_id() {
        return Err(bad("the welcome is for another server"));
    }
    if !(VersionRange::OURS.min..=VersionRange::OURS.max).contains(&body.protocol) {
        return Err(HandshakeError::NoHub(format!("it chose protocol version {}", body.protocol)));
    }
    let guard = opening
        .ephemeral
        .agree(opening.nonce, body.ephemeral_key)
        .ok_or_else(|| bad("the hub's ephemeral key gives no secret"))?;
    Ok(Welcomed { guard, body, signed, rotations })
}

#[cfg(test)]
mod tests {
    use protocol::ServerId;
    use protocol::session::{Desired, HubInfo, KeyRotationBody};
    use uuid::Uuid;

    use super::*;
    use crate::fixture::Machine;

    fn opening() -> (Opening, WelcomeBody) {
        let random = Random::system();
        let opening = Opening { nonce: Hex([3; 32]), ephemeral: Ephemeral::generate(&random).unwrap() };
        let body = WelcomeBody {
            server_id: ServerId::new(Uuid::from_u128(1)),
            protocol: 1,
            nonce: opening.nonce,
            agent_ephemeral_key: opening.ephemeral.public(),
            ephemeral_key: Ephemeral::generate(&random).unwrap().public(),
            hub: HubInfo { version: "1".into(), time_ms: 0 },
            heartbeat_interval_s: 30,
            license: Signed { body: "{}".into(), key_id: Hex([0; 8]), sig: Hex([0; 64]) },
            jobs: vec![],
            desired: Desired::default(),
        };
        (opening, body)
    }

    fn welcome(hub: &Machine, prefix: &str, body: &WelcomeBody) -> Signed {
        hub.sign(prefix, serde_json::to_string(body).unwrap())
    }

    /// What an agent of this hub says to a welcome.
    fn check(hub: &Machine, signed: Signed, opening: Opening) -> Result<(), &'static str> {
        check_chain(hub, signed, vec![], opening)
    }

    fn check_chain(
        hub: &Machine,
        signed: Signed,
        rotations: Vec<Signed>,
        opening: Opening,
    ) -> Result<(), &'static str> {
        match check_welcome(Welcome { signed, rotations }, opening, &hub.trust) {
            Ok(_) => Ok(()),
            Err(HandshakeError::BadWelcome { why, .. }) => Err(why),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_pinned_hubs_welcome_is_taken() {
        let hub = Machine::new(7);
        let (opening, body) = opening();
        assert_eq!(check(&hub, welcome(&hub, signing::WELCOME, &body), opening), Ok(()));
    }

    #[test]
    fn any_other_welcome_is_not() {
        let stranger = Machine::new(8);
        let hub = Machine::new(7);
        type Change = fn(&mut WelcomeBody);
        let cases: [(&str, Change); 3] = [
            ("answers another hello", |body| body.nonce = Hex([4; 32])),
            ("answers another hello", |body| body.agent_ephemeral_key = Hex([4; 32])),
            ("is for another server", |body| body.server_id = ServerId::new(Uuid::from_u128(2))),
        ];
        for (why, change) in cases {
            let (opening, mut body) = opening();
            change(&mut body);
            let found = check(&hub, welcome(&hub, signing::WELCOME, &body), opening).unwrap_err();
            assert!(found.ends_with(why), "{found}");
        }

        let (first, body) = opening();
        assert!(check(&hub, welcome(&stranger, signing::WELCOME, &body), first).unwrap_err().contains("another key"));
        let (first, body) = opening();
        assert!(check(&hub, welcome(&hub, signing::CMD, &body), first).unwrap_err().contains("does not verify"));
        let (first, body) = opening();
        let mut claimed = welcome(&stranger, signing::WELCOME, &body);
        claimed.key_id = hub.anchor.hub_key_id;
        assert!(check(&hub, claimed, first).unwrap_err().contains("does not verify"));
        let (first, mut body) = opening();
        body.ephemeral_key = Hex([0; 32]);
        assert!(check(&hub, welcome(&hub, signing::WELCOME, &body), first).unwrap_err().contains("no secret"));
    }

    #[test]
    fn a_key_that_the_pinned_one_has_named_is_taken_and_no_other() {
        let (hub, new, stranger) = (Machine::new(7), Machine::new(8), Machine::new(9));
        let rotation = |old: &Machine, new: &Machine| {
            let body = KeyRotationBody { old_key_id: old.anchor.hub_key_id, new_key: new.anchor.hub_key, at_ms: 1 };
            old.sign(signing::KEY_ROTATION, serde_json::to_string(&body).unwrap())
        };
        let taken = |by: &Machine, chain: Vec<Signed>| {
            let (opening, body) = opening();
            check_chain(&hub, welcome(by, signing::WELCOME, &body), chain, opening)
        };
        assert_eq!(taken(&new, vec![rotation(&hub, &new)]), Ok(()));
        assert_eq!(taken(&hub, vec![rotation(&new, &hub)]), Ok(()), "the pinned key itself needs no chain");
        for (by, chain) in [
            (&new, vec![]),
            (&new, vec![rotation(&new, &new)]),
            (&stranger, vec![rotation(&hub, &new)]),
            (&stranger, vec![rotation(&hub, &new), rotation(&stranger, &stranger)]),
        ] {
            assert!(taken(by, chain).unwrap_err().contains("another key"));
        }
    }
}
