//! Slows guessing down: ten attempts a minute per address and per account, then delays that double.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode};
use crate::secret::sha256;

/// Attempts within one [`WINDOW`].
pub(super) const LIMIT: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
const FIRST_DELAY: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// After this long without an attempt everything is forgotten.
const MEMORY: Duration = Duration::from_secs(2 * 3600);
/// Addresses and accounts that are remembered, each. When more come, those longest quiet are forgotten.
const CAPACITY: usize = 10_000;

/// Counts attempts.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    addresses: Mutex<Table<Network>>,
    accounts: Mutex<Table<[u8; 32]>>,
}

/// An address, or for IPv6 the /64 that one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
    Unknown,
}

impl Network {
    fn of(ip: &str) -> Self {
        match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(IpAddr::V4(ip)) => Self::V4(ip.octets()),
            Ok(IpAddr::V6(ip)) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
            Err(_) => Self::Unknown,
        }
    }
}

impl Throttle {
    /// Counts one attempt from `ip` at `account`, before it is looked at.
    ///
    /// # Errors
    /// When there were too many; the attempt must not be looked at then.
    pub(super) fn admit(&self, now: Timestamp, ip: &str, account: &str) -> Result<(), Refusal> {
        let network = Network::of(ip);
        let by_address = lock(&self.addresses).admit(now, network);
        // A blocked address does not use up the account's attempts.
        by_address.and_then(|()| lock(&self.accounts).admit(now, key(account)))
    }

    /// Counts one attempt from `ip` at what is no account.
    ///
    /// # Errors
    /// As [`Throttle::admit`].
    pub(super) fn admit_address(&self, now: Timestamp, ip: &str) -> Result<(), Refusal> {
        lock(&self.addresses).admit(now, Network::of(ip))
    }

    /// The attempt was right: the account's owner starts afresh. The address does not, or one's own account would buy
    /// guesses at others.
    pub(super) fn forgive(&self, account: &str) {
        lock(&self.accounts).entries.remove(&key(account));
    }
}

/// Accounts are kept as digests: a memory dump names nobody, and a long name takes no more room.
fn key(account: &str) -> [u8; 32] {
    *sha256(account.as_bytes()).as_bytes()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Too many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// How long until the next attempt is looked at.
    pub(super) wait: Duration,
    /// Whether this attempt started the delay.
    pub(super) first: bool,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let seconds = refusal.wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1);
        let message = format!("too many attempts; try again in {seconds} seconds");
        Self::new(ErrorCode::RateLimited, message).retry_after(seconds)
    }
}

/// At most [`Budget::PER_WINDOW`] a minute of something.
#[derive(Debug, Default)]
pub(super) struct Budget(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    window_start: Option<Timestamp>,
    used: u32,
    refused: u64,
}

impl Budget {
    const PER_WINDOW: u32 = 60;

    /// Whether there is one left, and how many were refused since the last.
    pub(super) fn spend(&self, now: Timestamp) -> Option<u64> {
        let mut spent = lock(&self.0);
        if spent.window_start.is_none_or(|start| now.since(start) >= WINDOW) {
            spent.window_start = Some(now);
            spent.used = 0;
        }
        if spent.used >= Self::PER_WINDOW {
            spent.refused += 1;
            return None;
        }
        spent.used += 1;
        Some(std::mem::take(&mut spent.refused))
    }
}

#[derive(Debug)]
struct Table<K> {
    entries: HashMap<K, Entry>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { entries: HashMap::new() }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    window_start: Timestamp,
    attempts: u32,
    delay: Duration,
    blocked_until: Timestamp,
    last: Timestamp,
}

impl Entry {
    const fn new(now: Timestamp) -> Self {
        Self { window_start: now, attempts: 0, delay: FIRST_DELAY, blocked_until: now, last: now }
    }
}

