//! How pieces of a log lie in the database: many in one row, with an index in front of their bytes, compressed.
//!
//! ```text
//! version u8 = 1 | unfinished characters of out, err, sys before the segment (length u8, bytes)
//! | length of the index | pieces: stream u8, time since the one before, bytes, (sys and holes) dropped bytes | data
//! ```
//!
//! Numbers are LEB128, times zigzag. A *hole* takes room in the log and has no data: the hub does not have these bytes.

use bytes::Bytes;
use protocol::job::LogStream;

use super::text::Carries;

/// A segment is closed when it holds this many bytes of output.
pub(super) const FULL: usize = 96 << 10;
/// Bytes of output of the longest segment: its last piece may go over [`FULL`].
pub(super) const MAX_BYTES: u64 = (FULL + protocol::MAX_BINARY_PAYLOAD) as u64;
/// Longer than any segment decodes to: the last piece may go over [`FULL`], and each piece has at most 32 bytes of index.
const MAX_DECODED: usize = FULL + protocol::MAX_BINARY_PAYLOAD + 32 * MAX_PIECES + 64;
/// Pieces of one segment at most.
const MAX_PIECES: usize = 4096;
/// Shorter segments stay as they are: compressing would not pay.
const COMPRESS_FROM: usize = 512;
const VERSION: u8 = 1;
const HOLE: u8 = 3;

/// A piece of a log, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Bytes of the log before it.
    pub(super) offset: u64,
    /// Bytes of the log that it takes: its data, unless it is a hole.
    pub(super) bytes: u64,
    /// Where it came from.
    pub(super) stream: LogStream,
    /// When it was read, host's clock, Unix milliseconds.
    pub(super) at_ms: i64,
    /// Bytes of output dropped here.
    pub(super) gap_bytes: u64,
    /// The output.
    pub(super) data: Bytes,
}

impl Piece {
    /// A piece of a log that nobody has.
    pub(super) fn hole(offset: u64, bytes: u64, at_ms: i64) -> Self {
        Self { offset, bytes, stream: LogStream::Sys, at_ms, gap_bytes: bytes, data: Bytes::new() }
    }

    /// Bytes of the log up to its end.
    pub(super) const fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }

    /// What is left of it from `offset` on, when that lies inside.
    pub(super) fn from(mut self, offset: u64) -> Self {
        let seen = offset.saturating_sub(self.offset).min(self.bytes);
        let _ = self.data.split_to(usize::try_from(seen).unwrap_or(usize::MAX).min(self.data.len()));
        self.offset += seen;
        self.bytes -= seen;
        self
    }

    /// At most the first `bytes` of it.
    pub(super) fn up_to(mut self, bytes: u64) -> Self {
        self.bytes = self.bytes.min(bytes);
        self.data.truncate(usize::try_from(self.bytes).unwrap_or(usize::MAX));
        self
    }
}

/// How [`Row::data`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// One zstd frame.
    Zstd,
    /// Nothing but when it was dropped: the hub had these bytes once.
    Dropped,
}

impl Encoding {
    /// Its number in the database.
    pub(super) const fn as_number(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::Zstd => 1,
            Self::Dropped => 2,
        }
    }

    /// The encoding with this number.
    pub(super) const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::Zstd),
            2 => Some(Self::Dropped),
            _ => None,
        }
    }
}

/// A segment as the database holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) start: u64,
    pub(super) finish: u64,
    pub(super) gap_bytes: u64,
    pub(super) encoding: Encoding,
    pub(super) data: Vec<u8>,
}

/// Collects pieces that follow each other.
#[derive(Debug)]
pub(super) struct Builder {
    start: u64,
    carries: Carries,
    pieces: Vec<Piece>,
    /// Bytes of their data.
    bytes: usize,
}

impl Builder {
    /// A segment that begins at `start` with these unfinished characters.
    pub(super) fn new(start: u64, carries: Carries) -> Self {
        Self { start, carries, pieces: Vec::new(), bytes: 0 }
    }

    /// Appends a piece, which begins where the last one ended.
    pub(super) fn push(&mut self, piece: &Piece) {
        self.bytes += piece.data.len();
        self.pieces.push(piece.clone());
    }

