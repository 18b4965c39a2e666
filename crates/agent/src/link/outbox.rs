//! What the hub does not have yet of each job: log chunks, then the end.
//!
//! The spool holds the bytes; this remembers how far they were sent and acknowledged on the connection of the moment.
//! Jobs take turns chunk by chunk, so that one that writes without end does not hold up the others, and at most one
//! window is in flight, so that nothing else on the connection waits behind more than that.

use std::collections::{HashMap, VecDeque};
use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use protocol::frame::LOG_STREAM;
use protocol::job::{JobDone, Log};
use protocol::{JobId, MAX_BINARY_PAYLOAD, MAX_LOG_TEXT, MAX_UNACKED_LOG, MessageId};

use crate::spool::{LogReader, Phase, Spool};

/// A chunk that could become larger than this is not begun when the window has less left.
const LARGEST_CHUNK: u64 = MAX_BINARY_PAYLOAD as u64;
/// The spool is looked through for segments to free once the hub has this much more of a log.
const FREE_EVERY: u64 = 1 << 20;

/// Jobs on their way to the hub over one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    jobs: HashMap<JobId, Entry>,
    /// Jobs that may have something to send, each once.
    turn: VecDeque<JobId>,
    unacked: u64,
    buffers: Buffers,
}

/// Taken once and used for every chunk: large pieces of memory are dear to get and to give back.
#[derive(Debug, Default)]
struct Buffers {
    chunk: Vec<u8>,
    frame: BytesMut,
}

#[derive(Debug)]
struct Entry {
    reference: Option<MessageId>,
    reader: Option<LogReader>,
    /// Where the log was sent up to.
    sent: u64,
    /// Bytes sent and not acknowledged.
    unacked: u64,
    /// Where the spool was freed up to.
    freed: u64,
    done: Option<JobDone>,
    done_sent: bool,
    in_turn: bool,
}

/// Something to send.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// A chunk, and the binary frame that follows it when it has one.
    Log(Log, Option<Bytes>),
    /// The end of a job, after all of its log.
    Done(JobDone),
}

/// What an acknowledgement is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// More may be sent.
    Noted,
    /// The spool may free the job's log up to here.
    Free(u64),
    /// The hub has everything: the spool may forget the job.
    Everything,
}

impl Outbox {
    /// Sends a job from `offset` on.
    pub fn start(&mut self, job_id: JobId, offset: u64, reference: Option<MessageId>, done: Option<JobDone>) {
        let entry = Entry {
            reference,
            reader: None,
            sent: offset,
            unacked: 0,
            freed: 0,
            done,
            done_sent: false,
            in_turn: false,
        };
        if let Some(before) = self.jobs.insert(job_id, entry) {
            self.unacked = self.unacked.saturating_sub(before.unacked);
            if before.in_turn {
                self.turn.retain(|other| *other != job_id);
            }
        }
        self.take_turn(job_id);
    }

    /// Whether this job is on its way.
    #[must_use]
    pub fn contains(&self, job_id: JobId) -> bool {
        self.jobs.contains_key(&job_id)
    }

    /// Jobs whose end is not known yet.
    pub fn running(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.iter().filter(|(_, entry)| entry.done.is_none()).map(|(job_id, _)| *job_id)
    }

    /// Whether anything is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// More of the log can be read.
    pub fn spooled(&mut self, job_id: JobId) {
        if self.jobs.contains_key(&job_id) {
            self.take_turn(job_id);
        }
    }

    /// The job has ended and its whole log can be read.
    pub fn ended(&mut self, job_id: JobId, done: JobDone) {
        if let Some(entry) = self.jobs.get_mut(&job_id) {
            // The first word about an end is the worker's own; it is never replaced by what was concluded later.
            entry.done.get_or_insert(done);
            self.take_turn(job_id);
        }
    }

