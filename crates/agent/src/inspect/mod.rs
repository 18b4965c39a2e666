//! What can be seen and done on the server itself, by somebody who has a shell there and no hub: `jobs`, `logs`, `cancel`,
//! `policy` and `doctor`. They read what workers and relay keep, and change nothing but the one job that is cancelled.

pub mod cancel;
pub mod checks;
pub mod doctor;
pub mod jobs;
pub mod logs;
pub mod policy;
pub mod records;

use std::fmt::Display;
use std::io::{ErrorKind, Write as _, stdout};
use std::path::Path;

/// Why a command cannot be carried out, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Problem {
    /// What happened, to what.
    pub what: String,
    /// What to do next.
    pub advice: String,
}

impl Problem {
    fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }

    /// A file of the agent cannot be read.
    fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let what = format!("{} cannot be read: {error}", path.display());
        match error.kind() {
            ErrorKind::NotFound => {
                Self::new(what, "Register this machine with a hub first, or name the agent's --state-dir.")
            }
            ErrorKind::PermissionDenied => Self::new(what, AS_ROOT),
            _ => Self::new(what, "Look at the disk; roadstead-agent doctor says more."),
        }
    }
}

const AS_ROOT: &str = "Run this as root.";

/// Prints lines. A closed pipe behind us is no failure of ours.
fn say(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}

/// Prints a remark beside the result.
fn remark(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
