//! `cancel`: ends a running job without the hub. The worker decides: it takes this from root and its own user only.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use nix::unistd::geteuid;
use protocol::JobId;
use protocol::job::JobDone;
use tokio::time::Instant;

use super::records::{JobName, Records};
use super::{AS_ROOT, Problem, say};
use crate::host::files::Dir;
use crate::host::users;
use crate::paths::Paths;
use crate::spool::Phase;
use crate::text;
use crate::work::wire::{CancelHere, MAX_NOTE, Note, Op, Request, VERSION};

/// Exit code where there was nothing to cancel.
pub const ALREADY_OVER: u8 = 3;
/// Exit code where the job takes longer to end than we wait.
pub const STILL_ENDING: u8 = 4;
/// A worker gives up on what cannot be killed after 12 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for one line before time is looked at again.
const TURN: Duration = Duration::from_millis(500);

/// What the worker said in the end.
enum Answer {
    Ended(JobDone),
    Refused(String),
    /// It hung up without a word of the end.
    HungUp,
    /// Nothing in time.
    Silent,
}

/// Cancels a job and waits for its end.
///
/// # Errors
/// When there is no such job, or its worker does not take this.
pub fn run(paths: &Paths, name: &JobName) -> Result<ExitCode, Problem> {
    let records = Records::open(paths)?;
    let job_id = records.find(name)?;
    if let Some(over) = already_over(&records, job_id)? {
        say(over);
        return Ok(ExitCode::from(ALREADY_OVER));
    }
    let stream = match connect(paths, job_id) {
        Ok(stream) => stream,
        // It may have ended between the look and the call.
        Err(error) => match already_over(&records, job_id)? {
            Some(over) => {
                say(over);
                return Ok(ExitCode::from(ALREADY_OVER));
            }
            None => return Err(unreachable(job_id, &error)),
        },
    };
    let failed = |error: io::Error| unreachable(job_id, &error);
    match order(stream, &person()).map_err(failed)? {
        Answer::Ended(done) => {
            say(ended(&done));
            Ok(ExitCode::SUCCESS)
        }
        Answer::Refused(why) => {
            Err(Problem::new(format!("the worker of job {job_id} refuses: {}", text::one_line(&why)), AS_ROOT))
        }
        Answer::HungUp => match records.spool.job(job_id).ok().flatten().map(|job| job.phase) {
            Some(Phase::Ended(done)) => {
                say(ended(&done));
                Ok(ExitCode::SUCCESS)
            }
            _ => Err(Problem::new(
                format!("the worker of job {job_id} hung up before the job had ended"),
                "Run the command again; roadstead-agent jobs says how the job stands.",
            )),
        },
        Answer::Silent => {
            say(format!(
                "job {job_id} was told to end and has not within {} s; roadstead-agent logs {job_id} says more",
                PATIENCE.as_secs()
            ));
            Ok(ExitCode::from(STILL_ENDING))
        }
    }
}

fn ended(done: &JobDone) -> String {
    let why = done.error.as_ref().map(|error| format!(": {}", text::one_line(&error.message))).unwrap_or_default();
    format!("job {} has ended: {}{why}", done.job_id, text::outcome(done))
}

/// What to say of a job that does not run.
fn already_over(records: &Records, job_id: JobId) -> Result<Option<String>, Problem> {
    if records.is_running(job_id) {
        return Ok(None);
    }
    let spooled = records
        .spool
        .job(job_id)
        .map_err(|error| Problem::new(format!("job {job_id} cannot be looked up in the spool: {error}"), AS_ROOT))?;
    Ok(Some(match spooled.map(|job| job.phase) {
        Some(Phase::Ended(done)) => format!("nothing to cancel: {}", ended(&done)),
        _ => format!("nothing to cancel: job {job_id} does not run any more; the hub has its end"),
    }))
}

fn connect(paths: &Paths, job_id: JobId) -> io::Result<UnixStream> {
    let dir = Dir::open(&paths.job_sockets_dir())?;
    // By the open directory: a path of any depth fits into a socket address.
    let stream = UnixStream::connect(format!("/proc/self/fd/{}/{job_id}.sock", dir.as_raw_fd()))?;
    stream.set_read_timeout(Some(TURN))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn unreachable(job_id: JobId, error: &io::Error) -> Problem {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => AS_ROOT,
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            "The job has just begun, or its worker is dead: try again, and see roadstead-agent doctor."
        }
        _ => "Try again.",
    };
    Problem::new(format!("the worker of job {job_id} cannot be reached: {error}"), advice)
}

/// Who does this, for the record. Root may say whom it acts for; the worker names everybody else by itself.
fn person() -> String {
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| geteuid().is_root() && users::find(name).is_some());
    sudo.unwrap_or_default()
}

/// Gives the order and waits for the end, at most [`PATIENCE`].
fn order(mut stream: UnixStream, by: &str) -> io::Result<Answer> {
    let until = Instant::now() + PATIENCE;
    let request = Request { v: VERSION, op: Op::CancelHere(CancelHere { by: by.to_owned() }) };
    stream.write_all(&request.to_line()?)?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_NOTE).unwrap_or(u64::MAX).saturating_add(1);
    loop {
        let room = limit.saturating_sub(u64::try_from(line.len()).unwrap_or(limit));
        match reader.by_ref().take(room).read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => {
                match serde_json::from_slice(&line) {
                    Ok(Note::Done(done)) => return Ok(Answer::Ended(done)),
                    Ok(Note::Refused(rejected)) => return Ok(Answer::Refused(rejected.message)),
                    // Progress, or a note of a newer version.
                    _ => line.clear(),
                }
            }
            Ok(_) => return Ok(Answer::HungUp),
            // What has come of a line stays in it.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Answer::HungUp),
            Err(error) => return Err(error),
        }
        if Instant::now() >= until {
            return Ok(Answer::Silent);
        }
    }
}
