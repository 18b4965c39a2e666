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

/// Why the main process could not be started, in the words of its kind.
#[must_use]
pub fn explain(kind: &JobKind, error: &StartError) -> JobError {
    match kind {
        JobKind::Exec(args) => exec::explain(args, error),
    }
}

fn error(code: &str, message: String) -> JobError {
    JobError { code: code.to_owned(), message }
}
