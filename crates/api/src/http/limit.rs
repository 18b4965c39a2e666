//! Limits on how often somebody may ask, by address or by credential.

use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::error::{Error, ErrorCode, Result};

/// Keys that are counted apart. Beyond them, everybody shares one count, which is larger.
const MAX_KEYS: usize = 50_000;
const SHARED_FACTOR: u32 = 20;
/// Keys that are at rest are forgotten every so many checks.
const FORGET_EVERY: usize = 4_096;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// Counts requests by key.
pub struct Limiter<K: Hash + Eq + Clone = IpAddr> {
    rate: Rate,
    keyed: RateLimiter<K, HashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
    shared: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
    checks: AtomicUsize,
}

/// Where a caller stands after a request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    reset_s: u64,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A limiter with nothing counted yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let keyed = RateLimiter::hashmap(quota(rate)).with_middleware();
        let shared = Rate {
            per_minute: rate.per_minute.saturating_mul(SHARED_FACTOR),
            burst: rate.burst.saturating_mul(SHARED_FACTOR),
        };
        let shared = RateLimiter::direct(quota(shared)).with_middleware();
        Self { rate, keyed, shared, checks: AtomicUsize::new(0) }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// 429 with the time to wait when the limit is reached.
    pub fn check(&self, key: &K) -> Result<Standing> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(FORGET_EVERY) {
            self.keyed.retain_recent();
        }
        let outcome = if self.keyed.len() < MAX_KEYS { self.keyed.check_key(key) } else { self.shared.check() };
        match outcome {
            Ok(state) => Ok(self.standing(state.remaining_burst_capacity())),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                let seconds = wait.as_secs().saturating_add(1);
                let message = format!("too many requests; try again in {seconds} seconds");
                Err(Error::new(ErrorCode::RateLimited, message).retry_after(seconds))
            }
        }
    }

    fn standing(&self, remaining: u32) -> Standing {
        let used = self.rate.burst.saturating_sub(remaining);
        let reset = Duration::from_mins(1).saturating_mul(used) / self.rate.per_minute.max(1);
        Standing { limit: self.rate.burst, remaining, reset_s: reset.as_secs().saturating_add(1) }
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for Limiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Standing {
    /// Tells the caller.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        for (name, value) in [
            (HeaderName::from_static("ratelimit-limit"), u64::from(self.limit)),
            (HeaderName::from_static("ratelimit-remaining"), u64::from(self.remaining)),
            (HeaderName::from_static("ratelimit-reset"), self.reset_s),
        ] {
            // An answer that was refused by a narrower limit, such as that of sign-in, says that one.
            headers.entry(name).or_insert(HeaderValue::from(value));
        }
    }
}

fn quota(rate: Rate) -> Quota {
    let at_least_one = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(at_least_one(rate.per_minute)).allow_burst(at_least_one(rate.burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_burst() {
        let limiter = Limiter::new(Rate { per_minute: 1, burst: 3 });
        let standings: Vec<_> = (0..3).map(|_| limiter.check(&"a").unwrap().remaining).collect();
        assert_eq!(standings, [2, 1, 0]);
        let error = limiter.check(&"a").unwrap_err();
        assert_eq!(error.code(), ErrorCode::RateLimited);
        assert!(limiter.check(&"b").is_ok());
    }

    #[test]
    fn keys_are_bounded() {
        let limiter = Limiter::new(Rate { per_minute: 60, burst: 1 });
        let refused = (0..100_000_u32).filter(|key| limiter.check(key).is_err()).count();
        assert!(limiter.keyed.len() <= MAX_KEYS, "{}", limiter.keyed.len());
        assert!(refused > 0, "beyond the keys the shared count holds");
    }
}
