//! Python programs that tests use, in an environment of their own.

use std::path::PathBuf;

use anyhow::Result;

use crate::{paths, proc};

/// Makes up requests from a description of an API.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// Installs it unless it is there; takes some seconds.
pub(crate) fn schemathesis() -> Result<PathBuf> {
    let home = paths::cache().join("python").join(SCHEMATHESIS.replace("==", "-"));
    let program = home.join("bin/schemathesis");
    if program.is_file() {
        return Ok(program);
    }
    println!("Installing {SCHEMATHESIS}");
    // What an interrupted run left is no environment.
    let _absent = std::fs::remove_dir_all(&home);
    proc::run(proc::command("python3").args(["-m", "venv"]).arg(&home))?;
    proc::run(proc::command(home.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        SCHEMATHESIS,
    ]))?;
    Ok(program)
}
