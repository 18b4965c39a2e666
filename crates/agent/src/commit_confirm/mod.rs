//! Commit-confirm: a change of this host that undoes itself unless somebody says in time that it is good.
//!
//! For kinds of jobs that can cut the branch they sit on: network, firewall, sshd. What was is saved first, durably; then
//! the change is made; then it waits for a confirmation, by the hub, by a person at the host, or by a probe that succeeds.
//! Without one everything is put back, also when the worker was killed or stopped, or the host went down in between.
//!
//! ```text
//! let plan = Plan { files, after: vec![reload], confirm_within: Duration::from_secs(60) };
//! let change = Change::prepare(&journal, job_id, &plan, guard)?;    // nothing is changed yet
//! change.apply()?;                                                  // an error means: everything is as it was
//! match change.wait(|| probe())? {                                  // or confirm(&journal, job_id) from elsewhere
//!     Verdict::Confirmed => …,                                      // for good
//!     Verdict::Reverted(why) => …,
//! }
//! ```
//!
//! Confirming and reverting each take the change out of the same state by one rename(2): exactly one of them happens. Who
//! reverts when the worker cannot: with systemd the unit `roadstead-revert.service` ([`Guard::Unit`]), started before
//! anything is changed, started again when it is killed and at every boot; elsewhere the sweep at the start of the relay.
//!
//! Commands are run after the files were written and again after they were put back, so they have to be of the kind that
//! makes a service read its files, harmless to repeat and harmless while the service does not run: `systemctl
//! try-reload-or-restart nginx.service`. Extended attributes of replaced files are not kept. The directories of the files
//! have to be there, and only root may be able to write them.

pub mod cli;
pub mod journal;
mod model;
pub mod revert;
pub mod saved;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::JobId;
use tokio::time::Instant;

pub use model::{ChangeError, Guard, Patience, Plan, Probe, Reached, Step, Verdict};

use crate::host::clock::Clock;
use crate::host::commands;
use crate::host::files::Dir;
use crate::trust::hub_time::Moment;
use journal::{Journal, Lock, Record, State};
use saved::{Content, SavedFile};

/// Files of one change.
pub const MAX_FILES: usize = 64;
/// Commands of one change.
pub const MAX_COMMANDS: usize = 16;
/// Longest time that a change may wait.
pub const MOST_WAIT: Duration = Duration::from_secs(24 * 3600);
const VERSION: u16 = 1;
/// Room that is kept beside the files' own content.
const RESERVE: u64 = 64 << 10;
const REVERT_UNIT: &str = "roadstead-revert.service";

/// A change that this process makes.
#[derive(Debug)]
pub struct Change<'a> {
    journal: &'a Journal,
    id: JobId,
    plan: &'a Plan,
    guard: Guard,
    files: Vec<SavedFile>,
    lock: Option<Lock>,
}

impl<'a> Change<'a> {
    /// Saves what is there. Nothing is changed yet, and a process that ends here leaves nothing behind.
    ///
    /// # Errors
    /// [`ChangeError::NotPrepared`]: the plan makes no sense, another pending change has the same file, or there is no
    /// room to save it.
    pub fn prepare(journal: &'a Journal, id: JobId, plan: &'a Plan, guard: Guard) -> Result<Self, ChangeError> {
        Self::save(journal, id, plan, guard).map_err(ChangeError::NotPrepared)
    }

