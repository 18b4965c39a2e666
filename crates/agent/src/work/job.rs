//! One job: verify, claim, start, supervise, report.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::JobId;
use protocol::job::{
    Accepted, Already, CmdAck, CmdOutcome, EndState, JobDone, JobError, RejectCode, Rejected, SpoolState,
};
use tokio::time::Instant;

use super::peer::Peer;
use super::wire::{JobOrder, MAX_CONTROL_REQUEST, Note};
use super::{journal, learn_time};
use crate::host::clock::Clock;
use crate::host::commands::{ProcessEnd, StartedJob, start_job};
use crate::host::files::Dir;
use crate::ops;
use crate::paths::Paths;
use crate::policy::Policy;
use crate::spool::limits::is_full;
use crate::spool::writer::SpoolWriter;
use crate::spool::{Meta, Spool};
use crate::supervise::cgroup::JobCgroup;
use crate::supervise::control::{Canceller, Control};
use crate::supervise::ending::Cause;
use crate::supervise::limits::{self, Imposed};
use crate::supervise::mask::Secrets;
use crate::supervise::output::Output;
use crate::supervise::{Job, Outcome, Signals, Supervisor};
use crate::trust::claims::{Claim, ClaimEnd, ClaimOutcome, Claims, Held};
use crate::trust::hub_time::{HubTime, Moment};
use crate::trust::{Trust, TrustError};
use crate::verify::{self, Order};

/// A relay that does not take the last words within this time reads them in the spool.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Error code of a job that was cancelled by its own server, without the hub.
const CANCELLED_HERE: &str = "cancelled_on_server";

/// Runs the job of this worker.
pub(super) fn run(paths: &Paths, mut peer: Peer, request: &JobOrder, relays: &[u32], cgroup: Option<JobCgroup>) {
    if let Some(welcome) = &request.welcome {
        learn_time(paths, welcome);
    }
    match Accept::new(paths, request) {
        Ok(accepted) => {
            peer.set_limit(MAX_CONTROL_REQUEST);
            accepted.carry_out(paths, peer, relays, cgroup);
        }
        Err(note) => {
            peer.send(&note);
            see_off(std::slice::from_mut(&mut peer));
        }
    }
}

