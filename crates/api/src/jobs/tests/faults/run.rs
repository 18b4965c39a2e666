//! One run: a hub, a host and a link between them, and what goes wrong with them, from a seed to the end of every job.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use protocol::job::EndState;
use protocol::{JobId, Message};
use serde_json::Value;

use super::super::support::{World, add_server};
use super::dice::Dice;
use super::machine::{Machine, Plan, Up};
use super::wire::{Fate, Wire, job_of, take};
use crate::access::authorize;
use crate::db::testing::Backup;
use crate::gateway::test_link::TestLink;
use crate::jobs::{self, log, store};

/// Things that happen before the world is made whole.
const STEPS: usize = 90;
/// So often at most the agent has to come back to a world that is whole again.
const ROUNDS: usize = 8;

/// See [`Run::ends`].
type Ends = BTreeMap<JobId, (Value, bool)>;

/// See the module.
pub(super) struct Run<'w> {
    pub(super) world: &'w mut World,
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) machine: Machine,
    pub(super) wire: Option<Wire>,
    /// Jobs that the hub has, in the order of its queue.
    pub(super) jobs: Vec<JobId>,
    /// Jobs that somebody wanted to end.
    pub(super) cancelled: BTreeSet<JobId>,
    /// Ends as they were first seen, and whether the host had claimed the job then.
    pub(super) ends: Ends,
    /// Jobs whose order the host had when a hub came back that might not know that.
    pub(super) forgotten: BTreeSet<JobId>,
    /// Of those, the ones that the host had been told to forget.
    pub(super) settled: BTreeSet<JobId>,
    /// The last job that was sent for the first time, by its place in the queue.
    pub(super) ordered: BTreeSet<usize>,
    pub(super) restored: bool,
    backup: Option<(Backup, usize, Ends)>,
    has_backups: bool,
    /// Jobs that have lost a piece of log on an unbroken connection: at most once each, see the module of the tests.
    torn: BTreeSet<JobId>,
    kind: bool,
    history: Vec<String>,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.seed;
            eprintln!("{}", self.history.join("\n"));
            eprintln!(
                "seed {seed}; again: ROADSTEAD_TEST_FAULT_SEED={seed} cargo nextest run -p api jobs::tests::faults"
            );
        }
    }
}

