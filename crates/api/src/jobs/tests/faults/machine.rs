//! The host of the model: claims, spool, workers and relay, with the rules of the real agent and none of its code.
//!
//! Claims and spool are files and outlive everything but the disk. A worker outlives the relay and the connection; what it
//! has not put on the disk dies with it. The relay knows nothing that the spool does not say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use bytes::Bytes;
use protocol::job::{
    Accepted, Ack, Already, CancelBody, CmdAck, CmdBody, CmdOutcome, EndState, JobDone, Log, RejectCode, Rejected,
    SpoolState,
};
use protocol::session::{Hello, HelloJob, WelcomeJob};
use protocol::{JobId, Message};

use super::super::support::{hello, piece};
use super::dice::Dice;

/// What a command is going to do.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) output: VecDeque<Vec<u8>>,
    pub(super) end: EndState,
    /// The host's policy does not allow it.
    pub(super) forbidden: bool,
}

/// What a command has left on the host. Nothing but the command writes here.
#[derive(Clone, Default)]
pub(super) struct Marker {
    /// How often it was started.
    pub(super) runs: u32,
    pub(super) wrote: Vec<u8>,
    /// How it ended, if it came to an end of its own.
    pub(super) end: Option<EndState>,
    /// Its worker was killed.
    pub(super) killed: bool,
    /// The machine went down under it.
    pub(super) went_down: bool,
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, wrote, end, killed, went_down } = self;
        let wrote = wrote.len();
        write!(f, "ran {runs} times, wrote {wrote} bytes, end {end:?}, killed {killed}, went down {went_down}")
    }
}

/// A file that says that a job was accepted here once.
#[derive(Debug, Clone)]
struct Claim {
    boot: u32,
    end: Option<SpoolState>,
}

/// A job's place in the spool.
#[derive(Debug, Clone)]
pub(super) struct Place {
    boot: u32,
    started_at_ms: i64,
    log: Vec<u8>,
    /// Before this the log was freed.
    freed: usize,
    /// Its worker lives.
    pub(super) alive: bool,
    end: Option<JobDone>,
    /// The hub has everything.
    pub(super) acked: bool,
}

impl Place {
    /// Frees the log up to there, but for its last piece: the spool never removes the last of its files, so that whoever
    /// asks for more than is there gets a piece that starts later, and knows.
    fn free(&mut self, upto: usize) {
        self.freed = self.freed.max(upto.min(self.log.len().saturating_sub(1)));
    }
}

/// An order on its way to a worker.
#[derive(Debug, Clone)]
struct Handover {
    job_id: JobId,
    expires_at_ms: i64,
    session: u64,
}

/// What an agent sends.
#[derive(Debug, Clone)]
pub(super) enum Up {
    Answer(CmdAck),
    Log(Log, Option<Bytes>),
    Done(JobDone),
}

impl Up {
    pub(super) fn job_id(&self) -> JobId {
        match self {
            Self::Answer(ack) => ack.job_id,
            Self::Log(log, _) => log.job_id,
            Self::Done(done) => done.job_id,
        }
    }
}

/// The relay's half of a connection.
#[derive(Debug, Default)]
struct Session {
    number: u64,
    answers: VecDeque<Up>,
    outbox: BTreeMap<JobId, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    sent: usize,
    /// What the worker said of its end, durable or not.
    done: Option<JobDone>,
    done_sent: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Machine {
    boot: u32,
    /// How far its clock is ahead of the hub's.
    skew_ms: i64,
    pub(super) plans: BTreeMap<JobId, Plan>,
    pub(super) markers: BTreeMap<JobId, Marker>,
    claims: BTreeMap<JobId, Claim>,
    pub(super) spool: BTreeMap<JobId, Place>,
    handovers: Vec<Handover>,
    /// Jobs whose order has come.
    pub(super) heard: BTreeSet<JobId>,
    /// Jobs that were refused once for want of a worker.
    pub(super) turned_away: BTreeSet<JobId>,
    /// Answers of workers that no session has taken yet.
    board: Vec<(Handover, CmdOutcome)>,
    session: Option<Session>,
    sessions: u64,
    /// How far the hub said that it has stored each log.
    pub(super) confirmed: BTreeMap<JobId, u64>,
}

impl Machine {
    pub(super) fn new(skew_ms: i64) -> Self {
        Self { boot: 1, skew_ms, ..Self::default() }
    }

