//! The whole dashboard in Chromium, on a real hub with a real agent.

use anyhow::{Context as _, Result};

use super::Run;
use crate::tally::Tally;
use crate::{paths, proc, web};

/// Runs `tests/browser`.
pub(super) fn tests(run: &mut Run) -> Result<()> {
    run.tests("browser tests", || {
        let dir = paths::root().join("tests/browser");
        web::install_packages(&dir)?;
        let mut node = proc::command("node");
        node.arg("tests/browser/run.mjs");
        let seen = proc::tee(&mut node)?;
        let tally = Tally::of_closing_line(&seen.output).context("the browser tests did not say what they ran")?;
        Ok(tally.with_status(seen.status.success()))
    })
}
