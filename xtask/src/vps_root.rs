//! The root file system of a fresh VPS, as a tar file, for the tests that start one under systemd-nspawn.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{digest, paths, proc};

const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,ca-certificates,curl,passwd,procps";

/// Makes the image unless it is there; takes about half a minute.
pub(crate) fn ensure() -> Result<PathBuf> {
    let release = release();
    let mirror = mirror(&release);
    // Another list of packages is another image.
    let recipe = digest::sha256(format!("{release} {PACKAGES}").as_bytes());
    let dir = paths::target().join("vps");
    let image = dir.join(format!("{release}-{}.tar", recipe.get(..12).unwrap_or_default()));
    if image.is_file() {
        return Ok(image);
    }
    println!("Making the root of a fresh VPS ({release})");
    std::fs::create_dir_all(&dir)?;
    let unfinished = dir.join("unfinished.tar");
    let mut mmdebstrap = proc::command("mmdebstrap");
    mmdebstrap.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}"), &release]).arg(&unfinished);
    proc::run(mmdebstrap.arg(mirror))?;
    std::fs::rename(&unfinished, &image).context("cannot keep the VPS image")?;
    Ok(image)
}

/// This machine's Debian release, or the oldest one that agents are tested on.
fn release() -> String {
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        os.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(|text| text.trim_matches('"'))
    };
    match (value("ID"), value("VERSION_CODENAME")) {
        (Some("debian"), Some(codename)) => codename.to_owned(),
        _ => "bookworm".to_owned(),
    }
}

/// Where this machine gets the release from; it may have no way to the usual place.
fn mirror(release: &str) -> String {
    let targets = proc::capture(proc::command("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(ORIGIN) $(CODENAME) $(COMPONENT)",
        "Created-By: Packages",
    ]));
    let wanted = format!(" Debian {release} main");
    let uri =
        targets.ok().and_then(|lines| lines.lines().find_map(|line| Some(line.strip_suffix(&wanted)?.to_owned())));
    uri.unwrap_or_else(|| "http://deb.debian.org/debian".to_owned())
}
