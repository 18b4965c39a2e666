//! `cargo xtask tidy`: rules that no compiler knows. Each is one file, each gets the same view of the sources.

mod dependencies;
mod edges;
mod length;
mod module_docs;
mod readme;
mod source;
mod sql;
mod tests_rules;

use std::process::ExitCode;

use anyhow::{Result, bail};

use source::Source;

/// Checks every rule.
pub(crate) fn tidy() -> Result<Findings> {
    let sources = source::all()?;
    let mut findings = Findings::default();
    edges::check(&sources, &mut findings)?;
    length::check(&sources, &mut findings)?;
    module_docs::check(&sources, &mut findings);
    sql::check(&sources, &mut findings);
    tests_rules::check(&sources, &mut findings)?;
    dependencies::check(&mut findings)?;
    readme::check(&mut findings);
    Ok(findings)
}

/// What was found.
#[derive(Default)]
pub(crate) struct Findings {
    broken: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// A rule that is broken: `where`, and what to do.
    fn broken(&mut self, place: &str, message: &str) {
        self.broken.push(format!("{place}: {message}"));
    }

    /// Something to look at.
    fn warn(&mut self, place: &str, message: &str) {
        self.warnings.push(format!("{place}: {message}"));
    }

    /// Prints everything, and says whether all rules are kept.
    pub(crate) fn report(&self) -> ExitCode {
        self.print();
        if self.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The same as a result.
    pub(crate) fn into_result(self) -> Result<()> {
        self.print();
        match self.broken.len() {
            0 => Ok(()),
            1 => bail!("1 rule is broken"),
            count => bail!("{count} rules are broken"),
        }
    }

    fn print(&self) {
        for warning in &self.warnings {
            println!("note: {warning}");
        }
        for broken in &self.broken {
            println!("{broken}");
        }
    }
}
