//! The spool's files, version 1. Old workers run beside a new relay, so what is written here stays readable.
//!
//! ```text
//! spool/<job id>/
//!   v1.meta          JSON Meta, written once. Its worker holds an exclusive lock on it for life: locked = alive
//!   v1.log-N.seg     frames; N = offset in the log of the first byte, 20 digits
//!   v1.end           JSON End: how the job ended. There from the end on, complete
//!   v1.end.new       space for it, taken while the job runs: a full disk must not cost the outcome
//!   v1.acked         made by the relay: the hub has everything
//!
//! frame = magic u8 | stream u8 | zero u16 | length u32 | at_ms i64 | gap u64 | length bytes        (little endian)
//! ```
//!
//! A frame is a chunk of the log as it goes to the hub: at most 64 KiB of one stream. `gap` counts bytes that were dropped
//! before this frame; such a frame is of the stream `sys` and its text says so, so that a gap takes room in the log like
//! everything else and each chunk has an offset of its own.

use protocol::JobId;
use protocol::job::{JobDone, LogStream};
use serde::{Deserialize, Serialize};

/// Name of the file that says what the job is, and whose lock says that its worker lives.
pub const META: &str = "v1.meta";
/// Name of the file that says how the job ended.
pub const END: &str = "v1.end";
/// Name of the file that becomes [`END`].
pub const END_NEW: &str = "v1.end.new";
/// Name of the relay's mark on a job that the hub has completely.
pub const ACKED: &str = "v1.acked";
/// Largest [`META`] or [`END`] that is read.
pub const MAX_RECORD: usize = 2 * protocol::MAX_TEXT_FRAME;
/// Bytes of a frame before its payload.
pub const HEADER: usize = 24;
/// Largest payload of a frame.
pub const MAX_PAYLOAD: usize = protocol::MAX_BINARY_PAYLOAD;

const MAGIC: u8 = 0xf1;
const SEGMENT_PREFIX: &str = "v1.log-";
const SEGMENT_SUFFIX: &str = ".seg";

/// What a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The job.
    pub job_id: JobId,
    /// When it was claimed, host's clock, Unix milliseconds.
    pub started_at_ms: i64,
    /// Until when the same order could come again, hub's clock.
    pub expires_at_ms: i64,
    /// The boot that it was claimed in.
    pub boot_id: String,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// What goes to the hub.
    pub done: JobDone,
    /// Bytes at the end of the log that could not be written, for want of space; readers make the frame that says so.
    #[serde(default)]
    pub lost_bytes: u64,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Where the bytes came from.
    pub stream: LogStream,
    /// Bytes that follow.
    pub length: u32,
    /// When they were read, host's clock, Unix milliseconds.
    pub at_ms: i64,
    /// Bytes dropped before them.
    pub gap_bytes: u64,
}

impl Header {
    /// The bytes on disk.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER] {
        let stream = match self.stream {
            LogStream::Out => 0,
            LogStream::Err => 1,
            LogStream::Sys => 2,
        };
        let mut bytes = [0; HEADER];
        let fields = [MAGIC, stream, 0, 0]
            .into_iter()
            .chain(self.length.to_le_bytes())
            .chain(self.at_ms.to_le_bytes())
            .chain(self.gap_bytes.to_le_bytes());
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = field;
        }
        bytes
    }

    /// Reads what [`Header::encode`] wrote; `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let &[MAGIC, stream, 0, 0, ref rest @ ..] = bytes else { return None };
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (at_ms, rest) = rest.split_first_chunk::<8>()?;
        let (gap_bytes, _) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(*length);
        let stream = match stream {
            0 => LogStream::Out,
            1 => LogStream::Err,
            2 => LogStream::Sys,
            _ => return None,
        };
        (usize::try_from(length).is_ok_and(|length| length <= MAX_PAYLOAD)).then_some(Self {
            stream,
            length,
            at_ms: i64::from_le_bytes(*at_ms),
            gap_bytes: u64::from_le_bytes(*gap_bytes),
        })
    }

    /// Bytes of the whole frame on disk.
    #[must_use]
    pub fn frame_bytes(self) -> u64 {
        // 24 fits.
        u64::from(self.length) + 24
    }
}

/// File name of the segment that starts at `offset` of the log.
#[must_use]
pub fn segment_name(offset: u64) -> String {
    format!("{SEGMENT_PREFIX}{offset:020}{SEGMENT_SUFFIX}")
}

/// The offset in a segment's name, if it is one.
#[must_use]
pub fn segment_offset(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(SEGMENT_PREFIX)?.strip_suffix(SEGMENT_SUFFIX)?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// What the log says where bytes are missing. Part of the format: its length takes room in the log.
#[must_use]
pub fn gap_text(bytes: u64) -> String {
    format!("[{bytes} bytes of output were dropped here: they could not be delivered in time, or the disk was full]\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let stream = prop_oneof![Just(LogStream::Out), Just(LogStream::Err), Just(LogStream::Sys)];
        let length = 0..=u32::try_from(MAX_PAYLOAD).unwrap();
        (stream, length, any::<i64>(), any::<u64>()).prop_map(|(stream, length, at_ms, gap_bytes)| Header {
            stream,
            length,
            at_ms,
            gap_bytes,
        })
    }

    proptest! {
        #[test]
        fn headers_round_trip(header in header()) {
            prop_assert_eq!(Header::decode(&header.encode()), Some(header));
        }

        #[test]
        fn foreign_bytes_are_no_header_or_a_bounded_one(bytes in any::<[u8; HEADER]>()) {
            if let Some(header) = Header::decode(&bytes) {
                prop_assert!(usize::try_from(header.length).unwrap() <= MAX_PAYLOAD);
                prop_assert_eq!(header.encode(), bytes);
            }
        }

        #[test]
        fn segment_names_round_trip(offset in any::<u64>()) {
            prop_assert_eq!(segment_offset(&segment_name(offset)), Some(offset));
        }
    }

    #[test]
    fn other_names_are_no_segments() {
        for name in ["v1.meta", "v1.log-1.seg", "v1.log-0000000000000000000x.seg", "v2.log-00000000000000000000.seg"] {
            assert_eq!(segment_offset(name), None, "{name}");
        }
    }
}
