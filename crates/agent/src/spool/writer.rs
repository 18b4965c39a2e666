//! The worker's side of the spool. It never fails and never waits for anybody: what cannot be kept is counted, and the
//! log says where it is missing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};
use protocol::JobId;
use protocol::job::{JobDone, LogStream};
use tokio::time::Instant;

use super::format::{self, END, END_NEW, End, Header, META, Meta};
use super::limits::Limits;
use crate::host::files::Dir;

/// The end of a log matters most: this much of it is held while nothing can be written.
const TAIL: usize = 256 << 10;
/// While output is being dropped, space is looked for this often.
const RETRY: Duration = Duration::from_millis(200);
/// Room that is taken for the end record.
const END_ROOM: i64 = 4096;
/// Job directories and what is in them: the relay's group frees what the hub has.
const DIR_MODE: u32 = 0o2770;
const FILE_MODE: u32 = 0o640;

/// One job's place in the spool.
#[derive(Debug)]
pub struct SpoolWriter {
    spool: Dir,
    dir: Dir,
    limits: Limits,
    /// Held for life: its lock says that this worker lives.
    _alive: Flock<File>,
    segments: VecDeque<Segment>,
    file: Option<File>,
    end: Option<File>,
    next_offset: u64,
    dropping: Option<Dropping>,
}

#[derive(Debug)]
struct Segment {
    offset: u64,
    bytes: u64,
}

/// Output that came while nothing could be written.
#[derive(Debug)]
struct Dropping {
    lost_bytes: u64,
    tail: VecDeque<(LogStream, i64, Vec<u8>)>,
    tail_bytes: usize,
    retry_at: Instant,
}

