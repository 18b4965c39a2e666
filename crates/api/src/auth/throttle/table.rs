//! The attempts of everybody of one kind.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use super::super::store::AttemptRow;
use super::{Changes, Refusal, WINDOW};
use crate::clock::Timestamp;

/// Attempts within one [`WINDOW`].
pub(super) const LIMIT: u32 = 10;
/// From so many on within one window, they are worth remembering beyond a restart.
const NEAR: u32 = LIMIT / 2 + 1;
const FIRST_DELAY: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// After this long without an attempt everything is forgotten.
pub(in crate::auth) const MEMORY: Duration = Duration::from_secs(2 * 3600);
/// Addresses and accounts that are remembered, each. When more come, those longest quiet are forgotten that are neither
/// delayed nor near to it; where there is none of these, whoever is new is counted together with everybody else who is.
const CAPACITY: usize = 10_000;
/// How many of them the database holds.
const KEPT: usize = 2_000;

#[derive(Debug)]
pub(super) struct Table<K> {
    entries: HashMap<K, Entry>,
    /// What the database holds.
    kept: HashSet<K>,
    /// What the database must be told of.
    changed: HashSet<K>,
    /// Of all for whom there was no room.
    others: Option<Entry>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { entries: HashMap::new(), kept: HashSet::new(), changed: HashSet::new(), others: None }
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

    fn admit(&mut self, now: Timestamp) -> Result<(), Refusal> {
        if now.since(self.last) >= MEMORY {
            *self = Self::new(now);
        }
        self.last = now;
        let wait = self.blocked_until.since(now);
        if !wait.is_zero() {
            return Err(Refusal { wait, first: false });
        }
        if now.since(self.window_start) >= WINDOW {
            self.window_start = now;
            self.attempts = 0;
        }
        self.attempts += 1;
        if self.attempts <= LIMIT {
            return Ok(());
        }
        let wait = self.delay;
        self.blocked_until = now.plus(wait);
        self.delay = (wait * 2).min(LONGEST_DELAY);
        // When the delay is over one attempt decides: a wrong one is followed by the next, longer delay.
        self.window_start = self.blocked_until;
        self.attempts = LIMIT - 1;
        Err(Refusal { wait, first: true })
    }

    /// Delayed, delayed before, or near to it.
    fn is_worth_keeping(&self) -> bool {
        self.delay > FIRST_DELAY || self.attempts >= NEAR
    }

    fn row(&self, kind: &str, name: String) -> AttemptRow {
        AttemptRow {
            kind: kind.to_owned(),
            name,
            window_start: self.window_start,
            attempts: self.attempts.into(),
            delay_ms: i64::try_from(self.delay.as_millis()).unwrap_or(i64::MAX),
            blocked_until: self.blocked_until,
            last_at: self.last,
        }
    }

    /// A row may be from a hub whose clock was wrong: nothing of it reaches further than it could from now.
    fn of(row: &AttemptRow, now: Timestamp) -> Self {
        let delay = Duration::from_millis(row.delay_ms.try_into().unwrap_or(0));
        let blocked_until = row.blocked_until.min(now.plus(LONGEST_DELAY));
        // One attempt is left when a delay is over.
        let most = if blocked_until > now { LIMIT - 1 } else { LIMIT };
        Self {
            window_start: row.window_start.min(blocked_until.max(now)),
            attempts: u32::try_from(row.attempts).unwrap_or(most).min(most),
            delay: delay.clamp(FIRST_DELAY, LONGEST_DELAY),
            blocked_until,
            last: row.last_at.min(now),
        }
    }
}

impl<K: Copy + Eq + Hash> Table<K> {
    pub(super) fn admit(&mut self, now: Timestamp, key: K) -> Result<(), Refusal> {
        if !self.entries.contains_key(&key) && !self.make_room(now) {
            return self.others.get_or_insert_with(|| Entry::new(now)).admit(now);
        }
        let admitted = self.entries.entry(key).or_insert_with(|| Entry::new(now)).admit(now);
        if !matches!(admitted, Err(Refusal { first: false, .. })) {
            self.note(key);
        }
        admitted
    }