    fn save(journal: &'a Journal, id: JobId, plan: &'a Plan, guard: Guard) -> io::Result<Self> {
        check(plan)?;
        let _alone = journal.lock_all()?;
        journal.tidy();
        for (other, state) in journal.changes() {
            let is_pending = !matches!(state, State::Confirmed | State::Reverted | State::Failed);
            let record = journal.dir(other, state).and_then(|dir| journal::record(&dir));
            let has = |(path, _): &(PathBuf, Content)| {
                record
                    .as_ref()
                    .is_ok_and(|record| record.files.iter().any(|file| path.as_os_str() == file.path.as_str()))
            };
            if let Some((path, _)) = plan.files.iter().find(|file| is_pending && has(file)) {
                let message = format!("{} is part of change {other}, which is not confirmed yet", path.display());
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
        }
        let (dir, lock) = journal.begin(id)?;
        let saved = Self::save_into(journal, plan, &dir).and_then(|files| journal.prepared(id).map(|()| files));
        match saved {
            Ok(files) => {
                journal.reached.step(Step::Prepared);
                Ok(Self { journal, id, plan, guard, files, lock: Some(lock) })
            }
            Err(error) => {
                // A full disk is no place for half a change.
                let _ = journal.discard(id);
                Err(error)
            }
        }
    }

    fn save_into(journal: &Journal, plan: &Plan, dir: &Dir) -> io::Result<Vec<SavedFile>> {
        journal::write_holder(dir)?;
        journal.reached.step(Step::Begun);
        let (mut files, mut bytes) = (Vec::new(), RESERVE);
        for (number, (path, _)) in plan.files.iter().enumerate() {
            let (file, length) = saved::save(path, dir, number)?;
            files.push(file);
            bytes = bytes.saturating_add(length);
            journal.reached.step(Step::Saved(number));
        }
        journal::reserve(dir, bytes)?;
        let moment = Moment::now(Clock::system())?;
        let wait_ms = i64::try_from(plan.confirm_within.as_millis()).unwrap_or(i64::MAX);
        let record = Record {
            version: VERSION,
            deadline_uptime_ms: moment.uptime_ms.saturating_add(wait_ms),
            deadline_ms: moment.local_ms.saturating_add(wait_ms),
            boot_id: moment.boot_id,
            applier: journal::own_process(),
            files: files.clone(),
            after: plan.after.clone(),
        };
        journal::write_record(dir, &record)?;
        Ok(files)
    }

    /// Makes the change. When something fails, everything is put back before this returns.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub fn apply(&mut self) -> Result<(), ChangeError> {
        let journal = self.journal;
        if !journal.step(self.id, State::Prepared, State::Applying)? {
            return Err(ChangeError::Overtaken);
        }
        journal.reached.step(Step::Applying);
        if let Err(error) = self.watch() {
            // Unless the guard came at the last moment and has begun to revert it.
            return match journal.remove(self.id, State::Applying) {
                Ok(()) => Err(ChangeError::NotPrepared(error)),
                Err(_) => Err(ChangeError::Overtaken),
            };
        }
        journal.reached.step(Step::Guarded);
        match self.write() {
            Ok(true) if journal.step(self.id, State::Applying, State::Applied)? => {
                self.lock = None;
                journal.reached.step(Step::Applied);
                Ok(())
            }
            Ok(_) => {
                // Whoever took it waits for this.
                self.lock = None;
                Err(ChangeError::Overtaken)
            }
            Err(why) => {
                let is_ours = journal.step(self.id, State::Applying, State::Reverting)?;
                self.lock = None;
                if !is_ours {
                    return Err(ChangeError::Overtaken);
                }
                match revert::to_the_end(journal, self.id, &format!("it could not be applied: {why}"))? {
                    Verdict::Stuck(left) => Err(ChangeError::Stuck { why, left }),
                    _ => Err(ChangeError::Undone(why)),
                }
            }
        }
    }

    /// Writes and runs everything; false as soon as somebody wants it reverted.
    fn write(&self) -> io::Result<bool> {
        for (number, ((path, content), file)) in self.plan.files.iter().zip(&self.files).enumerate() {
            if !self.journal.is(self.id, State::Applying) {
                return Ok(false);
            }
            saved::make(path, self.id, &file.before, content)?;
            self.journal.reached.step(Step::Wrote(number));
        }
        for (number, argv) in self.plan.after.iter().enumerate() {
            if !self.journal.is(self.id, State::Applying) {
                return Ok(false);
            }
            run(argv, self.journal.patience.command)?;
            self.journal.reached.step(Step::Ran(number));
        }
        Ok(true)
    }

