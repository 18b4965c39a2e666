//! From the job's pipes into the spool: raw bytes, in the order in which they were read.
//!
//! A chunk ends when it is full, 20 ms after the last one, or when the stream changes. Output after a pause goes out at
//! once; output that keeps coming is collected, and the pipe is left alone for a millisecond in between, so that a job
//! that writes line by line does not wake the worker for each.
//!
//! A job with secrets pays for them: its output goes through a [`Mask`] per pipe before it comes near the spool. Others
//! are read straight into the chunk.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use protocol::job::LogStream;
use tokio::time::Instant;

use super::mask::{Mask, Secrets};
use crate::host::clock::Clock;
use crate::spool::format::MAX_PAYLOAD;
use crate::spool::writer::SpoolWriter;

/// Between two chunks that are not full.
pub const PACE: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_millis(1);
/// After so long without output the little that only may begin a secret is shown.
const QUIET: Duration = Duration::from_secs(1);
/// Reads of one pipe before somebody else has a turn.
const TURN: usize = 16;
/// What is read at most when all processes have ended: somebody outside of the job may hold the pipe and go on writing.
const LAST_READS: usize = 64;

/// The job's output on its way into the spool.
#[derive(Debug)]
pub struct Output {
    spool: SpoolWriter,
    clock: Clock,
    pipes: Vec<Pipe>,
    buffer: Vec<u8>,
    filled: usize,
    stream: LogStream,
    first_at_ms: i64,
    last_chunk: Option<Instant>,
    rest_until: Option<Instant>,
    secrets: Option<Secrets>,
    /// What was read of a job with secrets, before they are hidden.
    raw: Vec<u8>,
    quiet_at: Option<Instant>,
}

#[derive(Debug)]
struct Pipe {
    file: File,
    stream: LogStream,
    is_open: bool,
    /// There where the job has secrets.
    mask: Option<Mask>,
}

/// What one read brought.
enum Got {
    /// There may be more.
    Much,
    /// That was all for now.
    Little,
    /// Nothing, or the end.
    Nothing,
}

impl Output {
    /// Output into `spool`, from nowhere yet.
    #[must_use]
    pub const fn new(spool: SpoolWriter, clock: Clock) -> Self {
        Self {
            spool,
            clock,
            pipes: Vec::new(),
            buffer: Vec::new(),
            filled: 0,
            stream: LogStream::Out,
            first_at_ms: 0,
            last_chunk: None,
            rest_until: None,
            secrets: None,
            raw: Vec::new(),
            quiet_at: None,
        }
    }

    /// Hides these in everything that is read. To be said before [`Output::connect`].
    pub fn hide(&mut self, secrets: Option<Secrets>) {
        self.secrets = secrets;
    }

    /// Takes over the read ends of a job's pipes.
    pub fn connect(&mut self, out: File, err: File) {
        let mask = || self.secrets.clone().map(Mask::new);
        let pipe = |file, stream| Pipe { file, stream, is_open: true, mask: mask() };
        self.pipes = vec![pipe(out, LogStream::Out), pipe(err, LogStream::Err)];
    }

    /// The spool behind it.
    #[must_use]
    pub const fn spool(&mut self) -> &mut SpoolWriter {
        &mut self.spool
    }

    /// Bytes of log that a reader of the spool can see.
    #[must_use]
    pub const fn spooled(&self) -> u64 {
        self.spool.next_offset()
    }

    /// The pipes to wait for, by index.
    pub fn waiting(&self, now: Instant) -> impl Iterator<Item = (usize, BorrowedFd<'_>)> {
        let rests = self.rest_until.is_some_and(|until| now < until);
        let pipes = self.pipes.iter().enumerate().filter(move |(_, pipe)| pipe.is_open && !rests);
        pipes.map(|(index, pipe)| (index, pipe.file.as_fd()))
    }