/// Gives peers a moment to take what is still unsent.
pub(super) fn see_off(peers: &mut [Peer]) {
    let until = Instant::now() + LAST_WORDS;
    loop {
        let mut waiting: Vec<_> = peers
            .iter()
            .filter(|peer| peer.has_unsent())
            .map(|peer| PollFd::new(peer.as_fd(), PollFlags::POLLOUT))
            .collect();
        let left = until.saturating_duration_since(Instant::now());
        if waiting.is_empty() || left.is_zero() {
            return;
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        if poll(&mut waiting, timeout).is_err() {
            return;
        }
        drop(waiting);
        peers.iter_mut().for_each(Peer::flush);
    }
}

/// A job that is claimed and has a place for its log.
struct Accept {
    order: Order,
    trust: Trust,
    claims: Claims,
    held: Held,
    signals: Signals,
    spool: SpoolWriter,
    /// Group of the spool: the relay's.
    group: u32,
    clock: Clock,
    started: Instant,
    started_at_ms: i64,
}

impl Accept {
    /// Verifies and claims. The error is what the relay is told instead.
    fn new(paths: &Paths, request: &JobOrder) -> Result<Self, Note> {
        let started = Instant::now();
        let clock = Clock::system();
        let moment = Moment::now(clock).map_err(|error| broken(format!("/proc is not usable: {error}")))?;
        let trust = Trust::load(paths).map_err(|error| untrusted(&error))?;
        let claims = Claims::open(paths).map_err(|error| untrusted(&error))?;
        let policy = Policy::in_force(paths, trust.server_id());
        let hub_now_ms = HubTime::estimate(HubTime::load(paths).as_ref(), &moment);

        let order = verify::order(&request.cmd, &trust, &policy, hub_now_ms).map_err(|refusal| {
            // What has run has run, even if it would not be allowed any more.
            let is_the_hubs = !matches!(refusal.rejected.code, RejectCode::BadSignature | RejectCode::WrongServer);
            match refusal.job_id.filter(|_| is_the_hubs).and_then(|job_id| already(paths, &claims, &moment, job_id)) {
                Some(ack) => ack,
                None => refused(refusal.job_id, refusal.rejected, journal::of_cmd(&request.cmd, &trust).as_deref()),
            }
        })?;
        let job_id = order.job_id;
        if let Some(ack) = already(paths, &claims, &moment, job_id) {
            return Err(ack);
        }
        let reject =
            |code, message: String| refused(Some(job_id), Rejected { code, message }, Some(&journal::of_order(&order)));
        let unusable = |error: io::Error| match is_full(&error) {
            true => reject(RejectCode::NoSpace, "the disk of the server is full; free some space".to_owned()),
            false => reject(RejectCode::Unavailable, format!("the agent's state directory cannot be written: {error}")),
        };
        let spool_dir = Dir::open(&paths.spool_dir()).map_err(unusable)?;
        let limits = policy.limits();
        if !limits.has_free_space(&spool_dir) {
            let message = format!("less than {} MiB are free on the server's disk", limits.free_bytes >> 20);
            return Err(reject(RejectCode::NoSpace, message));
        }
        let group = spool_dir.metadata().map_err(unusable)?.gid();
        let signals = Signals::listen().map_err(|errno| unusable(errno.into()))?;
        nix::sys::prctl::set_child_subreaper(true).map_err(|errno| unusable(errno.into()))?;

        let claim = Claim {
            job_id,
            order: request.cmd.clone(),
            expires_at_ms: order.expires_at_ms,
            started_at_ms: moment.local_ms,
            boot_id: moment.boot_id.clone(),
        };
        let held = match claims.claim(&claim).map_err(unusable)? {
            ClaimOutcome::Claimed(held) => held,
            // Another worker was given the same order at the same moment, and was faster.
            ClaimOutcome::Taken => {
                return Err(already(paths, &claims, &moment, job_id)
                    .unwrap_or_else(|| broken("the job was claimed before, and its claim is gone".to_owned())));
            }
        };
        let meta = Meta {
            job_id,
            started_at_ms: moment.local_ms,
            expires_at_ms: order.expires_at_ms,
            boot_id: moment.boot_id,
        };
        // Place first, then the disk: what is made before is on it too, and nothing waits for a second turn.
        let made = SpoolWriter::create(spool_dir, &meta, limits).and_then(|spool| {
            claims.make_durable(&held)?;
            Ok(spool)
        });
        let spool = made.map_err(|error| {
            // Nothing has run, and nothing has been said: as if the order had never come.
            match claims.withdraw(job_id) {
                Ok(()) => unusable(error),
                Err(second) => unusable(second),
            }
        })?;
        let started_at_ms = moment.local_ms;
        Ok(Self { order, trust, claims, held, signals, spool, group, clock, started, started_at_ms })
    }

    fn carry_out(self, paths: &Paths, mut peer: Peer, relays: &[u32], cgroup: Option<JobCgroup>) {
        let Self { order, trust, claims, held, signals, spool, group, clock, started, started_at_ms } = self;
        let job_id = order.job_id;
        let ack = CmdAck { job_id, outcome: CmdOutcome::Accepted(Accepted { started_at_ms }) };
        peer.send(&Note::Ack(ack));
        journal::started(&order);

        let mut output = Output::new(spool, clock);
        output.hide(Secrets::new(ops::secrets(&order.kind)));
        let mut peers = vec![peer];
        let begun = ops::prepare(&order.kind, job_id).and_then(|process| {
            let imposed = Imposed::new(&order.limits, order.kind.user(), process.identity.as_ref())?;
            if let Some(remark) = &imposed.remark {
                output.say(remark, Instant::now());
            }
            let started = start_job(&process, &imposed.confinement, cgroup.as_ref().map(JobCgroup::directory));
            // They hold until the job has ended.
            started.map(|started| (started, imposed)).map_err(|error| ops::explain(&order.kind, &error))
        });
        let outcome = begun.map(|(StartedJob { pid, out, err, cwd_missed }, _imposed)| {
            output.connect(out, err);
            if cwd_missed {
                output.say("[the home directory cannot be entered, the command runs in /]\n", Instant::now());
            }
            let control = Control::open(paths, job_id, group)
                .inspect_err(|error| {
                    log::warn!("job {job_id}: no control socket, a restarted agent cannot cancel it: {error}");
                })
                .ok();
            let job =
                Job { id: job_id, main: pid, started, timeout: order.timeout, trust: &trust, claims: &claims, relays };
            Supervisor::new(job, &signals, &mut output, &mut peers, control, cgroup).run()
        });

        let now = Instant::now();
        let lost_bytes = output.finish(now);
        let mut done = done(&order, outcome, started_at_ms, now - started, output.spooled());
        if done.state == EndState::Failed && done.error.is_none() {
            done.error = limits::out_of_memory(&order.limits);
        }
        report(&done, lost_bytes, output.spool(), &mut peers);
        if let Err(error) =
            claims.note_end(job_id, ClaimEnd { state: done.state.into(), next_offset: done.next_offset })
        {
            log::warn!("job {job_id}: its end cannot be noted: {error}");
        }
        claims.forget_tree(job_id);
        see_off(&mut peers);
        journal::ended(&done);
        drop(held);
    }
}

/// The hub hears of the end while the disk still takes it in: its own record is the durable one.
fn report(done: &JobDone, lost_bytes: u64, spool: &mut SpoolWriter, peers: &mut [Peer]) {
    let tell = |peers: &mut [Peer]| peers.iter_mut().for_each(|peer| peer.send(&Note::Done(done.clone())));
    // Except where the end record is a part of the log.
    let is_first_told = lost_bytes == 0;
    if is_first_told {
        tell(peers);
    }
    if let Err(error) = spool.write_end(done, lost_bytes) {
        log::error!("job {}: its end cannot be recorded: {error}", done.job_id);
    }
    if !is_first_told {
        tell(peers);
    }
}

fn done(
    order: &Order,
    outcome: Result<Outcome, JobError>,
    started_at_ms: i64,
    duration: Duration,
    next_offset: u64,
) -> JobDone {
    let mut done = JobDone {
        job_id: order.job_id,
        state: EndState::Failed,
        exit_code: None,
        signal: None,
        started_at_ms,
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        next_offset,
        result: None,
        error: None,
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            done.error = Some(error);
            return done;
        }
    };
    match outcome.main {
        Some(ProcessEnd::Exited(code)) => done.exit_code = Some(code),
        Some(ProcessEnd::Signaled(signal)) => done.signal = Some(signal),
        None => {}
    }
    done.state = match outcome.cause {
        Some(Cause::Cancelled) => EndState::Cancelled,
        Some(Cause::TimedOut) => EndState::TimedOut,
        Some(Cause::Interrupted) => EndState::Interrupted,
        Some(Cause::Leftovers) | None if done.exit_code == Some(0) => EndState::Succeeded,
        Some(Cause::Leftovers) | None => EndState::Failed,
    };
    done.error = ended_badly(&outcome).map(|(code, message)| JobError { code: code.to_owned(), message });
    done
}

