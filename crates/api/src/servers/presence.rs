//! Whether servers can be reached, as a state machine without a clock of its own.
//!
//! It knows who is connected, when each was last heard of, and what was last announced. [`Presence::due`] names every
//! server whose announced status is not the true one; who asks makes it durable and confirms with
//! [`Presence::announced`], so a status that could not be written is due again.

use std::collections::HashMap;
use std::time::Duration;

use protocol::{ServerId, WorkspaceId};

use super::model::Status;
use crate::clock::Timestamp;

/// A clock that moved further than this between two looks means that the hub stood still or its clock was set: what
/// was not heard meanwhile says nothing about servers.
const CLOCK_GAP: Duration = Duration::from_secs(10);

/// Presence of every server that has ever connected and is not revoked.
#[derive(Debug, Default)]
pub(super) struct Presence {
    servers: HashMap<ServerId, Entry>,
    looked_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Entry {
    workspace_id: WorkspaceId,
    connected: bool,
    heard: Timestamp,
    /// What counts against the deadline: like `heard`, but forgiving while the hub itself was not there.
    alive: Timestamp,
    announced: Option<Status>,
    /// `heard` as it was last written down.
    written: Option<Timestamp>,
}

/// A status that is to be made durable and announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) server_id: ServerId,
    pub(super) workspace_id: WorkspaceId,
    pub(super) status: Status,
    pub(super) last_seen_at: Timestamp,
}

impl Presence {
    /// Takes over what the database says when the hub starts. Until its deadline nobody is given up.
    pub(super) fn restore(
        &mut self,
        server_id: ServerId,
        workspace_id: WorkspaceId,
        status: Status,
        last_seen: Timestamp,
        now: Timestamp,
    ) {
        // An agent may have been faster than the start.
        self.servers.entry(server_id).or_insert(Entry {
            workspace_id,
            connected: false,
            heard: last_seen,
            // Offline stays offline; what was reachable before gets its deadline from now on.
            alive: if status == Status::Offline { Timestamp::from_ms(i64::MIN) } else { now },
            announced: Some(status),
            written: Some(last_seen),
        });
    }

    /// A connection came up.
    pub(super) fn connected(&mut self, server_id: ServerId, workspace_id: WorkspaceId, now: Timestamp) {
        let entry = self.servers.entry(server_id).or_insert(Entry {
            workspace_id,
            connected: true,
            heard: now,
            alive: now,
            announced: None,
            written: None,
        });
        entry.connected = true;
        entry.hear(now);
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self, server_id: ServerId, heard: Option<Timestamp>) {
        if let Some(entry) = self.servers.get_mut(&server_id) {
            entry.connected = false;
            if let Some(heard) = heard {
                entry.hear(heard);
            }
        }
    }

    /// The server is revoked or removed.
    pub(super) fn forget(&mut self, server_id: ServerId) {
        self.servers.remove(&server_id);
    }

    /// What has to be announced now. `heard` tells when a connected server was last heard of.
    pub(super) fn due(
        &mut self,
        now: Timestamp,
        deadline: Duration,
        heard: impl Fn(ServerId) -> Option<Timestamp>,
    ) -> Vec<Transition> {
        self.forgive(now);
        let mut due = Vec::new();
        for (server_id, entry) in &mut self.servers {
            if entry.connected
                && let Some(heard) = heard(*server_id)
            {
                entry.hear(heard);
            }
            let status = entry.status(now, deadline);
            if entry.announced != Some(status) {
                let last_seen_at = entry.heard;
                due.push(Transition { server_id: *server_id, workspace_id: entry.workspace_id, status, last_seen_at });
            }
        }
        due
    }

    /// A status was made durable.
    pub(super) fn announced(&mut self, transition: &Transition) {
        if let Some(entry) = self.servers.get_mut(&transition.server_id) {
            entry.announced = Some(transition.status);
            entry.written = Some(transition.last_seen_at);
        }
    }

    /// Last signs of life that were not written down yet.
    pub(super) fn unwritten(&self) -> Vec<(ServerId, Timestamp)> {
        let unwritten =
            |(id, entry): (&ServerId, &Entry)| (entry.written != Some(entry.heard)).then_some((*id, entry.heard));
        self.servers.iter().filter_map(unwritten).collect()
    }

    /// Signs of life were written down.
    pub(super) fn written(&mut self, seen: &[(ServerId, Timestamp)]) {
        for (server_id, at) in seen {
            if let Some(entry) = self.servers.get_mut(server_id) {
                entry.written = Some(*at);
            }
        }
    }

    /// Evens out a clock that jumped, in either direction.
    fn forgive(&mut self, now: Timestamp) {
        let looked_at = self.looked_at.replace(now);
        let Some(looked_at) = looked_at else { return };
        if now.since(looked_at) > CLOCK_GAP {
            for entry in self.servers.values_mut().filter(|entry| entry.is_waiting()) {
                entry.alive = now;
            }
        } else if now < looked_at {
            for entry in self.servers.values_mut() {
                entry.alive = entry.alive.min(now);
                entry.heard = entry.heard.min(now);
            }
        }
    }
}

impl Entry {
    fn hear(&mut self, at: Timestamp) {
        self.heard = self.heard.max(at);
        self.alive = self.alive.max(at);
    }

    /// Not given up yet.
    fn is_waiting(&self) -> bool {
        self.connected || matches!(self.announced, Some(Status::Online | Status::Suspect))
    }

