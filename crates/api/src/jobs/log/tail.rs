//! The last pieces of a log, for followers that keep up: they need not read from the database what was just written there.

use std::collections::VecDeque;

use super::segment::Piece;

/// Bytes that are kept: what one connection can have in flight.
const MAX_BYTES: u64 = protocol::MAX_UNACKED_LOG;
/// Pieces that are kept.
const MAX_PIECES: usize = 4096;

/// The last pieces, without a gap between them. It costs nothing where nobody keeps up.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pieces: VecDeque<Piece>,
    bytes: u64,
    /// Somebody asked since the last time that something was added.
    wanted: bool,
}

impl Tail {
    /// Adds what was just stored, where somebody wants it.
    pub(super) fn extend(&mut self, pieces: &[Piece]) {
        if !std::mem::take(&mut self.wanted) {
            self.clear();
            return;
        }
        for piece in pieces {
            if self.pieces.back().is_some_and(|last| last.end() != piece.offset) {
                self.pieces.clear();
                self.bytes = 0;
            }
            self.bytes += piece.bytes;
            self.pieces.push_back(piece.clone());
            while (self.bytes > MAX_BYTES || self.pieces.len() > MAX_PIECES)
                && let Some(first) = self.pieces.pop_front()
            {
                self.bytes -= first.bytes;
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Pieces from the byte at `from` on, of at most `max_bytes`; none where they are not here.
    pub(super) fn pieces(&mut self, from: u64, max_bytes: u64) -> Vec<Piece> {
        self.wanted = true;
        if self.pieces.front().is_none_or(|first| first.offset > from) {
            return Vec::new();
        }
        let first = self.pieces.partition_point(|piece| piece.end() <= from);
        let mut left = max_bytes;
        let pieces = self.pieces.range(first..).map_while(|piece| {
            let piece = (left > 0).then(|| piece.clone().from(from).up_to(left))?;
            left -= piece.bytes;
            Some(piece)
        });
        pieces.collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::job::LogStream;

    use super::*;

    fn piece(offset: u64, bytes: u64) -> Piece {
        let data = Bytes::from(vec![b'x'; usize::try_from(bytes).unwrap()]);
        Piece { offset, bytes, stream: LogStream::Out, at_ms: 0, gap_bytes: 0, data }
    }

    fn extents(pieces: &[Piece]) -> Vec<(u64, u64)> {
        pieces.iter().map(|piece| (piece.offset, piece.bytes)).collect()
    }

    #[test]
    fn it_holds_the_last_pieces_for_those_who_ask() {
        let mut tail = Tail::default();
        tail.extend(&[piece(0, 10)]);
        assert!(tail.pieces(0, 100).is_empty(), "nobody had asked");
        tail.extend(&[piece(10, 10), piece(20, 10)]);
        assert!(tail.pieces(9, 100).is_empty());
        assert_eq!(extents(&tail.pieces(15, 100)), [(15, 5), (20, 10)]);
        assert_eq!(extents(&tail.pieces(15, 7)), [(15, 5), (20, 2)]);
        assert!(tail.pieces(30, 100).is_empty());
        for at in 0..40 {
            tail.extend(&[piece(30 + at * (64 << 10), 64 << 10)]);
            assert!(tail.bytes <= MAX_BYTES);
            tail.pieces(0, 1);
        }
        // Somebody else wrote in between.
        tail.extend(&[piece(1 << 40, 5)]);
        assert_eq!(extents(&tail.pieces(1 << 40, 100)), [(1 << 40, 5)]);
    }

    #[test]
    fn it_is_given_up_when_nobody_keeps_up() {
        let mut tail = Tail::default();
        tail.pieces(0, 1);
        tail.extend(&[piece(0, 10)]);
        tail.extend(&[piece(10, 10)]);
        assert!(tail.pieces.is_empty() && tail.bytes == 0);
    }
}
