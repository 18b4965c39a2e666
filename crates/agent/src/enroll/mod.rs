//! `register`: an install token becomes an agent token, once, whatever happens on the way.
//!
//! The nonce of the request is on disk before the first try. The hub answers the same token and nonce again until the
//! agent has connected, so a lost answer, a killed process or a hub that restarts in the middle costs a second run of
//! the same command and nothing else.

mod http;
mod store;

use std::time::Duration;

use protocol::enroll::{RegisterRequest, RegisterResponse, Token};
use protocol::{Hex, ServerId};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::host::facts;
use crate::host::random::{NoRandomness, Random};
use crate::identity::{self, HubAnchor, Identity, IdentityError};
use crate::link::backoff::Backoff;
use crate::link::dial::{DialError, dial};
use crate::link::endpoint::{Endpoint, EndpointError, Family};
use crate::link::tls::TlsPin;
use crate::paths::Paths;

pub use store::StoreError;

/// A hub that does not answer is asked again for this long: it may be restarting.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest pause between two tries: somebody watches.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const REGISTER_PATH: &str = "/v1/agent/register";

/// What `register` was told.
#[derive(Debug)]
pub struct Order {
    /// The hub.
    pub hub: Endpoint,
    /// The install token.
    pub token: Token,
    /// SHA-256 of the hub's public key, from the pasted line.
    pub fingerprint: Option<Hex<32>>,
    /// Key of the hub's certificate, when that is self-signed.
    pub tls_pin: Option<TlsPin>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The hub knows this machine now.
    New {
        /// As this server.
        server_id: ServerId,
        /// SHA-256 of the key that is pinned now.
        fingerprint: Hex<32>,
    },
    /// This very token had been used here before; nothing was changed.
    Already {
        /// As this server.
        server_id: ServerId,
    },
}

/// Why it did not go.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Another hub's key is pinned here.
    #[error("this machine is connected to another hub, {hub_url}, whose key is {pinned}")]
    OtherHub {
        /// The other hub.
        hub_url: String,
        /// SHA-256 of its key.
        pinned: Hex<32>,
    },
    /// The hub refused.
    #[error("the hub refused: {message} ({code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Machine-readable reason.
        code: String,
        /// The hub's words.
        message: String,
    },
    /// The hub's key is not the expected one.
    #[error("this is not the expected hub: its key has the fingerprint {got}, expected {expected}")]
    WrongFingerprint {
        /// From the pasted line.
        expected: Hex<32>,
        /// From the hub.
        got: Hex<32>,
    },
    /// An answer that no hub gives.
    #[error("{hub} answered, but not as a hub does: {why}")]
    NoHub {
        /// The address.
        hub: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// The certificate is wrong, now and in a minute.
    #[error("no safe connection to {hub}: {why}")]
    Untrusted {
        /// The address.
        hub: String,
        /// What is wrong.
        why: String,
    },
    /// No answer, for as long as was tried.
    #[error("{hub} could not be reached for {} s: {why}", PATIENCE.as_secs())]
    Unreachable {
        /// The address.
        hub: String,
        /// The last failure.
        why: String,
    },
    /// The state directory cannot hold the result.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An earlier registration cannot be read.
    #[error(transparent)]
    Earlier(#[from] IdentityError),
    /// No nonce.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

impl EnrollError {
    /// What the person at the terminal can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::OtherHub { .. } => {
                "To move this machine, remove the agent first (install.sh --uninstall), then paste the line again."
            }
            Self::Refused { status: 400 | 422, .. } => {
                "Copy the whole line from the dashboard and paste it again; if it stays, update the agent."
            }
            Self::Refused { status: 402 | 403, .. } => {
                "Ask an owner of the workspace: its plan or your role forbids it."
            }
            Self::Refused { status: 421, .. } => "Use the line as the dashboard shows it: it holds the right address.",
            Self::Refused { status: 429, .. } => "Wait a minute, then run the same line again.",
            Self::Refused { .. } => {
                "An install token works once and for a limited time. Make a new line in the dashboard (Servers, Add server)."
            }
            Self::WrongFingerprint { .. } => {
                "Nothing was changed. Copy the line from the dashboard again; if it stays, do not trust this connection."
            }
            Self::NoHub { .. } => "Check the hub's address: it is the one that your browser shows for the dashboard.",
            Self::Untrusted { .. } => {
                "Nothing was sent. Copy the line from the dashboard again: it holds the key of the hub's certificate."
            }
            Self::Unreachable { .. } => {
                "Check name, port and firewall, then run the same line again: the token is still good."
            }
            Self::Store(_) | Self::Earlier(_) => "Run this as root, and check space and permissions of that directory.",
            Self::Randomness(_) => "The machine has no entropy yet; try again in a moment.",
        }
    }
}

/// Registers this machine.
///
/// # Errors
/// [`EnrollError`]; an earlier registration is untouched then.
pub async fn register(paths: &Paths, order: &Order, random: &Random) -> Result<Registered, EnrollError> {
    let earlier = earlier_anchor(paths)?;
    let pinned = earlier.as_ref().map(|anchor| anchor.hub_fingerprint);
    if let (Some(anchor), Some(expected)) = (&earlier, order.fingerprint)
        && anchor.hub_fingerprint != expected
    {
        return Err(EnrollError::OtherHub { hub_url: anchor.hub_url.clone(), pinned: anchor.hub_fingerprint });
    }
    let token_sha256 = identity::sha256(order.token.reveal().as_bytes());
    if let Ok((identity, _)) = identity::load_both(paths)
        && identity.install_token_sha256 == token_sha256
    {
        return Ok(Registered::Already { server_id: identity.server_id });
    }

    let store = store::Store::prepare(paths)?;
    let nonce = store.nonce(token_sha256, random)?;
    let request = request(order, nonce);
    let answer = ask_patiently(order, &request, random).await?;
    let (identity, anchor) = accept(order, answer, token_sha256, pinned)?;
    store.keep(&identity, &anchor)?;
    Ok(Registered::New { server_id: identity.server_id, fingerprint: anchor.hub_fingerprint })
}

