//! Slows guessing down: ten attempts a minute per address and per account, then delays that double.

mod network;
mod table;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode};
use crate::secret::sha256;

use super::store::AttemptRow;
pub(super) use network::Network;
pub(super) use table::MEMORY;
use table::Table;

const WINDOW: Duration = Duration::from_secs(60);
/// What rows of addresses and of accounts are called.
const KINDS: [&str; 2] = ["network", "account"];

/// Counts attempts.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    addresses: Mutex<Table<Network>>,
    accounts: Mutex<Table<[u8; 32]>>,
}

/// What the database must be told.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) put: Vec<AttemptRow>,
    /// Kind and name.
    pub(super) delete: Vec<(&'static str, String)>,
}

impl Changes {
    pub(super) const fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }
}

impl Throttle {
    /// Counts one attempt from an address, before it is looked at.
    ///
    /// # Errors
    /// When there were too many; the attempt must not be looked at then.
    pub(super) fn admit_address(&self, now: Timestamp, network: Network) -> Result<(), Refusal> {
        lock(&self.addresses).admit(now, network)
    }

    /// Counts one attempt at an account. Only for addresses that were admitted: a blocked one does not use up the
    /// account's attempts.
    ///
    /// # Errors
    /// As [`Throttle::admit_address`].
    pub(super) fn admit_account(&self, now: Timestamp, account: &str) -> Result<(), Refusal> {
        lock(&self.accounts).admit(now, key(account))
    }

    /// The attempt was right: the account's owner starts afresh. The address does not, or one's own account would buy
    /// guesses at others.
    pub(super) fn forgive(&self, account: &str) {
        lock(&self.accounts).remove(key(account));
    }

    /// Forgets who has been quiet for long.
    pub(super) fn forget_old(&self, now: Timestamp) {
        lock(&self.addresses).forget_old(now);
        lock(&self.accounts).forget_old(now);
    }

    /// Whether the database should be told of something.
    pub(super) fn has_changes(&self) -> bool {
        lock(&self.addresses).has_changes() || lock(&self.accounts).has_changes()
    }

    /// What the database does not know yet, at most `limit` of addresses and of accounts.
    pub(super) fn take_changes(&self, now: Timestamp, limit: usize) -> Changes {
        let mut changes = Changes::default();
        let [network, account] = KINDS;
        lock(&self.addresses).take_changes(now, limit, network, Network::to_string, &mut changes);
        let hex = |digest: &[u8; 32]| protocol::hex::encode(digest);
        lock(&self.accounts).take_changes(now, limit, account, hex, &mut changes);
        changes
    }

    /// The database could not be told.
    pub(super) fn give_back(&self, changes: &Changes) {
        let put = changes.put.iter().map(|row| (row.kind.as_str(), row.name.as_str()));
        for (kind, name) in put.chain(changes.delete.iter().map(|(kind, name)| (*kind, name.as_str()))) {
            match (kind == KINDS[0], Network::parse(name), digest(name)) {
                (true, Some(network), _) => lock(&self.addresses).note(network),
                (false, _, Some(digest)) => lock(&self.accounts).note(digest),
                _ => {}
            }
        }
    }

    /// Remembers what a hub knew before it stopped.
    pub(super) fn restore(&self, now: Timestamp, rows: Vec<AttemptRow>) {
        for row in rows {
            if row.kind == KINDS[0] {
                if let Some(network) = Network::parse(&row.name) {
                    lock(&self.addresses).restore(now, network, &row);
                }
            } else if let Some(digest) = digest(&row.name) {
                lock(&self.accounts).restore(now, digest, &row);
            }
        }
    }
}

/// Accounts are kept as digests: a memory dump names nobody, and a long name takes no more room.
fn key(account: &str) -> [u8; 32] {
    *sha256(account.as_bytes()).as_bytes()
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    hex.parse::<protocol::Hex<32>>().ok().map(|hex| *hex.as_bytes())
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

#[cfg(test)]
mod tests {
    use super::table::LIMIT;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1000)
    }

    fn waits(throttle: &Throttle, now: Timestamp, ip: &str, account: &str) -> Option<String> {
        let admitted = throttle.admit_address(now, Network::of(ip)).and_then(|()| throttle.admit_account(now, account));
        admitted.err().map(|refusal| Error::from(refusal).message().to_owned())
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

    /// What a hub that is started again knows.
    fn again(throttle: &Throttle, now: Timestamp) -> Throttle {
        let changes = throttle.take_changes(now, 1000);
        let again = Throttle::default();
        again.restore(now, changes.put);
        again
    }

    #[test]
    fn a_restart_forgets_no_delay() {
        let throttle = Throttle::default();
        for _ in 0..=LIMIT {
            waits(&throttle, at(0), "2001:db8::1", "ann");
        }
        let again = again(&throttle, at(10));
        let message = Some("too many attempts; try again in 50 seconds".to_owned());
        assert_eq!(waits(&again, at(10), "2001:db8::2", "bob"), message);
        assert_eq!(waits(&again, at(60), "2001:db8::2", "bob"), None);
        let message = Some("too many attempts; try again in 120 seconds".to_owned());
        assert_eq!(waits(&again, at(60), "2001:db8::2", "bob"), message, "the delays go on growing");
    }

    #[test]
    fn what_is_stored_locks_nobody_out_for_good() {
        let throttle = Throttle::default();
        for _ in 0..=LIMIT {
            waits(&throttle, at(0), "192.0.2.1", "ann");
        }
        let mut rows = throttle.take_changes(at(0), 1000).put;
        for row in &mut rows {
            // As after a clock that was years ahead.
            (row.blocked_until, row.delay_ms, row.last_at) = (at(1 << 40), i64::MAX, at(1 << 40));
            (row.window_start, row.attempts) = (at(1 << 40), i64::MAX);
        }
        let again = Throttle::default();
        again.restore(at(0), rows);
        assert!(waits(&again, at(3599), "192.0.2.1", "ann").is_some());
        assert_eq!(waits(&again, at(3600), "192.0.2.1", "ann"), None);
    }

    #[test]
    fn only_what_matters_is_stored_and_it_goes_when_it_is_forgiven() {
        let throttle = Throttle::default();
        for _ in 0..LIMIT / 2 {
            waits(&throttle, at(0), "192.0.2.1", "ann");
        }
        assert!(!throttle.has_changes());
        waits(&throttle, at(0), "192.0.2.1", "ann");
        let changes = throttle.take_changes(at(0), 1000);
        assert_eq!((changes.put.len(), changes.delete.len()), (2, 0));
        assert!(!throttle.has_changes());
        throttle.give_back(&changes);
        assert_eq!(throttle.take_changes(at(0), 1000).put.len(), 2, "a database that was away is told later");
        throttle.forgive("ann");
        let changes = throttle.take_changes(at(0), 1000);
        assert_eq!((changes.put.len(), changes.delete.len()), (0, 1));
        throttle.forget_old(at(2 * 3600));
        assert_eq!(throttle.take_changes(at(2 * 3600), 1000).delete.len(), 1, "of the address");
    }
}
