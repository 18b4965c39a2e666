//! What a change is, what can become of it, and how long is waited for what.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::saved::Content;
use crate::paths::{DEFAULT_STATE_DIR, Paths};

/// How long is waited for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For somebody who holds a change and should let go.
    pub lock: Duration,
    /// For one command.
    pub command: Duration,
    /// Before a revert that failed is tried again; doubled each time.
    pub retry: Duration,
    /// For a guard to say that it is on watch.
    pub guard: Duration,
    /// Between two looks.
    pub poll: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(5),
            command: Duration::from_secs(60),
            retry: Duration::from_secs(2),
            guard: Duration::from_secs(10),
            poll: Duration::from_millis(20),
        }
    }
}

/// A step that was just made, and is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The change may begin to be saved.
    Begun,
    /// This file is saved.
    Saved(usize),
    /// Everything is saved.
    Prepared,
    /// It is going to be applied.
    Applying,
    /// A guard is on watch.
    Guarded,
    /// This file was written.
    Wrote(usize),
    /// This command was run.
    Ran(usize),
    /// All of it was applied.
    Applied,
    /// It is confirmed.
    Confirmed,
    /// It is going to be reverted.
    Reverting,
    /// This file was put back.
    Restored(usize),
    /// This command was run again.
    RanAgain(usize),
    /// Everything is as it was.
    Reverted,
}

/// Who is told of every step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached(Option<fn(Step)>);

impl Reached {
    /// This function is called after every step.
    #[must_use]
    pub const fn tell(told: fn(Step)) -> Self {
        Self(Some(told))
    }

    pub(super) fn step(self, step: Step) {
        if let Some(told) = self.0 {
            told(step);
        }
    }
}

/// Who reverts a change whose maker cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The unit `roadstead-revert.service`.
    Unit,
    /// A guard that runs already.
    Running,
    /// The next sweep: a change without a maker is reverted at once.
    Sweep,
}

impl Guard {
    /// The one that this host has.
    #[must_use]
    pub fn of_host(paths: &Paths) -> Self {
        let installed = paths.state_dir() == Path::new(DEFAULT_STATE_DIR);
        let has_systemd = Path::new("/run/systemd/system").is_dir();
        if installed && has_systemd { Self::Unit } else { Self::Sweep }
    }
}

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Absolute paths and what shall be there, in this order.
    pub files: Vec<(PathBuf, Content)>,
    /// Argument vectors, run after the files were written and after they were put back.
    pub after: Vec<Vec<String>>,
    /// How long it waits for confirmation.
    pub confirm_within: Duration,
}

/// Why a change was not made, or not kept.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Nothing was changed.
    #[error("nothing was changed: {0}")]
    NotPrepared(#[source] io::Error),
    /// Something failed half-way; everything was put back.
    #[error("it failed and everything was put back: {0}")]
    Undone(io::Error),
    /// Something failed half-way, and not everything could be put back.
    #[error("it failed ({why}), and not everything could be put back: {left}")]
    Stuck {
        /// What failed first.
        why: io::Error,
        /// What is not as it was.
        left: String,
    },
    /// It was reverted by somebody else meanwhile.
    #[error("it was reverted, its time was up or somebody wanted it so")]
    Overtaken,
    /// The journal cannot be used.
    #[error("the journal of changes cannot be used: {0}")]
    Journal(#[from] io::Error),
}

/// What became of a change that waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Confirmed,
    /// Everything is as it was; why.
    Reverted(String),
    /// Not everything could be put back; what is left to do.
    Stuck(String),
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The change is good.
    Good,
    /// Nothing can be said yet.
    Unknown,
    /// The change is bad.
    Bad,
}