    pub(super) fn remove(&mut self, key: K) {
        self.entries.remove(&key);
        self.note(key);
    }

    /// The database must be told of it, if it is worth that or the database holds it.
    pub(super) fn note(&mut self, key: K) {
        if self.kept.contains(&key) || self.entries.get(&key).is_some_and(Entry::is_worth_keeping) {
            self.changed.insert(key);
        }
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn take_changes(
        &mut self,
        now: Timestamp,
        limit: usize,
        kind: &'static str,
        name: impl Fn(&K) -> String,
        into: &mut Changes,
    ) {
        let keys = self.changed.iter().take(limit).copied().collect::<Vec<_>>();
        for key in keys {
            self.changed.remove(&key);
            let entry = self.entries.get(&key).filter(|entry| entry.is_worth_keeping());
            match entry.filter(|entry| now.since(entry.last) < MEMORY) {
                Some(entry) if self.kept.contains(&key) || self.kept.len() < KEPT => {
                    into.put.push(entry.row(kind, name(&key)));
                    self.kept.insert(key);
                }
                Some(_) => {}
                None => {
                    if self.kept.remove(&key) {
                        into.delete.push((kind, name(&key)));
                    }
                }
            }
        }
    }

    pub(super) fn restore(&mut self, now: Timestamp, key: K, row: &AttemptRow) {
        if self.entries.len() < CAPACITY {
            self.entries.insert(key, Entry::of(row, now));
            self.kept.insert(key);
        }
    }

    pub(super) fn forget_old(&mut self, now: Timestamp) {
        let old = self.entries.iter().filter(|(_, entry)| now.since(entry.last) >= MEMORY).map(|(key, _)| *key);
        for key in old.collect::<Vec<_>>() {
            self.remove(key);
        }
    }

    /// Whether there is room for one more. What guessing must not make the hub forget keeps its place, or made-up names
    /// would free the one that is guessed at.
    fn make_room(&mut self, now: Timestamp) -> bool {
        if self.entries.len() < CAPACITY {
            return true;
        }
        self.forget_old(now);
        while self.entries.len() >= CAPACITY {
            let spare = self.entries.iter().filter(|(_, entry)| !entry.is_worth_keeping());
            let Some(quietest) = spare.min_by_key(|(_, entry)| entry.last).map(|(key, _)| *key) else { return false };
            self.remove(quietest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1000)
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
        assert!(table.changed.is_empty() && table.kept.is_empty());
    }

    #[test]
    fn made_up_names_free_nobody_who_is_delayed() {
        let mut table = Table::default();
        for _ in 0..=LIMIT {
            let _ = table.admit(at(0), 0);
        }
        for n in 1..=CAPACITY {
            table.admit(at(1), n).unwrap();
        }
        assert_eq!(table.admit(at(1), 0).unwrap_err().wait, Duration::from_secs(59));
        assert_eq!(table.entries.len(), CAPACITY);
    }

    #[test]
    fn where_all_are_worth_remembering_new_ones_are_counted_together() {
        let mut table = Table::default();
        for n in 0..CAPACITY {
            for _ in 0..NEAR {
                table.admit(at(0), n).unwrap();
            }
        }
        for n in 0..LIMIT {
            table.admit(at(0), CAPACITY + usize::try_from(n).unwrap()).unwrap();
        }
        assert!(table.admit(at(0), 2 * CAPACITY).unwrap_err().first);
        assert_eq!(table.entries.len(), CAPACITY);
        table.admit(at(0), 0).unwrap();
        table.admit(at(7200), 2 * CAPACITY).unwrap();
        assert!(table.entries.contains_key(&(2 * CAPACITY)), "there is room when the old ones are forgotten");
    }

    #[test]
    fn what_is_stored_is_bounded() {
        let mut table = Table::default();
        let mut changes = Changes::default();
        for n in 0..KEPT + 100 {
            for _ in 0..=LIMIT {
                let _ = table.admit(at(0), n);
            }
        }
        while table.has_changes() {
            table.take_changes(at(0), 500, "account", usize::to_string, &mut changes);
        }
        assert_eq!((changes.put.len(), table.kept.len(), changes.delete.len()), (KEPT, KEPT, 0));
    }
}
