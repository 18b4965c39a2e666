//! The relay's side of the door to the workers: hand over what the hub signed, hear how it goes.
//!
//! ```text
//! let workers = Workers::detect(paths.clone())?;             // says which kind: workers.capability()
//! workers.sweep().await?;                                    // once at the start, after a job was lost, every few hours
//! workers.describe().await?.policy                           // for hello
//! workers.greet(welcome).await?;                             // after a verified welcome: workers learn the hub's time
//! workers.warm().await;                                      // one spare, so that a job pays one exec
//! let (ack, job) = workers.submit(job_id, cmd, welcome).await?; // answer the hub with `ack`
//! if let Some(mut job) = job {                               // accepted: follow it to its end
//!     while let Some(note) = job.next().await? { … }         // Spooled(n): read the spool up to n; Done: the end
//!     job.cancel(&cancel).await?;                            // at any time; `next` may be dropped for it
//! }                                                          // `None` without Done: ask Spool::job what became of it
//! workers.attach(job_id).await                               // after a restart: the same for a job that still runs
//! ```
//!
//! Nothing here decides anything: a worker verifies what it is given, and the spool holds the truth about a job.

mod connection;
mod launch;

use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use protocol::job::{Cmd, CmdAck, CmdBody, CmdOutcome, Rejected};
use protocol::{Hex, JobId, Signed};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

pub use connection::RunningJob;
pub use launch::WorkerKind;

use crate::host::tasks::Tasks;
use crate::paths::Paths;
use crate::work::wire::{Description, JobOrder, Note, Op, Request, Swept, VERSION};
use connection::Connection;
use launch::Launcher;

/// Jobs on their way to a worker at the same time; more wait their turn.
const MAX_STARTING: usize = 64;
/// A claim waits for a disk; longer than this is no disk.
const ACK_DEADLINE: Duration = Duration::from_secs(60);
/// Starting the next spare takes a core from the job that has just begun, so it waits until that job has ended, but not
/// longer than this.
const WARM_AT_LAST: Duration = Duration::from_millis(20);
/// The news of a job's end go first.
const WARM_AFTER_END: Duration = Duration::from_millis(1);
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(5);
const SWEEP_DEADLINE: Duration = Duration::from_secs(30);

/// The way to the workers of this host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    paths: Paths,
    launcher: Launcher,
    starting: Semaphore,
    spare: Mutex<Option<Connection>>,
    /// Signature of the last welcome whose time a worker has taken note of.
    told: Mutex<Option<Hex<64>>>,
    tasks: std::sync::Mutex<Tasks>,
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// systemd's socket does not answer, or no process could be started.
    #[error("no worker could be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// The worker that was asked has ended without an answer. It does nothing any more; what it did before is in the
    /// spool.
    #[error("the worker gave no answer: {0}")]
    NoAnswer(String),
    /// The worker that was asked says nothing and lives: it may yet do what it was asked.
    #[error("the worker has said nothing for {} s", .0.as_secs())]
    Silent(Duration),
    /// What came of the worker that was asked makes no sense. It may live, and may yet do what it was asked.
    #[error("the worker's answer makes no sense: {0}")]
    Unclear(String),
}

impl HandoverError {
    /// Whether the worker that was asked may yet act: then nothing can be concluded from this.
    #[must_use]
    pub const fn may_yet_act(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Unclear(_))
    }
}

impl Workers {
    /// Finds out how workers are started on this host: by systemd where the agent is installed and PID 1 is systemd, by
    /// this process otherwise.
    ///
    /// # Errors
    /// When the agent cannot tell where its own program file is.
    pub fn detect(paths: Paths) -> io::Result<Self> {
        let launcher = Launcher::detect(&paths)?;
        Ok(Self::with_launcher(paths, launcher))
    }

    /// Workers that this process starts from `program`, whatever the host has.
    #[must_use]
    pub fn forked(paths: Paths, program: impl Into<std::path::PathBuf>) -> Self {
        let launcher = Launcher::forked(&paths, program.into());
        Self::with_launcher(paths, launcher)
    }

