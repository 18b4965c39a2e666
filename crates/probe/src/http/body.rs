//! The body of an answer as it comes in, piece by piece, never more of it than allowed.

use super::head::Framing;
use crate::limits;

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Body {
    /// What is kept.
    data: Vec<u8>,
    keep: usize,
    /// Bytes of the body so far, kept or not.
    seen: usize,
    state: State,
}

/// What comes next.
#[derive(Debug)]
enum State {
    Length(u64),
    UntilClose,
    Chunked { next: Next, framing: usize },
    Done,
}

/// Where in a chunked body the next byte is. `line` counts the bytes of the line so far.
#[derive(Debug, Clone, Copy)]
enum Next {
    Size { size: Option<u64>, line: usize },
    Extension { size: u64, line: usize },
    Data { left: u64 },
    DataEnd { is_after_cr: bool },
    Trailer { line: usize, total: usize },
}

/// What a piece did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to come.
    More,
    /// It is all there.
    Done,
    /// It is longer than what is read.
    Cut,
}

/// Why a body is none, as the rest of a sentence.
pub(super) type BodyError = &'static str;

impl Body {
    /// One of which at most `keep` bytes are kept.
    pub(super) fn new(framing: Framing, keep: usize) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Length(left),
            Framing::UntilClose => State::UntilClose,
            Framing::Chunked => State::Chunked { next: Next::Size { size: None, line: 0 }, framing: 0 },
        };
        Self { data: Vec::new(), keep, seen: 0, state }
    }

    /// Takes the next bytes of the connection.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Progress, BodyError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match &self.state {
                State::Done => return Ok(Progress::Done),
                State::UntilClose => self.take(rest, usize::MAX),
                State::Length(left) => {
                    let left = *left;
                    let after = self.take(rest, usize::try_from(left).unwrap_or(usize::MAX));
                    let taken = u64::try_from(rest.len() - after.len()).unwrap_or(u64::MAX);
                    let left = left.saturating_sub(taken);
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                    after
                }
                State::Chunked { next, framing } => {
                    let (next, framing) = (*next, *framing);
                    self.chunked(next, framing, rest)?
                }
            };
            if self.seen > limits::BODY {
                return Ok(Progress::Cut);
            }
        }
        Ok(if matches!(self.state, State::Done) { Progress::Done } else { Progress::More })
    }

    /// The connection ended.
    pub(super) fn end(&self) -> Result<(), BodyError> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            State::Length(_) => Err("ends before the length that it announced"),
            State::Chunked { .. } => Err("ends in the middle of a chunk"),
        }
    }

    /// Bytes of the body so far.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// What was kept.
    pub(super) fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Takes at most `limit` bytes of content, and returns what is behind them.
    fn take<'b>(&mut self, bytes: &'b [u8], limit: usize) -> &'b [u8] {
        let (taken, after) = bytes.split_at_checked(limit).unwrap_or((bytes, &[]));
        let room = self.keep.saturating_sub(self.data.len());
        self.data.extend(taken.iter().take(room));
        self.seen = self.seen.saturating_add(taken.len());
        after
    }

    fn chunked<'b>(&mut self, next: Next, framing: usize, bytes: &'b [u8]) -> Result<&'b [u8], BodyError> {
        if let Next::Data { left } = next {
            let after = self.take(bytes, usize::try_from(left).unwrap_or(usize::MAX));
            let left = left.saturating_sub(u64::try_from(bytes.len() - after.len()).unwrap_or(u64::MAX));
            let next = if left == 0 { Next::DataEnd { is_after_cr: false } } else { Next::Data { left } };
            self.state = State::Chunked { next, framing };
            return Ok(after);
        }
        let Some((byte, after)) = bytes.split_first() else { return Ok(bytes) };
        if framing >= limits::CHUNK_FRAMING {
            return Err("has chunks that are nearly all frame and no content");
        }
        self.state = match step(next, *byte)? {
            Some(next) => State::Chunked { next, framing: framing + 1 },
            None => State::Done,
        };
        Ok(after)
    }
}

/// One byte of framing; none where the body ends with it.
fn step(next: Next, byte: u8) -> Result<Option<Next>, BodyError> {
    const LONG: BodyError = "has a chunk whose first line does not end";
    const NO_SIZE: BodyError = "has a chunk without a size";
    let next = match next {
        Next::Size { line, .. } | Next::Extension { line, .. } if line >= limits::CHUNK_LINE => return Err(LONG),
        Next::Size { size, line } => match (byte, size) {
            (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F', _) => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let size = size.unwrap_or(0).checked_mul(16).and_then(|size| size.checked_add(digit));
                Next::Size { size: Some(size.ok_or("has a chunk of an impossible size")?), line: line + 1 }
            }
            (b'\n', Some(size)) => data(size),
            (b'\r' | b';' | b' ' | b'\t', Some(size)) => Next::Extension { size, line: line + 1 },
            _ => return Err(NO_SIZE),
        },
        Next::Extension { size, .. } if byte == b'\n' => data(size),
        Next::Extension { size, line } => Next::Extension { size, line: line + 1 },
        // Not reached: content is taken at once.
        Next::Data { left } => Next::Data { left },
        Next::DataEnd { is_after_cr } => match (byte, is_after_cr) {
            (b'\n', _) => Next::Size { size: None, line: 0 },
            (b'\r', false) => Next::DataEnd { is_after_cr: true },
            _ => return Err("has a chunk that is longer than its size"),
        },
        Next::Trailer { total, .. } if total >= limits::TRAILERS => return Err("has trailers of more than 16 KiB"),
        Next::Trailer { line, total } => match (byte, line) {
            (b'\n', 0) => return Ok(None),
            (b'\n', _) => Next::Trailer { line: 0, total: total + 1 },
            (b'\r', _) => Next::Trailer { line, total: total + 1 },
            _ => Next::Trailer { line: line + 1, total: total + 1 },
        },
    };
    Ok(Some(next))
}

