//! `logs`: a job's output, from what this server still has of it.

use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use protocol::JobId;
use protocol::job::{JobDone, LogStream};

use super::Problem;
use super::records::{JobName, Records, tail};
use crate::paths::Paths;
use crate::spool::{LogReader, Phase};
use crate::text;

/// How often a running job's log is looked at.
const POLL: Duration = Duration::from_millis(100);
/// The relay may free a segment between a look at the directory and opening it; the next look does not see it any more.
const TRIES: usize = 10;

/// Whether to wait for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Print what is there.
    Once,
    /// Go on until the job ends.
    Follow,
}

/// Prints the log of a job.
///
/// # Errors
/// When there is no such job or its log cannot be read.
pub fn run(paths: &Paths, name: &JobName, mode: Mode) -> Result<ExitCode, Problem> {
    let records = Records::open(paths)?;
    let job_id = records.find(name)?;
    match print(&records, job_id, mode, &mut Out { out: stdout(), err: stderr() }) {
        // Whoever read has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Problem::new(
            format!("the log of job {job_id} cannot be read: {error}"),
            "Look at the disk; the hub has what it has acknowledged.",
        )),
        Ok(Printed::Log) => Ok(ExitCode::SUCCESS),
        Ok(Printed::Nothing) => Err(Problem::new(
            format!("the log of job {job_id} is not kept here any more"),
            "The hub has all of it: look there.",
        )),
    }
}

enum Printed {
    Log,
    /// Only its claim is left.
    Nothing,
}

/// Where output goes.
struct Out<O, E> {
    out: O,
    err: E,
}

impl<O: Write, E: Write> Out<O, E> {
    fn chunk(&mut self, stream: LogStream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            LogStream::Out => self.out.write_all(bytes)?,
            LogStream::Err | LogStream::Sys => {
                // On one terminal the two keep their order.
                self.out.flush()?;
                self.err.write_all(bytes)?;
            }
        }
        Ok(())
    }

    fn remark(&mut self, text: &str) -> io::Result<()> {
        self.chunk(LogStream::Sys, format!("[{text}]\n").as_bytes())
    }
}

fn print<O: Write, E: Write>(records: &Records, job_id: JobId, mode: Mode, out: &mut Out<O, E>) -> io::Result<Printed> {
    if records.spool.job(job_id)?.is_none() {
        return Ok(Printed::Nothing);
    }
    let mut reader = records.spool.reader(job_id, 0)?;
    loop {
        // Asked before reading: what is written by the end is read after it.
        let is_running = is_running(records, job_id)?;
        drain(&mut reader, out)?;
        out.out.flush()?;
        if !is_running {
            break;
        }
        if mode == Mode::Once {
            out.remark("the job runs on; -f follows it")?;
            return Ok(Printed::Log);
        }
        std::thread::sleep(POLL);
    }
    match records.spool.job(job_id)?.map(|job| job.phase) {
        Some(Phase::Ended(done)) => conclude(&done, reader.offset(), out)?,
        _ => out.remark("the log was cleared meanwhile; the hub has all of it")?,
    }
    Ok(Printed::Log)
}

/// A place that was cleared meanwhile is that of a job that has ended.
fn is_running(records: &Records, job_id: JobId) -> io::Result<bool> {
    match records.spool.is_running(job_id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        other => other,
    }
}

fn conclude<O: Write, E: Write>(done: &JobDone, printed: u64, out: &mut Out<O, E>) -> io::Result<()> {
    if done.next_offset > printed {
        out.remark(&format!("the last {} are not here", text::bytes(done.next_offset - printed)))?;
    }
    let why = done.error.as_ref().map(|error| format!(": {}", text::one_line(&error.message))).unwrap_or_default();
    out.remark(&format!("job {} has ended: {}{why}", tail(done.job_id), text::outcome(done)))
}

/// Prints everything that is there now.
fn drain<O: Write, E: Write>(reader: &mut LogReader, out: &mut Out<O, E>) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut tries = 0;
    loop {
        let expected = reader.offset();
        let chunk = match reader.next(&mut buffer) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES => {
                tries += 1;
                reader.seek(expected);
                continue;
            }
            Err(error) => return Err(error),
        };
        tries = 0;
        if chunk.offset > expected {
            let missing = text::bytes(chunk.offset - expected);
            let what = if expected == 0 { "the first" } else { "here" };
            out.remark(&format!("{what} {missing} of the log are not kept any more; the hub has them"))?;
        }
        out.chunk(chunk.stream, &buffer)?;
    }
}
