//! The Rust tests, with the real parts that they ask for.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Parts, Run};
use crate::service::Postgres;
use crate::tally::Tally;
use crate::{agent_build, digest, paths, proc, python, stage, vps_root, web};

/// The agent that the tests use: the one that is shipped, where it may be built.
pub(super) fn agent(run: &mut Run, parts: Parts) -> Result<PathBuf> {
    let mut agent = paths::dev_binary("roadstead-agent");
    if parts.static_agent {
        run.check("static agent", || {
            agent = agent_build::native()?.path;
            Ok(())
        })?;
    }
    Ok(agent)
}

/// Prepares the parts, runs the tests, ends the parts.
pub(super) fn tests(run: &mut Run, parts: Parts, agent: &Path) -> Result<()> {
    let mut environment: Vec<(&str, PathBuf)> = vec![("ROADSTEAD_TEST_HUB", paths::dev_binary("roadstead"))];
    let agents = paths::cache().join("agents");
    run.check("agents directory", || stage::stage_dev(&agents, agent))?;
    environment.push(("ROADSTEAD_TEST_AGENT", agent.to_owned()));
    environment.push(("ROADSTEAD_TEST_AGENTS_DIR", agents));
    if parts.vps {
        run.check("VPS image", || {
            environment.push(("ROADSTEAD_TEST_VPS_ROOT", vps_root::ensure()?));
            Ok(())
        })?;
    }
    if parts.fuzzer {
        run.check("schemathesis", || {
            environment.push(("ROADSTEAD_TEST_SCHEMATHESIS", python::schemathesis()?));
            Ok(())
        })?;
    }
    if parts.mail {
        run.check("aiosmtpd", || {
            environment.push(("ROADSTEAD_TEST_MAIL_PYTHON", python::with_mail_server()?));
            Ok(())
        })?;
    }
    if parts.identity_provider {
        run.check("identity provider", || {
            let dir = paths::root().join("tests/oidc");
            web::install_packages(&dir)?;
            environment.push(("ROADSTEAD_TEST_OIDC_PROVIDER", dir.join("provider.mjs")));
            Ok(())
        })?;
    }
    let mut postgres = None;
    if parts.postgres {
        run.check("PostgreSQL", || {
            let server = Postgres::start()?;
            environment.push(("ROADSTEAD_TEST_POSTGRES", server.url().into()));
            postgres = Some(server);
            Ok(())
        })?;
    }

    run.tests("Rust tests", || {
        let mut command = runner()?;
        let seen = proc::tee(command.envs(environment), LIMIT)?;
        let tally = Tally::of_nextest(&seen.output).or_else(|| Tally::of_cargo_test(&seen.output));
        Ok(tally.context("the test runner did not say what it ran")?.with_status(seen.status.success()))
    })?;
    drop(postgres);

    if !any_documentation_tests()? {
        return Ok(());
    }
    run.tests("documentation tests", || {
        let seen = proc::tee(proc::cargo().args(["test", "--quiet", "--workspace", "--doc"]), LIMIT)?;
        Ok(Tally::of_cargo_test(&seen.output).unwrap_or_default().with_status(seen.status.success()))
    })
}

/// Running none of them would take a minute and more.
fn any_documentation_tests() -> Result<bool> {
    for (name, path) in digest::files(&paths::root().join("crates"), &["node_modules", "dist"])? {
        if name.ends_with(".rs") && has_documentation_test(&std::fs::read_to_string(path)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a block in the documentation is Rust: it opens without another language's name.
fn has_documentation_test(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim_start();
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        let Some(language) = doc.trim().strip_prefix("```") else { continue };
        if !inside && matches!(language, "" | "rust" | "no_run" | "should_panic" | "compile_fail") {
            return true;
        }
        inside = !inside;
    }
    false
}

/// Several times what a slow machine needs.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// nextest, installed when it is not there; plain cargo where it cannot be had.
fn runner() -> Result<Command> {
    let mut cargo = proc::cargo();
    if proc::find("cargo-nextest").is_none() {
        println!("Installing cargo-nextest");
        let installed = proc::run(proc::cargo().args(["install", "--quiet", "--locked", "cargo-nextest"]));
        crate::interrupt::check()?;
        if let Err(error) = installed {
            println!("{error:#}; running the tests with plain cargo");
            cargo.args(["test", "--workspace", "--no-fail-fast", "--all-targets"]);
            return Ok(cargo);
        }
    }
    cargo.args(["nextest", "run", "--workspace"]);
    if std::io::stdout().is_terminal() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    Ok(cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_of_rust_are_tests() {
        assert!(has_documentation_test("/// Adds.\n/// ```\n/// add(1);\n/// ```\nfn add() {}"));
        assert!(!has_documentation_test("//! ```text\n//! a drawing\n//! ```\nfn f() {}"));
        assert!(!has_documentation_test("// ```\nfn f() {}"));
    }
}
