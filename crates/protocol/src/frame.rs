//! Binary frames: stream id, then bytes; hub → agent frames end with a tag.

use crate::MAX_BINARY_PAYLOAD;

/// Stream 0 carries the raw bytes of the `log` message that went before it.
pub const LOG_STREAM: u32 = 0;
/// Length of the truncated HMAC at the end of each hub → agent frame, bytes.
pub const TAG_LEN: usize = 16;

/// A parsed binary frame that borrows its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BinaryFrame<'a> {
    /// The stream that the bytes belong to.
    pub stream: u32,
    /// At most [`MAX_BINARY_PAYLOAD`] bytes.
    pub bytes: &'a [u8],
}

/// Why a binary frame could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Shorter than its stream id (and tag).
    TooShort,
    /// More than [`MAX_BINARY_PAYLOAD`] bytes of payload.
    TooLarge,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooShort => f.write_str("binary frame is shorter than its header"),
            Self::TooLarge => write!(f, "binary frame holds more than {MAX_BINARY_PAYLOAD} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

impl<'a> BinaryFrame<'a> {
    /// Reads an agent → hub frame.
    ///
    /// # Errors
    /// [`FrameError`] when the frame is too short or too long.
    pub fn parse(frame: &'a [u8]) -> Result<Self, FrameError> {
        let (stream, bytes) = frame.split_first_chunk::<4>().ok_or(FrameError::TooShort)?;
        if bytes.len() > MAX_BINARY_PAYLOAD {
            return Err(FrameError::TooLarge);
        }
        Ok(Self { stream: u32::from_be_bytes(*stream), bytes })
    }

    /// Reads a hub → agent frame; the tag is returned for the caller to verify before it uses the bytes.
    ///
    /// # Errors
    /// [`FrameError`] when the frame is too short or too long.
    pub fn parse_tagged(frame: &'a [u8]) -> Result<(Self, [u8; TAG_LEN]), FrameError> {
        let (rest, tag) = frame.split_last_chunk::<TAG_LEN>().ok_or(FrameError::TooShort)?;
        Ok((Self::parse(rest)?, *tag))
    }

    /// The frame's bytes, without a tag.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(4 + self.bytes.len() + TAG_LEN);
        frame.extend_from_slice(&self.stream.to_be_bytes());
        frame.extend_from_slice(self.bytes);
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_limits_hold() {
        let frame = BinaryFrame { stream: 7, bytes: b"abc" };
        let mut encoded = frame.encode();
        assert_eq!(BinaryFrame::parse(&encoded), Ok(frame));
        encoded.extend_from_slice(&[9; TAG_LEN]);
        assert_eq!(BinaryFrame::parse_tagged(&encoded), Ok((frame, [9; TAG_LEN])));
        assert_eq!(BinaryFrame::parse(&[0, 0, 0]), Err(FrameError::TooShort));
        assert_eq!(BinaryFrame::parse_tagged(&[0; TAG_LEN + 3]), Err(FrameError::TooShort));
        assert_eq!(BinaryFrame::parse(&vec![0; 4 + MAX_BINARY_PAYLOAD + 1]), Err(FrameError::TooLarge));
        assert!(BinaryFrame::parse(&vec![0; 4 + MAX_BINARY_PAYLOAD]).is_ok());
    }
}