    fn with_launcher(paths: Paths, launcher: Launcher) -> Self {
        let inner = Inner {
            paths,
            launcher,
            starting: Semaphore::new(MAX_STARTING),
            spare: Mutex::new(None),
            told: Mutex::new(None),
            tasks: std::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// How workers are started here.
    #[must_use]
    pub fn kind(&self) -> WorkerKind {
        self.inner.launcher.kind()
    }

    /// The capability that `hello` names.
    #[must_use]
    pub fn capability(&self) -> &'static str {
        match self.kind() {
            WorkerKind::Systemd => "workers.systemd",
            WorkerKind::Forked => "workers.forked",
        }
    }

    /// The capability that says what enforces the limits of jobs here.
    #[must_use]
    pub fn limits_capability(&self) -> &'static str {
        match self.kind() {
            WorkerKind::Systemd => "limits.unit",
            WorkerKind::Forked => "limits.rlimit",
        }
    }

    /// Opens the spare worker, if there is none. A failure is not one yet: the next job tries again and reports it.
    pub async fn warm(&self) {
        let mut spare = self.inner.spare.lock().await;
        if spare.as_ref().is_none_or(Connection::is_closed) {
            *spare = self.inner.launcher.open().await.ok();
        }
    }

    /// Opens the spare a little later, in the background.
    fn warm_in(&self, delay: Duration) {
        let inner = Arc::downgrade(&self.inner);
        let warm = async move {
            sleep(delay).await;
            if let Some(inner) = Weak::upgrade(&inner) {
                Self { inner }.warm().await;
            }
        };
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(warm);
    }

    /// Hands a job to a worker and waits for its answer. An accepted job comes with the connection that tells how it
    /// goes. `job_id` is the one that the order names, see [`job_of`]; `welcome` is the session's, which is only passed on
    /// where no worker has seen it.
    ///
    /// # Errors
    /// [`HandoverError`]. After [`HandoverError::Unreachable`] the job has not run; after the others the spool has to be
    /// asked.
    pub async fn submit(
        &self,
        job_id: JobId,
        cmd: Cmd,
        welcome: Option<Signed>,
    ) -> Result<(CmdAck, Option<RunningJob>), HandoverError> {
        // The semaphore is never closed; were it, starting without a permit would be right.
        let _permit = self.inner.starting.acquire().await.ok();
        let told = *self.inner.told.lock().await;
        let welcome = welcome.filter(|welcome| told != Some(welcome.sig));
        let shown = welcome.as_ref().map(|welcome| welcome.sig);
        let request = Request { v: VERSION, op: Op::Job(Box::new(JobOrder { cmd, welcome })) };
        match self.ask(&request, ACK_DEADLINE).await? {
            (Note::Ack(ack), connection) => {
                if shown.is_some() {
                    *self.inner.told.lock().await = shown;
                }
                let running = matches!(ack.outcome, CmdOutcome::Accepted(_))
                    .then(|| RunningJob::new(ack.job_id, connection, self.clone()));
                self.warm_in(WARM_AT_LAST);
                Ok((ack, running))
            }
            (Note::Refused(rejected), _) => Ok((CmdAck { job_id, outcome: CmdOutcome::Rejected(rejected) }, None)),
            _ => Err(HandoverError::Unclear("it is not one to an order".to_owned())),
        }
    }

    /// Connects to a job that runs already, for example after the relay was restarted.
    ///
    /// # Errors
    /// When nothing answers at the job's socket: it has ended, or its worker was killed.
    pub async fn attach(&self, job_id: JobId) -> io::Result<RunningJob> {
        let connection = Connection::connect(&self.inner.paths.job_sockets_dir(), &format!("{job_id}.sock")).await?;
        Ok(RunningJob::new(job_id, connection, self.clone()))
    }

