//! Hides secrets in output: every byte that belongs to an occurrence of one is replaced, a run of them by one `***`.
//!
//! Output comes in reads that end anywhere, so the bytes that may turn out to begin a secret are held back until they
//! are known to be none (an Aho-Corasick automaton says how many that are; never more than the longest secret has).
//! A job may pause in the middle of a line: then up to [`SHOWN`] of the held bytes are let through, so that the end of
//! `Name:` does not wait for ever only because some secret begins with `:`. What is held beyond that stays held until
//! more comes or the stream ends, because a program that writes a secret letter by letter would otherwise show it whole.
//!
//! Hidden are the value without white space around it and each of its lines that is long enough. Other forms of a secret
//! (base64, JSON escapes, every second letter) are not known and not hidden.

use std::collections::VecDeque;

use protocol::exec::MIN_SECRET;

/// What stands in the place of a secret.
pub const MASK: &[u8] = b"***";
/// First bytes of a possible secret that a pause lets through: too few to be of use.
pub const SHOWN: usize = 3;

const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;

/// The secrets of a job, ready to be found.
#[derive(Clone)]
pub struct Secrets {
    nodes: Vec<Node>,
    /// Where the automaton goes from its root: nearly every byte of output is looked up here and nowhere else.
    first: Box<[u32; 256]>,
}

/// Some bytes that a secret begins with.
#[derive(Debug, Clone, Copy)]
struct Node {
    byte: u8,
    first_child: u32,
    next_sibling: u32,
    /// The longest proper end of these bytes that a secret begins with as well.
    fallback: u32,
    depth: u32,
    /// Length of the longest secret that these bytes end with; 0: none.
    found: u32,
}

// Not derived: the nodes spell the secrets.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Prepares to find these values and their lines; `None` when there is nothing to find.
    #[must_use]
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Option<Self> {
        let root = Node { byte: 0, first_child: NONE, next_sibling: NONE, fallback: ROOT, depth: 0, found: 0 };
        let mut secrets = Self { nodes: vec![root], first: Box::new([ROOT; 256]) };
        for value in values {
            let value = value.trim();
            secrets.insert(value.as_bytes());
            value.lines().for_each(|line| secrets.insert(line.trim().as_bytes()));
        }
        if secrets.nodes.len() == 1 {
            return None;
        }
        secrets.link();
        Some(secrets)
    }

    fn insert(&mut self, secret: &[u8]) {
        if secret.len() < MIN_SECRET {
            return;
        }
        let mut at = ROOT;
        for &byte in secret {
            let child = self.child(at, byte);
            at = if child == NONE { self.add_child(at, byte) } else { child };
        }
        if let Some(node) = self.node_mut(at) {
            node.found = node.depth;
        }
    }

    fn add_child(&mut self, parent: u32, byte: u8) -> u32 {
        // Arguments are bounded to far less than this many bytes.
        let number = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let Some(above) = self.node_mut(parent) else { return ROOT };
        let next_sibling = std::mem::replace(&mut above.first_child, number);
        let depth = above.depth + 1;
        self.nodes.push(Node { byte, first_child: NONE, next_sibling, fallback: ROOT, depth, found: 0 });
        if parent == ROOT
            && let Some(slot) = self.first.get_mut(usize::from(byte))
        {
            *slot = number;
        }
        number
    }

    /// Says of each node where to go on when no child fits, breadth first: shorter ones are ready when they are needed.
    fn link(&mut self) {
        let mut queue = VecDeque::from([ROOT]);
        while let Some(parent) = queue.pop_front() {
            let above = self.node(parent);
            let mut child = above.first_child;
            while child != NONE {
                let node = self.node(child);
                let fallback = if parent == ROOT { ROOT } else { self.step(above.fallback, node.byte) };
                let found = node.found.max(self.node(fallback).found);
                if let Some(node) = self.node_mut(child) {
                    node.fallback = fallback;
                    node.found = found;
                }
                queue.push_back(child);
                child = node.next_sibling;
            }
        }
    }

    /// Where the automaton is after one more byte.
    fn step(&self, mut at: u32, byte: u8) -> u32 {
        while at != ROOT {
            let child = self.child(at, byte);
            if child != NONE {
                return child;
            }
            at = self.node(at).fallback;
        }
        self.first.get(usize::from(byte)).copied().unwrap_or(ROOT)
    }

    fn child(&self, parent: u32, byte: u8) -> u32 {
        let mut child = self.node(parent).first_child;
        while child != NONE {
            let node = self.node(child);
            if node.byte == byte {
                return child;
            }
            child = node.next_sibling;
        }
        NONE
    }

    fn node(&self, number: u32) -> Node {
        let nothing = Node { byte: 0, first_child: NONE, next_sibling: NONE, fallback: ROOT, depth: 0, found: 0 };
        usize::try_from(number).ok().and_then(|index| self.nodes.get(index)).copied().unwrap_or(nothing)
    }

    fn node_mut(&mut self, number: u32) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(number).ok()?)
    }
}

