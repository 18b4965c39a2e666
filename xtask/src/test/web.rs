//! The dashboard's own checks and tests.

use anyhow::{Context as _, Result};

use super::Run;
use crate::tally::Tally;
use crate::{paths, proc, web};

/// Types, lints, unit tests.
pub(super) fn tests(run: &mut Run) -> Result<()> {
    let app = paths::app();
    run.check("dashboard types", || proc::run(web::package_program(&app, "tsc").arg("--noEmit")))?;
    run.check("dashboard lints", || proc::run(web::package_program(&app, "biome").args(["ci", "."])))?;
    run.check("dashboard size", || proc::run(web::npm(&app).args(["run", "--silent", "check:size"])))?;
    run.tests("dashboard tests", || {
        let report = paths::cache().join("vitest.json");
        let _old = std::fs::remove_file(&report);
        let mut vitest = web::package_program(&app, "vitest");
        vitest
            .args(["run", "--reporter=default", "--reporter=json"])
            .arg(format!("--outputFile.json={}", report.display()));
        let status = proc::status(&mut vitest)?;
        let report = std::fs::read(&report).context("vitest wrote no report")?;
        let tally = Tally::of_vitest(&serde_json::from_slice(&report)?).context("vitest's report has no counts")?;
        Ok(tally.with_status(status.success()))
    })
}