    /// The next piece and the message it answers, `None` when there is nothing to send or no window left.
    pub fn next(&mut self, spool: &Spool) -> Option<(Piece, Option<MessageId>)> {
        // Each job is looked at once: those with nothing to send leave the round.
        while let Some(job_id) = self.turn.pop_front() {
            let Some(entry) = self.jobs.get_mut(&job_id) else { continue };
            if MAX_UNACKED_LOG.saturating_sub(self.unacked) < LARGEST_CHUNK {
                self.turn.push_front(job_id);
                return None;
            }
            let before = entry.unacked;
            match entry.next_log(job_id, spool, &mut self.buffers) {
                Ok(Some(piece)) => {
                    self.unacked += entry.unacked - before;
                    self.turn.push_back(job_id);
                    return Some((piece, entry.reference));
                }
                Ok(None) => {}
                // The end must not wait for a log that the disk does not give back.
                Err(error) => log::error!("the log of job {job_id} cannot be read: {error}"),
            }
            entry.in_turn = false;
            if let Some(done) = entry.take_done() {
                return Some((Piece::Done(done), entry.reference));
            }
        }
        None
    }

    /// The hub has this much, and the end where `done` says so.
    #[must_use]
    pub fn acknowledged(&mut self, job_id: JobId, next_offset: u64, done: bool) -> Acknowledged {
        let Some(entry) = self.jobs.get_mut(&job_id) else { return Acknowledged::Noted };
        let left = entry.unacked.min(entry.sent.saturating_sub(next_offset));
        self.unacked = self.unacked.saturating_sub(entry.unacked - left);
        entry.unacked = left;
        // An end that was never sent cannot have been stored.
        if done && entry.done_sent {
            self.unacked = self.unacked.saturating_sub(left);
            self.jobs.remove(&job_id);
            if self.jobs.is_empty() {
                self.buffers = Buffers::default();
            }
            return Acknowledged::Everything;
        }
        if next_offset.saturating_sub(entry.freed) < FREE_EVERY {
            return Acknowledged::Noted;
        }
        entry.freed = next_offset;
        Acknowledged::Free(next_offset)
    }

    fn take_turn(&mut self, job_id: JobId) {
        if let Some(entry) = self.jobs.get_mut(&job_id)
            && !entry.in_turn
        {
            entry.in_turn = true;
            self.turn.push_back(job_id);
        }
    }
}

