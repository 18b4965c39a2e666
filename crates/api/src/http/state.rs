//! What the HTTP side keeps between requests.

use std::sync::{OnceLock, PoisonError, RwLock};

use super::limit::{Limiter, Rate};
use super::sse::Streams;
use super::tls::Trust;
use super::unfinished::Unfinished;
use crate::config::Config;

/// Many people and agents may share one address.
const CALLERS_PER_ADDRESS: u32 = 5;

/// Limits, counters and the certificate's standing.
#[derive(Debug)]
pub struct State {
    pub(super) streams: Streams,
    pub(super) requests: super::health::Requests,
    pub(super) addresses: Limiter,
    pub(super) callers: Limiter<[u8; 16]>,
    pub(super) unfinished: Unfinished,
    trust: RwLock<Option<Trust>>,
    connections: OnceLock<super::server::Connections>,
}

impl State {
    /// For these settings.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let caller = Rate { per_minute: config.requests_per_minute, burst: config.requests_per_minute / 2 };
        let address = Rate {
            per_minute: caller.per_minute.saturating_mul(CALLERS_PER_ADDRESS),
            burst: caller.burst.saturating_mul(CALLERS_PER_ADDRESS),
        };
        Self {
            streams: Streams::default(),
            requests: super::health::Requests::default(),
            addresses: Limiter::new(address),
            callers: Limiter::new(caller),
            unfinished: Unfinished::default(),
            trust: RwLock::default(),
            connections: OnceLock::new(),
        }
    }

    /// How clients come to trust the listener's certificate.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.known_trust().unwrap_or(Trust::Public)
    }

    pub(crate) fn set_trust(&self, trust: Trust) {
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Some(trust);
    }

    /// Whether browsers may insist on TLS: they accept the certificate.
    pub(super) fn strict_transport(&self) -> bool {
        self.known_trust() == Some(Trust::Public)
    }

    /// Makes every open event stream look whether its session is still good.
    pub fn recheck_streams(&self) {
        self.streams.recheck();
    }

    pub(super) fn watch_connections(&self, connections: super::server::Connections) {
        // One listener per hub.
        let _ = self.connections.set(connections);
    }

    /// Connections that are open now, upgraded ones included.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.connections.get().map_or(0, super::server::Connections::open)
    }

    fn known_trust(&self) -> Option<Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
