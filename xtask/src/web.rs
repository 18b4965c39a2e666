//! The dashboard: its packages, its build, its checks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{digest, paths, proc};

/// Builds the dashboard unless the last build was of the same sources.
pub(crate) fn build() -> Result<()> {
    let app = paths::app();
    install_packages(&app)?;
    let sources = digest::sha256_of_tree(&app, &["node_modules", "dist"])?;
    if app.join("dist/index.html").is_file() && stamp_is(BUILD_STAMP, &sources) {
        return Ok(());
    }
    println!("Building the dashboard");
    proc::run_quietly(npm(&app).args(["run", "build"]))?;
    write_stamp(BUILD_STAMP, &sources)
}

/// Installs the packages of `dir` by its lock file, unless they are there. Not with `npm ci`: it wants every platform's
/// optional packages in the lock, and a registry that lacks some of them cannot lock them.
pub(crate) fn install_packages(dir: &Path) -> Result<()> {
    let lock = dir.join("package-lock.json");
    let wanted = digest::sha256_of_file(&lock)?.0;
    let stamp = format!("npm-{}", digest::sha256(dir.to_string_lossy().as_bytes()).get(..16).unwrap_or_default());
    if dir.join("node_modules").is_dir() && stamp_is(&stamp, &wanted) {
        return Ok(());
    }
    println!("Installing npm packages for {}", dir.strip_prefix(paths::root()).unwrap_or(dir).display());
    proc::run_quietly(npm(dir).args(["install", "--no-save", "--no-audit", "--no-fund"]))?;
    write_stamp(&stamp, &wanted)
}

/// npm, in `dir`.
pub(crate) fn npm(dir: &Path) -> Command {
    let mut npm = proc::command("npm");
    npm.current_dir(dir);
    npm
}

/// A program of the packages in `dir`.
pub(crate) fn package_program(dir: &Path, name: &str) -> Command {
    let mut program = proc::command(dir.join("node_modules/.bin").join(name));
    program.current_dir(dir);
    program
}

const BUILD_STAMP: &str = "dashboard";

fn stamp_is(name: &str, expected: &str) -> bool {
    std::fs::read_to_string(paths::cache().join("stamps").join(name)).is_ok_and(|content| content == expected)
}

fn write_stamp(name: &str, content: &str) -> Result<()> {
    let dir = paths::cache().join("stamps");
    std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(dir.join(name), content)).context("cannot write a stamp")
}