    /// Has a guard on watch before anything is changed: it says itself that it has seen the change.
    fn watch(&self) -> io::Result<()> {
        if self.guard == Guard::Sweep {
            return Ok(());
        }
        let dir = self.journal.dir(self.id, State::Applying)?;
        let until = Instant::now() + self.journal.patience.guard;
        let mut next_start = Instant::now();
        while !journal::is_guarded(&dir) {
            let now = Instant::now();
            if now >= until {
                let message = format!("{REVERT_UNIT} is not on watch; install the agent again, or look at its journal");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            // One that is just ending takes no notice of being started.
            if self.guard == Guard::Unit && now >= next_start {
                commands::run(
                    &["systemctl", "start", "--no-ask-password", "--", REVERT_UNIT],
                    self.journal.patience.guard,
                )?;
                next_start = now + Duration::from_secs(1);
            }
            std::thread::sleep(self.journal.patience.poll);
        }
        Ok(())
    }

    /// Waits until the change is confirmed, by `probe` or from elsewhere, or reverted, by `probe`, from elsewhere or
    /// because its time is up.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn wait(&self, mut probe: impl FnMut() -> Probe) -> Result<Verdict, ChangeError> {
        loop {
            match self.journal.state(self.id) {
                Some(State::Applied) => {}
                None | Some(State::Confirmed) => return Ok(Verdict::Confirmed),
                Some(State::Prepared | State::Applying) => return Err(not_applied(self.journal, self.id)),
                Some(_) => match revert::to_the_end(self.journal, self.id, "it was reverted") {
                    // Its commands may take their time; each has a limit.
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(self.journal.patience.poll);
                        continue;
                    }
                    other => return Ok(other?),
                },
            }
            let why = match probe() {
                Probe::Good => {
                    // Too late, or lost against a revert: the next round sees what it is.
                    let _ = confirm(self.journal, self.id);
                    None
                }
                Probe::Bad => Some("the probe says that it does harm"),
                Probe::Unknown => None,
            };
            let moment = Moment::now(Clock::system())?;
            let record = self.journal.dir(self.id, State::Applied).and_then(|dir| journal::record(&dir));
            let is_due = record.is_ok_and(|record| record.due_in_ms(&moment) <= 0);
            if let Some(why) = why.or(is_due.then_some(revert::TIME_IS_UP)) {
                // Confirmed in this very moment: the next round sees it.
                let _ = self.journal.step(self.id, State::Applied, State::Reverting)?;
                if self.journal.is(self.id, State::Reverting) {
                    return Ok(revert::to_the_end(self.journal, self.id, why)?);
                }
            }
            std::thread::sleep(self.journal.patience.poll);
        }
    }
}

/// Makes a change permanent.
///
/// # Errors
/// [`ChangeError::Overtaken`] when it is being reverted, was reverted, or its time is up; otherwise when it is not
/// applied, or the journal cannot be written.
pub fn confirm(journal: &Journal, id: JobId) -> Result<(), ChangeError> {
    let Ok(record) = journal.dir(id, State::Applied).and_then(|dir| journal::record(&dir)) else {
        return Err(not_applied(journal, id));
    };
    if record.due_in_ms(&Moment::now(Clock::system())?) <= 0 {
        return Err(ChangeError::Overtaken);
    }
    if !journal.step(id, State::Applied, State::Confirmed)? {
        return Err(not_applied(journal, id));
    }
    journal.reached.step(Step::Confirmed);
    if let Err(error) = journal.remove(id, State::Confirmed) {
        log::warn!("change {id} is confirmed; its saved files are removed later: {error}");
    }
    Ok(())
}

fn not_applied(journal: &Journal, id: JobId) -> ChangeError {
    match journal.state(id) {
        Some(State::Prepared | State::Applying) => {
            io::Error::new(io::ErrorKind::ResourceBusy, "it is still being applied; confirm it afterwards").into()
        }
        Some(_) => ChangeError::Overtaken,
        None => io::Error::new(io::ErrorKind::NotFound, format!("no change {id} waits for confirmation")).into(),
    }
}

fn check(plan: &Plan) -> io::Result<()> {
    let wrong = |problem: String| Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    if plan.files.is_empty() || plan.files.len() > MAX_FILES {
        return wrong(format!("a change has 1 to {MAX_FILES} files"));
    }
    if plan.after.len() > MAX_COMMANDS || plan.after.iter().any(Vec::is_empty) {
        return wrong(format!("a change has at most {MAX_COMMANDS} commands, none of them empty"));
    }
    if plan.confirm_within.is_zero() || plan.confirm_within > MOST_WAIT {
        return wrong(format!("a change waits for up to {} s", MOST_WAIT.as_secs()));
    }
    for (number, (path, content)) in plan.files.iter().enumerate() {
        if plan.files.iter().skip(number + 1).any(|(other, _)| other == path) {
            return wrong(format!("{} is named twice", path.display()));
        }
        if matches!(content, Content::File { bytes, .. } if bytes.len() > saved::MAX_FILE) {
            return wrong(format!("{} would be longer than {} bytes", path.display(), saved::MAX_FILE));
        }
    }
    Ok(())
}

fn run(argv: &[String], deadline: Duration) -> io::Result<()> {
    commands::run(&argv.iter().map(String::as_str).collect::<Vec<_>>(), deadline)
}
