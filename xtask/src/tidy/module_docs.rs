//! Every Rust file says on its first line what it is.

use super::{Findings, Source};

pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    for source in sources.iter().filter(|source| source.is_rust()) {
        let documented = source
            .text
            .lines()
            .next()
            .is_some_and(|line| line.strip_prefix("//! ").is_some_and(|text| !text.trim().is_empty()));
        if !documented {
            findings.broken(&source.path, "the first line must say what this file is (`//! …`)");
        }
    }
}