    /// What the host allows, from a worker: it can read policy files that the relay cannot.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn describe(&self) -> Result<Description, HandoverError> {
        self.ask_for_description(Op::Describe).await
    }

    /// Shows a worker the session's welcome at once, so that orders expire by the hub's clock and not by this host's,
    /// which may be wrong. Where that fails the next job brings it along.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn greet(&self, welcome: Signed) -> Result<Description, HandoverError> {
        let shown = welcome.sig;
        let description = self.ask_for_description(Op::Welcome(welcome)).await?;
        *self.inner.told.lock().await = Some(shown);
        Ok(description)
    }

    /// Has a worker take over restrictions of the hub; gives what is in force now, or the worker's refusal.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn restrict(&self, order: Signed) -> Result<Result<Description, Rejected>, HandoverError> {
        self.ask_for_change(Op::Restrict(order)).await
    }

    /// Has a worker pin the key at the end of the hub's chain of rotations.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn rotate(&self, rotations: Vec<Signed>) -> Result<Result<Description, Rejected>, HandoverError> {
        self.ask_for_change(Op::Rotate(rotations)).await
    }

    async fn ask_for_change(&self, op: Op) -> Result<Result<Description, Rejected>, HandoverError> {
        match self.ask(&Request { v: VERSION, op }, DESCRIBE_DEADLINE).await? {
            (Note::Described(description), _) => Ok(Ok(*description)),
            (Note::Refused(rejected), _) => Ok(Err(rejected)),
            _ => Err(HandoverError::Unclear("it is not one to a change".to_owned())),
        }
    }

    async fn ask_for_description(&self, op: Op) -> Result<Description, HandoverError> {
        match self.ask(&Request { v: VERSION, op }, DESCRIBE_DEADLINE).await? {
            (Note::Described(description), _) => Ok(*description),
            _ => Err(HandoverError::Unclear("it is not a description".to_owned())),
        }
    }

    /// Has a worker end what dead workers left behind and purge what has expired. For the start of the relay, after a
    /// job was lost, and every few hours.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub async fn sweep(&self) -> Result<Swept, HandoverError> {
        match self.ask(&Request { v: VERSION, op: Op::Sweep }, SWEEP_DEADLINE).await? {
            (Note::Swept(swept), _) => Ok(swept),
            _ => Err(HandoverError::Unclear("it is not that of a sweep".to_owned())),
        }
    }

    /// Sends `request` to the spare or a new worker and waits for its first note. A spare may have died unnoticed; what
    /// it was asked is asked again of a new one, which is safe because a job is claimed before it runs.
    async fn ask(&self, request: &Request, deadline: Duration) -> Result<(Note, Connection), HandoverError> {
        let line = request.to_line().map_err(|error| HandoverError::Unreachable(error.into()))?;
        let spare = self.inner.spare.lock().await.take();
        let mut before = None;
        if let Some(mut spare) = spare {
            match hear(&mut spare, &line, deadline).await {
                Ok(note) => return Ok((note, spare)),
                Err(error) => before = Some(error),
            }
        }
        // A spare that has been asked may yet act: that outweighs whatever becomes of another worker.
        let mut fresh = match self.inner.launcher.open().await {
            Ok(fresh) => fresh,
            Err(error) => return Err(before.unwrap_or(HandoverError::Unreachable(error))),
        };
        match hear(&mut fresh, &line, deadline).await {
            Ok(note) => Ok((note, fresh)),
            Err(error) => Err(match before {
                Some(before) if before.may_yet_act() => before,
                _ => error,
            }),
        }
    }
}

/// Sends `line` to a worker and waits for its first note.
async fn hear(worker: &mut Connection, line: &[u8], deadline: Duration) -> Result<Note, HandoverError> {
    match timeout(deadline, worker.exchange(line)).await {
        Ok(Ok(Some(note))) => Ok(note),
        Ok(Ok(None)) => Err(HandoverError::NoAnswer("it ended at once, see its own log".to_owned())),
        Ok(Err(error)) if has_hung_up(&error) => Err(HandoverError::NoAnswer(error.to_string())),
        Ok(Err(error)) => Err(HandoverError::Unclear(error.to_string())),
        Err(_) => Err(HandoverError::Silent(deadline)),
    }
}

/// Whether an error proves that nobody holds the other end any more.
fn has_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The job that an order is about, read before anything is verified: good for finding it again, for nothing else.
#[must_use]
pub fn job_of(cmd: &Cmd) -> Option<JobId> {
    serde_json::from_str::<CmdBody>(&cmd.signed.body).ok().map(|body| body.job_id)
}
