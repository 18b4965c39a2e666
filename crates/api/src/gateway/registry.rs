//! Which agent is connected through which link: one connection per server, the newest wins.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::ServerId;
use protocol::session::ByeCode;
use tokio::sync::{Mutex as TurnMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::closing::Closing;
use super::link::AgentLink;

/// Connections that have not said hello yet, all together.
const MAX_GREETING: usize = 512;
/// How long one more waits for its turn to greet.
const GREETING_QUEUE: Duration = Duration::from_secs(5);
/// So many replacements within [`CLONE_WINDOW`] mean that two agents hold one token.
const CLONE_REPLACEMENTS: usize = 5;
const CLONE_WINDOW: Duration = Duration::from_secs(60);
/// An alarm is not repeated before.
const CLONE_QUIET: Duration = Duration::from_secs(600);

/// Connected agents.
#[derive(Debug)]
pub struct Registry {
    slots: Mutex<HashMap<ServerId, Slot>>,
    next_connection: AtomicU64,
    greeting: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Slot {
    link: Option<AgentLink>,
    /// Held while a connection enters or leaves, so that what slices are told comes in the order of what happened.
    turn: Arc<TurnMutex<()>>,
    replaced: VecDeque<Instant>,
    alarmed: Option<Instant>,
}

/// Two agents use one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cloned {
    /// How often one replaced the other within a minute.
    pub(super) replacements: usize,
    /// Where the one that was replaced last comes from.
    pub(super) other_ip: String,
}

/// The right to tell slices that a connection came or went.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Default for Registry {
    fn default() -> Self {
        let greeting = Arc::new(Semaphore::new(MAX_GREETING));
        Self { slots: Mutex::default(), next_connection: AtomicU64::new(1), greeting }
    }
}

impl Registry {
    /// The connection of a server, when it has one.
    #[must_use]
    pub fn link(&self, server: ServerId) -> Option<AgentLink> {
        self.slots().get(&server)?.link.clone()
    }

    /// Ends the connection of a server, when it has one. The agent is told why.
    pub fn close(&self, server: ServerId, code: ByeCode) {
        if let Some(link) = self.link(server) {
            link.close(Closing::bye(code, None));
        }
    }

    /// Every connection.
    #[must_use]
    pub fn links(&self) -> Vec<AgentLink> {
        self.slots().values().filter_map(|slot| slot.link.clone()).collect()
    }

    /// Connected agents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots().values().filter(|slot| slot.link.is_some()).count()
    }

    /// Whether no agent is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When a connected server was last heard of.
    #[must_use]
    pub fn heard_at(&self, server: ServerId) -> Option<crate::clock::Timestamp> {
        self.slots().get(&server)?.link.as_ref().map(AgentLink::heard_at)
    }

    /// The same of many at once, in their order.
    pub fn heard_at_each(&self, servers: impl Iterator<Item = ServerId>) -> Vec<Option<crate::clock::Timestamp>> {
        let slots = self.slots();
        servers.map(|server| slots.get(&server)?.link.as_ref().map(AgentLink::heard_at)).collect()
    }

    /// A place among the connections that have not said hello; `None` when too many wait already.
    pub(super) async fn greet(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.greeting).acquire_owned();
        tokio::time::timeout(GREETING_QUEUE, permit).await.ok()?.ok()
    }

    /// A number for a new connection.
    pub(super) fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until no other connection of this server enters or leaves.
    pub(super) async fn turn(&self, server: ServerId) -> Turn {
        let turn = Arc::clone(&self.slots().entry(server).or_default().turn);
        turn.lock_owned().await
    }

    /// Makes `link` the connection of its server and says goodbye to the one before. Says so when that happens
    /// suspiciously often.
    pub(super) fn enter(&self, _turn: &Turn, link: &AgentLink) -> Option<Cloned> {
        let mut slots = self.slots();
        let slot = slots.entry(link.server_id).or_default();
        let old = slot.link.replace(link.clone())?;
        old.close(Closing::bye(ByeCode::Replaced, None));
        let replacements = slot.count_replacement(Instant::now())?;
        Some(Cloned { replacements, other_ip: old.origin().ip.clone() })
    }

    /// Forgets `link`; `false` when a newer connection took its place.
    pub(super) fn leave(&self, _turn: &Turn, link: &AgentLink) -> bool {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(&link.server_id) else { return false };
        let is_current = slot.link.as_ref().is_some_and(|current| current.connection() == link.connection());
        if is_current {
            slot.link = None;
        }
        is_current
    }

    /// Ends a turn, and forgets the server when there is nothing to remember.
    pub(super) fn end_turn(&self, turn: Turn, server: ServerId) {
        let mut slots = self.slots();
        drop(turn);
        // Turns are handed out under this lock, so nobody else holds or awaits one when the slot's is the only one left.
        let forgettable = slots.get(&server).is_some_and(|slot| {
            let lately = slot.replaced.back().is_some_and(|last| last.elapsed() <= CLONE_WINDOW);
            slot.link.is_none() && Arc::strong_count(&slot.turn) == 1 && !lately
        });
        if forgettable {
            slots.remove(&server);
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<ServerId, Slot>> {
        // No step leaves the map half-changed.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The number of replacements in the last minute, when it is alarming and nobody was told lately.
    fn count_replacement(&mut self, now: Instant) -> Option<usize> {
        self.replaced.push_back(now);
        while self.replaced.front().is_some_and(|first| now.saturating_duration_since(*first) > CLONE_WINDOW) {
            self.replaced.pop_front();
        }
        // Bounded: more than needed tells nothing new.
        while self.replaced.len() > CLONE_REPLACEMENTS * 4 {
            self.replaced.pop_front();
        }
        let told = self.alarmed.is_some_and(|at| now.saturating_duration_since(at) < CLONE_QUIET);
        if told || self.replaced.len() < CLONE_REPLACEMENTS {
            return None;
        }
        self.alarmed = Some(now);
        Some(self.replaced.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_replacements_within_a_minute_alarm_once() {
        let mut slot = Slot::default();
        let mut alarms = Vec::new();
        for step in 0..20 {
            tokio::time::advance(Duration::from_secs(5)).await;
            alarms.extend(slot.count_replacement(Instant::now()).map(|_| step));
        }
        assert_eq!(alarms, [4]);
        tokio::time::advance(CLONE_QUIET).await;
        assert_eq!((0..5).filter_map(|_| slot.count_replacement(Instant::now())).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_comes_back_slowly_is_no_clone() {
        let mut slot = Slot::default();
        for _ in 0..50 {
            tokio::time::advance(Duration::from_secs(16)).await;
            assert_eq!(slot.count_replacement(Instant::now()), None);
        }
    }
}
