//! One connection of the worker: the relay that brought the job, or one that came to its control socket.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use protocol::job::{RejectCode, Rejected};

use super::wire::{MAX_NOTE, Note, Request, VERSION};

const READ: usize = 16 << 10;

/// A connection. Nothing it does makes the worker wait.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
    /// Longest line that is taken.
    limit: usize,
    received: Vec<u8>,
    unsent: Vec<u8>,
    is_closed: bool,
}

impl Peer {
    /// Takes over a connection.
    ///
    /// # Errors
    /// When it cannot be made non-blocking.
    pub fn new(stream: UnixStream, limit: usize) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, limit, received: Vec::new(), unsent: Vec::new(), is_closed: false })
    }

    /// The user at the other end, as the kernel saw it.
    ///
    /// # Errors
    /// When it is no Unix socket.
    pub fn uid(&self) -> io::Result<u32> {
        Ok(getsockopt(&self.stream, PeerCredentials)?.uid())
    }

    /// From now on lines may be this long.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Waits for the next line; `None` when the other end hangs up before it.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn wait(&mut self) -> io::Result<Option<Result<Request, Rejected>>> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.is_closed {
                return Ok(None);
            }
            match poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => self.receive(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Takes in what has arrived.
    pub fn receive(&mut self) {
        let room = (self.limit + 1).saturating_sub(self.received.len());
        let mut buffer = [0; READ];
        let room = buffer.get_mut(..room.min(READ)).unwrap_or_default();
        match self.stream.read(room) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.received.extend_from_slice(room.get(..count).unwrap_or_default()),
            Err(error) if is_later(&error) => {}
            Err(_) => self.is_closed = true,
        }
    }

    /// The next whole line, understood or not.
    pub fn take_line(&mut self) -> Option<Result<Request, Rejected>> {
        let Some(end) = self.received.iter().position(|&byte| byte == b'\n') else {
            if self.received.len() > self.limit {
                self.is_closed = true;
                let message = format!("a line is longer than {} bytes", self.limit);
                self.received = Vec::new();
                return Some(Err(Rejected { code: RejectCode::BadArguments, message }));
            }
            return None;
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        if self.received.is_empty() {
            self.received = Vec::new();
        }
        Some(parse(&line))
    }

    /// Says something that must arrive.
    pub fn send(&mut self, note: &Note) {
        if self.is_closed {
            return;
        }
        match note.to_line() {
            // Who asks and never listens is not served for ever.
            Ok(line) if self.unsent.len() + line.len() <= 2 * MAX_NOTE => self.unsent.extend_from_slice(&line),
            _ => self.is_closed = true,
        }
        self.flush();
    }

    /// Says how far the log is, unless more important words are still on their way.
    pub fn send_progress(&mut self, spooled: u64) {
        if self.unsent.is_empty() {
            self.send(&Note::Spooled(spooled));
        }
    }

    /// Sends what could not be sent before.
    pub fn flush(&mut self) {
        while !self.unsent.is_empty() && !self.is_closed {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_later(&error) => return,
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// Something waits to be sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() && !self.is_closed
    }

    /// The other end is gone.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn parse(line: &[u8]) -> Result<Request, Rejected> {
    #[derive(serde::Deserialize)]
    struct VersionOnly {
        v: u16,
    }
    let rejected = |message: String| Rejected { code: RejectCode::BadArguments, message };
    match serde_json::from_slice::<VersionOnly>(line) {
        Ok(VersionOnly { v: VERSION }) => {}
        Ok(VersionOnly { v }) => return Err(rejected(format!("this worker speaks version {VERSION}, not {v}"))),
        Err(error) => return Err(rejected(format!("a line was not understood: {error}"))),
    }
    serde_json::from_slice(line).map_err(|error| rejected(format!("a line was not understood: {error}")))
}
