//! What each kind of job does on this machine, one file per kind.

pub mod exec;

use protocol::JobId;
use protocol::job::JobError;
use protocol::kinds::JobKind;

use crate::host::commands::{JobProcess, StartError};

/// The main process that carries out a job.
///
/// # Errors
/// What is missing on this machine.
pub fn prepare(kind: &JobKind, job_id: JobId) -> Result<JobProcess, JobError> {
    match kind {
        JobKind::Exec(args) => exec::prepare(args, job_id),
    }
}

/// What the job was told in confidence, and its log must not repeat.
pub fn secrets(kind: &JobKind) -> impl Iterator<Item = &str> {
    match kind {
        JobKind::Exec(args) => args.secret_env.values().map(String::as_str),
    }
}

/// Why the main process could not be started, in the words of its kind.
#[must_use]
pub fn explain(kind: &JobKind, error: &StartError) -> JobError {
    match kind {
        JobKind::Exec(args) => exec::explain(args, error),
    }
}

/// What a job does, in its own words: raw, to be shown by [`crate::text`]. Values of the environment and standard input are
/// not in it, they may be secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The command line.
    pub command: String,
    /// The user that it runs as.
    pub user: String,
    /// Its working directory, where one was given.
    pub cwd: Option<String>,
}

/// What a job does.
#[must_use]
pub fn summary(kind: &JobKind) -> Summary {
    match kind {
        JobKind::Exec(args) => exec::summary(args),
    }
}

fn error(code: &str, message: String) -> JobError {
    JobError { code: code.to_owned(), message }
}
