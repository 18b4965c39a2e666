//! Benchmarks of the real hub and agent, each beside a floor or a peer in the same run; `cargo xtask bench NAME` builds
//! what they need and starts this.
//!
//! Every figure is the median of alternating blocks, and every claim a ratio. Results are appended to
//! `tests/load/RESULTS.md`. Environment: `ROADSTEAD_TEST_HUB`, `ROADSTEAD_TEST_AGENT`, `ROADSTEAD_FLOORS` name the
//! release builds.

mod agent_idle;
mod dispatch;
mod footprint;
mod log;
mod report;
mod ssh;

use anyhow::{Context as _, bail};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    for name in &names {
        let report = match name.as_str() {
            "agent-idle" => agent_idle::run().await?,
            "dispatch" => dispatch::run().await?,
            "log" => log::run().await?,
            _ => bail!("unknown benchmark {name}; there are agent-idle, dispatch and log"),
        };
        report.print();
        report.append(name)?;
    }
    Ok(())
}

/// The floors program, and a copy of it for the agent half.
fn floors() -> anyhow::Result<Floors> {
    let program = std::env::var("ROADSTEAD_FLOORS").context("ROADSTEAD_FLOORS names no floors program")?;
    let dir = tempfile::tempdir()?;
    let copy = dir.path().join("floors-agent");
    std::fs::copy(&program, &copy).with_context(|| format!("copy {program}"))?;
    Ok(Floors { program, copy: copy.display().to_string(), _dir: dir })
}

/// Where the floors lie.
#[derive(Debug)]
struct Floors {
    program: String,
    copy: String,
    _dir: tempfile::TempDir,
}

impl Floors {
    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.env("FLOORS_AGENT", &self.copy).kill_on_drop(true);
        command
    }
}