impl<K: Copy + Eq + Hash> Table<K> {
    fn admit(&mut self, now: Timestamp, key: K) -> Result<(), Refusal> {
        if !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(now));
        if now.since(entry.last) >= MEMORY {
            *entry = Entry::new(now);
        }
        entry.last = now;
        let wait = entry.blocked_until.since(now);
        if !wait.is_zero() {
            return Err(Refusal { wait, first: false });
        }
        if now.since(entry.window_start) >= WINDOW {
            entry.window_start = now;
            entry.attempts = 0;
        }
        entry.attempts += 1;
        if entry.attempts <= LIMIT {
            return Ok(());
        }
        let wait = entry.delay;
        entry.blocked_until = now.plus(wait);
        entry.delay = (wait * 2).min(LONGEST_DELAY);
        // When the delay is over one attempt decides: a wrong one is followed by the next, longer delay.
        entry.window_start = entry.blocked_until;
        entry.attempts = LIMIT - 1;
        Err(Refusal { wait, first: true })
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.entries.len() < CAPACITY {
            return;
        }
        self.entries.retain(|_, entry| now.since(entry.last) < MEMORY);
        while self.entries.len() >= CAPACITY {
            let quietest = self.entries.iter().min_by_key(|(_, entry)| entry.last).map(|(key, _)| *key);
            let Some(quietest) = quietest else { return };
            self.entries.remove(&quietest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1000)
    }

    fn waits(throttle: &Throttle, now: Timestamp, ip: &str, account: &str) -> Option<String> {
        throttle.admit(now, ip, account).err().map(|refusal| Error::from(refusal).message().to_owned())
    }

    #[test]
    fn ten_a_minute_then_delays_that_double() {
        let throttle = Throttle::default();
        for _ in 0..LIMIT {
            assert_eq!(waits(&throttle, at(0), "192.0.2.1", "ann"), None);
        }
        let message = |seconds: u64| Some(format!("too many attempts; try again in {seconds} seconds"));
        assert_eq!(waits(&throttle, at(0), "192.0.2.1", "ann"), message(60));
        assert_eq!(waits(&throttle, at(20), "192.0.2.1", "ann"), message(40));
        assert_eq!(waits(&throttle, at(60), "192.0.2.1", "ann"), None);
        assert_eq!(waits(&throttle, at(61), "192.0.2.1", "ann"), message(120));
        assert_eq!(waits(&throttle, at(61 + 120), "192.0.2.1", "ann"), None);
        assert_eq!(waits(&throttle, at(61 + 120), "192.0.2.1", "ann"), message(240));
        assert_eq!(waits(&throttle, at(61 + 120 + 2 * 3600), "192.0.2.1", "ann"), None);
    }

    #[test]
    fn accounts_are_protected_from_many_addresses_and_addresses_count_for_many_accounts() {
        let throttle = Throttle::default();
        for n in 0..LIMIT {
            assert_eq!(waits(&throttle, at(0), &format!("192.0.2.{n}"), "ann"), None);
        }
        assert!(waits(&throttle, at(0), "192.0.2.99", "ann").is_some());
        for n in 0..LIMIT {
            assert_eq!(waits(&throttle, at(0), &format!("2001:db8::{n}"), &format!("user{n}")), None);
        }
        assert!(waits(&throttle, at(0), "2001:db8::ffff:ffff", "somebody").is_some());
        assert!(waits(&throttle, at(0), "2001:db8:0:1::1", "somebody").is_none());
        assert!(waits(&throttle, at(0), "::ffff:192.0.2.5", "somebody").is_none());
    }

    #[test]
    fn a_right_password_frees_the_account_and_not_the_address() {
        let throttle = Throttle::default();
        for _ in 0..LIMIT {
            assert_eq!(waits(&throttle, at(0), "192.0.2.1", "ann"), None);
            throttle.forgive("ann");
        }
        assert_eq!(waits(&throttle, at(0), "192.0.2.2", "ann"), None);
        assert!(waits(&throttle, at(0), "192.0.2.1", "ann").is_some());
    }

    #[test]
    fn a_budget_comes_back_with_the_next_minute_and_counts_what_it_refused() {
        let budget = Budget::default();
        for _ in 0..Budget::PER_WINDOW {
            assert_eq!(budget.spend(at(0)), Some(0));
        }
        assert_eq!((budget.spend(at(59)), budget.spend(at(59))), (None, None));
        assert_eq!(budget.spend(at(60)), Some(2));
        assert_eq!(budget.spend(at(60)), Some(0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut table = Table::default();
        for n in 0..CAPACITY + 100 {
            table.admit(at(i64::try_from(n).unwrap() / 100), n).unwrap();
        }
        assert_eq!(table.entries.len(), CAPACITY);
        assert!(!table.entries.contains_key(&0));
        assert!(table.entries.contains_key(&(CAPACITY + 99)));
    }
}
