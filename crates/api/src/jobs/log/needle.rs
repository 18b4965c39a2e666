//! What a log is searched for, in the bytes of a line.

use std::borrow::Cow;

use memchr::memmem::Finder;

/// Whether upper and lower case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// They are not.
    Exact,
    /// They are.
    Ignored,
}

/// A text that is searched for.
#[derive(Debug)]
pub(super) struct Needle {
    finder: Finder<'static>,
    fold: Fold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fold {
    Nothing,
    /// The text is ASCII, so that only ASCII can be equal to it.
    Ascii,
    Letters,
}

/// Bytes as they are compared.
struct Folded<'h> {
    bytes: Cow<'h, [u8]>,
    /// Where each of them was, unless that is the same.
    places: Option<Vec<usize>>,
}

impl Folded<'_> {
    fn place(&self, at: usize) -> usize {
        self.places.as_ref().map_or(at, |places| places.get(at).copied().unwrap_or(at))
    }
}

impl Needle {
    /// Searches for `text`.
    pub(super) fn new(text: &str, case: Case) -> Self {
        let fold = match case {
            Case::Exact => Fold::Nothing,
            Case::Ignored if text.is_ascii() => Fold::Ascii,
            Case::Ignored => Fold::Letters,
        };
        let folded = fold.apply(text.as_bytes());
        Self { finder: Finder::new(&folded.bytes).into_owned(), fold }
    }

    /// Where it stands in `bytes`, in order; occurrences do not overlap.
    pub(super) fn places(&self, bytes: &[u8]) -> Vec<usize> {
        let folded = self.fold.apply(bytes);
        self.finder.find_iter(&folded.bytes).map(|at| folded.place(at)).collect()
    }

    /// Where an occurrence may have begun that the next bytes finish. It never lies before a whole occurrence.
    pub(super) fn unfinished(&self, bytes: &[u8]) -> Option<usize> {
        let needle = self.finder.needle();
        // Only the end matters; a letter may take up to four times as many bytes as its folded form.
        let begin = bytes.len().saturating_sub(4 * needle.len() + 4);
        let end = bytes.get(begin..).unwrap_or_default();
        let (whole, cut) = match self.fold {
            Fold::Letters => end.split_at(end.len() - cut_character(end)),
            Fold::Nothing | Fold::Ascii => (end, [].as_slice()),
        };
        let folded = self.fold.apply(whole);
        let begun = (1..needle.len()).rev().find_map(|length| {
            let begins = folded.bytes.ends_with(needle.get(..length)?);
            begins.then(|| folded.place(folded.bytes.len() - length))
        });
        begun.or((!cut.is_empty()).then_some(whole.len())).map(|at| begin + at)
    }
}

impl Fold {
    fn apply(self, bytes: &[u8]) -> Folded<'_> {
        match self {
            Self::Nothing => Folded { bytes: bytes.into(), places: None },
            Self::Ascii => Folded { bytes: bytes.to_ascii_lowercase().into(), places: None },
            Self::Letters => letters(bytes),
        }
    }
}

fn letters(bytes: &[u8]) -> Folded<'_> {
    let mut text = String::with_capacity(bytes.len());
    let mut places = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            text.extend(letter.to_lowercase());
            places.resize(text.len(), at);
            at += letter.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            places.resize(text.len(), at);
            at += chunk.invalid().len();
        }
    }
    Folded { bytes: text.into_bytes().into(), places: Some(places) }
}

/// Bytes at the end that begin a character and do not finish it.
fn cut_character(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let invalid = last.map(|chunk| chunk.invalid()).unwrap_or_default();
    let is_cut = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
    if is_cut { invalid.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(needle: &str, case: Case, text: &str) -> Vec<usize> {
        Needle::new(needle, case).places(text.as_bytes())
    }

    #[test]
    fn case_matters_only_when_it_is_said() {
        assert_eq!(places("Error", Case::Exact, "error Error ERROR"), [6]);
        assert_eq!(places("Error", Case::Ignored, "error Error ERROR"), [0, 6, 12]);
        assert_eq!(places("größe", Case::Ignored, "x GRÖßE größe"), [2, 10]);
        assert_eq!(places("größe", Case::Exact, "x GRÖßE größe"), [10]);
        assert_eq!(places("(a+)+$", Case::Ignored, "(A+)+$"), [0], "no pattern, a text");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_move_places() {
        let needle = Needle::new("ö!", Case::Ignored);
        assert_eq!(needle.places(b"\xff\xffa\xc3\x96!"), [3]);
    }

    #[test]
    fn what_may_go_on_is_known() {
        for (text, at) in
            [("a pass", Some(2)), ("pas", Some(0)), ("password", None), ("passwordp", Some(8)), ("x", None)]
        {
            for case in [Case::Exact, Case::Ignored] {
                assert_eq!(Needle::new("password", case).unfinished(text.as_bytes()), at, "{text}");
            }
        }
        let needle = Needle::new("größe", Case::Ignored);
        assert_eq!(needle.unfinished("x GRÖ".as_bytes()), Some(2));
        assert_eq!(needle.unfinished(b"x GR\xc3"), Some(2));
        assert_eq!(needle.unfinished(b"x\xc3"), Some(1));
        assert_eq!(needle.unfinished(b"x\xff"), None);
    }
}
