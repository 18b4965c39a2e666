//! Text of a hub for a terminal: what the terminal would obey is left out, also when it comes in pieces.

use std::io;

/// Takes bytes as they come and gives what may be shown. Lines and tabs stay; other control characters, C1 among them,
/// and bytes that are no text do not.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// The beginning of a character whose rest has not come yet; at most three bytes.
    begun: Vec<u8>,
}

impl Plain {
    /// Writes what may be shown of these bytes and of what was begun before.
    pub(super) fn write(&mut self, bytes: &[u8], out: &mut impl io::Write) -> io::Result<()> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            write!(out, "{}", plain(chunk.valid()))?;
            let is_begun = std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
            if chunks.peek().is_none() && is_begun {
                self.begun = chunk.invalid().to_vec();
            }
        }
        Ok(())
    }
}

/// The text without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|letter| matches!(letter, '\n' | '\t') || !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let (mut filter, mut out) = (Plain::default(), Vec::new());
        for piece in pieces {
            filter.write(piece, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_obey() {
        assert_eq!(shown(&[b"a\tb\n\x1b[31mred\x07\x7f\r"]), "a\tb\n[31mred");
        // CSI as one character of two bytes, and as one byte.
        assert_eq!(shown(&["\u{9b}31m".as_bytes(), b"\x9b31m"]), "31m31m");
        assert_eq!(shown(&[b"\xc2", b"\x9b31m"]), "31m");
    }

    #[test]
    fn characters_survive_being_cut() {
        let text = "für 10 €\n".as_bytes();
        for at in 0..text.len() {
            let (one, other) = text.split_at(at);
            assert_eq!(shown(&[one, other]).as_bytes(), text);
        }
        assert_eq!(shown(&[b"\xe2\x82", b"x"]), "x");
    }
}
