//! The growing end of one log: what has been taken, what has been stored, who waits for more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::job::JobDone;
use protocol::{JobId, ServerId};
use tokio::sync::watch;

use super::segment::Piece;
use super::store::{self, Extent};
use super::tail::Tail;
use super::text::Carries;
use crate::error::{Error, Result};
use crate::gateway::AgentLink;
use crate::hub::Hub;
use crate::jobs::model::{Job, LogSize};

/// A log does not grow beyond this: what browsers can count exactly.
const MAX_OFFSET: u64 = 1 << 53;

/// A log that is written or followed right now. There is one per job, whatever connections come and go.
#[derive(Debug)]
pub(in crate::jobs) struct Live {
    pub(in crate::jobs) job_id: JobId,
    pub(in crate::jobs) server_id: ServerId,
    intake: Mutex<Intake>,
    progress: watch::Sender<Progress>,
    tail: Mutex<Tail>,
    /// The job as it was last written, while it is out.
    job: Mutex<Option<Job>>,
}

/// What came in.
#[derive(Debug)]
struct Intake {
    /// Bytes taken, stored or on their way to the database.
    taken: u64,
    /// The first piece that was refused since `taken` moved, because something before it was missing.
    refused: Option<Refused>,
    /// Unfinished characters at `taken`.
    carries: Carries,
    /// The end, until everything before it is stored.
    done: Option<JobDone>,
    /// Whom to tell what is stored.
    link: Option<AgentLink>,
}

/// A piece that left a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    offset: u64,
    /// The connection that it came over.
    connection: u64,
}

/// What followers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jobs) struct Progress {
    /// Bytes stored.
    pub(in crate::jobs) stored: u64,
    /// Bytes of output that were dropped.
    pub(in crate::jobs) gap_bytes: u64,
    /// Bytes of it that are still there.
    pub(in crate::jobs) kept: u64,
    /// Bytes that they take in the database.
    pub(in crate::jobs) room: u64,
    /// The job has ended: no more will come.
    pub(in crate::jobs) ended: bool,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is new, at least in part, and on its way to the database.
    New,
    /// Known already; so many bytes are stored.
    Known {
        /// Bytes stored.
        stored: u64,
    },
    /// Something before it is missing: the agent shall send from `expected` on.
    Gap {
        /// Bytes taken.
        expected: u64,
        /// Bytes stored.
        stored: u64,
    },
}

impl Live {
    /// The log of a job that has none yet.
    pub(in crate::jobs) fn new(job_id: JobId, server_id: ServerId) -> Arc<Self> {
        Self::at(job_id, server_id, Extent::default(), Carries::default())
    }

    fn at(job_id: JobId, server_id: ServerId, extent: Extent, carries: Carries) -> Arc<Self> {
        let Extent { finish, gap_bytes, kept, stored: room } = extent;
        let progress = Progress { stored: finish, gap_bytes, kept, room, ended: false };
        let intake = Intake { taken: extent.finish, refused: None, carries, done: None, link: None };
        Arc::new(Self {
            job_id,
            server_id,
            intake: Mutex::new(intake),
            progress: watch::Sender::new(progress),
            tail: Mutex::default(),
            job: Mutex::new(None),
        })
    }

    /// The log of a job, from memory or as the database has it.
    pub(in crate::jobs) async fn get(hub: &Hub, job_id: JobId, server_id: ServerId) -> Result<Arc<Self>> {
        if let Some(live) = hub.jobs.live(job_id) {
            return Ok(live);
        }
        let mut session = hub.history.read().await?;
        let extent = store::extent(&mut session.conn(), job_id).await?;
        let mut carries = Carries::default();
        if let Some(row) = store::last(&mut session.conn(), job_id).await? {
            let segment = row.decode().map_err(Error::internal)?;
            carries = segment.carries;
            segment.pieces.iter().for_each(|piece| carries.skip(piece.stream, &piece.data));
        }
        Ok(hub.jobs.keep_live(Self::at(job_id, server_id, extent, carries)))
    }

    /// Takes a piece that came over `link`, once and in order. What is new of it goes to `queue`, with the unfinished
    /// characters before it, under the lock that orders pieces.
    pub(super) fn take(
        &self,
        link: &AgentLink,
        piece: Piece,
        queue: impl FnOnce(Vec<Piece>, Carries) -> Result<()>,
    ) -> Result<Taken> {
        let mut intake = self.intake();
        let stored = self.progress.borrow().stored;
        intake.link = Some(link.clone());
        if piece.end() <= intake.taken {
            return Ok(Taken::Known { stored });
        }
        let mut pieces = Vec::with_capacity(1);
        if piece.offset > intake.taken {
            let refused = Refused { offset: piece.offset, connection: link.connection() };
            // Told where to go on by a new welcome, the agent begins at the same place again: it has nothing before it.
            let again = intake
                .refused
                .is_some_and(|before| before.offset == refused.offset && before.connection != refused.connection);
            if !again || piece.end() > MAX_OFFSET {
                let before = intake.refused.filter(|before| before.connection == refused.connection);
                intake.refused = before.or(Some(refused));
                return Ok(Taken::Gap { expected: intake.taken, stored });
            }
            pieces.push(Piece::hole(intake.taken, piece.offset - intake.taken, piece.at_ms));
        }
        let piece = piece.from(intake.taken);
        let (taken, mut carries) = (piece.end(), intake.carries);
        carries.skip(piece.stream, &piece.data);
        pieces.push(piece);
        queue(pieces, intake.carries)?;
        intake.taken = taken;
        intake.carries = carries;
        intake.refused = None;
        Ok(Taken::New)
    }