    fn status(&self, now: Timestamp, deadline: Duration) -> Status {
        if now.since(self.alive) >= deadline {
            Status::Offline
        } else if self.connected {
            Status::Online
        } else {
            Status::Suspect
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use uuid::Uuid;

    const DEADLINE: Duration = Duration::from_secs(30);

    struct World {
        presence: Presence,
        clock: ManualClock,
        heard: HashMap<ServerId, Timestamp>,
    }

    fn id(number: u128) -> ServerId {
        ServerId::new(Uuid::from_u128(number))
    }

    fn workspace() -> WorkspaceId {
        WorkspaceId::new(Uuid::from_u128(99))
    }

    impl World {
        fn new() -> Self {
            let clock = ManualClock::new(Timestamp::from_ms(1_700_000_000_000));
            Self { presence: Presence::default(), clock, heard: HashMap::new() }
        }

        fn connect(&mut self, number: u128) {
            self.presence.connected(id(number), workspace(), self.clock.now());
            self.hear(number);
        }

        fn hear(&mut self, number: u128) {
            self.heard.insert(id(number), self.clock.now());
        }

        fn restore(&mut self, number: u128, status: Status, ago: Duration) {
            let now = self.clock.now();
            self.presence.restore(id(number), workspace(), status, now.minus(ago), now);
        }

        /// Looks once; everything is written.
        fn look(&mut self) -> Vec<(u128, Status)> {
            let heard = &self.heard;
            let due = self.presence.due(self.clock.now(), DEADLINE, |server| heard.get(&server).copied());
            for transition in &due {
                self.presence.announced(transition);
            }
            let mut due: Vec<_> = due.iter().map(|due| (due.server_id.uuid().as_u128(), due.status)).collect();
            due.sort_unstable();
            due
        }

        /// Looks every second.
        fn pass(&mut self, seconds: u64) -> Vec<(u128, Status)> {
            let mut seen = Vec::new();
            for _ in 0..seconds {
                self.clock.advance(Duration::from_secs(1));
                seen.extend(self.look());
            }
            seen
        }
    }

    #[test]
    fn a_lost_socket_is_suspect_at_once_and_offline_at_the_deadline() {
        let mut world = World::new();
        world.connect(1);
        assert_eq!(world.look(), [(1, Status::Online)]);
        assert_eq!(world.pass(10), []);
        world.hear(1);
        world.look();
        world.presence.disconnected(id(1), None);
        assert_eq!(world.look(), [(1, Status::Suspect)]);
        assert_eq!(world.pass(29), []);
        assert_eq!(world.pass(1), [(1, Status::Offline)]);
        world.connect(1);
        assert_eq!(world.look(), [(1, Status::Online)]);
    }

    #[test]
    fn a_silent_socket_is_offline_at_the_deadline() {
        let mut world = World::new();
        world.connect(1);
        world.look();
        assert_eq!(world.pass(29), []);
        assert_eq!(world.pass(1), [(1, Status::Offline)]);
        world.hear(1);
        assert_eq!(world.look(), [(1, Status::Online)], "the socket woke up again");
    }

    #[test]
    fn after_a_restart_servers_are_suspect_until_the_deadline() {
        let mut world = World::new();
        world.restore(1, Status::Online, Duration::from_secs(3600));
        world.restore(2, Status::Online, Duration::from_secs(1));
        world.restore(3, Status::Offline, Duration::from_secs(1));
        assert_eq!(world.look(), [(1, Status::Suspect), (2, Status::Suspect)]);
        world.connect(2);
        assert_eq!(world.look(), [(2, Status::Online)]);
        assert_eq!(world.pass(28), []);
        world.hear(2);
        assert_eq!(world.pass(2), [(1, Status::Offline)]);
    }

    #[test]
    fn a_hub_that_stood_still_gives_everybody_a_new_deadline() {
        let mut world = World::new();
        world.connect(1);
        world.connect(2);
        world.restore(3, Status::Offline, Duration::from_secs(60));
        world.look();
        world.presence.disconnected(id(2), None);
        world.look();
        world.clock.advance(Duration::from_secs(3600));
        assert_eq!(world.look(), [], "nobody is given up because of the hub's own sleep");
        assert_eq!(world.pass(29), []);
        assert_eq!(world.pass(1), [(1, Status::Offline), (2, Status::Offline)]);
    }

    #[test]
    fn a_clock_set_back_does_not_keep_the_dead_alive() {
        let mut world = World::new();
        world.connect(1);
        world.look();
        world.presence.disconnected(id(1), None);
        world.look();
        world.clock.advance(Duration::from_secs(1));
        world.clock = ManualClock::new(world.clock.now().minus(Duration::from_secs(7200)));
        assert_eq!(world.look(), []);
        assert_eq!(world.pass(30), [(1, Status::Offline)]);
    }

    #[test]
    fn what_could_not_be_written_is_due_again() {
        let mut world = World::new();
        world.connect(1);
        let now = world.clock.now();
        assert_eq!(world.presence.due(now, DEADLINE, |_| None).len(), 1);
        assert_eq!(world.presence.due(now, DEADLINE, |_| None).len(), 1);
    }

    #[test]
    fn forgotten_servers_are_not_announced() {
        let mut world = World::new();
        world.connect(1);
        world.look();
        world.presence.forget(id(1));
        world.presence.disconnected(id(1), None);
        assert_eq!(world.pass(60), []);
        assert!(world.presence.unwritten().is_empty());
    }
}