fn earlier_anchor(paths: &Paths) -> Result<Option<HubAnchor>, IdentityError> {
    match HubAnchor::load(paths) {
        Ok(anchor) => Ok(Some(anchor)),
        Err(IdentityError::NotRegistered(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn request(order: &Order, nonce: Hex<32>) -> RegisterRequest {
    let host = facts::read();
    RegisterRequest {
        token: order.token.clone(),
        nonce,
        hostname: host.hostname,
        os: host.os,
        arch: host.arch,
        machine_id_hash: host.machine_id_hash,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        hub_fingerprint: order.fingerprint,
    }
}

/// What one try came to.
enum Try {
    Answered(http::Answer),
    /// Worth another try.
    Later(String),
    /// The same in a minute.
    Never(EnrollError),
}

async fn ask_patiently(
    order: &Order,
    request: &RegisterRequest,
    random: &Random,
) -> Result<RegisterResponse, EnrollError> {
    let hub = order.hub.to_url(Family::Http);
    let started = Instant::now();
    let mut backoff = Backoff::up_to(LONGEST_PAUSE, random.clone());
    loop {
        let why = match ask(order, request).await {
            Try::Answered(answer) => return read(&hub, &answer),
            Try::Never(error) => return Err(error),
            Try::Later(why) => why,
        };
        let wait = backoff.next_wait();
        if started.elapsed() + wait > PATIENCE {
            return Err(EnrollError::Unreachable { hub, why });
        }
        log::warn!("{hub}: {why}; trying again in {:.1} s", wait.as_secs_f32());
        sleep(wait).await;
    }
}

async fn ask(order: &Order, request: &RegisterRequest) -> Try {
    let hub = || order.hub.to_url(Family::Http);
    let endpoint = order.hub.join(REGISTER_PATH);
    let stream = match dial(&endpoint, order.tls_pin).await {
        Ok(stream) => stream,
        Err(DialError::Certificate(why)) => return Try::Never(EnrollError::Untrusted { hub: hub(), why }),
        Err(error) => return Try::Later(error.to_string()),
    };
    let body = match serde_json::to_vec(request) {
        Ok(body) => body,
        Err(error) => return Try::Later(error.to_string()),
    };
    match http::post_json(stream, &endpoint, &body).await {
        Ok(answer) if answer.status >= 500 => Try::Later(format!("it answered with status {}", answer.status)),
        Ok(answer) => Try::Answered(answer),
        Err(http::HttpError::Rubbish(why)) => Try::Never(EnrollError::NoHub { hub: hub(), why: why.to_owned() }),
        Err(error) => Try::Later(error.to_string()),
    }
}

fn read(hub: &str, answer: &http::Answer) -> Result<RegisterResponse, EnrollError> {
    #[derive(Deserialize)]
    struct Failure {
        error: Reason,
    }
    #[derive(Deserialize)]
    struct Reason {
        code: String,
        message: String,
    }
    let no_hub = |why: String| EnrollError::NoHub { hub: hub.to_owned(), why };
    if (200..300).contains(&answer.status) {
        return serde_json::from_slice(&answer.body).map_err(|error| no_hub(error.to_string()));
    }
    match serde_json::from_slice::<Failure>(&answer.body) {
        Ok(Failure { error }) => Err(EnrollError::Refused {
            status: answer.status,
            code: printable(&error.code),
            message: printable(&error.message),
        }),
        Err(_) => Err(no_hub(format!("status {} without a reason", answer.status))),
    }
}

/// Foreign words for a terminal: short, and no control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(300).collect()
}

/// Checks that the answer comes from the hub that was meant.
fn accept(
    order: &Order,
    answer: RegisterResponse,
    install_token_sha256: Hex<32>,
    pinned: Option<Hex<32>>,
) -> Result<(Identity, HubAnchor), EnrollError> {
    let hub_url = order.hub.to_url(Family::Http);
    let no_hub = |why: String| EnrollError::NoHub { hub: hub_url.clone(), why };
    let got = identity::fingerprint(&answer.hub_key);
    if let Some(expected) = order.fingerprint.or(pinned)
        && expected != got
    {
        return Err(EnrollError::WrongFingerprint { expected, got });
    }
    if identity::key_id(&got) != answer.hub_key_id {
        return Err(no_hub("its key id is not the one of its key".to_owned()));
    }
    if Token::parse(protocol::enroll::AGENT_TOKEN_PREFIX, answer.agent_token.reveal()).is_none() {
        return Err(no_hub("the agent token is malformed".to_owned()));
    }
    Endpoint::parse(Family::WebSocket, &answer.ws_url).map_err(|error: EndpointError| no_hub(error.to_string()))?;
    let anchor = HubAnchor {
        hub_url: hub_url.clone(),
        server_id: answer.server_id,
        hub_key: answer.hub_key,
        hub_key_id: answer.hub_key_id,
        hub_fingerprint: got,
    };
    let identity = Identity {
        hub_url,
        ws_url: answer.ws_url,
        server_id: answer.server_id,
        agent_token: answer.agent_token,
        next_token: None,
        previous_token: None,
        tls_pin: order.tls_pin,
        install_token_sha256,
    };
    Ok((identity, anchor))
}
