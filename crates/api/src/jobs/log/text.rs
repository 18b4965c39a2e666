//! Turns the bytes of a log into text although characters are split over chunks.
//!
//! One rule: a character belongs to the chunk that holds its last byte. Bytes that are no UTF-8 become U+FFFD.

use std::borrow::Cow;

use protocol::job::LogStream;

/// Bytes at the end of a chunk that may be the beginning of a character.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tail {
    bytes: [u8; 3],
    len: u8,
}

impl Tail {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Takes at most three bytes; more cannot be the unfinished beginning of a character.
    fn new(bytes: &[u8]) -> Self {
        let mut tail = Self::default();
        for (slot, byte) in tail.bytes.iter_mut().zip(bytes) {
            *slot = *byte;
            tail.len += 1;
        }
        tail
    }
}

/// The unfinished character of each stream at one place of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carries {
    out: Tail,
    err: Tail,
    sys: Tail,
}

impl Carries {
    /// What went before in each stream, in the order of [`STREAMS`].
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [self.out.as_slice(), self.err.as_slice(), self.sys.as_slice()]
    }

    /// The opposite of [`Carries::parts`].
    pub(super) fn from_parts([out, err, sys]: [&[u8]; 3]) -> Self {
        Self { out: Tail::new(out), err: Tail::new(err), sys: Tail::new(sys) }
    }

    fn of(&mut self, stream: LogStream) -> &mut Tail {
        match stream {
            LogStream::Out => &mut self.out,
            LogStream::Err => &mut self.err,
            LogStream::Sys => &mut self.sys,
        }
    }

    /// Goes past `bytes` without looking at the text.
    pub(super) fn skip(&mut self, stream: LogStream, bytes: &[u8]) {
        let carried = self.of(stream);
        let whole = whole(carried, bytes);
        *carried = Tail::new(unfinished(&whole));
    }

    /// The text of the next bytes of a stream: they themselves where they are whole characters, as nearly always.
    pub(super) fn text<'b>(&mut self, stream: LogStream, bytes: &'b [u8]) -> Cow<'b, str> {
        let carried = self.of(stream);
        let whole = whole(carried, bytes);
        let tail = Tail::new(unfinished(&whole));
        let length = whole.len() - usize::from(tail.len);
        *carried = tail;
        match whole {
            Cow::Borrowed(bytes) => shown(bytes.get(..length).unwrap_or_default()),
            Cow::Owned(bytes) => Cow::Owned(shown(bytes.get(..length).unwrap_or_default()).into_owned()),
        }
    }

    /// What stays unfinished when the log ends here.
    pub(super) fn finish(&mut self) -> Vec<(LogStream, String)> {
        let unfinished = STREAMS.into_iter().filter(|stream| self.of(*stream).len > 0);
        let texts = unfinished.map(|stream| (stream, char::REPLACEMENT_CHARACTER.to_string())).collect();
        *self = Self::default();
        texts
    }
}

/// Every stream.
pub(super) const STREAMS: [LogStream; 3] = [LogStream::Out, LogStream::Err, LogStream::Sys];

/// Checking that everything is valid is several times faster than looking for what is not.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn whole<'b>(carried: &Tail, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    if carried.len == 0 { Cow::Borrowed(bytes) } else { Cow::Owned([carried.as_slice(), bytes].concat()) }
}

/// The end of `bytes` that is the beginning of a character whose other bytes have not come yet.
fn unfinished(bytes: &[u8]) -> &[u8] {
    let last = bytes.len().saturating_sub(3);
    let end = bytes.get(last..).unwrap_or_default();
    // A character starts at its last leading byte; one that is complete or wrong is no business of the next chunk.
    let start = end.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(end.len());
    let tail = end.get(start..).unwrap_or_default();
    match std::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() == 0 => tail,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(bytes: &[u8], cuts: &[usize]) -> String {
        let mut carries = Carries::default();
        let mut text = String::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            text += &carries.text(LogStream::Out, &bytes[from..to]);
            from = to;
        }
        for (_, rest) in carries.finish() {
            text += &rest;
        }
        text
    }

    #[test]
    fn a_character_stands_where_its_last_byte_is() {
        let mut carries = Carries::default();
        let euro = "€".as_bytes();
        assert_eq!(carries.text(LogStream::Out, &[b"a", &euro[..1]].concat()), "a");
        assert_eq!(carries.text(LogStream::Err, b"b"), "b");
        assert_eq!(carries.text(LogStream::Out, &euro[1..2]), "");
        assert_eq!(carries.text(LogStream::Out, &euro[2..]), "€");
        assert_eq!(carries, Carries::default());
    }

    #[test]
    fn what_is_no_text_is_shown_as_such() {
        assert_eq!(cut(&[b'a', 0xff, b'b', 0xe2, 0x82], &[]), "a\u{fffd}b\u{fffd}");
        assert_eq!(cut(&[0xe2, b'x'], &[1]), "\u{fffd}x");
        assert_eq!(cut(&[0x80; 5], &[1, 3]), "\u{fffd}".repeat(5));
    }

    proptest! {
        #[test]
        fn cutting_changes_nothing(
            pieces in proptest::collection::vec(prop_oneof![
                any::<char>().prop_map(|character| character.to_string().into_bytes()),
                proptest::collection::vec(any::<u8>(), 1..4),
            ], 0..40),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let bytes = pieces.concat();
            let mut cuts: Vec<_> = cuts.iter().map(|index| index.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(cut(&bytes, &cuts), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn skipping_leaves_what_reading_leaves(bytes in proptest::collection::vec(any::<u8>(), 0..12), at in 0_usize..12) {
            let at = at.min(bytes.len());
            let (mut read, mut skipped) = (Carries::default(), Carries::default());
            for part in [&bytes[..at], &bytes[at..]] {
                read.text(LogStream::Err, part);
                skipped.skip(LogStream::Err, part);
            }
            prop_assert_eq!(read, skipped);
            prop_assert_eq!(Carries::from_parts(read.parts()), read);
        }
    }
}
