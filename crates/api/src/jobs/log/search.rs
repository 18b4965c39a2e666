//! Finds a text in a log, a stretch of it at a time: the log is read segment by segment, and one unfinished line of each
//! stream is all that is kept of it.
//!
//! Every occurrence belongs to the answer in whose stretch (`from` up to `next_from`) it begins, so that answers put
//! together have each once, wherever they were cut. An occurrence lies in one line of one stream. What another stream
//! wrote in between does not matter, unless that is more than [`MAX_APART`].

use protocol::job::LogStream;
use serde::Serialize;
use utoipa::ToSchema;

use super::needle::Needle;
use super::read::{Cursor, LogStreamName};
use super::segment::Piece;
use super::text::STREAMS;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::hub::Hub;
use crate::jobs::model::Job;

/// Bytes that one request looks through; the next one goes on.
const BUDGET: u64 = 32 << 20;
/// What a piece costs beyond its bytes.
const OVERHEAD: u64 = 64;
/// Bytes that are read at once.
const PAGE: u64 = 512 << 10;
/// Bytes before the place where the search begins that are read for the beginning of its first lines.
const LOOK_BACK: u64 = 64 << 10;
/// Bytes of an unfinished line that are kept.
const MAX_LINE: usize = 16 << 10;
/// An occurrence whose bytes lie further apart in the log is not found.
const MAX_APART: u64 = 1 << 20;
/// Bytes of a line that are shown, and how many of them before the first occurrence.
const MAX_TEXT: usize = 1024;
const TEXT_BEFORE: usize = 256;
/// Occurrences of one line that are listed.
const MAX_PLACES: usize = 100;

/// What is searched for, and where.
#[derive(Debug)]
pub(super) struct Query {
    /// The text.
    pub(super) needle: Needle,
    /// In this stream only.
    pub(super) stream: Option<LogStream>,
    /// From this byte of the log on.
    pub(super) from: u64,
    /// Most lines of the answer.
    pub(super) limit: usize,
}

/// What a stretch of a log has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogMatches)]
pub(super) struct Matches {
    /// Lines in the order of their first occurrence.
    data: Vec<Match>,
    /// Where to go on: what to send as `from`. An answer may be empty and yet not be the last.
    next_from: u64,
    /// The job has ended and its log was searched to the end.
    complete: bool,
}

/// A line with occurrences of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LogMatch)]
pub(super) struct Match {
    /// Bytes of the log before the line, as far as its beginning was read.
    offset: u64,
    /// Bytes of the log before each occurrence; at most the first 100 of the line.
    matches: Vec<u64>,
    #[schema(value_type = LogStreamName)]
    stream: LogStream,
    /// When the line began, by the host's clock.
    at: Timestamp,
    /// The line, or 1 KiB of it around the first occurrence.
    text: String,
    /// Bytes of the log before `text`.
    text_offset: u64,
    /// The line has more than `text` shows.
    truncated: bool,
}

/// Searches one stretch of the log of a job.
pub(super) async fn run(hub: &Hub, job: &Job, query: Query) -> Result<Matches> {
    let begin = query.from.saturating_sub(LOOK_BACK);
    let mut cursor = Cursor::new(job.id, begin);
    let mut search = Search::new(query, begin);
    let (mut spent, mut reached_end) = (0_u64, false);
    while !reached_end && !search.is_enough(cursor.next(), spent) {
        let pieces = cursor.pieces(hub, PAGE).await?;
        reached_end = pieces.is_empty();
        for piece in &pieces {
            spent = spent.saturating_add(OVERHEAD).saturating_add(u64::try_from(piece.data.len()).unwrap_or(u64::MAX));
            search.take(piece);
            cursor.pass(piece);
        }
    }
    let end = match (reached_end, job.state.is_terminal()) {
        (false, _) => End::Later,
        (true, false) => End::ForNow,
        (true, true) => End::Final,
    };
    Ok(search.finish(cursor.next(), end))
}

/// What comes after the stretch that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More of the log.
    Later,
    /// What the job has not written yet.
    ForNow,
    /// Nothing.
    Final,
}

