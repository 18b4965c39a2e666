//! Putting everything back, by whoever is there to do it.

use std::io;
use std::time::Duration;

use protocol::JobId;

use super::journal::{self, Journal, State};
use super::{Guard, Step, Verdict, run, saved};
use crate::host::clock::Clock;
use crate::host::files::Dir;
use crate::notify::Notifier;
use crate::paths::Paths;
use crate::trust::hub_time::Moment;

/// Attempts to put a change back before somebody has to look.
pub const MAX_ATTEMPTS: u32 = 5;
pub(super) const TIME_IS_UP: &str = "nobody confirmed it in time";
/// Longest sleep of a guard: changes are added at any time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What may be reverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What is due: its time is up, the host was started again, or it can never be completed.
    Due,
    /// And what nobody watches any more, where no guard does.
    Abandoned,
    /// All that is not confirmed.
    Everything,
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// As they were before, and why.
    pub reverted: Vec<(JobId, String)>,
    /// Given up; what is left to do.
    pub stuck: Vec<(JobId, String)>,
    /// Not due yet, or somebody else is at work: milliseconds until it makes sense to look again.
    pub waiting: Vec<(JobId, i64)>,
}

/// Reverts what has to be reverted. May be called by anybody at any time; what is done is done once.
#[must_use]
pub fn pending(journal: &Journal, moment: &Moment, reach: Reach) -> Report {
    journal.tidy();
    let mut report = Report::default();
    for (id, state) in journal.changes() {
        match one(journal, id, state, moment, reach) {
            Ok(Some(Verdict::Reverted(why))) => report.reverted.push((id, why)),
            Ok(Some(Verdict::Stuck(left))) => report.stuck.push((id, left)),
            Ok(Some(Verdict::Confirmed)) => {}
            Ok(None) => {
                let due = journal.dir(id, state).and_then(|dir| journal::record(&dir));
                report.waiting.push((id, due.map_or(0, |record| record.due_in_ms(moment)).max(0)));
            }
            Err(error) => {
                log::error!("change {id} cannot be reverted now: {error}");
                report.waiting.push((id, 0));
            }
        }
    }
    report
}

/// Reverts what is due, for a worker that tidies up; where no unit watches, also what lost its maker.
pub fn sweep(paths: &Paths) {
    // Most hosts never had a change: nothing is made for them.
    if !paths.pending_dir().is_dir() {
        return;
    }
    let reach = if Guard::of_host(paths) == Guard::Unit { Reach::Due } else { Reach::Abandoned };
    match Journal::open(paths).and_then(|journal| Ok((Moment::now(Clock::system())?, journal))) {
        Ok((moment, journal)) => drop(pending(&journal, &moment, reach)),
        Err(error) => log::error!("changes that are not confirmed cannot be looked at: {error}"),
    }
}

/// Puts back the files of changes that were made before the host was started, and leaves the commands for later: services
/// that start now read them.
pub fn restore_after_boot(journal: &Journal, moment: &Moment) {
    for (id, state) in journal.changes() {
        let dir = match state {
            State::Applying | State::Applied | State::Halting | State::Reverting => journal.dir(id, state),
            _ => continue,
        };
        let restored = dir.and_then(|dir| {
            let record = journal::record(&dir)?;
            let is_older = record.boot_id != moment.boot_id;
            if is_older && (state == State::Reverting || journal.step(id, state, State::Reverting)?) {
                let Some(_lock) = journal.take(id, &dir, false)? else { return Ok(()) };
                journal::give_up_reserve(&dir);
                record.files.iter().try_for_each(|file| saved::restore(file, id, &dir))?;
            }
            Ok(())
        });
        if let Err(error) = restored {
            log::error!("change {id}: its files cannot be put back yet: {error}");
        }
    }
}

