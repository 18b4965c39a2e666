//! `cargo xtask test`: every check and every test, what ran and what did not, and one closing count.

mod browser;
mod checks;
mod rust;
mod web;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::install::{self, Need};
use crate::interrupt;
use crate::tally::Tally;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only what needs nothing installed: no PostgreSQL, no VPS, no browser, no static agent
    #[arg(long)]
    fast: bool,
}

/// Runs everything, prints the closing line `N passed, N failed`.
pub(crate) fn test(options: &Options) -> Result<ExitCode> {
    let mut run = Run::default();
    let missing = if options.fast { unmet() } else { install::ensure(NEEDS)? };
    let parts = Parts::choose(options, &missing, &mut run);

    checks::before_build(&mut run, parts)?;
    if checks::builds(&mut run)? {
        checks::generated_files(&mut run, parts)?;
        let agent = rust::agent(&mut run, parts)?;
        rust::tests(&mut run, parts, &agent)?;
        if parts.browser {
            browser::tests(&mut run, &agent)?;
        }
    } else {
        run.skip("all Rust and browser tests", "the build failed");
    }
    if parts.web {
        web::tests(&mut run)?;
    }
    Ok(run.close())
}

/// Everything that the full run needs on the machine.
const NEEDS: &[Need] = &[
    install::NODE,
    install::POSTGRES,
    install::CHROMIUM,
    install::FONTS,
    install::NSPAWN,
    install::MMDEBSTRAP,
    install::IPROUTE,
    install::SYSTEMD_ANALYZE,
    install::SHELLCHECK,
    install::FAKETIME,
    install::CURL,
    install::PYTHON,
    install::MUSL,
];

fn unmet() -> Vec<Need> {
    NEEDS.iter().filter(|need| !need.met()).copied().collect()
}

/// Which parts of the run this machine and the options allow.
#[derive(Debug, Clone, Copy)]
struct Parts {
    web: bool,
    browser: bool,
    postgres: bool,
    vps: bool,
    fuzzer: bool,
    mail: bool,
    identity_provider: bool,
    static_agent: bool,
    units: bool,
    shellcheck: bool,
}

impl Parts {
    fn choose(options: &Options, missing: &[Need], run: &mut Run) -> Self {
        let mut part = |name: &'static str, needs: &[Need], in_fast: bool| {
            let lacks: Vec<_> =
                needs.iter().filter(|need| missing.iter().any(|other| other.name == need.name)).copied().collect();
            if options.fast && !in_fast {
                run.skip(name, "--fast");
                false
            } else if lacks.is_empty() {
                true
            } else {
                let names: Vec<_> = lacks.iter().map(|need| need.name).collect();
                run.skip(name, &format!("missing {}; install with{}", names.join(", "), install::install_hint(&lacks)));
                false
            }
        };
        let mut parts = Self {
            web: part("the dashboard's checks and tests", &[install::NODE], true),
            browser: part("the browser tests", &[install::NODE, install::CHROMIUM, install::FONTS], false),
            postgres: part("the store tests on PostgreSQL", &[install::POSTGRES], false),
            vps: part(
                "the tests on a fresh VPS",
                &[install::NSPAWN, install::MMDEBSTRAP, install::IPROUTE, install::CURL],
                false,
            ),
            fuzzer: part("made-up requests to the API", &[install::PYTHON], false),
            mail: part("the tests with a real mail server", &[install::PYTHON], false),
            identity_provider: part("signing in through a real identity provider", &[install::NODE], false),
            static_agent: part("the static agent (tests use the development build)", &[], false),
            units: part("the checks of the systemd units", &[install::SYSTEMD_ANALYZE], true),
            shellcheck: part("shellcheck of the installer", &[install::SHELLCHECK], true),
        };
        if parts.vps && !install::is_root() {
            run.skip("the tests on a fresh VPS", "systemd-nspawn needs root");
            parts.vps = false;
        }
        parts
    }
}

/// What happened so far.
#[derive(Default)]
struct Run {
    tally: Tally,
    ran: Vec<(String, Duration, String)>,
    skipped: Vec<String>,
}

impl Run {
    /// Something that is right or wrong and is no test by itself: wrong counts as one failure. Only an interrupt is an error.
    fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) -> Result<bool> {
        let mut right = false;
        self.part(name, || {
            check()?;
            right = true;
            Ok(("ok".to_owned(), Tally::default()))
        })?;
        Ok(right)
    }

    /// A runner of tests.
    fn tests(&mut self, name: &str, tests: impl FnOnce() -> Result<Tally>) -> Result<()> {
        self.part(name, || {
            let tally = tests()?;
            Ok((format!("{} passed, {} failed", tally.passed, tally.failed), tally))
        })
    }

    fn part(&mut self, name: &str, work: impl FnOnce() -> Result<(String, Tally)>) -> Result<()> {
        println!("\n── {name}");
        let start = Instant::now();
        let (result, tally) = match work() {
            Ok(done) => done,
            Err(error) => {
                interrupt::check()?;
                eprintln!("{name}: {error:#}");
                ("FAILED".to_owned(), Tally::FAILURE)
            }
        };
        self.tally = self.tally.plus(tally);
        self.ran.push((name.to_owned(), start.elapsed(), result));
        Ok(())
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(format!("{name}: {reason}"));
    }

    fn close(&self) -> ExitCode {
        println!("\n── summary");
        for (name, took, result) in &self.ran {
            println!("{:>6.1} s  {name}: {result}", took.as_secs_f64());
        }
        for skipped in &self.skipped {
            println!(" skipped  {skipped}");
        }
        if self.skipped.is_empty() {
            println!(" skipped  nothing");
        }
        println!("\n{} passed, {} failed", self.tally.passed, self.tally.failed);
        if self.tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