struct Search {
    query: Query,
    /// Of each stream, in the order of [`STREAMS`].
    lines: [Line; 3],
    /// By their first occurrence.
    found: Vec<Match>,
    /// The first occurrence that has no room in the answer.
    cut: Option<u64>,
}

/// The unfinished line of a stream.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    runs: Vec<Run>,
    begin: Option<Begin>,
    /// Its beginning was not read.
    headless: bool,
}

/// Bytes of a line that lie together in the log.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Bytes of the line before it, as far as they are kept.
    at: usize,
    offset: u64,
}

#[derive(Debug, Clone, Copy)]
struct Begin {
    offset: u64,
    at_ms: i64,
}

/// Some bytes of a line, to be looked through.
struct Part<'l> {
    stream: LogStream,
    bytes: &'l [u8],
    runs: &'l [Run],
    begin: Begin,
    /// The line is longer than these bytes.
    is_cut: bool,
}

impl Search {
    fn new(query: Query, begin: u64) -> Self {
        let line = || Line { headless: begin > 0, ..Line::default() };
        Self { query, lines: [line(), line(), line()], found: Vec::new(), cut: None }
    }

    /// Whether an answer can be given at `position`: it is full or was dear enough, and something before is not left open.
    fn is_enough(&self, position: u64, spent: u64) -> bool {
        let is_full = self.cut.is_some_and(|cut| self.open(position).is_none_or(|open| open >= cut));
        is_full || spent > BUDGET && position > self.query.from
    }

    fn take(&mut self, piece: &Piece) {
        if piece.gap_bytes > 0 || piece.data.is_empty() {
            // What was dropped may have ended any line.
            STREAMS.iter().for_each(|stream| self.end_line(*stream, false));
            return;
        }
        let stream = piece.stream;
        if self.query.stream.is_some_and(|wanted| wanted != stream) {
            return;
        }
        let (mut rest, mut offset) = (piece.data.as_ref(), piece.offset);
        while let Some(length) = memchr::memchr(b'\n', rest) {
            let (line, more) = rest.split_at(length);
            if self.line(stream).bytes.is_empty() {
                let begin = self.line(stream).begin.take().unwrap_or(Begin { offset, at_ms: piece.at_ms });
                let is_cut = std::mem::take(&mut self.line(stream).headless);
                self.look(&Part { stream, bytes: line, runs: &[Run { at: 0, offset }], begin, is_cut });
            } else {
                self.extend(stream, line, Begin { offset, at_ms: piece.at_ms });
                self.end_line(stream, false);
            }
            rest = more.get(1..).unwrap_or_default();
            offset += u64::try_from(length + 1).unwrap_or(u64::MAX);
        }
        if !rest.is_empty() {
            self.extend(stream, rest, Begin { offset, at_ms: piece.at_ms });
            if self.line(stream).bytes.len() > MAX_LINE {
                self.shorten_line(stream);
            }
        }
    }

    fn line(&mut self, stream: LogStream) -> &mut Line {
        let [out, err, sys] = &mut self.lines;
        match stream {
            LogStream::Out => out,
            LogStream::Err => err,
            LogStream::Sys => sys,
        }
    }

    fn extend(&mut self, stream: LogStream, bytes: &[u8], place: Begin) {
        let line = self.line(stream);
        line.begin.get_or_insert(place);
        line.runs.push(Run { at: line.bytes.len(), offset: place.offset });
        line.bytes.extend_from_slice(bytes);
    }

    fn end_line(&mut self, stream: LogStream, is_cut: bool) {
        let line = std::mem::take(self.line(stream));
        if let Some(begin) = line.begin {
            let is_cut = is_cut || line.headless;
            self.look(&Part { stream, bytes: &line.bytes, runs: &line.runs, begin, is_cut });
        }
    }