/// What exit code and signal do not say of an end.
fn ended_badly(outcome: &Outcome) -> Option<(&'static str, String)> {
    let immortal = (!outcome.immortal.is_empty())
        .then(|| format!("these processes could not be killed: {}", outcome.immortal.join(", ")));
    match &outcome.canceller {
        Some(Canceller::Here(name)) if outcome.cause == Some(Cause::Cancelled) => {
            let message = format!("the job was ended by {name} on the server itself");
            Some((CANCELLED_HERE, immortal.map_or_else(|| message.clone(), |left| format!("{message}; {left}"))))
        }
        _ => immortal.map(|left| ("unkillable", left)),
    }
}

/// The answer to an order that has been claimed before; `None` for a new one.
fn already(paths: &Paths, claims: &Claims, moment: &Moment, job_id: JobId) -> Option<Note> {
    if !claims.contains(job_id) {
        return None;
    }
    let is_alive = claims.is_alive(job_id);
    let spooled = Spool::open(&paths.spool_dir(), &moment.boot_id).and_then(|spool| spool.job(job_id)).ok().flatten();
    let next_offset = spooled.as_ref().map_or(0, |job| job.next_offset);
    let already = if is_alive {
        Already { state: SpoolState::Running, next_offset }
    } else if let Some(ClaimEnd { state, next_offset }) = claims.end(job_id) {
        Already { state, next_offset }
    } else if let Some(job) = spooled {
        Already { state: job.state(), next_offset }
    } else {
        let is_of_this_boot = claims.get(job_id).is_some_and(|claim| claim.boot_id == moment.boot_id);
        let state = if is_of_this_boot { SpoolState::Lost } else { SpoolState::Interrupted };
        Already { state, next_offset }
    };
    Some(Note::Ack(CmdAck { job_id, outcome: CmdOutcome::Already(already) }))
}

fn refused(job_id: Option<JobId>, rejected: Rejected, what: Option<&str>) -> Note {
    journal::refused(job_id, &rejected, what);
    match job_id {
        Some(job_id) => Note::Ack(CmdAck { job_id, outcome: CmdOutcome::Rejected(rejected) }),
        None => Note::Refused(rejected),
    }
}

fn untrusted(error: &TrustError) -> Note {
    broken(error.to_string())
}

fn broken(message: String) -> Note {
    refused(None, Rejected { code: RejectCode::Unavailable, message }, None)
}
