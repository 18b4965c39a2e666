//! What kind of machine this is: facts that change with a reboot or an upgrade at most.

use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};
use protocol::Hex;
use protocol::session::Host;
use ring::digest::{Context, SHA256};

use super::files;

/// None of the files read here is longer.
const MAX_FILE: usize = 64 << 10;
/// Domain of the machine id's digest: the id itself stays on the host.
const MACHINE_ID_PREFIX: &[u8] = b"roadstead-machine-id-v1\0";

/// Reads the facts. What cannot be read is `unknown` or 0: a machine without a release file still has an agent.
#[must_use]
pub fn read() -> Host {
    read_below(Path::new("/"))
}

fn read_below(root: &Path) -> Host {
    let text = |path: &str| {
        let bytes = files::read(&root.join(path), MAX_FILE).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let release = text("etc/os-release").or_else(|| text("usr/lib/os-release")).unwrap_or_default();
    let hostname = text("proc/sys/kernel/hostname").unwrap_or_else(unknown);
    let processors = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(0);
    Host {
        os: release_field(&release, "ID").unwrap_or_else(unknown),
        os_version: release_field(&release, "VERSION_ID").unwrap_or_else(unknown),
        kernel: text("proc/sys/kernel/osrelease").unwrap_or_else(unknown),
        arch: std::env::consts::ARCH.to_owned(),
        cpus: u32::try_from(processors).unwrap_or(0),
        memory_bytes: total_memory(&text("proc/meminfo").unwrap_or_default()).unwrap_or(0),
        machine_id_hash: machine_id_hash(text("etc/machine-id").as_deref(), &hostname),
        boot_id: text("proc/sys/kernel/random/boot_id").unwrap_or_else(unknown),
        hostname,
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// A field of os-release: `NAME=value`, the value in shell quotes or bare.
fn release_field(release: &str, name: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.chars().take(64).collect())
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Small images have no machine id; their name is the next best thing.
fn machine_id_hash(machine_id: Option<&str>, hostname: &str) -> Hex<32> {
    let mut context = Context::new(&SHA256);
    context.update(MACHINE_ID_PREFIX);
    match machine_id {
        Some(id) => context.update(id.as_bytes()),
        None => {
            context.update(b"hostname\0");
            context.update(hostname.as_bytes());
        }
    }
    context.finish().as_ref().try_into().map_or(Hex([0; 32]), Hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_files_are_read_with_and_without_quotes() {
        let release =
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nID_LIKE=x\nEMPTY=\n";
        assert_eq!(release_field(release, "ID").as_deref(), Some("debian"));
        assert_eq!(release_field(release, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!(release_field(release, "EMPTY"), None);
        assert_eq!(release_field(release, "VERSION"), None);
    }

    #[test]
    fn a_bare_image_still_has_facts() {
        let empty = tempfile::tempdir().unwrap();
        let facts = read_below(empty.path());
        assert_eq!((facts.os.as_str(), facts.boot_id.as_str(), facts.memory_bytes), ("unknown", "unknown", 0));
        assert!(facts.cpus > 0);
    }

    #[test]
    fn this_machine_has_facts() {
        let facts = read();
        assert!(facts.memory_bytes > 0 && facts.kernel != "unknown" && facts.hostname != "unknown");
        assert_eq!(facts.boot_id.len(), 36);
    }

    #[test]
    fn the_machine_id_stays_on_the_host() {
        let hash = machine_id_hash(Some("0123456789abcdef0123456789abcdef"), "web1");
        assert!(!hash.to_string().contains("0123456789abcdef"));
        assert_ne!(hash, machine_id_hash(None, "web1"));
    }
}
