//! What the slice keeps in memory: who is connected, whose turn it is, how far each log has come.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{JobId, ServerId};

use super::log::{Live, LogRoom, Writer};
use super::model::Job;
use super::queue::InFlight;
use crate::background::Wake;
use crate::clock::Timestamp;
use crate::gateway::AgentLink;

/// Servers share this many turns; two that share one wait for each other's transactions, never for an agent.
const TURNS: usize = 256;

/// Delivery and log followers.
#[derive(Debug)]
pub struct State {
    sessions: Mutex<HashMap<ServerId, Session>>,
    lives: Mutex<HashMap<JobId, Arc<Live>>>,
    turns: Box<[tokio::sync::Mutex<()>]>,
    position: AtomicI64,
    connections: AtomicU64,
    /// Stores what agents send of logs.
    pub(super) writer: Writer,
    /// How much room logs take.
    pub(super) log_room: LogRoom,
    /// Wakes the reconciler before its time.
    pub(super) wake: Wake,
}

/// A connected server.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// How to reach it.
    pub(super) link: AgentLink,
    /// Which boot of the machine it speaks for.
    pub(super) boot_id: Arc<str>,
    /// Tells this connection from the others of the server.
    number: u64,
    /// It has its welcome: orders may follow.
    ready: bool,
    /// Jobs that run there although they have ended here.
    strays: Vec<JobId>,
    /// Jobs that are with the server, as the database has them.
    pub(super) out: InFlight,
    /// Others may wait for their turn; the database knows.
    pub(super) waiting: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            sessions: Mutex::default(),
            lives: Mutex::default(),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            position: AtomicI64::new(0),
            connections: AtomicU64::new(0),
            writer: Writer::default(),
            log_room: LogRoom::default(),
            wake: Wake::default(),
        }
    }
}

impl State {
    /// Waits for the turn to change the jobs of a server: one transaction with its deliveries after the other.
    pub(super) async fn turn(&self, server_id: ServerId) -> tokio::sync::MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(server_id);
        let index = usize::try_from(hash % (TURNS as u64)).unwrap_or(0);
        match self.turns.get(index) {
            Some(turn) => turn.lock().await,
            None => unreachable!("a remainder is below its divisor"),
        }
    }

    /// A place behind all jobs made before: microseconds of the clock, or one more than the last place.
    pub(super) fn next_position(&self, now: Timestamp) -> i64 {
        let wanted = now.as_ms().saturating_mul(1000);
        let next = |last: i64| wanted.max(last.saturating_add(1));
        self.position.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last))).map_or(wanted, next)
    }

    /// A newly connected server, in place of an older connection of the same server.
    pub(super) fn connect(&self, link: &AgentLink, boot_id: &str) {
        let session = Session {
            link: link.clone(),
            boot_id: boot_id.into(),
            number: self.connections.fetch_add(1, Ordering::Relaxed),
            ready: false,
            strays: Vec::new(),
            out: InFlight::default(),
            waiting: true,
        };
        self.sessions().insert(link.server_id, session);
    }

    /// Remembers which jobs run there although they have ended here, until the welcome is sent.
    pub(super) fn set_strays(&self, server_id: ServerId, strays: Vec<JobId>) {
        if let Some(session) = self.sessions().get_mut(&server_id) {
            session.strays = strays;
        }
    }

    /// The connection got its welcome: orders may follow. Gives the jobs that run there although they have ended here.
    pub(super) fn ready(&self, server_id: ServerId) -> Vec<JobId> {
        let mut sessions = self.sessions();
        let Some(session) = sessions.get_mut(&server_id) else { return Vec::new() };
        session.ready = true;
        std::mem::take(&mut session.strays)
    }

    /// The server has no connection any more.
    pub(super) fn disconnect(&self, server_id: ServerId) {
        self.sessions().remove(&server_id);
    }

    /// The connection of a server that takes orders.
    pub(super) fn session(&self, server_id: ServerId) -> Option<Session> {
        self.sessions().get(&server_id).filter(|session| session.ready).cloned()
    }

    /// What a step found out about a session, unless the server has connected anew since.
    pub(super) fn settle(&self, session: &Session) {
        let mut sessions = self.sessions();
        let current = sessions.get_mut(&session.link.server_id).filter(|current| current.number == session.number);
        if let Some(current) = current {
            current.out.clone_from(&session.out);
            current.waiting = session.waiting;
        }
    }

    /// Whether a server is connected, welcome or not.
    pub(super) fn is_connected(&self, server_id: ServerId) -> bool {
        self.sessions().contains_key(&server_id)
    }

    /// The log of a job that is written or followed right now.
    pub(super) fn live(&self, id: JobId) -> Option<Arc<Live>> {
        self.lives().get(&id).cloned()
    }

    /// Bytes that logs take which are written right now.
    pub(super) fn live_log_room(&self) -> u64 {
        self.lives().values().fold(0, |sum, live| sum.saturating_add(live.room()))
    }

    /// Keeps `live`, or gives the one that is there already.
    pub(super) fn keep_live(&self, live: Arc<Live>) -> Arc<Live> {
        Arc::clone(self.lives().entry(live.job_id).or_insert(live))
    }

    /// The job has changed durably. After its end followers may send the rest and go.
    pub(super) fn note(&self, job: Job) {
        if job.state.is_terminal() {
            if let Some(live) = self.lives().remove(&job.id) {
                live.end();
            }
        } else if let Some(live) = self.live(job.id) {
            live.remember(job);
        }
    }

    /// A follower goes; an entry that was made for it alone goes with it.
    pub(super) fn release(&self, live: &Arc<Live>) {
        let mut lives = self.lives();
        // The map and the caller.
        if Arc::strong_count(live) <= 2 && live.is_idle() {
            lives.remove(&live.job_id);
        }
    }

    // Holders of these locks do not panic between two changes that belong together.
    fn sessions(&self) -> MutexGuard<'_, HashMap<ServerId, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lives(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Live>>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