impl Entry {
    /// The next chunk, which counts as sent from here on.
    fn next_log(&mut self, job_id: JobId, spool: &Spool, buffers: &mut Buffers) -> io::Result<Option<Piece>> {
        if self.reader.is_none() {
            match spool.reader(job_id, self.sent) {
                Ok(reader) => self.reader = Some(reader),
                // A job that failed before it had a log.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        // The reader stays: to open it again means to look for the place in the log again.
        let Some(chunk) = reader.next(&mut buffers.chunk)? else { return Ok(None) };
        self.sent = reader.offset();
        let bytes = buffers.chunk.as_slice();
        self.unacked += u64::try_from(bytes.len()).map_err(io::Error::other)?;
        let text = as_text(bytes);
        let binary = if text.is_none() { Some(u32::try_from(bytes.len()).map_err(io::Error::other)?) } else { None };
        let frame = binary.map(|_| {
            // What was sent before is let go of by now, so this is the same memory each time.
            buffers.frame.reserve(size_of::<u32>() + bytes.len());
            buffers.frame.put_u32(LOG_STREAM);
            buffers.frame.put_slice(bytes);
            buffers.frame.split().freeze()
        });
        let log = Log {
            job_id,
            offset: chunk.offset,
            s: chunk.stream,
            at_ms: chunk.at_ms,
            text: text.map(ToOwned::to_owned),
            bytes: binary,
            gap_bytes: chunk.gap_bytes,
        };
        Ok(Some(Piece::Log(log, frame)))
    }

    /// The end, when it is time for it. The log is what could be read of it.
    fn take_done(&mut self) -> Option<JobDone> {
        if self.done_sent {
            return None;
        }
        let mut done = self.done.clone()?;
        self.done_sent = true;
        done.next_offset = done.next_offset.min(self.sent);
        Some(done)
    }
}

/// Short valid text travels inside the message, everything else behind it.
fn as_text(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > MAX_LOG_TEXT { None } else { std::str::from_utf8(bytes).ok() }
}

/// How a job of the spool ended, if it has.
#[must_use]
pub fn end_of(phase: Phase) -> Option<JobDone> {
    match phase {
        Phase::Running => None,
        Phase::Ended(done) => Some(done),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use protocol::job::{EndState, LogStream};
    use uuid::Uuid;

    use super::*;
    use crate::host::files::Dir;
    use crate::spool::writer::SpoolWriter;
    use crate::spool::{Limits, Meta};

    fn job(number: u128) -> JobId {
        JobId::new(Uuid::from_u128(number))
    }

    fn writer(path: &Path, job_id: JobId) -> SpoolWriter {
        let meta = Meta { job_id, started_at_ms: 1, expires_at_ms: 2, boot_id: "boot".into() };
        SpoolWriter::create(Dir::open(path).unwrap(), &meta, Limits::default()).unwrap()
    }

    fn done(job_id: JobId, next_offset: u64) -> JobDone {
        JobDone {
            job_id,
            state: EndState::Succeeded,
            exit_code: Some(0),
            signal: None,
            started_at_ms: 1,
            duration_ms: 1,
            next_offset,
            result: None,
            error: None,
        }
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path(), "boot").unwrap();
        (directory, spool)
    }

    fn next(outbox: &mut Outbox, spool: &Spool) -> Option<Piece> {
        outbox.next(spool).map(|(piece, _)| piece)
    }

    /// Everything that may be sent now: offsets and lengths of chunks by job, and ends.
    fn drain(outbox: &mut Outbox, spool: &Spool) -> Vec<(JobId, u64, usize)> {
        std::iter::from_fn(|| next(outbox, spool))
            .map(|piece| match piece {
                Piece::Log(log, bytes) => {
                    let length = bytes.map_or_else(|| log.text.map_or(0, |text| text.len()), |frame| frame.len() - 4);
                    (log.job_id, log.offset, length)
                }
                Piece::Done(done) => (done.job_id, done.next_offset, 0),
            })
            .collect()
    }

    #[test]
    fn no_more_than_the_window_is_in_flight_and_acks_open_it() {
        let (directory, spool) = spool();
        let mut writer = writer(directory.path(), job(1));
        let chunk = vec![0xff; MAX_BINARY_PAYLOAD];
        for _ in 0..40 {
            writer.append(LogStream::Out, 1, &chunk);
        }
        writer.finish(1);
        let mut outbox = Outbox::default();
        outbox.start(job(1), 0, None, None);
        let sent = |drained: &[(JobId, u64, usize)]| drained.iter().map(|(.., length)| *length as u64).sum::<u64>();
        let first = drain(&mut outbox, &spool);
        assert_eq!(sent(&first), MAX_UNACKED_LOG);
        assert_eq!(next(&mut outbox, &spool), None);
        assert_eq!(outbox.acknowledged(job(1), LARGEST_CHUNK * 3, false), Acknowledged::Noted);
        assert_eq!(sent(&drain(&mut outbox, &spool)), LARGEST_CHUNK * 3);
        assert_eq!(outbox.acknowledged(job(1), FREE_EVERY, false), Acknowledged::Free(FREE_EVERY));
        assert_eq!(outbox.acknowledged(job(1), u64::MAX, false), Acknowledged::Free(u64::MAX));
        assert_eq!(outbox.unacked, 0, "an ack beyond what was sent opens no more than all");
        assert_eq!(sent(&drain(&mut outbox, &spool)), MAX_UNACKED_LOG);
    }

    #[test]
    fn jobs_take_turns() {
        let (directory, spool) = spool();
        let mut loud = writer(directory.path(), job(1));
        for _ in 0..8 {
            loud.append(LogStream::Out, 1, &vec![0xff; MAX_BINARY_PAYLOAD]);
        }
        loud.finish(1);
        let mut quiet = writer(directory.path(), job(2));
        quiet.append(LogStream::Err, 1, b"careful");
        quiet.finish(1);
        let mut outbox = Outbox::default();
        outbox.start(job(1), 0, None, None);
        outbox.start(job(2), 0, None, None);
        let jobs: Vec<JobId> = drain(&mut outbox, &spool).into_iter().take(2).map(|(job_id, ..)| job_id).collect();
        assert_eq!(jobs, [job(1), job(2)]);
    }

    #[test]
    fn text_is_text_and_everything_else_is_bytes() {
        let (directory, spool) = spool();
        let mut writer = writer(directory.path(), job(1));
        writer.append(LogStream::Out, 5, "zażółć\n".as_bytes());
        writer.append(LogStream::Err, 6, b"\xff\n");
        writer.finish(7);
        let mut outbox = Outbox::default();
        outbox.start(job(1), 0, None, None);
        let Some(Piece::Log(text, None)) = next(&mut outbox, &spool) else { panic!("no text") };
        assert_eq!((text.text.as_deref(), text.s, text.offset), (Some("zażółć\n"), LogStream::Out, 0));
        let Some(Piece::Log(binary, Some(bytes))) = next(&mut outbox, &spool) else { panic!("no bytes") };
        assert_eq!((binary.bytes, binary.text, &bytes[..]), (Some(2), None, b"\0\0\0\0\xff\n".as_slice()));
    }

    #[test]
    fn the_end_comes_last_once_and_stays_until_it_is_stored() {
        let (directory, spool) = spool();
        let mut writer = writer(directory.path(), job(1));
        writer.append(LogStream::Out, 1, b"line\n");
        writer.finish(1);
        let length = writer.next_offset();
        let mut outbox = Outbox::default();
        outbox.start(job(1), 0, None, Some(done(job(1), length)));
        let early = outbox.acknowledged(job(1), length, true);
        assert_eq!(early, Acknowledged::Noted, "an end that was not sent is not stored");
        assert_eq!(drain(&mut outbox, &spool), [(job(1), 0, 5), (job(1), 5, 0)]);
        outbox.spooled(job(1));
        assert_eq!(next(&mut outbox, &spool), None);
        assert_eq!(outbox.acknowledged(job(1), length, false), Acknowledged::Noted);
        assert_eq!(outbox.acknowledged(job(1), length, true), Acknowledged::Everything);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_reconnect_goes_on_where_the_hub_is() {
        let (directory, spool) = spool();
        let mut writer = writer(directory.path(), job(1));
        writer.append(LogStream::Out, 1, b"0123456789");
        writer.finish(1);
        let mut outbox = Outbox::default();
        outbox.start(job(1), 4, None, Some(done(job(1), 10)));
        let Some(Piece::Log(log, None)) = next(&mut outbox, &spool) else { panic!("no log") };
        assert_eq!((log.offset, log.text.as_deref()), (4, Some("456789")));
    }

    #[test]
    fn a_growing_log_is_followed_and_a_job_without_one_ends_all_the_same() {
        let (directory, spool) = spool();
        let mut outbox = Outbox::default();
        outbox.start(job(1), 0, None, None);
        outbox.start(job(2), 0, None, Some(done(job(2), 0)));
        assert_eq!(drain(&mut outbox, &spool), [(job(2), 0, 0)], "its spool was never made");
        let mut writer = writer(directory.path(), job(1));
        for line in ["a", "bc"] {
            writer.append(LogStream::Out, 1, line.as_bytes());
            writer.finish(1);
            outbox.spooled(job(1));
        }
        assert_eq!(drain(&mut outbox, &spool).iter().map(|(.., length)| length).sum::<usize>(), 3);
    }
}