/// Watches over changes until none is pending. Says `READY=1` once what was left by an earlier boot is put back.
///
/// # Errors
/// When the machine's time cannot be told.
pub fn guard(journal: &Journal, notifier: &Notifier) -> io::Result<Report> {
    restore_after_boot(journal, &Moment::now(Clock::system())?);
    notifier.ready();
    let mut all = Report::default();
    loop {
        for (id, _) in journal.changes().into_iter().filter(|(_, state)| *state == State::Applying) {
            if let Ok(dir) = journal.dir(id, State::Applying) {
                journal::mark_guarded(&dir);
            }
        }
        let report = pending(journal, &Moment::now(Clock::system())?, Reach::Due);
        all.reverted.extend(report.reverted);
        all.stuck.extend(report.stuck);
        let Some(next_ms) = report.waiting.iter().map(|(_, due_in_ms)| *due_in_ms).min() else { return Ok(all) };
        let next = Duration::from_millis(u64::try_from(next_ms).unwrap_or(0)).max(journal.patience.poll);
        std::thread::sleep(next.min(LOOK_AGAIN));
    }
}

/// Takes one change as far as it goes; `None`: it is not due, or somebody is at work on it.
fn one(journal: &Journal, id: JobId, state: State, moment: &Moment, reach: Reach) -> io::Result<Option<Verdict>> {
    match state {
        State::Reverted | State::Failed => return Ok(Some(Verdict::Confirmed)),
        State::Confirmed => return journal.remove(id, state).map(|()| Some(Verdict::Confirmed)),
        State::Prepared | State::Applying | State::Applied | State::Halting | State::Reverting => {}
    }
    let dir = match journal.dir(id, state) {
        // Taken further by somebody else since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let record = journal::record(&dir)?;
    let is_alive = record.is_applier_alive(moment);
    if state == State::Prepared {
        // Nothing is changed yet; it is its maker's, or nobody's.
        return if is_alive { Ok(None) } else { journal.remove(id, state).map(|()| Some(Verdict::Confirmed)) };
    }
    let why = if record.boot_id != moment.boot_id {
        "the host was started again before anybody confirmed it"
    } else if record.due_in_ms(moment) <= 0 {
        TIME_IS_UP
    } else if state == State::Applying && !is_alive {
        "the one who applied it was killed half-way"
    } else if state == State::Applied && !is_alive && reach == Reach::Abandoned {
        "the one who applied it was killed, and nobody watches over it here"
    } else if matches!(state, State::Halting | State::Reverting) || reach == Reach::Everything {
        "it was to be reverted"
    } else {
        return Ok(None);
    };
    match state {
        State::Applying => journal.step(id, State::Applying, State::Halting)?,
        State::Applied => journal.step(id, State::Applied, State::Reverting)?,
        _ => true,
    };
    if journal.is(id, State::Halting) {
        let Some(_lock) = journal.take(id, &dir, true)? else { return Ok(None) };
        journal.step(id, State::Halting, State::Reverting)?;
    }
    if !journal.is(id, State::Reverting) {
        // Confirmed, or completed by somebody else in this moment: the next look sees what it is.
        return Ok(if journal.state(id).is_none() { Some(Verdict::Confirmed) } else { None });
    }
    to_the_end(journal, id, why).map(Some)
}

/// Reverts a change whose state says so, with a bounded number of attempts. Where somebody else is at work on it, waits
/// for that.
///
/// # Errors
/// When somebody holds it for ever, or the journal cannot be used.
pub(super) fn to_the_end(journal: &Journal, id: JobId, why: &str) -> io::Result<Verdict> {
    let mut pause = journal.patience.retry;
    // A disk that takes no note of attempts must not make them endless.
    for _ in 0..MAX_ATTEMPTS {
        let Ok(dir) = journal.dir(id, State::Reverting) else { return outcome(journal, id) };
        let Some(lock) = journal.take(id, &dir, false)? else {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody else has been reverting it for long"));
        };
        if !journal.is(id, State::Reverting) {
            return outcome(journal, id);
        }
        let attempt = journal::attempt(&dir);
        journal.reached.step(Step::Reverting);
        let problems = put_back(journal, id, &dir)?;
        if problems.is_empty() {
            journal::write_report(&dir, why);
            journal.step(id, State::Reverting, State::Reverted)?;
            journal.reached.step(Step::Reverted);
            log::warn!("change {id} was reverted: {why}");
            return Ok(Verdict::Reverted(why.to_owned()));
        }
        let left = format!("{why}; reverting it failed: {}", problems.join("; "));
        log::error!("change {id}, attempt {attempt} of {MAX_ATTEMPTS}: {left}");
        if attempt >= MAX_ATTEMPTS {
            return give_up(journal, id, &dir, left);
        }
        // Others may try meanwhile.
        drop(lock);
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2);
    }
    let dir = journal.dir(id, State::Reverting)?;
    give_up(journal, id, &dir, format!("{why}; {MAX_ATTEMPTS} attempts to revert it failed"))
}

