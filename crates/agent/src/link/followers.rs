//! Jobs that run: one task each listens to its worker. Outlives every connection.
//!
//! What the tasks hear is left on a board that holds one entry per job, so that a hub that is away for a week costs no
//! memory; the log itself is in the spool.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::job::{Cancel, Cmd, CmdAck, JobDone, Rejected};
use protocol::{JobId, MessageId, Signed};
use tokio::sync::{Notify, mpsc};

use crate::handover::{HandoverError, RunningJob, Workers};
use crate::host::tasks::Tasks;
use crate::work::wire::Note;

/// Jobs handed over at the same time. Beyond this the session stops reading until one is answered.
pub const MAX_STARTING: usize = 64;
/// Cancels of one job that wait for its worker; a second one changes nothing.
const MAX_CANCELS: usize = 4;

/// Everything that runs on this host for the hub.
#[derive(Debug)]
pub struct Followers {
    workers: Workers,
    tasks: Tasks,
    board: Arc<Board>,
}

/// What was heard and not yet looked at.
#[derive(Debug, Default)]
struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    followed: HashMap<JobId, mpsc::Sender<Cancel>>,
    news: HashMap<JobId, News>,
    answers: VecDeque<Answer>,
    refused: VecDeque<(JobId, Rejected)>,
    /// Jobs on their way to a worker, by how many orders: a hub that has reconnected sends an unanswered one again.
    starting: HashMap<JobId, usize>,
}

/// What is new of one job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Bytes of log that can be read from the spool.
    pub spooled: u64,
    /// How it ended; its whole log is in the spool.
    pub done: Option<JobDone>,
    /// Its worker hung up without saying how it ended: the spool has to be asked.
    pub lost_sight: bool,
}

/// A worker's answer to a `cmd`.
#[derive(Debug)]
pub struct Answer {
    /// The connection that the `cmd` came over.
    pub session: u64,
    /// The `cmd`.
    pub reference: MessageId,
    /// The job.
    pub job_id: JobId,
    /// What to tell the hub, or why no worker said.
    pub ack: Result<CmdAck, HandoverError>,
}

/// Everything that is new.
#[derive(Debug, Default)]
pub struct Changes {
    /// Of jobs, by job.
    pub news: HashMap<JobId, News>,
    /// Answers to the hub's orders.
    pub answers: VecDeque<Answer>,
    /// Cancels that a worker did not take.
    pub refused: VecDeque<(JobId, Rejected)>,
}

impl Followers {
    /// Follows nothing yet.
    #[must_use]
    pub fn new(workers: Workers) -> Self {
        Self { workers, tasks: Tasks::default(), board: Arc::new(Board::default()) }
    }

    /// How workers are reached.
    #[must_use]
    pub const fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Hands a job over in the background. The answer appears in [`Followers::take`].
    pub fn start(&mut self, session: u64, reference: MessageId, job_id: JobId, cmd: Cmd, welcome: Signed) {
        let (board, workers) = (Arc::clone(&self.board), self.workers.clone());
        *board.lock().starting.entry(job_id).or_default() += 1;
        self.tasks.spawn(async move {
            let (ack, running) = match workers.submit(job_id, cmd, Some(welcome)).await {
                Ok((ack, running)) => (Ok(ack), running),
                Err(error) => (Err(error), None),
            };
            // A cancel may be on the heels of the answer: whoever reads the answer finds the job followed.
            let running = running.map(|running| (board.register(job_id), running));
            {
                let mut state = board.lock();
                if let Entry::Occupied(mut orders) = state.starting.entry(job_id) {
                    *orders.get_mut() -= 1;
                    if *orders.get() == 0 {
                        orders.remove();
                    }
                }
                state.answers.push_back(Answer { session, reference, job_id, ack });
            }
            board.changed.notify_one();
            if let Some((cancels, running)) = running {
                follow(board, running, cancels).await;
            }
        });
    }

    /// Orders on their way to a worker.
    #[must_use]
    pub fn starting(&self) -> usize {
        self.board.lock().starting.values().sum()
    }

    /// Whether a worker has an order for this job and has not answered it.
    #[must_use]
    pub fn is_starting(&self, job_id: JobId) -> bool {
        self.board.lock().starting.contains_key(&job_id)
    }

    /// Listens to a job that runs already. When nothing answers, the news say that it was lost sight of.
    pub fn attach(&mut self, job_id: JobId) {
        if self.is_following(job_id) {
            return;
        }
        let (board, workers) = (Arc::clone(&self.board), self.workers.clone());
        let cancels = board.register(job_id);
        self.tasks.spawn(async move {
            match workers.attach(job_id).await {
                Ok(running) => follow(board, running, cancels).await,
                Err(_) => board.end(job_id, false),
            }
        });
    }

    /// Whether a job's worker is listened to.
    #[must_use]
    pub fn is_following(&self, job_id: JobId) -> bool {
        self.board.lock().followed.contains_key(&job_id)
    }

    /// Passes a cancel on to the job's worker; `false` when that is not listened to.
    #[must_use]
    pub fn cancel(&self, job_id: JobId, cancel: Cancel) -> bool {
        let state = self.board.lock();
        // A full queue means that the worker has been told already.
        state
            .followed
            .get(&job_id)
            .is_some_and(|cancels| !matches!(cancels.try_send(cancel), Err(mpsc::error::TrySendError::Closed(_))))
    }

    /// Takes what is new.
    #[must_use]
    pub fn take(&self) -> Changes {
        let mut state = self.board.lock();
        Changes {
            news: std::mem::take(&mut state.news),
            answers: std::mem::take(&mut state.answers),
            refused: std::mem::take(&mut state.refused),
        }
    }

    /// Waits until something is new.
    pub async fn changed(&self) {
        self.board.changed.notified().await;
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on cancels of this job have somewhere to go.
    fn register(&self, job_id: JobId) -> mpsc::Receiver<Cancel> {
        let (sender, cancels) = mpsc::channel(MAX_CANCELS);
        self.lock().followed.insert(job_id, sender);
        cancels
    }

    /// Nobody listens to this job any more.
    fn end(&self, job_id: JobId, told_end: bool) {
        self.lock().followed.remove(&job_id);
        if !told_end {
            self.tell(job_id, |news| news.lost_sight = true);
        }
    }

    fn tell(&self, job_id: JobId, change: impl FnOnce(&mut News)) {
        change(self.lock().news.entry(job_id).or_default());
        self.changed.notify_one();
    }
}

async fn follow(board: Arc<Board>, mut running: RunningJob, mut cancels: mpsc::Receiver<Cancel>) {
    let job_id = running.job_id();
    let mut told_end = false;
    loop {
        tokio::select! {
            note = running.next() => match note {
                Ok(Some(Note::Spooled(bytes))) => {
                    board.tell(job_id, |news| news.spooled = news.spooled.max(bytes));
                }
                Ok(Some(Note::Done(done))) => {
                    told_end = true;
                    board.tell(job_id, |news| news.done = Some(done));
                    break;
                }
                Ok(Some(Note::Refused(rejected))) => {
                    board.lock().refused.push_back((job_id, rejected));
                    board.changed.notify_one();
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            },
            Some(cancel) = cancels.recv() => {
                if running.cancel(&cancel).await.is_err() {
                    break;
                }
            }
        }
    }
    board.end(job_id, told_end);
}
