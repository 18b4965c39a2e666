//! `cargo xtask dist`: everything that is shipped, in `dist/`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::agent_build::{self, Arch};
use crate::{digest, install, paths, proc, stage, web};

/// Builds the hub and the agents, and writes checksums and signatures.
pub(crate) fn dist() -> Result<()> {
    install::require(&[install::NODE])?;
    web::build()?;
    let dist = paths::root().join("dist");
    if dist.exists() {
        std::fs::remove_dir_all(&dist).context("cannot empty dist/")?;
    }
    let mut agents = Vec::new();
    for arch in Arch::ALL {
        println!("Building the agent for {}", arch.target());
        agents.push(agent_build::musl(arch)?);
    }
    stage::stage(&dist.join("agents"), &agents)?;

    println!("Building the hub");
    let hub = ["build", "--release", "--package", "api", "--bin", "roadstead", "--features", "jemalloc"];
    proc::run(proc::cargo().args(hub))?;
    let hub = paths::target().join("release/roadstead");
    refuse_placeholder(&hub)?;
    std::fs::copy(&hub, dist.join("roadstead")).context("cannot copy the hub")?;
    copy_units(&dist)?;
    write_checksums(&dist)?;

    println!("\nVersion {} is in dist/:", stage::VERSION);
    for (name, path) in digest::files(&dist, &[])? {
        println!("  {name}  {} KiB", std::fs::metadata(path)?.len().div_ceil(1024));
    }
    Ok(())
}

/// A hub without its dashboard must not be shipped by mistake.
fn refuse_placeholder(hub: &Path) -> Result<()> {
    let index = std::fs::read_to_string(paths::app().join("dist/index.html")).unwrap_or_default();
    // The name of a built script carries a hash; a hub that holds it holds this build.
    let script = index.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    let Some(script) = script.and_then(|path| path.strip_prefix("/assets/")) else {
        bail!("crates/dashboard/app/dist holds no built dashboard");
    };
    let binary = std::fs::read(hub).with_context(|| format!("cannot read {}", hub.display()))?;
    if !binary.windows(script.len()).any(|part| part == script.as_bytes()) {
        bail!("the hub embeds the placeholder instead of the dashboard; build again after `npm run build`");
    }
    Ok(())
}

fn copy_units(dist: &Path) -> Result<()> {
    let to = dist.join("systemd");
    std::fs::create_dir_all(&to)?;
    for (name, path) in digest::files(&paths::root().join("systemd"), &[])? {
        std::fs::copy(path, to.join(name)).context("cannot copy the units")?;
    }
    Ok(())
}

fn write_checksums(dist: &Path) -> Result<()> {
    let mut lines = String::new();
    for (name, path) in digest::files(dist, &[])? {
        lines.push_str(&format!("{}  {name}\n", digest::sha256_of_file(&path)?.0));
    }
    std::fs::write(dist.join("SHA256SUMS"), lines).context("cannot write SHA256SUMS")
}
