//! Finds tokens of the hub's own making in files: all that it makes begin with a word of their own, so nobody has to
//! know which were made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the hub's tokens begin with: sessions, keys, invitations, install tokens, agents, links of two kinds, webhooks.
const PREFIXES: [&str; 8] = ["rss_", "rsk_", "rsv_", "rsi_", "rsa_", "rspr_", "rsec_", "whsec_"];
/// Fewer characters after it are no token but somebody's example of one.
const LEAST: usize = 40;

/// A token where none may be: the file, and what it begins with.
pub type Found = (PathBuf, String);

/// Tokens in a file, or in all files below a directory. What goes while it is looked for holds none.
///
/// # Errors
/// When something of it cannot be read.
pub fn find(path: &Path) -> io::Result<Vec<Found>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found,
    }
}

fn read(path: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            found.extend(find(&entry?.path())?);
        }
    } else if path.is_file() {
        found.extend(in_bytes(&fs::read(path)?).into_iter().map(|token| (path.to_owned(), token)));
    }
    Ok(found)
}

/// What the tokens in it begin with.
fn in_bytes(bytes: &[u8]) -> Vec<String> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').map(|(at, _)| at + 1);
    let token_at = |end: usize| {
        let (before, after) = bytes.split_at(end);
        let prefix = PREFIXES.iter().find(|prefix| before.ends_with(prefix.as_bytes()))?;
        let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'+' || **byte == b'/';
        let digits: Vec<_> = after.iter().take_while(is_digit).map(|byte| char::from(*byte)).take(LEAST).collect();
        (digits.len() == LEAST).then(|| format!("{prefix}{}…", digits.iter().take(4).collect::<String>()))
    };
    ends.filter_map(token_at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_talk_about_them() {
        let token = format!("rsk_{}", "aB3".repeat(15));
        assert_eq!(in_bytes(format!("\0{token}\u{1}x rss_ {token}").as_bytes()), ["rsk_aB3a…", "rsk_aB3a…"]);
        assert_eq!(
            in_bytes(b"rsk_short rsi_example_of_a_token_that_is_none_because_it_has_words"),
            <[&str; 0]>::default()
        );
    }
}