impl<'w> Run<'w> {
    pub(super) async fn new(world: &'w mut World, seed: u64, has_backups: bool) -> Self {
        // The hub of the world's making is held by others; this one can die.
        world.restart();
        world.server = add_server(&world.hub, world.server.workspace_id, &format!("faults-{seed}")).await;
        let dice = Dice::new(seed);
        let skew_ms = [0, 0, 3_600_000, -3_600_000][dice.below(4)];
        let machine = Machine::new(skew_ms);
        let has_backups = has_backups && dice.one_in(5);
        Self {
            world,
            seed,
            dice,
            machine,
            wire: None,
            jobs: Vec::new(),
            cancelled: BTreeSet::new(),
            ends: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            settled: BTreeSet::new(),
            ordered: BTreeSet::new(),
            restored: false,
            backup: None,
            has_backups,
            torn: BTreeSet::new(),
            kind: false,
            history: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        for step in 0..STEPS {
            self.world.test.clock.advance(Duration::from_millis(5));
            self.step().await;
            self.drain();
            if step % 15 == 14 {
                self.check().await;
            }
        }
        self.make_whole().await;
        self.check().await;
        self.check_ends().await;
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.history.push(what.into());
    }

    async fn step(&mut self) {
        let (up, down) = self.wire.as_ref().map_or((false, false), |wire| (wire.hub_open, wire.agent_open));
        match self.dice.below(40) {
            0..=2 if self.jobs.len() < 12 => self.create().await,
            3 => self.cancel().await,
            4 if self.dice.one_in(3) => self.retry().await,
            5 | 6 => self.pass_time().await,
            7 if up || down => self.cut().await,
            8 if self.dice.one_in(2) => self.kill_hub(),
            9 if self.dice.one_in(3) => {
                self.note("relay restarts");
                self.machine.restart_relay();
                self.lose_sight().await;
            }
            10 if self.dice.one_in(4) => {
                let orderly = self.dice.one_in(2);
                self.note(format!("reboot, orderly: {orderly}"));
                self.machine.reboot(&self.dice, orderly);
                self.lose_sight().await;
            }
            11 if self.dice.one_in(3) => {
                let running: Vec<_> = self.machine.running().collect();
                if let Some(id) = self.dice.pick(&running) {
                    self.note(format!("worker of {id} is killed"));
                    self.machine.kill(&self.dice, id);
                }
            }
            12 if self.has_backups => self.back_up_or_restore().await,
            13..=15 | 0..=2 if !down => self.connect().await,
            16..=22 if down => self.speak(),
            23..=29 if up => self.deliver_up().await,
            30..=34 if down => self.deliver_down(),
            _ => self.machine.work(&self.dice, self.world.hub.now().as_ms(), self.kind),
        }
    }

    async fn create(&mut self) {
        let expires_in_s = if self.dice.one_in(5) { 45 } else { 86_400 };
        let id = self.world.create_directly(expires_in_s).await;
        self.note(format!("create {id}"));
        self.plan(id);
    }

    fn plan(&mut self, id: JobId) {
        let pieces = self.dice.below(4);
        let write = |_| format!("{} ä€😀\n", self.dice.below(1_000_000)).into_bytes();
        let output: VecDeque<_> = (0..pieces).map(write).collect();
        let ends = [EndState::Succeeded, EndState::Succeeded, EndState::Failed, EndState::TimedOut];
        let plan = Plan { output, end: ends[self.dice.below(4)], forbidden: self.dice.one_in(20) };
        self.machine.plans.insert(id, plan);
        self.jobs.push(id);
    }

    async fn cancel(&mut self) {
        let Some(id) = self.dice.pick(&self.jobs) else { return };
        let hub = Arc::clone(&self.world.hub);
        let job = authorize(&hub, self.world.actor(), id).await.unwrap();
        let done = jobs::cancel(&hub, job).await.is_ok();
        self.note(format!("cancel {id}: {done}"));
        if done {
            self.cancelled.insert(id);
        }
    }

    async fn retry(&mut self) {
        let ended: Vec<_> = self.ends.keys().copied().collect();
        let Some(id) = self.dice.pick(&ended) else { return };
        let hub = Arc::clone(&self.world.hub);
        let Some(job) = store::by_id(&mut hub.db.read().await.unwrap().conn(), id).await.unwrap() else { return };
        let server = authorize(&hub, self.world.actor(), job.server_id).await.unwrap();
        let again = jobs::retry(&hub, &job, server).await.unwrap();
        self.note(format!("retry {id} as {}", again.id));
        self.plan(again.id);
    }

    async fn pass_time(&mut self) {
        let seconds = [1, 10, 31, 61, 3600][self.dice.below(5)];
        self.note(format!("{seconds} s pass"));
        self.wait(seconds).await;
    }

    /// Time passes, and whoever waited for something long enough gives up.
    async fn wait(&mut self, seconds: u64) {
        self.world.test.clock.advance(Duration::from_secs(seconds));
        if seconds > 30
            && let Some(wire) = &mut self.wire
        {
            let over = wire.test.starts_over() || wire.hub_open != wire.agent_open;
            if over {
                self.lose_agent();
                self.lose_hub().await;
            }
        }
        jobs::reconcile(&self.world.hub).await.unwrap();
    }

    /// The connection breaks; one side or both notice.
    async fn cut(&mut self) {
        let who = self.dice.below(3);
        self.note(format!("cut, noticed by {}", ["both", "hub", "agent"][who]));
        if who != 1 {
            self.lose_agent();
        }
        if who != 2 {
            self.lose_hub().await;
        }
    }

    /// The agent's process is gone: the hub may notice soon, late or never.
    async fn lose_sight(&mut self) {
        self.lose_agent();
        if self.dice.one_in(2) {
            self.lose_hub().await;
        }
    }

    fn lose_agent(&mut self) {
        self.machine.end_session();
        if let Some(wire) = &mut self.wire {
            wire.agent_open = false;
            wire.down.clear();
        }
        self.wire.take_if(|wire| !wire.hub_open);
    }

    async fn lose_hub(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        if !std::mem::take(&mut wire.hub_open) {
            return;
        }
        // What it had sent may still be under way.
        wire.up.clear();
        wire.test.cut();
        let hub = Arc::clone(&self.world.hub);
        jobs::agent::disconnected(&hub, self.world.server.server_id).await.unwrap();
        self.wire.take_if(|wire| !wire.agent_open);
    }

    /// The hub is killed: what it had in memory is gone, and nobody was told.
    fn kill_hub(&mut self) {
        self.note("hub is killed");
        self.forget_hub();
        self.world.restart();
    }

    fn forget_hub(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.hub_open = false;
            wire.up.clear();
            let arrived = self.dice.below(wire.down.len() + 1);
            wire.down.truncate(arrived);
        }
        self.wire.take_if(|wire| !wire.agent_open);
    }