fn give_up(journal: &Journal, id: JobId, dir: &Dir, left: String) -> io::Result<Verdict> {
    journal::write_report(dir, &left);
    journal.step(id, State::Reverting, State::Failed)?;
    log::error!("change {id}: reverting it was given up; look at it, then `roadstead-agent change revert {id}`");
    Ok(Verdict::Stuck(left))
}

/// Tries a change again that was given up.
///
/// # Errors
/// When it was not, or the journal cannot be used.
fn again(journal: &Journal, id: JobId) -> io::Result<Verdict> {
    let dir = journal.dir(id, State::Failed)?;
    journal::forget_attempts(&dir);
    journal.step(id, State::Failed, State::Reverting)?;
    to_the_end(journal, id, "somebody wanted it reverted")
}

/// Reverts one change because somebody wants it so, whatever it waits for.
///
/// # Errors
/// When somebody else is at work on it, or the journal cannot be used.
pub fn wanted(journal: &Journal, id: JobId, moment: &Moment) -> io::Result<Verdict> {
    match journal.state(id) {
        Some(State::Failed) => again(journal, id),
        Some(state @ (State::Applying | State::Applied | State::Halting | State::Reverting)) => {
            match one(journal, id, state, moment, Reach::Everything)? {
                Some(verdict) => Ok(verdict),
                None => outcome(journal, id),
            }
        }
        _ => outcome(journal, id),
    }
}

/// When a change is reverted unless it is confirmed, by the host's clock.
#[must_use]
pub(super) fn due_ms(journal: &Journal, id: JobId, state: State) -> Option<i64> {
    let is_pending = matches!(state, State::Applying | State::Applied);
    journal.dir(id, state).and_then(|dir| journal::record(&dir)).ok().filter(|_| is_pending).map(|it| it.deadline_ms)
}

/// Why it was reverted, and how that went.
#[must_use]
pub(super) fn report_of(journal: &Journal, id: JobId, state: State) -> Option<String> {
    journal.dir(id, state).ok().map(|dir| journal::report(&dir)).filter(|text| !text.is_empty())
}

/// What somebody else has made of it.
fn outcome(journal: &Journal, id: JobId) -> io::Result<Verdict> {
    let text = |state| journal.dir(id, state).map(|dir| journal::report(&dir));
    match journal.state(id) {
        None | Some(State::Confirmed) => Ok(Verdict::Confirmed),
        Some(state @ State::Reverted) => text(state).map(Verdict::Reverted),
        Some(state @ State::Failed) => text(state).map(Verdict::Stuck),
        Some(state) => {
            let message = format!("it is {}, somebody is at work on it", state.name());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
        }
    }
}

/// Puts back every file and, when all are, runs the commands. Returns what failed.
fn put_back(journal: &Journal, id: JobId, dir: &Dir) -> io::Result<Vec<String>> {
    let record = journal::record(dir)?;
    journal::give_up_reserve(dir);
    let mut problems = Vec::new();
    for (number, file) in record.files.iter().enumerate() {
        if let Err(error) = saved::restore(file, id, dir) {
            problems.push(error.to_string());
        }
        journal.reached.step(Step::Restored(number));
    }
    if !problems.is_empty() {
        return Ok(problems);
    }
    for (number, argv) in record.after.iter().enumerate() {
        if let Err(error) = run(argv, journal.patience.command) {
            problems.push(error.to_string());
        }
        journal.reached.step(Step::RanAgain(number));
    }
    Ok(problems)
}
