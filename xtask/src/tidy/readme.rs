//! The README tells people to run what CI runs.

use super::Findings;
use crate::paths;

pub(super) fn check(findings: &mut Findings) {
    let read = |path: &str| std::fs::read_to_string(paths::root().join(path)).unwrap_or_default();
    let readme = read("README.md");
    let ci = read(".ci/run");
    let of_ci: Vec<_> = ci.lines().filter_map(|line| line.trim().strip_prefix("exec ")).collect();
    if of_ci.is_empty() {
        findings.broken(".ci/run", "it must `exec` the README's test command");
    }
    for command in of_ci.into_iter().chain(["cargo xtask up"]) {
        if !readme.lines().any(|line| line.trim() == command) {
            findings.broken("README.md", &format!("it must show the command `{command}` on a line of its own"));
        }
    }
}