    async fn back_up_or_restore(&mut self) {
        match self.backup.take() {
            None => {
                self.note("backup");
                self.check().await;
                self.backup = Some((self.world.test.backup(), self.jobs.len(), self.ends.clone()));
            }
            Some((backup, jobs, ends)) => {
                self.note("restore");
                // That takes longer than any connection lasts.
                self.lose_agent();
                self.forget_hub();
                self.world.restore(backup).await;
                self.jobs.truncate(jobs);
                self.ends = ends;
                self.ordered.clear();
                self.restored = true;
                self.has_backups = false;
                self.machine.confirmed.clear();
                self.forgotten.extend(&self.machine.heard);
                self.settled.extend(self.machine.spool.iter().filter(|(_, place)| place.acked).map(|(id, _)| *id));
            }
        }
    }

    /// Hello, welcome, and what can go wrong between them.
    async fn connect(&mut self) {
        let fate = if self.kind { usize::MAX } else { self.dice.below(16) };
        if fate == 0 {
            return self.note("hello is lost");
        }
        let hello = self.machine.hello();
        let hub = Arc::clone(&self.world.hub);
        let test = TestLink::new(&hub, self.world.server.clone());
        // The older connection is told to go; what the hub is at work on may still come from it.
        let late_at = self.dice.below(4);
        let mut old = self.wire.take();
        if let Some(old) = &mut old {
            old.test.cut();
        }
        self.late(&mut old, late_at == 0).await;
        let welcome = jobs::agent::connected(&hub, &test.link, &hello).await.unwrap();
        self.late(&mut old, late_at == 1).await;
        let listed: Vec<_> = welcome.iter().map(|job| (job.job_id, job.next_offset, job.done)).collect();
        self.note(format!("hello {:?}, welcome {listed:?}, fate {fate}", hello.jobs));
        // Ends that the hub concluded from the hello, while the host is as it was when it said it.
        self.check().await;
        self.wire = Some(Wire::new(test));
        drop(hub);
        match fate {
            1 => {
                self.lose_agent();
                return self.lose_hub().await;
            }
            2 => return self.kill_hub(),
            3 => self.kill_hub(),
            _ => {
                let hub = Arc::clone(&self.world.hub);
                let link = self.wire.as_ref().unwrap().test.link.clone();
                jobs::agent::ready(&hub, &link).await.unwrap();
                self.late(&mut old, late_at == 2).await;
            }
        }
        if self.wire.as_ref().is_some_and(|wire| wire.agent_open) {
            self.machine.begin_session(&self.dice, &welcome);
        }
        self.drain();
    }

    async fn late(&mut self, old: &mut Option<Wire>, now: bool) {
        let Some(mut old) = old.take_if(|_| now) else { return };
        if let Some(up) = old.up.pop_front().filter(|_| old.hub_open) {
            self.note(format!("late: {up:?}"));
            self.hub_takes(&old, up).await;
            self.store_logs().await;
        }
    }

    fn speak(&mut self) {
        if let Some(up) = self.machine.speak(&self.dice)
            && let Some(wire) = &mut self.wire
            && wire.hub_open
        {
            wire.up.push_back(up);
        }
    }