    /// Looks through a long line so far; what may be the beginning of an occurrence stays.
    fn shorten_line(&mut self, stream: LogStream) {
        let line = std::mem::take(self.line(stream));
        let Some(begin) = line.begin else { return };
        self.look(&Part { stream, bytes: &line.bytes, runs: &line.runs, begin, is_cut: true });
        let kept = self.query.needle.unfinished(&line.bytes).unwrap_or(line.bytes.len());
        let before = line.runs.partition_point(|run| run.at <= kept).saturating_sub(1);
        let runs = line.runs.iter().skip(before).map(|run| Run {
            at: run.at.saturating_sub(kept),
            offset: run.offset + u64::try_from(kept.saturating_sub(run.at)).unwrap_or(0),
        });
        let runs: Vec<_> = runs.collect();
        let bytes = line.bytes.get(kept..).unwrap_or_default().to_vec();
        // An empty rest has no place of its own.
        let runs = if bytes.is_empty() { Vec::new() } else { runs };
        *self.line(stream) = Line { bytes, runs, begin: Some(begin), headless: true };
    }

    fn look(&mut self, part: &Part<'_>) {
        let places = self.query.needle.places(part.bytes);
        let offsets = places.iter().map(|place| (*place, offset_of(part.runs, *place)));
        let wanted = |offset: u64| offset >= self.query.from && self.cut.is_none_or(|cut| offset < cut);
        let mut offsets = offsets.filter(|(_, offset)| wanted(*offset)).take(MAX_PLACES);
        let Some((place, first)) = offsets.next() else { return };
        let matches = [first].into_iter().chain(offsets.map(|(_, offset)| offset)).collect();
        let (text, start, is_whole) = excerpt(part.bytes, place);
        let found = Match {
            offset: part.begin.offset,
            matches,
            stream: part.stream,
            at: Timestamp::from_ms(part.begin.at_ms),
            text,
            text_offset: offset_of(part.runs, start),
            truncated: part.is_cut || !is_whole,
        };
        let index = self.found.partition_point(|other| first_of(other) <= first);
        self.found.insert(index, found);
        if let Some(excess) = self.found.get(self.query.limit) {
            self.cut = Some(first_of(excess));
            self.found.truncate(self.query.limit);
        }
    }

    /// Where an occurrence may have begun that is not finished yet.
    fn open(&self, position: u64) -> Option<u64> {
        let open = self.lines.iter().filter_map(|line| {
            let place = self.query.needle.unfinished(&line.bytes)?;
            Some(offset_of(&line.runs, place))
        });
        open.filter(|offset| offset.saturating_add(MAX_APART) > position).min()
    }

    fn finish(mut self, position: u64, end: End) -> Matches {
        let open = if end == End::Final { None } else { self.open(position) };
        STREAMS.iter().for_each(|stream| self.end_line(*stream, end != End::Final));
        let mut next_from = [self.cut, open].into_iter().flatten().fold(position, u64::min);
        if next_from <= self.query.from && end == End::Later {
            // An answer without progress would be asked for again for ever.
            next_from = self.cut.unwrap_or(position);
        }
        let next_from = next_from.max(self.query.from);
        self.found.retain_mut(|found| {
            found.matches.retain(|offset| *offset < next_from);
            !found.matches.is_empty()
        });
        Matches { data: self.found, next_from, complete: end == End::Final && self.cut.is_none() }
    }
}

fn first_of(found: &Match) -> u64 {
    found.matches.first().copied().unwrap_or(found.offset)
}

/// Bytes of the log before the byte at `place` of a line.
fn offset_of(runs: &[Run], place: usize) -> u64 {
    let run = runs.partition_point(|run| run.at <= place).saturating_sub(1);
    runs.get(run).map_or(0, |run| run.offset + u64::try_from(place.saturating_sub(run.at)).unwrap_or(0))
}

/// The part of a line around `place`, where it starts, and whether it is the whole line.
fn excerpt(line: &[u8], place: usize) -> (String, usize, bool) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut start = if line.len() <= MAX_TEXT { 0 } else { place.saturating_sub(TEXT_BEFORE).min(line.len()) };
    // Not in the middle of a character.
    while start > 0 && line.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
        start -= 1;
    }
    let shown = line.get(start..).unwrap_or_default();
    let end = shown.get(..MAX_TEXT).map_or(shown.len(), |most| {
        let cut = most.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        if shown.len() > MAX_TEXT { MAX_TEXT - cut } else { MAX_TEXT }
    });
    let text = String::from_utf8_lossy(shown.get(..end).unwrap_or_default()).into_owned();
    (text, start, start == 0 && end == line.len())
}
