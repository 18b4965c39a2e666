//! Counting tests: what each runner says about its own run, and the sum.

use serde_json::Value;

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many passed.
    pub(crate) passed: u64,
    /// How many failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// One failure.
    pub(crate) const FAILURE: Self = Self { passed: 0, failed: 1 };

    /// The last summary of `cargo nextest`: `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 2 failed, 1 skipped`.
    pub(crate) fn of_nextest(output: &str) -> Option<Self> {
        let line = output.lines().rev().find(|line| line.trim_start().starts_with("Summary ["))?;
        let (head, results) = line.split_once(" run: ")?;
        // A run that was cancelled says `3/5 tests run`.
        let run = head.split(']').nth(1)?.trim().split([' ', '/']).next()?.parse::<u64>().ok()?;
        let passed = count_before(results, "passed").unwrap_or(0);
        Some(Self { passed, failed: run.saturating_sub(passed) })
    }

    /// The sum of what `cargo test` says for each binary: `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn of_cargo_test(output: &str) -> Option<Self> {
        let results = output.lines().filter_map(|line| line.trim().strip_prefix("test result: "));
        results.fold(None, |sum: Option<Self>, result| {
            let one = Self { passed: count_before(result, "passed")?, failed: count_before(result, "failed")? };
            Some(sum.unwrap_or_default().plus(one))
        })
    }

    /// The last line `3 passed, 0 failed`.
    pub(crate) fn of_closing_line(output: &str) -> Option<Self> {
        output.lines().rev().find_map(|line| {
            let passed = line.trim().split_once(" passed, ")?.0.parse().ok()?;
            Some(Self { passed, failed: count_before(line, "failed")? })
        })
    }

    /// The report that vitest writes as JSON.
    pub(crate) fn of_vitest(report: &Value) -> Option<Self> {
        let count = |field: &str| report.get(field)?.as_u64();
        let files_that_did_not_load = count("numFailedTestSuites").filter(|_| count("numFailedTests") == Some(0));
        Some(Self {
            passed: count("numPassedTests")?,
            failed: count("numFailedTests")? + files_that_did_not_load.unwrap_or(0),
        })
    }

    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// This tally, with a failure added when the runner failed without saying of what.
    pub(crate) fn with_status(self, success: bool) -> Self {
        if !success && self.failed == 0 { self.plus(Self::FAILURE) } else { self }
    }
}

/// The number before `word`.
fn count_before(text: &str, word: &str) -> Option<u64> {
    text.split(word).next().filter(|before| before.len() < text.len())?.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nextest_summaries() {
        let tally = |line: &str| Tally::of_nextest(&format!("noise\n{line}\nnoise"));
        let of = |passed, failed| Some(Tally { passed, failed });
        assert_eq!(tally("     Summary [   0.005s] 3 tests run: 3 passed, 0 skipped"), of(3, 0));
        assert_eq!(
            tally("     Summary [ 1.2s] 6 tests run: 3 passed (1 slow), 2 failed, 1 timed out, 7 skipped"),
            of(3, 3)
        );
        assert_eq!(tally("     Summary [ 1.2s] 2/6 tests run: 1 passed, 1 failed, 0 skipped"), of(1, 1));
        assert_eq!(tally("     Summary [ 1.2s] 1 test run: 0 passed, 1 failed, 0 skipped"), of(0, 1));
        assert_eq!(tally("error: could not compile"), None);
    }

    #[test]
    fn cargo_test_results_are_summed() {
        let output =
            "test result: ok. 3 passed; 0 failed; 1 ignored\n\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(Tally::of_cargo_test(output), Some(Tally { passed: 4, failed: 2 }));
        assert_eq!(Tally::of_cargo_test("no tests"), None);
    }

    #[test]
    fn closing_lines() {
        assert_eq!(
            Tally::of_closing_line("1 passed, 1 failed\n12 passed, 0 failed\nbye\n"),
            Some(Tally { passed: 12, failed: 0 })
        );
        assert_eq!(Tally::of_closing_line("all passed, nothing failed"), None);
    }

    #[test]
    fn vitest_reports() {
        let report = json!({"numPassedTests": 5, "numFailedTests": 0, "numFailedTestSuites": 1});
        assert_eq!(Tally::of_vitest(&report), Some(Tally { passed: 5, failed: 1 }));
        let report = json!({"numPassedTests": 5, "numFailedTests": 2, "numFailedTestSuites": 1});
        assert_eq!(Tally::of_vitest(&report), Some(Tally { passed: 5, failed: 2 }));
    }

    #[test]
    fn a_silent_failure_counts() {
        assert_eq!(Tally::default().with_status(false), Tally::FAILURE);
        assert_eq!(Tally { passed: 1, failed: 2 }.with_status(false), Tally { passed: 1, failed: 2 });
    }
}