    async fn deliver_up(&mut self) {
        loop {
            let Some(wire) = &mut self.wire else { return };
            let Some(up) = take(&self.dice, &mut wire.up, self.kind, |up| Some(up.job_id())) else { return };
            let mut fate = Fate::throw(&self.dice, self.kind);
            if fate == Fate::Dropped && matches!(up, Up::Log(..)) && !self.torn.insert(up.job_id()) {
                fate = Fate::Arrives;
            }
            self.note(format!("up {fate:?}: {up:?}"));
            if fate == Fate::Dropped {
                return;
            }
            let wire = self.wire.take().unwrap();
            self.hub_takes(&wire, up.clone()).await;
            let wire = self.wire.insert(wire);
            if fate == Fate::Twice {
                wire.up.push_back(up.clone());
            }
            // What was taken is not stored yet: the hub may be killed now, or more of the same may come.
            if matches!(up, Up::Log(..)) && self.world.hub.jobs.live(up.job_id()).is_some_and(|live| !live.is_idle()) {
                let more = wire.up.front().is_some_and(|next| next.job_id() == up.job_id());
                match self.dice.below(10) {
                    0 if !self.kind => return self.kill_hub(),
                    1..=4 if more => continue,
                    _ => {}
                }
            }
            return self.store_logs().await;
        }
    }

    async fn hub_takes(&self, wire: &Wire, up: Up) {
        let (hub, link) = (&self.world.hub, &wire.test.link);
        let taken = match up {
            Up::Answer(ack) => jobs::agent::cmd_ack(hub, link, ack).await,
            Up::Log(log, bytes) => jobs::agent::log(hub, link, log, bytes).await,
            Up::Done(done) => jobs::agent::done(hub, link, done).await,
        };
        taken.unwrap();
    }

    /// Waits until the hub has stored what it has taken.
    async fn store_logs(&mut self) {
        let known: Vec<_> = self.machine.plans.keys().copied().collect();
        for id in known {
            log::settled(&self.world.hub, id).await;
        }
        self.drain();
    }

    fn deliver_down(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        let Some(message) = take(&self.dice, &mut wire.down, self.kind, job_of) else { return };
        let fate = Fate::throw(&self.dice, self.kind);
        if fate == Fate::Twice {
            wire.down.push_back(message.clone());
        }
        self.note(format!("down {fate:?}: {} {:?}", message.kind(), job_of(&message)));
        if fate != Fate::Dropped {
            self.machine.hear(&self.dice, &message);
        }
    }

    /// What the hub has sent leaves it.
    fn drain(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        while let Some(message) = wire.test.try_next() {
            if let Message::Cmd(_) = &message
                && let Some(place) = self.jobs.iter().position(|id| job_of(&message) == Some(*id))
            {
                let first = self.ordered.insert(place);
                let last = self.ordered.last().copied();
                assert!(!first || self.restored || last == Some(place), "job {place} was sent after job {last:?}");
            }
            if wire.agent_open {
                wire.down.push_back(message);
            }
        }
    }

    /// The link holds, nobody dies any more, and time passes: every job gets to its end.
    async fn make_whole(&mut self) {
        self.note("the world is whole again");
        self.kind = true;
        for _ in 0..ROUNDS {
            self.lose_agent();
            self.lose_hub().await;
            self.connect().await;
            while self.is_moving() {
                self.world.test.clock.advance(Duration::from_millis(5));
                self.deliver_down();
                self.machine.work(&self.dice, self.world.hub.now().as_ms(), true);
                self.speak();
                self.deliver_up().await;
                self.drain();
            }
            let unacked = self.machine.spool.values().any(|place| !place.acked);
            if self.open().await == 0 && !unacked {
                return;
            }
            self.wait(31).await;
        }
        panic!("{} jobs without an end, spool {:?}", self.open().await, self.machine.spool);
    }

    fn is_moving(&mut self) -> bool {
        self.speak();
        let wire = self.wire.as_ref().is_some_and(|wire| !wire.up.is_empty() || !wire.down.is_empty());
        wire || self.machine.is_busy()
    }

    async fn open(&self) -> usize {
        let mut session = self.world.hub.db.read().await.unwrap();
        store::unfinished(&mut session.conn(), self.world.server.server_id, usize::MAX).await.unwrap().len()
    }
}