const fn data(size: u64) -> Next {
    if size == 0 { Next::Trailer { line: 0, total: 0 } } else { Next::Data { left: size } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(framing: Framing, pieces: &[&[u8]]) -> Result<(Progress, Vec<u8>), BodyError> {
        let mut body = Body::new(framing, limits::BODY);
        let mut progress = Progress::More;
        for piece in pieces {
            progress = body.push(piece)?;
            if progress != Progress::More {
                break;
            }
        }
        Ok((progress, body.into_data()))
    }

    fn text(framing: Framing, input: &str) -> Result<(Progress, String), BodyError> {
        // Whole, and byte by byte: the same must come of it.
        let whole = read(framing, &[input.as_bytes()]);
        let bytes: Vec<_> = input.as_bytes().chunks(1).collect();
        assert_eq!(read(framing, &bytes), whole, "{input:?}");
        whole.map(|(progress, data)| (progress, String::from_utf8(data).unwrap()))
    }

    #[test]
    fn bodies_end_where_they_say() {
        assert_eq!(text(Framing::Length(5), "hello, world"), Ok((Progress::Done, "hello".into())));
        assert_eq!(text(Framing::Length(5), "hell"), Ok((Progress::More, "hell".into())));
        assert_eq!(text(Framing::UntilClose, "hello"), Ok((Progress::More, "hello".into())));
        for chunked in [
            "5\r\nhello\r\n0\r\n\r\n",
            "05;a=b\r\nhello\r\n000\r\nTrailer: x\r\n\r\n",
            "2\nhe\n3 \r\nllo\r\n0\n\nmore",
            "1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        ] {
            assert_eq!(text(Framing::Chunked, chunked), Ok((Progress::Done, "hello".into())), "{chunked:?}");
        }
    }

    #[test]
    fn garbage_between_chunks_is_refused() {
        for garbage in [
            "hello",
            "\r\n",
            ";x\r\n",
            "-1\r\n",
            "5\r\nhello!",
            "5\r\nhello\rx",
            "5g\r\n",
            "fffffffffffffffff\r\n",
            "0x5\r\nhello",
        ] {
            assert!(text(Framing::Chunked, garbage).is_err(), "{garbage:?}");
        }
        assert!(text(Framing::Chunked, &format!("5;{}", "x".repeat(limits::CHUNK_LINE + 1))).is_err());
        assert!(text(Framing::Chunked, &format!("0\r\n{}", "a: b\r\n".repeat(limits::TRAILERS))).is_err());
        assert!(Body::new(Framing::Length(5), 10).end().is_err());
        assert!(Body::new(Framing::Chunked, 10).end().is_err());
        assert!(Body::new(Framing::UntilClose, 10).end().is_ok());
        assert!(Body::new(Framing::Length(0), 10).end().is_ok());
    }

    #[test]
    fn endless_lines_of_sizes_end() {
        let line = format!("1;{}\r\nx\r\n", "e".repeat(1000));
        let mut body = Body::new(Framing::Chunked, 100);
        let refused = (0..limits::CHUNK_FRAMING / 1000 + 1).find_map(|_| body.push(line.as_bytes()).err());
        assert!(refused.is_some());
        assert!(body.into_data().len() <= 100);
    }

    #[test]
    fn the_limit_itself_is_not_beyond_the_limit() {
        let full = vec![b'x'; limits::BODY];
        let length = u64::try_from(limits::BODY).unwrap();
        assert_eq!(read(Framing::Length(length), &[&full]).map(|(progress, _)| progress), Ok(Progress::Done));
        assert_eq!(read(Framing::Length(length + 1), &[&full, b"x"]).map(|(progress, _)| progress), Ok(Progress::Cut));
        assert_eq!(read(Framing::UntilClose, &[&full]).map(|(progress, _)| progress), Ok(Progress::More));
        assert_eq!(read(Framing::UntilClose, &[&full, b"x"]).map(|(progress, _)| progress), Ok(Progress::Cut));
        let size = format!("{length:x}\r\n");
        let chunked = read(Framing::Chunked, &[size.as_bytes(), &full, b"\r\n0\r\n\r\n"]);
        assert_eq!(chunked.map(|(progress, data)| (progress, data.len())), Ok((Progress::Done, limits::BODY)));
        let chunked = read(Framing::Chunked, &[size.as_bytes(), &full, b"\r\n1\r\nx"]);
        assert_eq!(chunked.map(|(progress, _)| progress), Ok(Progress::Cut));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_body_or_not(
            input in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "[0-9a-f;\\r\\n x]{0,200}".prop_map(String::into_bytes),
            ],
            cut in 0_usize..200,
            length in 0_u64..100,
        ) {
            for framing in [Framing::Chunked, Framing::Length(length), Framing::UntilClose] {
                let mut whole = Body::new(framing, 16);
                let all_at_once = whole.push(&input);
                prop_assert!(whole.data.len() <= 16);
                let mut pieces = Body::new(framing, 16);
                let (one, two) = input.split_at(cut.min(input.len()));
                let first = pieces.push(one);
                let progress = if first == Ok(Progress::More) { pieces.push(two) } else { first };
                prop_assert_eq!(progress, all_at_once);
                prop_assert_eq!(pieces.into_data(), whole.into_data());
            }
        }

        #[test]
        fn what_was_chunked_comes_out_as_it_went_in(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..20)) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend(format!("{:X}\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n\r\n");
            prop_assert_eq!(read(Framing::Chunked, &[&wire]), Ok((Progress::Done, chunks.concat())));
        }
    }
}
