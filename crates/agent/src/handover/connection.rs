//! One connection to one worker: lines out, notes in.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use protocol::JobId;
use protocol::job::Cancel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{WARM_AFTER_END, Workers};
use crate::host::files::Dir;
use crate::work::wire::{MAX_NOTE, Note, Op, Request, VERSION};

/// A worker's end of the line.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    pub(super) const fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Connects to a socket by its directory: a path of any depth fits.
    pub(super) async fn connect(dir: &Path, name: &str) -> io::Result<Self> {
        let dir = Dir::open(dir)?;
        let path = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
        UnixStream::connect(path).await.map(Self::new)
    }

    /// The worker is gone. An idle worker says nothing, so anything to read is the end of the stream.
    pub(super) fn is_closed(&self) -> bool {
        let mut byte = [0];
        !matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) async fn send(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line).await
    }

    /// Sends `line` and waits for the next note.
    pub(super) async fn exchange(&mut self, line: &[u8]) -> io::Result<Option<Note>> {
        self.send(line).await?;
        self.next().await
    }

    /// The next note that this build knows; `None` when the worker has hung up. Nothing is lost when the future is
    /// dropped.
    pub(super) async fn next(&mut self) -> io::Result<Option<Note>> {
        loop {
            while let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                if let Ok(note) = serde_json::from_slice(&line) {
                    return Ok(Some(note));
                }
            }
            if self.received.len() > MAX_NOTE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the worker's line is longer than allowed"));
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// A job that a worker runs, as the relay sees it.
#[derive(Debug)]
pub struct RunningJob {
    job_id: JobId,
    connection: Connection,
    workers: Workers,
}

impl RunningJob {
    pub(super) const fn new(job_id: JobId, connection: Connection, workers: Workers) -> Self {
        Self { job_id, connection, workers }
    }

    /// The job.
    #[must_use]
    pub const fn job_id(&self) -> JobId {
        self.job_id
    }

    /// What the worker says next: `Spooled`, `Done`, or `Refused` for a cancel that it did not take. `None`: it hung up,
    /// which without `Done` means that [`crate::spool::Spool::job`] has to be asked. Nothing is lost when the future is
    /// dropped.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> io::Result<Option<Note>> {
        let note = self.connection.next().await;
        if matches!(note, Ok(Some(Note::Done(_)))) {
            self.workers.warm_in(WARM_AFTER_END);
        }
        note
    }

    /// Passes on the hub's order to end the job. The worker verifies it; it answers with `Refused` or, in the end, `Done`.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn cancel(&mut self, cancel: &Cancel) -> io::Result<()> {
        let line = Request { v: VERSION, op: Op::Cancel(cancel.clone()) }.to_line()?;
        self.connection.send(&line).await
    }
}
