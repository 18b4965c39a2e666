//! Every secret that the run has issued, and a scanner that looks for them where none may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine as _;
use ring::rand::{SecureRandom as _, SystemRandom};

static ISSUED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a secret of this run.
///
/// # Panics
/// When it is too short to be told from ordinary text.
pub fn issued(secret: &str) {
    assert!(secret.len() >= 12, "{} characters are no secret", secret.len());
    ISSUED.lock().expect("no panic while held").insert(secret.to_owned());
}

/// A random password, remembered.
///
/// # Panics
/// When there is no randomness.
#[must_use]
pub fn new_password() -> String {
    let mut bytes = [0; 18];
    SystemRandom::new().fill(&mut bytes).expect("randomness");
    let password = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    issued(&password);
    password
}

/// A secret found where none may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The file.
    pub file: PathBuf,
    /// First characters of the secret.
    pub secret: String,
    /// `raw`, `hex`, `base64` or `base64url`.
    pub form: &'static str,
}

/// Looks for every issued secret, raw, hex and base64, in all files below `dirs`; `skip` names files that may hold some.
///
/// # Panics
/// When a directory cannot be read.
#[must_use]
pub fn scan(dirs: &[&Path], skip: impl Fn(&Path) -> bool) -> Vec<Leak> {
    let needles: Vec<_> = ISSUED.lock().expect("no panic while held").iter().flat_map(|secret| forms(secret)).collect();
    let mut files = Vec::new();
    for dir in dirs {
        collect(dir, &mut files);
    }
    let mut leaks = Vec::new();
    for file in files.into_iter().filter(|file| !skip(file)) {
        let content = fs::read(&file).unwrap_or_default();
        for (secret, form, needle) in &needles {
            if contains(&content, needle.as_bytes()) {
                leaks.push(Leak { file: file.clone(), secret: secret.chars().take(6).collect(), form });
            }
        }
    }
    leaks
}

fn forms(secret: &str) -> Vec<(String, &'static str, String)> {
    let engines = [
        ("base64", base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret)),
        ("base64url", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret)),
        ("hex", protocol::hex::encode(secret.as_bytes())),
        ("raw", secret.to_owned()),
    ];
    engines.into_iter().map(|(form, needle)| (secret.to_owned(), form, needle)).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            collect(&entry.expect("a directory entry").path(), files);
        }
    } else if path.is_file() {
        files.push(path.to_owned());
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(&first) = needle.first() else { return false };
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|&byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