impl SpoolWriter {
    /// Makes the place of a new job. A directory that is there already is not of this job's making (it was claimed just
    /// now): it is put aside.
    ///
    /// # Errors
    /// When there is no room or the spool cannot be written.
    pub fn create(spool: Dir, meta: &Meta, limits: Limits) -> io::Result<Self> {
        let name = meta.job_id.to_string();
        let dir = match spool.make_dir(&name, DIR_MODE) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                put_aside(&spool, meta.job_id)?;
                spool.make_dir(&name, DIR_MODE)?
            }
            other => other?,
        };
        match write_meta(&dir, meta) {
            Ok(alive) => {
                let mut writer = Self {
                    spool,
                    dir,
                    limits,
                    _alive: alive,
                    segments: VecDeque::new(),
                    file: None,
                    end: None,
                    next_offset: 0,
                    dropping: None,
                };
                writer.reserve_end();
                Ok(writer)
            }
            Err(error) => {
                let _ = spool.remove_flat_dir(&name);
                Err(error)
            }
        }
    }

    /// Length of the log so far.
    #[must_use]
    pub const fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// Adds a chunk of at most 64 KiB.
    pub fn append(&mut self, stream: LogStream, at_ms: i64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.dropping.as_ref().is_some_and(|dropping| Instant::now() >= dropping.retry_at) {
            self.resume(at_ms);
        }
        if self.dropping.is_some() || !self.has_room() || self.write_frame(stream, at_ms, 0, bytes).is_err() {
            self.hold_back(stream, at_ms, bytes);
        }
    }

    /// Ends the log: what was held back is written beyond the limits. Returns the bytes that found no room even so; they
    /// belong into the end record.
    pub fn finish(&mut self, at_ms: i64) -> u64 {
        let Some(mut dropping) = self.dropping.take() else { return 0 };
        let _ = self.write_held_back(&mut dropping, at_ms);
        let unwritten: usize = dropping.tail.iter().map(|(_, _, bytes)| bytes.len()).sum();
        let lost = dropping.lost_bytes + u64::try_from(unwritten).unwrap_or(u64::MAX);
        if lost > 0 {
            self.next_offset += u64::try_from(format::gap_text(lost).len()).unwrap_or(0);
        }
        lost
    }

    /// Writes the end record and brings it and the log onto the disk. The hub may hear of the end before.
    ///
    /// # Errors
    /// When there is no room or the disk fails.
    pub fn write_end(&mut self, done: &JobDone, lost_bytes: u64) -> io::Result<()> {
        let record = serde_json::to_vec(&End { done: done.clone(), lost_bytes })?;
        let mut file = match self.end.take() {
            Some(file) => file,
            None => {
                let _ = self.dir.remove(END_NEW);
                self.dir.create(END_NEW, FILE_MODE)?
            }
        };
        file.write_all(&record)?;
        file.set_len(u64::try_from(record.len()).unwrap_or(0))?;
        for segment in &self.segments {
            match self.dir.open_file(format::segment_name(segment.offset)) {
                Ok(file) => file.sync_data()?,
                // Freed: the hub has it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        file.sync_all()?;
        self.dir.rename(END_NEW, END)?;
        self.dir.sync()
    }

    /// Takes room for the end record. Without it a disk that fills up later costs the outcome of a job.
    fn reserve_end(&mut self) {
        if let Ok(file) = self.dir.create(END_NEW, FILE_MODE) {
            // Not every file system can; there the record has to find room at the end.
            let _ = fallocate(&file, FallocateFlags::empty(), 0, END_ROOM);
            self.end = Some(file);
        }
    }

    fn has_room(&mut self) -> bool {
        if self.waiting_bytes() >= self.limits.job_bytes {
            self.forget_freed();
            if self.waiting_bytes() >= self.limits.job_bytes {
                return false;
            }
        }
        !self.needs_segment() || self.limits.has_room(&self.spool)
    }

    fn waiting_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The relay frees whole segments, the oldest first.
    fn forget_freed(&mut self) {
        while let Some(oldest) = self.segments.front()
            && self.dir.stat(format::segment_name(oldest.offset)).is_err()
        {
            self.segments.pop_front();
        }
    }

    fn needs_segment(&self) -> bool {
        self.file.is_none() || self.segments.back().is_none_or(|segment| segment.bytes >= self.limits.segment_bytes)
    }

    fn write_frame(&mut self, stream: LogStream, at_ms: i64, gap_bytes: u64, payload: &[u8]) -> io::Result<()> {
        if self.needs_segment() {
            self.file = Some(self.dir.create(format::segment_name(self.next_offset), FILE_MODE)?);
            self.segments.push_back(Segment { offset: self.next_offset, bytes: 0 });
        }
        let (Some(file), Some(segment)) = (&mut self.file, self.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let length = u32::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let header = Header { stream, length, at_ms, gap_bytes };
        if let Err(error) = write_both(file, &header.encode(), payload) {
            // Half a frame must not stand before a whole one.
            file.set_len(segment.bytes)?;
            file.seek(SeekFrom::Start(segment.bytes))?;
            return Err(error);
        }
        segment.bytes += header.frame_bytes();
        self.next_offset += u64::from(length);
        Ok(())
    }

    fn hold_back(&mut self, stream: LogStream, at_ms: i64, bytes: &[u8]) {
        let dropping = self.dropping.get_or_insert_with(|| Dropping {
            lost_bytes: 0,
            tail: VecDeque::new(),
            tail_bytes: 0,
            retry_at: Instant::now() + RETRY,
        });
        dropping.tail_bytes += bytes.len();
        dropping.tail.push_back((stream, at_ms, bytes.to_vec()));
        while dropping.tail_bytes > TAIL
            && let Some((_, _, oldest)) = dropping.tail.pop_front()
        {
            dropping.tail_bytes -= oldest.len();
            dropping.lost_bytes += u64::try_from(oldest.len()).unwrap_or(u64::MAX);
        }
    }

    fn resume(&mut self, at_ms: i64) {
        if let Some(mut dropping) = self.dropping.take()
            && (!self.has_room() || self.write_held_back(&mut dropping, at_ms).is_err())
        {
            dropping.retry_at = Instant::now() + RETRY;
            self.dropping = Some(dropping);
        }
    }

    fn write_held_back(&mut self, dropping: &mut Dropping, at_ms: i64) -> io::Result<()> {
        if dropping.lost_bytes > 0 {
            let text = format::gap_text(dropping.lost_bytes);
            self.write_frame(LogStream::Sys, at_ms, dropping.lost_bytes, text.as_bytes())?;
            dropping.lost_bytes = 0;
        }
        while let Some((stream, at_ms, bytes)) = dropping.tail.front() {
            self.write_frame(*stream, *at_ms, 0, bytes)?;
            dropping.tail_bytes -= bytes.len();
            dropping.tail.pop_front();
        }
        Ok(())
    }
}

fn write_meta(dir: &Dir, meta: &Meta) -> io::Result<Flock<File>> {
    // Locked before it has its name: whoever sees it sees that its worker lives.
    let unnamed = format!("{META}.new");
    let file = dir.create(&unnamed, FILE_MODE)?;
    let mut locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    locked.write_all(&serde_json::to_vec(meta)?)?;
    dir.rename(&unnamed, META)?;
    Ok(locked)
}

fn write_both(file: &mut File, header: &[u8], payload: &[u8]) -> io::Result<()> {
    let written = file.write_vectored(&[IoSlice::new(header), IoSlice::new(payload)])?;
    match written.checked_sub(header.len()) {
        Some(of_payload) => file.write_all(payload.get(of_payload..).unwrap_or_default()),
        None => {
            file.write_all(header.get(written..).unwrap_or_default())?;
            file.write_all(payload)
        }
    }
}

fn put_aside(spool: &Dir, job_id: JobId) -> io::Result<()> {
    let aside = format!(".aside-{job_id}");
    let _ = spool.remove_flat_dir(&aside);
    spool.rename(job_id.to_string(), &aside)
}