    /// When [`Output::tick`] is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        let flush = (self.filled > 0).then(|| self.last_chunk.map(|last| last + PACE)).flatten();
        flush.into_iter().chain(self.rest_until).chain(self.quiet_at).min()
    }

    /// Writes what has waited long enough.
    pub fn tick(&mut self, now: Instant) {
        if self.rest_until.is_some_and(|until| now >= until) {
            self.rest_until = None;
        }
        if self.quiet_at.is_some_and(|at| now >= at) {
            self.quiet_at = None;
            (0..self.pipes.len()).for_each(|index| self.show_held(index, Mask::pause, now));
        }
        if self.filled > 0 && self.last_chunk.is_none_or(|last| now >= last + PACE) {
            self.flush_text(now);
        }
    }

    /// Reads a pipe that has something.
    pub fn read(&mut self, index: usize, now: Instant) {
        for _ in 0..TURN {
            match self.read_once(index, now) {
                Got::Much => {}
                Got::Little => {
                    self.tick(now);
                    // Within the pace more is likely to come: let it gather.
                    if self.filled > 0 {
                        self.rest_until = Some(now + REST);
                    }
                    return;
                }
                Got::Nothing => return,
            }
        }
    }

    /// Adds a remark of the agent's own.
    pub fn say(&mut self, text: &str, now: Instant) {
        self.flush_all(now);
        let at_ms = self.clock.now_ms();
        for part in text.as_bytes().chunks(MAX_PAYLOAD) {
            self.spool.append(LogStream::Sys, at_ms, part);
        }
    }

    /// Takes what is left in the pipes and ends the log. Returns bytes that found no room, for the end record.
    pub fn finish(&mut self, now: Instant) -> u64 {
        for index in 0..self.pipes.len() {
            for _ in 0..LAST_READS {
                if matches!(self.read_once(index, now), Got::Nothing) {
                    break;
                }
            }
            self.show_held(index, Mask::finish, now);
        }
        self.flush_all(now);
        self.spool.finish(self.clock.now_ms())
    }

    fn read_once(&mut self, index: usize, now: Instant) -> Got {
        let pipe = self.pipes.get(index).filter(|pipe| pipe.is_open);
        let Some((stream, is_masked)) = pipe.map(|pipe| (pipe.stream, pipe.mask.is_some())) else {
            return Got::Nothing;
        };
        if is_masked {
            return self.read_masked(index, now);
        }
        if self.stream != stream {
            self.flush_all(now);
            self.stream = stream;
        }
        if self.filled == MAX_PAYLOAD {
            self.flush_text(now);
        }
        // Zeroed memory costs nothing until it is used: an idle worker has none.
        if self.buffer.is_empty() {
            self.buffer = vec![0; MAX_PAYLOAD];
        }
        let (Some(pipe), Some(room)) = (self.pipes.get_mut(index), self.buffer.get_mut(self.filled..)) else {
            return Got::Nothing;
        };
        let wanted = room.len();
        match pipe.file.read(room) {
            Ok(0) => {
                pipe.is_open = false;
                Got::Nothing
            }
            Ok(count) => {
                if self.filled == 0 {
                    self.first_at_ms = self.clock.now_ms();
                }
                self.filled += count;
                if count == wanted { Got::Much } else { Got::Little }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Got::Much,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Got::Nothing,
            Err(_) => {
                pipe.is_open = false;
                Got::Nothing
            }
        }
    }

    /// As [`Output::read_once`], for a job with secrets.
    fn read_masked(&mut self, index: usize, now: Instant) -> Got {
        if self.raw.is_empty() {
            self.raw = vec![0; MAX_PAYLOAD];
        }
        let mut shown = Vec::new();
        let Some(Pipe { file, stream, is_open, mask: Some(mask) }) = self.pipes.get_mut(index) else {
            return Got::Nothing;
        };
        let stream = *stream;
        let got = match file.read(&mut self.raw) {
            Ok(count @ 1..) => {
                mask.push(self.raw.get(..count).unwrap_or_default(), &mut shown);
                if count == self.raw.len() { Got::Much } else { Got::Little }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Got::Much,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Got::Nothing,
            Ok(0) | Err(_) => {
                *is_open = false;
                mask.finish(&mut shown);
                Got::Nothing
            }
        };
        self.add(stream, &shown, now);
        let waits = self.pipes.iter().any(|pipe| pipe.mask.as_ref().is_some_and(Mask::waits));
        self.quiet_at = waits.then(|| self.quiet_at.unwrap_or(now + QUIET));
        got
    }

    /// Shows what a pipe's mask has held back, as far as `release` lets it go.
    fn show_held(&mut self, index: usize, release: impl Fn(&mut Mask, &mut Vec<u8>), now: Instant) {
        let Some(Pipe { stream, mask: Some(mask), .. }) = self.pipes.get_mut(index) else { return };
        let (stream, mut shown) = (*stream, Vec::new());
        release(mask, &mut shown);
        self.add(stream, &shown, now);
    }

    /// Appends output that does not come straight from a pipe.
    fn add(&mut self, stream: LogStream, mut bytes: &[u8], now: Instant) {
        if bytes.is_empty() {
            return;
        }
        if self.stream != stream {
            self.flush_all(now);
            self.stream = stream;
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; MAX_PAYLOAD];
        }
        while !bytes.is_empty() {
            if self.filled == MAX_PAYLOAD {
                self.flush_text(now);
            }
            if self.filled == 0 {
                self.first_at_ms = self.clock.now_ms();
            }
            let Some(room) = self.buffer.get_mut(self.filled..) else { return };
            let (taken, rest) = bytes.split_at(room.len().min(bytes.len()));
            room.iter_mut().zip(taken).for_each(|(slot, byte)| *slot = *byte);
            self.filled += taken.len();
            bytes = rest;
        }
    }

    /// Writes what is there but does not cut a character in two: its first bytes wait for the rest, once.
    fn flush_text(&mut self, now: Instant) {
        let filled = self.buffer.get(..self.filled).unwrap_or_default();
        let kept = incomplete_end(filled);
        self.flush(self.filled - kept, now);
    }

    fn flush_all(&mut self, now: Instant) {
        self.flush(self.filled, now);
    }

    fn flush(&mut self, count: usize, now: Instant) {
        let count = if count == 0 { self.filled } else { count };
        let Some(chunk) = self.buffer.get(..count).filter(|chunk| !chunk.is_empty()) else { return };
        self.spool.append(self.stream, self.first_at_ms, chunk);
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
        self.first_at_ms = self.clock.now_ms();
        self.last_chunk = Some(now);
    }
}

