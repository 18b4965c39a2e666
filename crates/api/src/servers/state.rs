//! What the hub keeps in memory about servers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::ServerId;

use super::pages::Pages;
use super::presence::Presence;
use super::watch::Watches;
use crate::background::Wake;
use crate::clock::Timestamp;

/// Events of one server that are announced and audited within an hour; further ones are only stored.
const LOUD_EVENTS_PER_HOUR: u32 = 60;
const HOUR_S: i64 = 3600;

/// Presence of servers, who watches them, and how loud they are.
#[derive(Debug, Default)]
pub struct State {
    presence: Mutex<Presence>,
    bookkeeping: Mutex<Bookkeeping>,
    watches: Mutex<Watches>,
    loud: Mutex<Loud>,
    /// Pages of the list that were asked for just now.
    pub(super) pages: Pages,
    /// Makes presence look at once.
    pub(super) wake: Wake,
}

/// What the presence task remembers between two looks.
#[derive(Debug, Default)]
pub(super) struct Bookkeeping {
    pub(super) restored: bool,
    pub(super) flushed_at: Option<Timestamp>,
}

/// Counts events by the hour.
#[derive(Debug, Default)]
struct Loud {
    hour: i64,
    counts: HashMap<ServerId, u32>,
}

impl State {
    pub(super) fn presence(&self) -> MutexGuard<'_, Presence> {
        locked(&self.presence)
    }

    pub(super) fn bookkeeping(&self) -> MutexGuard<'_, Bookkeeping> {
        locked(&self.bookkeeping)
    }

    pub(super) fn watches(&self) -> MutexGuard<'_, Watches> {
        locked(&self.watches)
    }

    /// Whether one more event of this server may be announced and audited in this hour.
    pub(super) fn may_be_loud(&self, server: ServerId, now: Timestamp) -> bool {
        let mut loud = locked(&self.loud);
        let hour = now.as_s().div_euclid(HOUR_S);
        if loud.hour != hour {
            *loud = Loud { hour, counts: HashMap::new() };
        }
        let count = loud.counts.entry(server).or_default();
        *count = count.saturating_add(1);
        *count <= LOUD_EVENTS_PER_HOUR
    }
}

/// No holder leaves these half-changed when it panics.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
