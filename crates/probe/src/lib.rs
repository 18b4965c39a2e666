//! Looks at a target over the network, once and with a stop-watch: HTTP, TCP ports, TLS, DNS, ICMP.
//!
//! Hub and agent call the same [`run`] with a [`ProbeSpec`] from the wire. This is no second HTTP client: it keeps no
//! connection, no cookie and no cache, and it tells how long each part took, which clients do not.
//!
//! What a target does is taken for hostile. Every address that a name gives is checked by [`protocol::address`] before a
//! connection is made, and the connection goes to the address that was checked ([`dial`]); metadata services and
//! link-local addresses are never reached. All of it ends within the spec's time, whatever the target does, and holds
//! little more in memory than `limits` says. It knows nothing of monitors, schedules, votes or databases, and takes
//! clock, randomness, names and trusted authorities from its [`Env`].
#![forbid(unsafe_code)]

mod assert;
mod check;
mod dial;
mod dns;
mod host;
mod http;
mod icmp;
pub mod json_path;
mod limits;
mod lookup;
mod tcp;
mod tls;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol::address::Reach;
use protocol::probe::{Failure, FailureCode, MAX_TIMEOUT_MS, MIN_TIMEOUT_MS, Probe, ProbeOutcome, ProbeSpec};
use rustls::RootCertStore;
use rustls_pki_types::UnixTime;
use tokio::time::timeout_at;

use watch::{Watch, fail};

pub use check::check;
pub use icmp::permitted as icmp_permitted;
pub use lookup::{Lookup, LookupError, SystemLookup};

/// What a probe uses of the machine that it runs on.
#[derive(Clone)]
pub struct Env {
    /// Asks for addresses of names.
    pub lookup: Arc<dyn Lookup>,
    /// Authorities whose certificates verify.
    pub roots: Arc<RootCertStore>,
    /// How far anybody may send this machine; a spec goes no further, whatever it says.
    pub reach: Reach,
    /// The time, to judge certificates by.
    pub clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
    /// 64 bits that nobody can guess who does not see the line: ids of questions and packets.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("lookup", &self.lookup).field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// Looks once. Ends within the spec's time; drop it to end it earlier.
pub async fn run(spec: &ProbeSpec, env: &Env) -> ProbeOutcome {
    let timeout = Duration::from_millis(spec.timeout_ms.clamp(MIN_TIMEOUT_MS, MAX_TIMEOUT_MS).into());
    let mut watch = Watch::start(timeout);
    let deadline = watch.deadline();
    // On the heap: a handshake's state in every caller's future would be copied with it.
    let ended = timeout_at(deadline, Box::pin(look(spec, env, &mut watch))).await.ok();
    watch.outcome(ended)
}

async fn look(spec: &ProbeSpec, env: &Env, watch: &mut Watch) -> Result<(), Failure> {
    if let Err(invalid) = spec.check() {
        let what: Vec<_> = invalid.iter().map(|invalid| format!("{} {}", invalid.field, invalid.problem)).collect();
        return Err(fail(FailureCode::Unsupported, format!("this probe cannot be carried out: {}", what.join("; "))));
    }
    let reach = spec.reach.and(env.reach);
    match &spec.probe {
        Probe::Http(probe) => http::probe(probe, reach, env, watch).await,
        Probe::Tcp(probe) => tcp::probe(probe, reach, env, watch).await,
        Probe::Tls(probe) => tls::probe(probe, reach, env, watch).await,
        Probe::Dns(probe) => dns::probe(probe, reach, env, watch).await,
        Probe::Icmp(probe) => icmp::probe(probe, reach, env, watch).await,
    }
}