/// One stream on its way through.
#[derive(Debug)]
pub struct Mask {
    secrets: Secrets,
    at: u32,
    /// Bytes that may belong to a secret, and what follows them; `start` is the place of the first in the stream.
    held: VecDeque<u8>,
    start: u64,
    /// Occurrences that begin within the held bytes, in order and apart from each other.
    found: VecDeque<(u64, u64)>,
    /// Up to here everything belongs to an occurrence whose mask is written already.
    masked_to: u64,
}

impl Mask {
    /// At the beginning of a stream.
    #[must_use]
    pub const fn new(secrets: Secrets) -> Self {
        Self { secrets, at: ROOT, held: VecDeque::new(), start: 0, found: VecDeque::new(), masked_to: 0 }
    }

    /// Takes more of the stream, and appends to `out` what may be shown.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.at == ROOT && self.held.is_empty() && self.masked_to <= self.start {
                let begins = |byte: &u8| self.secrets.first.get(usize::from(*byte)).is_some_and(|next| *next != ROOT);
                let plain = bytes.iter().position(begins).unwrap_or(bytes.len());
                if plain > 0 {
                    let (plain, rest) = bytes.split_at(plain);
                    out.extend_from_slice(plain);
                    self.start += count(plain.len());
                    bytes = rest;
                    continue;
                }
            }
            self.at = self.secrets.step(self.at, byte);
            self.held.push_back(byte);
            bytes = rest;
            let node = self.secrets.node(self.at);
            let end = self.start + count(self.held.len());
            if node.found > 0 {
                self.note(end - u64::from(node.found), end);
            }
            self.release(end - u64::from(node.depth), out);
        }
    }

    /// Whether a pause lets something through.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.held.is_empty() && usize::try_from(self.secrets.node(self.at).depth).is_ok_and(|depth| depth <= SHOWN)
    }

    /// The stream pauses: shows the few bytes that only may begin a secret. When they do, the rest is hidden still.
    pub fn pause(&mut self, out: &mut Vec<u8>) {
        if self.waits() {
            self.release(self.start + count(self.held.len()), out);
        }
    }

    /// The stream has ended: what is held is no secret.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(self.start + count(self.held.len()), out);
        self.at = ROOT;
    }

    /// An occurrence, which joins those that it overlaps.
    fn note(&mut self, mut from: u64, to: u64) {
        while let Some(&(before, end)) = self.found.back()
            && end > from
        {
            from = from.min(before);
            self.found.pop_back();
        }
        if from < self.masked_to {
            self.masked_to = to;
        } else {
            self.found.push_back((from, to));
        }
    }

    /// Nothing that is found later begins before `to`.
    fn release(&mut self, to: u64, out: &mut Vec<u8>) {
        while self.start < to {
            if self.start < self.masked_to {
                self.drop_held(self.masked_to.min(to));
                continue;
            }
            match self.found.front().copied() {
                Some((from, end)) if from <= self.start => {
                    out.extend_from_slice(MASK);
                    self.masked_to = end;
                    self.found.pop_front();
                }
                next => {
                    let plain = next.map_or(to, |(from, _)| from.min(to)) - self.start;
                    let plain = usize::try_from(plain).unwrap_or(usize::MAX).min(self.held.len());
                    out.extend(self.held.drain(..plain));
                    self.start += count(plain);
                }
            }
        }
    }

    fn drop_held(&mut self, to: u64) {
        let dropped = usize::try_from(to - self.start).unwrap_or(usize::MAX).min(self.held.len());
        self.held.drain(..dropped);
        self.start += count(dropped);
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], parts: &[&[u8]]) -> String {
        let mut mask = Mask::new(Secrets::new(secrets.iter().copied()).unwrap());
        let mut out = Vec::new();
        parts.iter().for_each(|part| mask.push(part, &mut out));
        mask.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The same by looking at the whole.
    fn replaced(secrets: &[&str], text: &[u8]) -> Vec<u8> {
        let mut hidden: Vec<(usize, usize)> = Vec::new();
        let lines = |secret: &str| secret.trim().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
        let values = secrets.iter().flat_map(|secret| lines(secret).into_iter().chain([secret.trim().to_owned()]));
        for secret in values.filter(|secret| secret.len() >= MIN_SECRET) {
            let places = text.windows(secret.len()).enumerate();
            hidden.extend(places.filter(|(_, part)| *part == secret.as_bytes()).map(|(at, _)| (at, at + secret.len())));
        }
        hidden.sort_unstable();
        let (mut out, mut shown_to) = (Vec::new(), 0);
        for (from, to) in hidden {
            if from >= shown_to {
                out.extend_from_slice(&text[shown_to..from]);
                out.extend_from_slice(MASK);
            }
            shown_to = shown_to.max(to);
        }
        out.extend_from_slice(&text[shown_to..]);
        out
    }

    #[test]
    fn secrets_are_hidden_wherever_the_reads_end() {
        let whole = b"a s3cr3t-value b s3cr3t-valu c s3cr3t-value";
        for cut in 0..=whole.len() {
            let (head, tail) = whole.split_at(cut);
            assert_eq!(masked(&["s3cr3t-value"], &[head, tail]), "a *** b s3cr3t-valu c ***", "{cut}");
        }
    }

    #[test]
    fn overlapping_and_contained_secrets_leave_nothing() {
        assert_eq!(masked(&["abcdef", "defghi"], &[b"-abcdefghi-abcdef-defghi-"]), "-***-***-***-");
        assert_eq!(masked(&["secret", "my-secret-key"], &[b"my-secret-key my-secret-kex"]), "*** my-***-kex");
        assert_eq!(masked(&["aaaaaa"], &[&[b'a'; 1000]]), "***");
        assert_eq!(masked(&["abcdef"], &[b"abcdefabcdef"]), "******");
    }

    #[test]
    fn lines_of_a_secret_are_secrets() {
        let key = "-----BEGIN-----\nline-one\r\nshort\nline-two\n";
        assert_eq!(masked(&[key], &[b"x line-one y\nshort\nline-two"]), "x *** y\nshort\n***");
        assert_eq!(masked(&[key], &[key.as_bytes()]), "***\n");
        assert_eq!(masked(&["  padded-value \n"], &[b"<padded-value>"]), "<***>");
    }

    #[test]
    fn nothing_to_hide_is_known_before() {
        assert!(Secrets::new([]).is_none());
        assert!(Secrets::new(["short", "a\nb\nc"]).is_none());
    }

    #[test]
    fn a_pause_shows_a_few_bytes_and_never_a_secret() {
        let mut mask = Mask::new(Secrets::new(["secret-value"]).unwrap());
        let mut out = Vec::new();
        mask.push(b"your address", &mut out);
        assert_eq!((out.as_slice(), mask.waits()), (b"your addres".as_slice(), true));
        mask.pause(&mut out);
        assert_eq!((out.as_slice(), mask.waits()), (b"your address".as_slice(), false));
        out.clear();
        // Letter by letter, with a pause after each.
        for byte in b" secret-value!" {
            mask.push(&[*byte], &mut out);
            mask.pause(&mut out);
        }
        mask.finish(&mut out);
        assert_eq!(std::str::from_utf8(&out).unwrap(), " sec***!");
    }

    #[test]
    fn what_is_held_is_bounded_by_the_longest_secret() {
        let mut mask = Mask::new(Secrets::new(["aaaaaaab", "aaaaaa"]).unwrap());
        let mut out = Vec::new();
        for _ in 0..10_000 {
            mask.push(b"aaaaaaaaaaaaaaaa", &mut out);
            assert!(mask.held.len() <= 8 && mask.found.len() <= 1, "{mask:?}");
        }
        mask.finish(&mut out);
        assert_eq!(out, MASK);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mask = Mask::new(Secrets::new(["s3cr3t-value"]).unwrap());
        assert_eq!(format!("{:?}", mask.secrets), "Secrets { .. }");
    }

    proptest! {
        // Few letters, so that secrets overlap, contain each other and nearly occur.
        #[test]
        fn any_cutting_hides_what_the_whole_would_hide(
            secrets in proptest::collection::vec("[ab\\n]{6,12}|[abc]{6,9}", 1..4),
            parts in proptest::collection::vec("[abc\\n]{0,14}", 0..12),
            planted in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let values: Vec<_> = secrets.iter().map(String::as_str).collect();
            let Some(prepared) = Secrets::new(values.iter().copied()) else { return Ok(()) };
            let mut parts = parts;
            for (place, which) in planted {
                parts.insert(place.index(parts.len() + 1), which.get(&secrets).clone());
            }
            let text = parts.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.sort_unstable();
            let mut mask = Mask::new(prepared);
            let (mut out, mut from) = (Vec::new(), 0);
            for to in cuts.into_iter().chain([text.len()]) {
                mask.push(&text[from..to], &mut out);
                from = to;
            }
            mask.finish(&mut out);
            let out = String::from_utf8(out).unwrap();
            prop_assert_eq!(&out, &String::from_utf8(replaced(&values, &text)).unwrap());
            for value in values.iter().map(|value| value.trim()).filter(|value| value.len() >= MIN_SECRET) {
                prop_assert!(!out.contains(value));
            }
        }
    }
}