    /// Keeps the end until the log before it is stored. What to do with it now: the end itself when all is there,
    /// nothing when the rest is on its way, or where the agent shall go on.
    pub(in crate::jobs) fn end_with(&self, link: &AgentLink, done: JobDone) -> EndTaken {
        let mut intake = self.intake();
        let stored = self.progress.borrow().stored;
        intake.link = Some(link.clone());
        if done.next_offset > intake.taken {
            return EndTaken::Incomplete { expected: intake.taken, stored };
        }
        if done.next_offset > stored {
            intake.done = Some(done);
            return EndTaken::Later;
        }
        EndTaken::Now(done)
    }

    /// More is stored now. Gives the end when it waited for this, and whom to tell.
    pub(super) fn stored(&self, more: Growth) -> (Option<JobDone>, Option<AgentLink>) {
        let mut intake = self.intake();
        self.progress.send_modify(|progress| {
            progress.stored = more.finish;
            progress.gap_bytes = progress.gap_bytes.saturating_add(more.gap_bytes).saturating_add(more.dropped);
            progress.kept = progress.kept.saturating_add(more.kept).saturating_sub(more.dropped);
            progress.room = more.room;
        });
        (intake.done.take_if(|done| done.next_offset <= more.finish), intake.link.clone())
    }

    /// Bytes that are still there.
    pub(super) fn kept(&self) -> u64 {
        self.progress.borrow().kept
    }

    /// Bytes that they take in the database.
    pub(in crate::jobs) fn room(&self) -> u64 {
        self.progress.borrow().room
    }

    /// What was just stored, for followers that keep up. Comes before they are woken.
    pub(super) fn extend_tail(&self, pieces: &[Piece]) {
        self.tail().extend(pieces);
    }

    /// See [`Tail::pieces`].
    pub(super) fn tail_pieces(&self, from: u64, max_bytes: u64) -> Vec<Piece> {
        self.tail().pieces(from, max_bytes)
    }

    /// Somebody else wrote this log: what is in memory is wrong, and the agent starts over from what is stored.
    pub(super) fn start_over(&self, extent: Extent) -> Option<AgentLink> {
        self.tail().clear();
        let mut intake = self.intake();
        intake.taken = extent.finish;
        intake.refused = None;
        intake.carries = Carries::default();
        intake.done = None;
        self.progress.send_modify(|progress| {
            progress.stored = extent.finish;
            progress.gap_bytes = extent.gap_bytes;
            progress.kept = extent.kept;
            progress.room = extent.stored;
        });
        intake.link.clone()
    }

    /// No more will come.
    pub(in crate::jobs) fn end(&self) {
        self.progress.send_modify(|progress| progress.ended = true);
    }

    /// How much is stored.
    pub(in crate::jobs) fn size(&self) -> LogSize {
        let progress = *self.progress.borrow();
        LogSize { bytes: progress.stored, truncated: progress.gap_bytes > 0, removed_at: None, stored: progress.room }
    }

    /// The job as it was last written, where that is remembered.
    pub(in crate::jobs) fn job(&self) -> Option<Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the job as it was written.
    pub(in crate::jobs) fn remember(&self, job: Job) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    }

    /// Whether anything of it came in, stored or not.
    pub(in crate::jobs) fn has_any(&self) -> bool {
        self.intake().taken > 0
    }

    /// Wakes whenever more is stored or the job has ended.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Nothing of it is on its way to the database.
    pub(in crate::jobs) fn is_idle(&self) -> bool {
        let intake = self.intake();
        intake.done.is_none() && intake.taken == self.progress.borrow().stored
    }

    /// Its end came before all of its log was stored.
    #[cfg(test)]
    pub(super) fn awaits_end(&self) -> bool {
        self.intake().done.is_some()
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Holders of the lock do not panic between two changes that belong together.
    fn intake(&self) -> MutexGuard<'_, Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a transaction added to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    /// Where the log ends now.
    pub(super) finish: u64,
    /// Bytes that were missing in what was added.
    pub(super) gap_bytes: u64,
    /// Bytes that were added.
    pub(super) kept: u64,
    /// Bytes of the middle that were dropped for them.
    pub(super) dropped: u64,
    /// Bytes that the whole log takes in the database now.
    pub(super) room: u64,
}

/// What became of an end.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::jobs) enum EndTaken {
    /// The log before it is stored.
    Now(JobDone),
    /// The log before it is on its way to the database; the end follows by itself.
    Later,
    /// The agent shall send the log from `expected` on, then the end again.
    Incomplete {
        /// Bytes taken.
        expected: u64,
        /// Bytes stored.
        stored: u64,
    },
}
