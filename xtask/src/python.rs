//! Python programs that tests use, each in an environment of its own.

use std::path::PathBuf;

use anyhow::Result;

use crate::{paths, proc};

/// Makes up requests from a description of an API.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";
/// A mail server that does what it is told.
const AIOSMTPD: &str = "aiosmtpd==1.4.6";

/// The program schemathesis.
pub(crate) fn schemathesis() -> Result<PathBuf> {
    environment(SCHEMATHESIS, "bin/schemathesis")
}

/// A Python that has aiosmtpd.
pub(crate) fn with_mail_server() -> Result<PathBuf> {
    Ok(environment(AIOSMTPD, "bin/aiosmtpd")?.with_file_name("python3"))
}

/// Installs a package unless its program is there, which takes some seconds; the path of the program.
fn environment(package: &str, program: &str) -> Result<PathBuf> {
    let home = paths::cache().join("python").join(package.replace("==", "-"));
    let program = home.join(program);
    if program.is_file() {
        return Ok(program);
    }
    println!("Installing {package}");
    // What an interrupted run left is no environment.
    let _absent = std::fs::remove_dir_all(&home);
    proc::run(proc::command("python3").args(["-m", "venv"]).arg(&home))?;
    proc::run(proc::command(home.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        package,
    ]))?;
    Ok(program)
}
