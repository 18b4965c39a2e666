//! The agent as it is shipped: one static file that runs on any Linux of its architecture.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::install::{self, Need};
use crate::{paths, proc, release_key};

/// An architecture that agents are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    Aarch64,
}

/// A built agent.
pub(crate) struct Agent {
    /// Where it runs.
    pub(crate) arch: Arch,
    /// The file.
    pub(crate) path: PathBuf,
}

impl Arch {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The architecture of this machine.
    pub(crate) fn native() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 }
    }

    /// The name in routes and file names.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux",
            Self::Aarch64 => "aarch64-linux",
        }
    }

    fn musl(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    fn glibc(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The C compiler that builds the cryptography for musl, and what brings it. Another architecture's needs no musl
    /// headers: that code is freestanding.
    fn c_compiler(self) -> (&'static str, Need) {
        match (self == Self::native(), self) {
            (true, _) => ("musl-gcc", install::MUSL),
            (false, Self::Aarch64) => ("aarch64-linux-gnu-gcc", install::CROSS_GCC_AARCH64),
            (false, Self::X86_64) => ("x86_64-linux-gnu-gcc", install::CROSS_GCC_X86_64),
        }
    }
}

/// Builds the agent for this machine: for musl, or as static glibc where the musl target cannot be had.
pub(crate) fn native() -> Result<Agent> {
    let arch = Arch::native();
    match musl(arch) {
        Ok(agent) => Ok(agent),
        Err(error) if crate::interrupt::interrupted() => Err(error),
        Err(error) => {
            println!("No musl build of the agent ({error:#}); building it as static glibc");
            static_glibc(arch)
        }
    }
}

/// Builds the agent for musl.
pub(crate) fn musl(arch: Arch) -> Result<Agent> {
    let triple = arch.musl();
    let (c_compiler, need) = arch.c_compiler();
    install::require(&[need])?;
    add_rust_target(triple)?;
    let mut cargo = build(triple)?;
    cargo.env(format!("CC_{}", triple.replace('-', "_")), c_compiler);
    if arch != Arch::native() {
        cargo.env(format!("CARGO_TARGET_{}_LINKER", triple.replace('-', "_").to_uppercase()), "rust-lld");
    }
    proc::run(&mut cargo)?;
    Ok(Agent { arch, path: built(triple) })
}

fn static_glibc(arch: Arch) -> Result<Agent> {
    let triple = arch.glibc();
    let mut cargo = build(triple)?;
    // Only for this target, so that build scripts and macros stay as they are.
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.replace('-', "_").to_uppercase());
    proc::run(cargo.env(flags, "-C target-feature=+crt-static"))?;
    Ok(Agent { arch, path: built(triple) })
}

/// The release key's public half is compiled in: an agent takes updates from nobody else.
fn build(triple: &str) -> Result<std::process::Command> {
    let mut cargo = proc::cargo();
    cargo.args(["build", "--profile", "agent", "--package", "agent", "--bin", "roadstead-agent", "--target", triple]);
    cargo.env("ROADSTEAD_RELEASE_KEY", release_key::load_or_create()?.public_hex());
    Ok(cargo)
}

fn built(triple: &str) -> PathBuf {
    paths::target().join(triple).join("agent").join("roadstead-agent")
}

fn add_rust_target(triple: &str) -> Result<()> {
    let libraries = proc::capture(proc::command("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    if std::path::Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    println!("Installing the Rust target {triple}");
    // A download that stalls must not hold everything up.
    proc::run(proc::command("timeout").args(["180", "rustup", "target", "add", triple]))
        .with_context(|| format!("the Rust target {triple} is not there and cannot be installed"))
}
