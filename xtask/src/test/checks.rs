//! What is right or wrong without running a test.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use super::{Parts, Run};
use crate::{codegen, paths, proc, tidy, web};

/// Everything that needs no build of ours, the quick ones first.
pub(super) fn before_build(run: &mut Run, parts: Parts) -> Result<()> {
    run.check("format", || proc::run(proc::cargo().args(["fmt", "--all", "--check"])))?;
    run.check("tidy", || tidy::tidy()?.into_result())?;
    if parts.units {
        run.check("systemd units", units)?;
    }
    run.check("installer", || installer(parts))?;
    if parts.web {
        // Before the hub, which embeds it.
        run.check("dashboard build", web::build)?;
    }
    Ok(())
}

/// Lints and builds everything; whether there is something to test.
pub(super) fn builds(run: &mut Run) -> Result<bool> {
    run.check("clippy", || {
        proc::run(proc::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    run.check("build", || proc::run(proc::cargo().args(["build", "--workspace", "--all-targets"])))
}

/// The files in the repository that a program writes.
pub(super) fn generated_files(run: &mut Run, parts: Parts) -> Result<()> {
    if parts.web {
        run.check("generated files", codegen::compare)?;
    }
    Ok(())
}

/// The installer parses, and says nothing that a careful reader would object to.
fn installer(parts: Parts) -> Result<()> {
    let script = paths::root().join("crates/api/src/enrollment/install.sh");
    proc::run(proc::command("sh").arg("-n").arg(&script))?;
    if parts.shellcheck {
        proc::run(proc::command("shellcheck").args(["--shell=sh", "--enable=avoid-nullary-conditions"]).arg(&script))?;
    }
    Ok(())
}

/// The units load without a complaint, and those on the network are hardened.
fn units() -> Result<()> {
    const HARDENED: [&str; 2] = ["roadstead.service", "roadstead-agent.service"];
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("program");
    std::fs::write(&program, "#!/bin/sh\n")?;
    proc::run(proc::command("chmod").arg("755").arg(&program))?;
    let mut complaints = String::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(paths::root().join("systemd"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The binaries need not be installed here.
        let text: String = std::fs::read_to_string(entry.path())?
            .lines()
            .map(|line| match line.strip_prefix("ExecStart=").and_then(|command| command.split_once(' ')) {
                Some((_, arguments)) => format!("ExecStart={} {arguments}\n", program.display()),
                None => format!("{line}\n"),
            })
            .collect();
        std::fs::write(dir.path().join(&name), text)?;
        names.push(name);
    }
    for name in &names {
        let unit = dir.path().join(name);
        // Unknown keys are printed and not counted: only silence is right.
        let said = proc::command("systemd-analyze")
            .arg("verify")
            .arg(&unit)
            .output()
            .context("cannot start systemd-analyze")?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
        if !said.trim().is_empty() {
            write!(complaints, "\n{name}: {}", said.trim())?;
        }
        if HARDENED.contains(&name.as_str()) {
            let mut security = proc::command("systemd-analyze");
            // In tenths: exposure below 2.0.
            security.args(["security", "--offline=true", "--threshold=19", "--no-pager"]).arg(&unit);
            if !proc::succeeds(&mut security) {
                write!(complaints, "\n{name}: `systemd-analyze security` rates it 2.0 or worse")?;
            }
        }
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.trim_start());
    }
    Ok(())
}