    pub(super) fn hello(&self) -> Hello {
        let listed = self.spool.iter().filter(|(_, place)| !place.acked);
        let jobs = listed.map(|(id, place)| {
            let next_offset = u64::try_from(place.log.len()).unwrap();
            HelloJob { job_id: *id, state: self.state(*id), next_offset }
        });
        hello(&format!("boot-{}", self.boot), jobs.collect())
    }

    /// The hub's answer to the hello: what it has of each job.
    pub(super) fn begin_session(&mut self, dice: &Dice, welcome: &[WelcomeJob]) {
        self.sessions += 1;
        let listed: Vec<_> = self.spool.iter().filter(|(_, place)| !place.acked).map(|(id, _)| *id).collect();
        let mut session = Session { number: self.sessions, ..Session::default() };
        for id in listed {
            match welcome.iter().find(|job| job.job_id == id) {
                Some(job) if job.done => self.forget(dice, id),
                known => {
                    let sent = usize::try_from(known.map_or(0, |job| job.next_offset)).unwrap();
                    session.outbox.insert(id, Entry { sent, ..Entry::default() });
                }
            }
        }
        self.session = Some(session);
        for (handover, outcome) in std::mem::take(&mut self.board) {
            self.take_answer(&handover, outcome);
        }
    }

    pub(super) fn end_session(&mut self) {
        self.session = None;
    }

    /// The relay is killed and started again.
    pub(super) fn restart_relay(&mut self) {
        self.end_session();
        self.board.clear();
        // Orders that workers have already go on; nobody waits for their answers.
        self.handovers.iter_mut().for_each(|handover| handover.session = 0);
        self.sessions += 1;
    }

    /// The machine goes down, `orderly` or not, and comes up again.
    pub(super) fn reboot(&mut self, dice: &Dice, orderly: bool) {
        let running: Vec<_> = self.running().collect();
        for id in running {
            if let Some(marker) = self.markers.get_mut(&id) {
                marker.went_down = true;
            }
            if orderly {
                let done = self.done(id, EndState::Interrupted);
                self.record(id, done);
            }
        }
        for place in self.spool.values_mut() {
            place.alive = false;
            if !orderly && place.end.is_none() {
                // What was not on the disk yet is gone.
                let kept = place.freed + dice.below(place.log.len() - place.freed + 1);
                place.log.truncate(kept);
            }
            if !orderly && dice.one_in(4) {
                place.acked = false;
            }
        }
        self.boot += 1;
        self.handovers.clear();
        self.restart_relay();
    }

    /// Jobs whose worker lives.
    pub(super) fn running(&self) -> impl Iterator<Item = JobId> {
        self.spool.iter().filter(|(_, place)| place.alive).map(|(id, _)| *id)
    }

    pub(super) fn is_claimed(&self, id: JobId) -> bool {
        self.claims.contains_key(&id)
    }

    /// A worker is killed.
    pub(super) fn kill(&mut self, dice: &Dice, id: JobId) {
        if let Some(place) = self.spool.get_mut(&id) {
            place.alive = false;
        }
        self.markers.entry(id).or_default().killed = true;
        if dice.one_in(2) {
            // Swept up before the next start of the machine.
            let done = self.done(id, EndState::Lost);
            if let Some(place) = self.spool.get_mut(&id) {
                place.end = Some(done);
            }
        }
    }

    /// What the files say of a claimed job.
    fn state(&self, id: JobId) -> SpoolState {
        let claim = self.claims.get(&id);
        let place = self.spool.get(&id);
        if place.is_some_and(|place| place.alive) {
            return SpoolState::Running;
        }
        let boot = place.map(|place| place.boot).or(claim.map(|claim| claim.boot));
        let concluded = if boot == Some(self.boot) { SpoolState::Lost } else { SpoolState::Interrupted };
        let recorded = place.and_then(|place| place.end.as_ref()).map(|done| done.state.into());
        recorded.or(claim.and_then(|claim| claim.end)).unwrap_or(concluded)
    }

    /// How a job that does not run any more has ended.
    pub(super) fn end_of(&self, id: JobId) -> Option<JobDone> {
        let place = self.spool.get(&id).filter(|place| !place.alive)?;
        let concluded = if place.boot == self.boot { EndState::Lost } else { EndState::Interrupted };
        Some(place.end.clone().unwrap_or_else(|| self.done(id, concluded)))
    }

