//! Reads a log from any byte on, a page at a time: no connection and little memory is held between two pages.

use std::borrow::Cow;

use protocol::JobId;
use protocol::job::LogStream;
use serde::Serialize;
use utoipa::ToSchema;

use super::segment::Piece;
use super::store;
use super::text::Carries;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::Hub;

/// Most segments of one page, for logs of many small ones.
const MAX_SEGMENTS: u64 = 16;

/// A place in a log.
#[derive(Debug)]
pub(super) struct Cursor {
    job_id: JobId,
    /// Bytes of the log before it.
    next: u64,
    /// Unfinished characters there, once something was shown.
    carries: Carries,
    shown: bool,
    /// Segments that the next page is made of, by the size of the last.
    segments: u64,
}

/// A piece of a log with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LogChunk<'p> {
    /// Bytes of the log before it.
    pub(super) offset: u64,
    /// Bytes of the log that it takes. Its text may have another length: a character that is split over two chunks
    /// stands in the later one, and bytes that are no UTF-8 are shown as U+FFFD.
    pub(super) bytes: u64,
    /// Standard output, standard error, or a remark of the agent or the hub.
    #[schema(value_type = LogStreamName)]
    pub(super) stream: LogStream,
    /// When it was read, by the host's clock.
    pub(super) at: Timestamp,
    /// The output.
    pub(super) text: Cow<'p, str>,
    /// This many bytes of output were dropped here, because there were too many or because they were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gap_bytes: Option<u64>,
}

/// The names of [`LogStream`], for the API's document.
#[derive(ToSchema)]
#[schema(as = LogStream, rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum LogStreamName {
    Out,
    Err,
    Sys,
}

impl LogChunk<'_> {
    /// The same, without the piece that it shows.
    pub(super) fn into_owned(self) -> LogChunk<'static> {
        LogChunk { text: Cow::Owned(self.text.into_owned()), ..self }
    }
}

impl Cursor {
    /// The place before the byte at `from`.
    pub(super) fn new(job_id: JobId, from: u64) -> Self {
        Self { job_id, next: from, carries: Carries::default(), shown: false, segments: 1 }
    }

    /// Bytes of the log before it.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The pieces from here on, of at most `max_bytes`; none where the log ends for now. The cursor does not move: what
    /// is shown of them moves it.
    pub(super) async fn pieces(&mut self, hub: &Hub, max_bytes: u64) -> Result<Vec<Piece>> {
        if self.shown
            && let Some(live) = hub.jobs.live(self.job_id)
        {
            let pieces = live.tail_pieces(self.next, max_bytes);
            if !pieces.is_empty() {
                return Ok(pieces);
            }
        }
        let rows = {
            let mut session = hub.history.read().await?;
            let limit = i64::try_from(self.segments).unwrap_or(1);
            store::page(&mut session.conn(), self.job_id, self.next, limit).await?
        };
        let span: u64 = rows.iter().map(|row| row.finish - row.start).sum();
        let average = span / u64::try_from(rows.len()).unwrap_or(1).max(1);
        self.segments = (max_bytes / average.max(1)).clamp(1, MAX_SEGMENTS);

        let mut left = max_bytes;
        let mut pieces = Vec::new();
        for row in rows {
            let segment = row.decode().map_err(Error::internal)?;
            let mut carries = segment.carries;
            for piece in segment.pieces {
                if piece.end() <= self.next {
                    carries.skip(piece.stream, &piece.data);
                    continue;
                }
                if pieces.is_empty() {
                    // Characters that began before this place belong to what follows it.
                    let seen = usize::try_from(self.next.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
                    carries.skip(piece.stream, piece.data.get(..seen).unwrap_or_default());
                    self.carries = carries;
                }
                let piece = piece.from(self.next).up_to(left);
                left -= piece.bytes.min(left);
                pieces.push(piece);
                if left == 0 {
                    return Ok(pieces);
                }
            }
        }
        Ok(pieces)
    }

    /// Goes past a piece and shows it.
    pub(super) fn show<'p>(&mut self, piece: &'p Piece) -> LogChunk<'p> {
        self.next = piece.end();
        self.shown = true;
        LogChunk {
            offset: piece.offset,
            bytes: piece.bytes,
            stream: piece.stream,
            at: Timestamp::from_ms(piece.at_ms),
            text: self.carries.text(piece.stream, &piece.data),
            gap_bytes: (piece.gap_bytes > 0).then_some(piece.gap_bytes),
        }
    }

    /// Goes past a piece.
    pub(super) fn pass(&mut self, piece: &Piece) {
        self.next = piece.end();
    }

    /// The log ends here: characters that were never finished.
    pub(super) fn finish(&mut self, at: Timestamp) -> Vec<LogChunk<'static>> {
        let rest = self.carries.finish().into_iter();
        rest.map(|(stream, text)| LogChunk {
            offset: self.next,
            bytes: 0,
            stream,
            at,
            text: text.into(),
            gap_bytes: None,
        })
        .collect()
    }
}
