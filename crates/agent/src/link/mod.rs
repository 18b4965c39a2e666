//! The link: one connection to the hub after the other, for as long as the relay runs.

mod answers;
pub mod backoff;
pub mod beat;
pub mod dial;
pub mod endpoint;
pub mod followers;
pub mod guard;
pub mod handshake;
mod inbound;
pub mod liveness;
pub mod outbox;
pub mod requests;
mod session;
pub mod tls;
pub mod vitals;
mod wire;

use std::time::Duration;

use protocol::session::ByeCode;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_util::sync::CancellationToken;

use crate::events::Report;
use crate::license::{self, LicenseError};
use crate::relay::Relay;
use crate::spool::SpooledJob;
use crate::status::LinkState;
use backoff::Backoff;
use dial::{Connection, DialError, dial};
use handshake::{HandshakeError, Introduction, Welcomed, introduce, upgrade};
use session::{Ended, Session};
use vitals::Vitals;

/// Dialling, upgrade and welcome together take less.
const ESTABLISH: Duration = Duration::from_secs(60);
/// A new credential is tried at once, but a hub cannot make an agent run in circles.
const SHORT_SESSION: Duration = Duration::from_secs(1);
/// A session that held this long was a good one: the next failure is the first again.
const GOOD_SESSION: Duration = Duration::from_secs(30);
/// An offset that the hub hears of.
const MAX_SKEW_MS: i64 = 60_000;
/// Jobs named in one hello; what does not fit waits for the next connection.
const MAX_HELLO_JOBS: usize = 5_000;

/// Why there was no session.
#[derive(Debug, thiserror::Error)]
enum EstablishError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("the hub has a new key, and no worker has pinned it: {0}")]
    Rotation(String),
}

/// A session that has not begun.
struct Established {
    socket: WebSocketStream<Connection>,
    welcomed: Welcomed,
    spooled: Vec<SpooledJob>,
}