/// Bytes at the end that begin a character of UTF-8 and do not finish it; 0 for what is no UTF-8.
fn incomplete_end(bytes: &[u8]) -> usize {
    for (from_end, &byte) in bytes.iter().rev().take(3).enumerate() {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return 0,
        };
        return if length > from_end + 1 { from_end + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn characters_are_not_cut() {
        for (bytes, kept) in [
            ("".as_bytes(), 0),
            (b"abc", 0),
            ("ä".as_bytes(), 0),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 2),
            (b"a\xf0\x9f\x98", 3),
            ("😀".as_bytes(), 0),
            (b"\xff", 0),
            (b"\x80\x80\x80\x80", 0),
            (b"\xc3\xa4\x80", 0),
        ] {
            assert_eq!(incomplete_end(bytes), kept, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn every_cut_of_a_text_leaves_text(text in "\\PC{1,40}", cut in any::<prop::sample::Index>()) {
            let bytes = text.as_bytes();
            let head = &bytes[..cut.index(bytes.len()) + 1];
            prop_assert!(std::str::from_utf8(&head[..head.len() - incomplete_end(head)]).is_ok());
        }

        #[test]
        fn at_most_three_bytes_are_kept(bytes in any::<Vec<u8>>()) {
            prop_assert!(incomplete_end(&bytes) <= 3.min(bytes.len()));
        }
    }
}
