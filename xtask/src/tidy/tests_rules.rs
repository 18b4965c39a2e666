//! Tests neither sleep nor step aside.

use std::collections::BTreeSet;

use anyhow::Result;

use super::source::word_positions;
use super::{Findings, Source};
use crate::paths;

/// Files in which waiting for a condition is built, once.
const WAITERS: &str = "xtask/tidy/waiters.txt";
const SLEEPS: [&str; 5] = ["tokio::time::sleep(", "time::sleep(", "thread::sleep(", "setTimeout(", "waitForTimeout("];
const SKIPS: [&str; 8] =
    ["it.skip", "it.only", "test.skip", "test.only", "describe.skip", "describe.only", "xit(", "it.todo"];

pub(super) fn check(sources: &[Source], findings: &mut Findings) -> Result<()> {
    let list = std::fs::read_to_string(paths::root().join(WAITERS))?;
    let waiters: BTreeSet<_> = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    for source in sources.iter().filter(|source| !source.path.starts_with("xtask/")) {
        let tests_start = source.text.len() - source.test_text().len();
        let mut look = |words: &[&str], message: &str| {
            let places: BTreeSet<_> = words
                .iter()
                .flat_map(|word| word_positions(source.test_text(), word))
                .map(|at| source.place(tests_start + at))
                .collect();
            for place in places {
                findings.broken(&place, message);
            }
        };
        let stopped_clock = source.test_text().contains("start_paused = true");
        if !waiters.contains(source.path.as_str()) {
            // On a stopped clock tokio's sleep takes no time and always ends at the same moment.
            let sleeps = SLEEPS.iter().filter(|sleep| !(stopped_clock && sleep.contains("time::"))).copied();
            look(&sleeps.collect::<Vec<_>>(), "tests wait for a condition, they do not sleep");
        }
        look(&SKIPS, "a test that does not run is no test; repair or remove it");
        look(&["#[ignore"], "a test that does not run is no test; repair or remove it");
    }
    for path in waiters.iter().filter(|path| !sources.iter().any(|source| source.path == **path)) {
        findings.broken(WAITERS, &format!("{path} does not exist any more; remove the line"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_code_may_sleep_and_its_tests_may_not() {
        let text = "fn f() { std::thread::sleep(d); }\n#[cfg(test)]\nmod tests { fn g() { std::thread::sleep(d); } }\n";
        let paused = text.replace(
            "fn g() { std::thread::sleep(d); }",
            "#[tokio::test(start_paused = true)]\nasync fn g() { tokio::time::sleep(d).await; }",
        );
        let sources = [Source::new("crates/x/src/a.rs", text), Source::new("crates/x/src/b.rs", &paused)];
        let mut findings = Findings::default();
        check(&sources, &mut findings).unwrap();
        let sleeps: Vec<_> = findings.broken.iter().filter(|line| line.contains("sleep")).collect();
        assert_eq!(sleeps.len(), 1);
        assert!(sleeps[0].starts_with("crates/x/src/a.rs:3:"));
    }
}