/// Keeps the relay connected until `shutdown`.
pub async fn run(relay: &mut Relay, shutdown: &CancellationToken, vitals: &Vitals) {
    let mut backoff = Backoff::new(relay.random.clone());
    loop {
        vitals.expect_within(ESTABLISH);
        relay.status.connecting();
        let established = tokio::select! {
            () = shutdown.cancelled() => return,
            established = Box::pin(establish(relay)) => established,
        };
        let (state, why, wait) = match established {
            Ok(established) => {
                let began = Instant::now();
                let session = begin(relay, established);
                let ended = Box::pin(session.run(relay, shutdown, vitals)).await;
                if began.elapsed() >= GOOD_SESSION {
                    backoff.reset();
                }
                let ended = match ended {
                    Ended::Renewed if began.elapsed() >= SHORT_SESSION => continue,
                    other => other,
                };
                match after_session(ended, &mut backoff) {
                    Some(next) => next,
                    None => return,
                }
            }
            Err(error) => after_failure(relay, &error, &mut backoff),
        };
        log::warn!("{}: {why}; next try in {:.1} s", relay.identity.ws_url, wait.as_secs_f32());
        relay.status.waiting(state, why, wait);
        vitals.expect_within(wait);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

async fn establish(relay: &mut Relay) -> Result<Established, EstablishError> {
    let connection = Box::pin(dial(&relay.endpoint, relay.identity.tls_pin)).await?;
    let token = relay.token().clone();
    // A worker reads the policy, because the relay may not be able to; the two do not wait for each other.
    let workers = relay.followers.workers().clone();
    let (described, socket) = tokio::join!(workers.describe(), Box::pin(upgrade(connection, &relay.endpoint, &token)));
    let mut socket = socket?;
    let policy = relay.introduce(described);
    let mut spooled = relay.spool.jobs().unwrap_or_else(|error| {
        log::error!("the spool cannot be listed: {error}");
        Vec::new()
    });
    spooled.truncate(MAX_HELLO_JOBS);
    let introduction = Introduction {
        build: relay.build.clone(),
        host: relay.host.clone(),
        capabilities: relay.capabilities.clone(),
        policy,
        jobs: spooled.iter().map(SpooledJob::hello).collect(),
    };
    let welcomed = introduce(&mut socket, introduction, &relay.trust, &relay.ids, relay.clock, &relay.random).await?;
    follow_hub_key(relay, &welcomed).await?;
    relay.token_was_taken(&token);
    Ok(Established { socket, welcomed, spooled })
}

/// The pinned key has named another: a worker, which alone can, pins that one before anything else is believed.
async fn follow_hub_key(relay: &mut Relay, welcomed: &Welcomed) -> Result<(), EstablishError> {
    if welcomed.rotations.is_empty() {
        return Ok(());
    }
    let old_key_id = relay.trust.anchor().hub_key_id;
    let failed = |why: &dyn std::fmt::Display| EstablishError::Rotation(why.to_string());
    match relay.followers.workers().rotate(welcomed.rotations.clone()).await {
        Ok(Ok(_)) => {}
        Ok(Err(rejected)) => return Err(failed(&rejected.message)),
        Err(error) => return Err(failed(&error)),
    }
    relay.trust = relay.trust.reload().map_err(|error| failed(&error))?;
    let new_key_id = relay.trust.anchor().hub_key_id;
    if new_key_id != welcomed.signed.key_id {
        return Err(failed(&"another one is pinned"));
    }
    log::warn!("the hub's key {old_key_id} was replaced by {new_key_id}, as it had said itself");
    relay.events.report(Report::hub_key_rotated(old_key_id, new_key_id));
    Ok(())
}

fn begin(relay: &mut Relay, established: Established) -> Session<Connection> {
    let Established { socket, welcomed, spooled } = established;
    let hub = &welcomed.body.hub;
    log::info!("connected to {}, hub version {}", relay.identity.ws_url, hub.version);
    relay.status.connected(hub.version.clone());
    report_skew(relay, hub.time_ms);
    relay.warm();
    match license::keep(&relay.paths, &relay.trust, &welcomed.body.license) {
        Ok(_) => {}
        Err(LicenseError::Forged(why)) => relay.events.report(Report::bad_license(why)),
        Err(error @ LicenseError::Store(_)) => log::warn!("{error}"),
    }
    Session::new(socket, welcomed, spooled, relay)
}

/// Once for each offset: a clock that stays wrong is not news at every reconnect.
fn report_skew(relay: &mut Relay, hub_ms: i64) {
    let offset = relay.clock.now_ms().saturating_sub(hub_ms);
    let known = relay.reported_skew_ms.is_some_and(|known| (known - offset).abs() < MAX_SKEW_MS);
    if offset.abs() <= MAX_SKEW_MS {
        relay.reported_skew_ms = None;
    } else if !known {
        relay.reported_skew_ms = Some(offset);
        relay.events.report(Report::clock_skew(offset));
    }
}

/// What to say and how long to wait; `None` when this agent stops.
fn after_session(ended: Ended, backoff: &mut Backoff) -> Option<(LinkState, String, Duration)> {
    match ended {
        Ended::Shutdown => None,
        Ended::Renewed => {
            Some((LinkState::Waiting, "the hub has replaced the credential".to_owned(), backoff.next_wait()))
        }
        Ended::Lost(why) => Some((LinkState::Waiting, why, backoff.next_wait())),
        Ended::Bye(bye) if bye.code == ByeCode::Revoked => Some(revoked(backoff)),
        Ended::Bye(bye) => {
            let why = match bye.code {
                ByeCode::Shutdown => "the hub is restarting",
                ByeCode::Replaced => "another agent connected as this server; if it goes on, register one of them anew",
                _ => "the hub ended the connection",
            };
            let wait = match bye.retry_after_s {
                Some(seconds) => backoff.requested(seconds),
                None => backoff.next_wait(),
            };
            Some((LinkState::Waiting, why.to_owned(), wait))
        }
    }
}

fn after_failure(relay: &mut Relay, error: &EstablishError, backoff: &mut Backoff) -> (LinkState, String, Duration) {
    match error {
        EstablishError::Handshake(HandshakeError::Status(401)) => {
            if relay.has_another_token() {
                let why = "the hub does not know the newest credential; the one before it is tried".to_owned();
                return (LinkState::Waiting, why, backoff.next_wait());
            }
            return revoked(backoff);
        }
        EstablishError::Handshake(HandshakeError::Bye(bye)) => {
            if let Some(next) = after_session(Ended::Bye(bye.clone()), backoff) {
                return next;
            }
        }
        EstablishError::Handshake(HandshakeError::BadWelcome { key_id, why }) => {
            relay.events.report(Report::bad_welcome(*key_id, why));
        }
        EstablishError::Dial(_) | EstablishError::Handshake(_) | EstablishError::Rotation(_) => {}
    }
    (LinkState::Waiting, error.to_string(), backoff.next_wait())
}

fn revoked(backoff: &Backoff) -> (LinkState, String, Duration) {
    let why = "its credential was revoked or replaced; to connect it again, make a new line in the dashboard \
               (Servers, Add server) and paste it here";
    (LinkState::Revoked, why.to_owned(), backoff.revoked())
}
