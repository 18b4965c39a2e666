//! Benchmarks of the real hub and agent, each beside a floor or a peer in the same run; `cargo xtask bench NAME` builds
//! what they need and starts this.
//!
//! Every figure is the median of alternating blocks, and every claim a ratio. Results are appended to
//! `tests/load/RESULTS.md`. Environment: `ROADSTEAD_TEST_HUB`, `ROADSTEAD_TEST_AGENT`, `ROADSTEAD_FLOORS` name the
//! release builds. `--quick` runs a small size, to see that a benchmark works; its figures mean nothing and are only
//! printed.

mod agent_idle;
mod agent_size;
mod agent_soak;
mod api_list;
mod dispatch;
mod dispatch_fanout;
mod fleet;
mod footprint;
mod log;
mod log_slow_follower;
mod report;
mod ssh;

use anyhow::{Context as _, bail, ensure};

use crate::report::Report;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// What the promise is about.
    Full,
    /// Enough to see that the benchmark works.
    Quick,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (flags, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    ensure!(flags.iter().all(|flag| flag == "--quick"), "there is no flag but --quick");
    if let [name, kind, file] = names.as_slice()
        && name == "floor-api-list"
    {
        return api_list::floor(kind, file.as_ref()).await;
    }
    let scale = if flags.is_empty() { Scale::Full } else { Scale::Quick };
    for name in &names {
        let report = run(name, scale).await?;
        match scale {
            Scale::Full => {
                report.print();
                report.append(name)?;
            }
            Scale::Quick => {
                println!("`{name} --quick`: a small size, to see that it works. These figures mean nothing.\n");
                report.print();
            }
        }
    }
    Ok(())
}

async fn run(name: &str, scale: Scale) -> anyhow::Result<Report> {
    match (name, scale) {
        ("agent-size", _) => agent_size::run(scale).await,
        ("agent-soak", _) => agent_soak::run(scale).await,
        ("api-list", _) => api_list::run(scale).await,
        ("dispatch-fanout", _) => dispatch_fanout::run(scale).await,
        ("log-slow-follower", _) => log_slow_follower::run(scale).await,
        ("agent-idle", Scale::Full) => agent_idle::run().await,
        ("dispatch", Scale::Full) => dispatch::run().await,
        ("log", Scale::Full) => log::run().await,
        ("agent-idle" | "dispatch" | "log", Scale::Quick) => bail!("{name} has no --quick"),
        _ => bail!(
            "unknown benchmark {name}; there are agent-idle, agent-size, agent-soak, api-list, dispatch, \
             dispatch-fanout, log and log-slow-follower"
        ),
    }
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