    /// Whether the next piece should go to another segment.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= FULL || self.pieces.len() >= MAX_PIECES
    }

    /// Bytes of output so far.
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    /// The row. Without a compressor that works it is stored as it is.
    pub(super) fn finish(self, compressor: &mut Option<zstd::bulk::Compressor<'static>>) -> Row {
        let plain = self.plain();
        let compressed = match compressor {
            Some(compressor) if plain.len() >= COMPRESS_FROM => compressor.compress(&plain).ok(),
            _ => None,
        };
        let (encoding, data) = match compressed {
            Some(compressed) if compressed.len() < plain.len() => (Encoding::Zstd, compressed),
            _ => (Encoding::Plain, plain),
        };
        let finish = self.pieces.last().map_or(self.start, Piece::end);
        let gap_bytes = self.pieces.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.gap_bytes));
        Row { start: self.start, finish, gap_bytes, encoding, data }
    }

    fn plain(&self) -> Vec<u8> {
        let index = self.index();
        let mut plain = Vec::with_capacity(32 + index.len() + self.bytes);
        plain.push(VERSION);
        for part in self.carries.parts() {
            plain.push(u8::try_from(part.len()).unwrap_or(0));
            plain.extend_from_slice(part);
        }
        push_number(&mut plain, u64::try_from(index.len()).unwrap_or(u64::MAX));
        plain.extend_from_slice(&index);
        self.pieces.iter().for_each(|piece| plain.extend_from_slice(&piece.data));
        plain
    }

    fn index(&self) -> Vec<u8> {
        let mut index = Vec::with_capacity(16 * self.pieces.len());
        let mut last_at_ms = 0;
        for piece in &self.pieces {
            let hole = piece.bytes > 0 && piece.data.is_empty();
            index.push(if hole { HOLE } else { number_of(piece.stream) });
            let since = piece.at_ms.wrapping_sub(last_at_ms);
            push_number(&mut index, ((since << 1) ^ (since >> 63)).cast_unsigned());
            push_number(&mut index, piece.bytes);
            if hole || piece.stream == LogStream::Sys {
                push_number(&mut index, piece.gap_bytes);
            }
            last_at_ms = piece.at_ms;
        }
        index
    }
}

/// A segment in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Unfinished characters before it.
    pub(super) carries: Carries,
    /// Its pieces, in order.
    pub(super) pieces: Vec<Piece>,
}

/// Why a segment cannot be read: the database is damaged, or a newer version wrote it.
#[derive(Debug, thiserror::Error)]
#[error("the log segment at byte {start} cannot be read: {problem}")]
pub(super) struct Damaged {
    start: u64,
    problem: &'static str,
}

impl Row {
    /// The place of bytes that were dropped at `at_ms`; `gap_bytes` counts them and those that were missing among them.
    pub(super) fn dropped(start: u64, finish: u64, gap_bytes: u64, at_ms: i64) -> Self {
        Self { start, finish, gap_bytes, encoding: Encoding::Dropped, data: at_ms.to_le_bytes().to_vec() }
    }

    /// Bytes of output in it.
    pub(super) fn kept(&self) -> u64 {
        if self.encoding == Encoding::Dropped { 0 } else { self.finish - self.start }
    }

    /// Reads the segment.
    pub(super) fn decode(self) -> Result<Segment, Damaged> {
        let start = self.start;
        let damaged = |problem| Damaged { start, problem };
        let plain = match self.encoding {
            Encoding::Dropped => {
                let at_ms = self.data.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
                let hole = Piece::hole(start, self.finish.saturating_sub(start), at_ms);
                let pieces = vec![Piece { gap_bytes: self.gap_bytes, ..hole }];
                return Ok(Segment { carries: Carries::default(), pieces });
            }
            Encoding::Plain => self.data,
            Encoding::Zstd => {
                let size = zstd::zstd_safe::get_frame_content_size(&self.data).ok().flatten();
                let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX_DECODED);
                let size = size.ok_or_else(|| damaged("its size is not plausible"))?;
                zstd::bulk::decompress(&self.data, size).map_err(|_| damaged("it does not decompress"))?
            }
        };
        let mut reader = Reader(Bytes::from(plain));
        match reader.byte() {
            Some(VERSION) => {}
            Some(_) => return Err(damaged("its version is not known")),
            None => return Err(damaged("it is empty")),
        }
        let segment = reader.segment(start).ok_or_else(|| damaged("it is cut off"))?;
        let finish = segment.pieces.last().map_or(start, Piece::end);
        if finish == self.finish { Ok(segment) } else { Err(damaged("its pieces do not fill it")) }
    }
}

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.0.len()).then(|| self.0.split_to(count))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn segment(mut self, start: u64) -> Option<Segment> {
        let mut parts = [Bytes::new(), Bytes::new(), Bytes::new()];
        for part in &mut parts {
            let length = self.byte()?;
            *part = self.take(usize::from(length))?;
        }
        let carries = Carries::from_parts([&parts[0], &parts[1], &parts[2]]);
        let length = usize::try_from(self.number()?).ok()?;
        let mut index = Self(self.take(length)?);
        let (mut offset, mut at_ms, mut pieces) = (start, 0_i64, Vec::new());
        while !index.0.is_empty() {
            let number = index.byte()?;
            let since = index.number()?;
            at_ms = at_ms.wrapping_add((since >> 1).cast_signed() ^ -(since & 1).cast_signed());
            let bytes = index.number()?;
            let stream = stream_of(number)?;
            let gap_bytes = if stream == LogStream::Sys { index.number()? } else { 0 };
            let data = if number == HOLE { Bytes::new() } else { self.take(usize::try_from(bytes).ok()?)? };
            pieces.push(Piece { offset, bytes, stream, at_ms, gap_bytes, data });
            offset = offset.checked_add(bytes)?;
        }
        self.0.is_empty().then_some(Segment { carries, pieces })
    }
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