    fn done(&self, id: JobId, state: EndState) -> JobDone {
        let place = &self.spool[&id];
        let exit_code = match state {
            EndState::Succeeded => Some(0),
            EndState::Failed => Some(3),
            _ => None,
        };
        JobDone {
            job_id: id,
            state,
            exit_code,
            signal: None,
            started_at_ms: place.started_at_ms,
            duration_ms: 1500,
            next_offset: u64::try_from(place.log.len()).unwrap(),
            result: None,
            error: None,
        }
    }

    fn record(&mut self, id: JobId, done: JobDone) {
        if let Some(claim) = self.claims.get_mut(&id) {
            claim.end = Some(done.state.into());
        }
        if let Some(place) = self.spool.get_mut(&id) {
            place.alive = false;
            place.end = Some(done);
        }
    }

    /// The hub has everything: the end of the log stays, for whoever looks.
    fn forget(&mut self, dice: &Dice, id: JobId) {
        if let Some(place) = self.spool.get_mut(&id) {
            place.acked = true;
            place.free(place.freed + dice.below(place.log.len() - place.freed + 1));
        }
    }

    /// What the hub sent arrives.
    pub(super) fn hear(&mut self, dice: &Dice, message: &Message) {
        match message {
            Message::Cmd(cmd) => {
                let body: CmdBody = serde_json::from_str(&cmd.signed.body).unwrap();
                self.heard.insert(body.job_id);
                let session = self.session.as_ref().map_or(0, |session| session.number);
                let CmdBody { job_id, expires_at_ms, .. } = body;
                self.handovers.push(Handover { job_id, expires_at_ms, session });
            }
            Message::Cancel(cancel) => {
                let body: CancelBody = serde_json::from_str(&cancel.0.body).unwrap();
                let known = self.session.as_ref().is_some_and(|session| session.outbox.contains_key(&body.job_id));
                if known && self.spool.get(&body.job_id).is_some_and(|place| place.alive) {
                    self.finish(dice, body.job_id, EndState::Cancelled);
                }
            }
            Message::Ack(Ack::Job { job_id, next_offset, done }) => {
                self.acknowledged(dice, *job_id, *next_offset, *done);
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, dice: &Dice, id: JobId, next_offset: u64, done: bool) {
        if !done {
            let wrote = self.markers.get(&id).map_or(0, |marker| marker.wrote.len());
            assert!(next_offset <= u64::try_from(wrote).unwrap(), "acknowledged what job {id} never wrote");
            let confirmed = self.confirmed.entry(id).or_default();
            *confirmed = next_offset.max(*confirmed);
        }
        let Some(session) = &mut self.session else { return };
        let Some(entry) = session.outbox.get(&id) else { return };
        if done && entry.done_sent {
            session.outbox.remove(&id);
            self.forget(dice, id);
        } else if dice.one_in(2)
            && let Some(place) = self.spool.get_mut(&id)
        {
            place.free(usize::try_from(next_offset).unwrap());
        }
    }

    /// Whether something can happen on the host by itself.
    pub(super) fn is_busy(&self) -> bool {
        !self.handovers.is_empty() || self.running().next().is_some()
    }

    /// A worker does its next thing. `kind` makes none die on the way.
    pub(super) fn work(&mut self, dice: &Dice, now_ms: i64, kind: bool) {
        let running: Vec<_> = self.running().collect();
        let choice = dice.below(self.handovers.len() + running.len());
        if choice < self.handovers.len() {
            let handover = self.handovers.remove(choice);
            self.hand_over(dice, handover, now_ms, kind);
        } else if let Some(id) = running.get(choice - self.handovers.len()).copied() {
            self.run_on(dice, id, kind);
        }
    }

    fn hand_over(&mut self, dice: &Dice, handover: Handover, now_ms: i64, kind: bool) {
        let id = handover.job_id;
        if self.claims.contains_key(&id) {
            let next_offset = self.spool.get(&id).map_or(0, |place| u64::try_from(place.log.len()).unwrap());
            return self.answer(handover, CmdOutcome::Already(Already { state: self.state(id), next_offset }));
        }
        let rejected = |code| CmdOutcome::Rejected(Rejected { code, message: "no".to_owned() });
        // A job of a hub that has forgotten it since was planned all the same.
        if self.plans[&id].forbidden {
            return self.answer(handover, rejected(RejectCode::PolicyDenied));
        }
        if now_ms >= handover.expires_at_ms {
            return self.answer(handover, rejected(RejectCode::Expired));
        }
        let death = if kind { usize::MAX } else { dice.below(40) };
        if death == 0 {
            // Killed before its claim, and the relay saw it.
            self.turned_away.insert(id);
            return self.answer(handover, rejected(RejectCode::Unavailable));
        }
        if death == 1 {
            // It never said a word: nothing is said of a job that may yet begin.
            return;
        }
        self.claims.insert(id, Claim { boot: self.boot, end: None });
        let started_at_ms = now_ms + self.skew_ms;
        if death == 2 {
            // Killed between claim and place.
            self.markers.entry(id).or_default().killed = true;
            return self.answer(handover, rejected(RejectCode::Unavailable));
        }
        let place =
            Place { boot: self.boot, started_at_ms, log: Vec::new(), freed: 0, alive: true, end: None, acked: false };
        self.spool.insert(id, place);
        if death == 3 {
            // Killed between claim and start.
            self.kill(dice, id);
            let already = Already { state: self.state(id), next_offset: 0 };
            return self.answer(handover, CmdOutcome::Already(already));
        }
        self.markers.entry(id).or_default().runs += 1;
        self.answer(handover, CmdOutcome::Accepted(Accepted { started_at_ms }));
    }

    fn answer(&mut self, handover: Handover, outcome: CmdOutcome) {
        if self.session.is_some() {
            self.take_answer(&handover, outcome);
        } else if handover.session > 0 {
            self.board.push((handover, outcome));
        }
    }

    fn take_answer(&mut self, handover: &Handover, outcome: CmdOutcome) {
        let id = handover.job_id;
        let Some(session) = &mut self.session else { return };
        // A relay that was started anew listens to what it finds, when it next looks: at the hello.
        if handover.session == 0 {
            return;
        }
        let known = session.outbox.contains_key(&id);
        match outcome {
            CmdOutcome::Accepted(_) => drop(session.outbox.insert(id, Entry::default())),
            CmdOutcome::Already(_) if !known && self.spool.contains_key(&id) => {
                session.outbox.insert(id, Entry::default());
            }
            _ => {}
        }
        if handover.session == session.number {
            session.answers.push_back(Up::Answer(CmdAck { job_id: id, outcome }));
        }
    }

    /// The command writes or ends.
    fn run_on(&mut self, dice: &Dice, id: JobId, kind: bool) {
        let Some(plan) = self.plans.get_mut(&id) else { return };
        let Some(output) = plan.output.pop_front() else {
            let end = plan.end;
            if !kind && dice.one_in(20) {
                return self.die_reporting(dice, id, end);
            }
            return self.finish(dice, id, end);
        };
        self.markers.entry(id).or_default().wrote.extend(&output);
        self.spool.get_mut(&id).unwrap().log.extend(&output);
    }

    fn finish(&mut self, _dice: &Dice, id: JobId, state: EndState) {
        self.markers.entry(id).or_default().end = Some(state);
        let done = self.done(id, state);
        self.record(id, done);
    }

    /// The command has ended and the relay heard of it, perhaps; the disk did not.
    fn die_reporting(&mut self, dice: &Dice, id: JobId, state: EndState) {
        self.markers.entry(id).or_default().end = Some(state);
        let done = self.done(id, state);
        if dice.one_in(2)
            && let Some(entry) = self.session.as_mut().and_then(|session| session.outbox.get_mut(&id))
        {
            entry.done = Some(done);
        }
        self.kill(dice, id);
    }

    /// What the relay sends next.
    pub(super) fn speak(&mut self, dice: &Dice) -> Option<Up> {
        let session = self.session.as_mut()?;
        if let Some(answer) = session.answers.pop_front() {
            return Some(answer);
        }
        let ids: Vec<_> = session.outbox.keys().copied().collect();
        let start = dice.below(ids.len());
        for id in ids.iter().cycle().skip(start).take(ids.len()).copied() {
            let concluded = self.end_of(id);
            let entry = self.session.as_mut()?.outbox.get_mut(&id)?;
            let place = &self.spool[&id];
            let from = entry.sent.max(place.freed);
            if from < place.log.len() {
                let to = from + 1 + dice.below(place.log.len() - from);
                entry.sent = to;
                let (log, bytes) = piece(id, from, place.log[from..to].to_vec());
                return Some(Up::Log(log, bytes));
            }
            let Some(mut done) = entry.done.clone().or(concluded).filter(|_| !entry.done_sent) else { continue };
            entry.done_sent = true;
            done.next_offset = done.next_offset.min(u64::try_from(entry.sent).unwrap());
            return Some(Up::Done(done));
        }
        None
    }
}
