//! The relay's side of one log: chunk by chunk from any offset, while it grows.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;

use protocol::job::LogStream;

use super::format::{self, END, End, HEADER, Header, MAX_RECORD};
use crate::host::files::Dir;

/// A piece of a log. Its bytes are in the buffer given to [`LogReader::next`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Raw bytes of the log before it.
    pub offset: u64,
    /// Where it came from.
    pub stream: LogStream,
    /// When it was read, host's clock, Unix milliseconds.
    pub at_ms: i64,
    /// Bytes dropped before it, where it is a remark about that.
    pub gap_bytes: Option<u64>,
}

/// Reads the log of one job.
#[derive(Debug)]
pub struct LogReader {
    dir: Dir,
    /// Where the next chunk starts.
    offset: u64,
    segment: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    file: File,
    /// Offset of its first byte in the log, as its name says.
    start: u64,
    /// Where the next frame is in the file, and in the log.
    position: u64,
    offset: u64,
}

impl LogReader {
    pub(super) const fn new(dir: Dir, offset: u64) -> Self {
        Self { dir, offset, segment: None }
    }

    /// Where the next chunk will start.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on at `offset`, which may lie inside a chunk.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
        self.segment = None;
    }

    /// The next chunk, its bytes in `buffer` (whose content is replaced); `None` when everything written so far was read.
    ///
    /// Where bytes are missing that were freed or lost with the machine, the chunk starts later than asked for.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Chunk>> {
        loop {
            let Some(segment) = &mut self.segment else {
                self.segment = self.open_segment()?;
                if self.segment.is_none() {
                    return self.lost_at_the_end(buffer);
                }
                continue;
            };
            let Some(header) = segment.header()? else {
                match self.next_segment()? {
                    Some(next) => self.segment = Some(next),
                    None => return self.lost_at_the_end(buffer),
                }
                continue;
            };
            let end = segment.offset + u64::from(header.length);
            if end <= self.offset {
                segment.skip(header);
                continue;
            }
            buffer.resize(usize::try_from(header.length).map_err(io::Error::other)?, 0);
            segment.file.read_exact_at(buffer, segment.position + header.frame_bytes() - u64::from(header.length))?;
            let seen = self.offset.saturating_sub(segment.offset);
            buffer.drain(..usize::try_from(seen).map_err(io::Error::other)?);
            let chunk = Chunk {
                offset: segment.offset + seen,
                stream: header.stream,
                at_ms: header.at_ms,
                gap_bytes: (header.gap_bytes > 0).then_some(header.gap_bytes),
            };
            segment.skip(header);
            self.offset = end;
            return Ok(Some(chunk));
        }
    }

    /// The segment that holds `self.offset`, else the first after it.
    fn open_segment(&self) -> io::Result<Option<OpenSegment>> {
        let starts = segments(&self.dir)?;
        let at = starts.partition_point(|&start| start <= self.offset).saturating_sub(1);
        starts.get(at).map(|&start| OpenSegment::open(&self.dir, start)).transpose()
    }

    fn next_segment(&self) -> io::Result<Option<OpenSegment>> {
        let Some(current) = &self.segment else { return Ok(None) };
        let starts = segments(&self.dir)?;
        let next = starts.into_iter().find(|&start| start > current.start);
        let Some(next) = next else { return Ok(None) };
        // The writer begins a segment only after it has filled the last one: look there once more before leaving it.
        if current.header()?.is_some() {
            return Ok(None);
        }
        OpenSegment::open(&self.dir, next).map(Some)
    }

    /// What could not be written at the end of the log is said by the end record.
    fn lost_at_the_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Chunk>> {
        let Some(End { done, lost_bytes }) = read_end(&self.dir).filter(|end| end.lost_bytes > 0) else {
            return Ok(None);
        };
        let text = format::gap_text(lost_bytes);
        let Some(start) = done.next_offset.checked_sub(u64::try_from(text.len()).map_err(io::Error::other)?) else {
            return Ok(None);
        };
        if self.offset >= done.next_offset {
            return Ok(None);
        }
        let seen = usize::try_from(self.offset.saturating_sub(start)).map_err(io::Error::other)?;
        buffer.clear();
        buffer.extend_from_slice(text.as_bytes().get(seen..).unwrap_or_default());
        let at_ms = done.started_at_ms.saturating_add_unsigned(done.duration_ms);
        let offset = self.offset.max(start);
        self.offset = done.next_offset;
        Ok(Some(Chunk { offset, stream: LogStream::Sys, at_ms, gap_bytes: Some(lost_bytes) }))
    }
}

impl OpenSegment {
    fn open(dir: &Dir, start: u64) -> io::Result<Self> {
        let file = dir.open_file(format::segment_name(start))?;
        Ok(Self { file, start, position: 0, offset: start })
    }

    /// The next frame, if all of it is there.
    fn header(&self) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER];
        match self.file.read_exact_at(&mut bytes, self.position) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let Some(header) = Header::decode(&bytes) else { return Ok(None) };
        let whole = self.file.metadata()?.len() >= self.position + header.frame_bytes();
        Ok(whole.then_some(header))
    }

    fn skip(&mut self, header: Header) {
        self.position += header.frame_bytes();
        self.offset += u64::from(header.length);
    }
}

/// Where the segments start, in order.
pub(super) fn segments(dir: &Dir) -> io::Result<Vec<u64>> {
    let entries = dir.entries()?;
    let mut starts: Vec<u64> =
        entries.iter().filter_map(|name| name.to_str().and_then(format::segment_offset)).collect();
    starts.sort_unstable();
    Ok(starts)
}

/// The end record, once it is there.
pub(super) fn read_end(dir: &Dir) -> Option<End> {
    serde_json::from_slice(&dir.read(END, MAX_RECORD).ok()?).ok()
}

/// What the last segment says: the length of the log, and when its last byte was read.
pub(super) fn written_end(dir: &Dir) -> io::Result<Option<(u64, i64)>> {
    let Some(&start) = segments(dir)?.last() else { return Ok(None) };
    let file = dir.open_file(format::segment_name(start))?;
    let size = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(format::MAX_PAYLOAD, file);
    let (mut position, mut offset, mut at_ms) = (0, start, 0);
    loop {
        let mut bytes = [0; HEADER];
        let header = reader.read_exact(&mut bytes).ok().and_then(|()| Header::decode(&bytes));
        let Some(header) = header.filter(|header| position + header.frame_bytes() <= size) else {
            return Ok(Some((offset, at_ms)));
        };
        reader.seek_relative(i64::from(header.length))?;
        position += header.frame_bytes();
        offset += u64::from(header.length);
        at_ms = header.at_ms;
    }
}
