//! `cargo xtask bench NAME…`: builds what is measured as it is shipped, then measures it beside floor and peer.

use anyhow::{Context as _, Result};

use crate::install::{self, Need, Probe};
use crate::{agent_build, paths, proc, web};

const SSHD: Need =
    Need { name: "OpenSSH", probe: Probe::Program("sshd"), packages: &["openssh-server", "openssh-client"] };
const NODE_EXPORTER: Need = Need {
    name: "node_exporter",
    probe: Probe::Program("prometheus-node-exporter"),
    packages: &["prometheus-node-exporter"],
};

/// Runs the named benchmarks; their results are appended to `tests/load/RESULTS.md`, unless they are `quick`.
pub(crate) fn bench(names: &[String], quick: bool) -> Result<()> {
    let mut needs = vec![install::NODE];
    needs.extend(names.iter().flat_map(|name| peers(name)));
    install::require(&needs)?;
    web::build()?;
    let agent = agent_build::native()?;
    let triple = agent.path.ancestors().nth(2).and_then(|dir| dir.file_name()).context("the agent's target")?;
    let triple = triple.to_str().context("a target's name")?.to_owned();
    // The floor is built exactly as the agent is, or their sizes could not be compared.
    let mut floors = proc::cargo();
    floors.args(["build", "--profile", "agent", "--package", "floors", "--target", &triple]);
    proc::run(floors.env(format!("CC_{}", triple.replace('-', "_")), "musl-gcc"))?;
    proc::run(proc::cargo().args([
        "build",
        "--release",
        "--package",
        "api",
        "--bin",
        "roadstead",
        "--features",
        "jemalloc",
    ]))?;
    proc::run(proc::cargo().args(["build", "--release", "--package", "tests", "--bin", "bench"]))?;
    let built = |path: &str| paths::target().join(path);
    // A copy of its own: pages that it shared with other processes of the same file would count in part only.
    let dir = tempfile::tempdir().context("a directory for the agent")?;
    let own = dir.path().join("roadstead-agent");
    std::fs::copy(&agent.path, &own).with_context(|| format!("cannot copy {}", agent.path.display()))?;
    proc::run(
        proc::command(built("release/bench"))
            .args(quick.then_some("--quick"))
            .args(names)
            .env("ROADSTEAD_TEST_HUB", built("release/roadstead"))
            .env("ROADSTEAD_TEST_AGENT", &own)
            .env("ROADSTEAD_FLOORS", built(&format!("{triple}/agent/floors"))),
    )
}

/// What a benchmark measures beside, where that is none of ours.
fn peers(name: &str) -> &'static [Need] {
    match name {
        "agent-idle" => &[NODE_EXPORTER],
        "dispatch" | "log" => &[SSHD],
        _ => &[],
    }
}