const fn number_of(stream: LogStream) -> u8 {
    match stream {
        LogStream::Out => 0,
        LogStream::Err => 1,
        LogStream::Sys => 2,
    }
}

const fn stream_of(number: u8) -> Option<LogStream> {
    match number {
        0 => Some(LogStream::Out),
        1 => Some(LogStream::Err),
        2 | HOLE => Some(LogStream::Sys),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text::STREAMS;
    use super::*;

    fn build(start: u64, pieces: &[Piece]) -> Row {
        let mut builder = Builder::new(start, Carries::from_parts([b"\xe2\x82", b"", b"\xc3"]));
        pieces.iter().for_each(|piece| builder.push(piece));
        builder.finish(&mut zstd::bulk::Compressor::new(1).ok())
    }

    fn pieces() -> impl Strategy<Value = (u64, Vec<Piece>)> {
        let piece = (0..4_usize, any::<i64>(), proptest::collection::vec(any::<u8>(), 1..2000), any::<u32>());
        (0..u64::from(u32::MAX), proptest::collection::vec(piece, 1..20)).prop_map(|(start, raw)| {
            let mut offset = start;
            let pieces = raw.into_iter().map(|(stream, at_ms, data, gap)| {
                let stream = STREAMS.get(stream).copied();
                let piece = match stream {
                    None => Piece::hole(offset, u64::from(gap) + 1, at_ms),
                    Some(stream) => Piece {
                        offset,
                        bytes: u64::try_from(data.len()).unwrap(),
                        stream,
                        at_ms,
                        gap_bytes: if stream == LogStream::Sys { u64::from(gap) } else { 0 },
                        data: Bytes::from(data),
                    },
                };
                offset = piece.end();
                piece
            });
            (start, pieces.collect())
        })
    }

    proptest! {
        #[test]
        fn what_went_in_comes_out((start, pieces) in pieces()) {
            let row = build(start, &pieces);
            prop_assert_eq!(row.gap_bytes, pieces.iter().map(|piece| piece.gap_bytes).sum::<u64>());
            let segment = row.decode().unwrap();
            prop_assert_eq!(segment.pieces, pieces);
            prop_assert_eq!(segment.carries.parts(), [b"\xe2\x82".as_slice(), b"", b"\xc3"]);
        }

        #[test]
        fn damage_is_noticed_or_harmless_but_never_a_panic((start, pieces) in pieces(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut row = build(start, &pieces);
            let at = at.index(row.data.len());
            row.data[at] = to;
            let _ = row.clone().decode();
            row.data.truncate(at);
            prop_assert!(row.decode().is_err());
        }
    }

    #[test]
    fn short_segments_stay_plain_and_repetitive_ones_shrink() {
        let piece = |data: Vec<u8>| Piece {
            offset: 0,
            bytes: u64::try_from(data.len()).unwrap(),
            stream: LogStream::Out,
            at_ms: 1_700_000_000_000,
            gap_bytes: 0,
            data: Bytes::from(data),
        };
        assert_eq!(build(0, &[piece(b"hello\n".to_vec())]).encoding, Encoding::Plain);
        let row = build(0, &[piece(b"hello\n".repeat(10_000))]);
        assert!(row.encoding == Encoding::Zstd && row.data.len() < 1000);
    }

    #[test]
    fn a_piece_can_be_entered_in_its_middle() {
        let piece = Piece {
            offset: 10,
            bytes: 5,
            stream: LogStream::Err,
            at_ms: 0,
            gap_bytes: 0,
            data: Bytes::from_static(b"abcde"),
        };
        let rest = piece.clone().from(13);
        assert_eq!((rest.offset, rest.bytes, rest.data.as_ref()), (13, 2, b"de".as_slice()));
        assert_eq!(piece.clone().from(99).bytes, 0);
        assert_eq!(piece.clone().from(3), piece);
        assert_eq!(Piece::hole(0, 10, 0).from(4).bytes, 6);
    }
}
