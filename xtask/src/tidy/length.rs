//! Files stay small enough to read: a note from 400 lines on, an error from 600. The exceptions may only shrink.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Findings, Source};
use crate::paths;

const LIST: &str = "xtask/tidy/long-files.txt";
const SOFT: usize = 400;
const HARD: usize = 600;

pub(super) fn check(sources: &[Source], findings: &mut Findings) -> Result<()> {
    let list = std::fs::read_to_string(paths::root().join(LIST))?;
    let mut exceptions: BTreeMap<&str, usize> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' ').and_then(|(path, lines)| Some((path, lines.trim().parse().ok()?))))
        .collect();
    for source in sources {
        let lines = if source.is_rust() { source.product_text().lines().count() } else { counted(source) };
        match (exceptions.remove(source.path.as_str()), lines) {
            (Some(allowed), _) if lines > allowed => {
                findings.broken(&source.path, &format!("{lines} lines, {LIST} allows {allowed}; split it by meaning"));
            }
            (Some(allowed), _) if lines < allowed => {
                let instead = if lines > HARD { format!("set it to {lines}") } else { "remove the line".into() };
                findings.broken(LIST, &format!("{} has {lines} lines by now; {instead}", source.path));
            }
            (None, lines) if lines > HARD => {
                findings.broken(&source.path, &format!("{lines} lines, at most {HARD}; split it by meaning"));
            }
            (None, lines) if lines > SOFT => {
                findings.warn(&source.path, &format!("{lines} lines; more than {SOFT} is a lot to read"));
            }
            _ => {}
        }
    }
    for path in exceptions.into_keys() {
        findings.broken(LIST, &format!("{path} does not exist any more; remove the line"));
    }
    Ok(())
}

fn counted(source: &Source) -> usize {
    if source.for_tests { 0 } else { source.text.lines().count() }
}
