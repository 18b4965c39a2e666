//! What `doctor` looks at on this machine. Each check only looks, and never shows a credential.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use protocol::policy::PolicySource;

use super::doctor::Check;
use crate::host::clock::Clock;
use crate::host::commands;
use crate::host::files::{self, Dir};
use crate::host::users;
use crate::identity::{self, HubAnchor, IdentityError};
use crate::paths::{DEFAULT_STATE_DIR, Paths, RELAY_USER};
use crate::policy::Policy;
use crate::spool::limits;
use crate::status::Found;
use crate::text;
use crate::trust::check_owner;
use crate::trust::claims::Claims;
use crate::trust::hub_time::{HubTime, Moment};

/// What to do where this user may not look.
pub(super) const UNSEEN: &str = "run this as root to see it";
const REGISTER: &str = "add the server in the dashboard and paste the line again";
/// A clock that is further off shows in every time that people read.
const MAX_CLOCK_MS: i64 = 60_000;
const UNITS: [&str; 2] = ["roadstead-agent.service", "roadstead-work.socket"];
const SYSTEMCTL_DEADLINE: Duration = Duration::from_secs(5);
const MAX_PROC_FILE: usize = 1 << 20;

/// The registration, and the pinned key.
pub(super) fn registration(paths: &Paths) -> Vec<Check> {
    let name = "registration";
    let anchor = match HubAnchor::load(paths) {
        Ok(anchor) => anchor,
        Err(error) => return vec![Check::problem(name, error.to_string(), REGISTER)],
    };
    let seen = format!("server {} of {}", anchor.server_id, anchor.hub_url);
    let registered = match identity::load_both(paths) {
        Ok(_) => Check::ok(name, seen),
        Err(error) if is_hidden(&error) => {
            Check::warning(name, format!("{seen}; whether its credential is there cannot be seen"), UNSEEN)
        }
        Err(error) => Check::problem(name, format!("{seen}; {error}"), REGISTER),
    };
    let pinned = format!("pinned, SHA-256 {}", anchor.hub_fingerprint);
    vec![registered, Check::ok("hub key", format!("{pinned}; the dashboard shows the same under Add server"))]
}

/// Whether there is anything else to look at.
pub(super) fn is_registered(paths: &Paths) -> bool {
    !matches!(HubAnchor::load(paths), Err(IdentityError::NotRegistered(_)))
}

/// Whether this user may not see it.
pub(super) fn is_hidden(error: &IdentityError) -> bool {
    matches!(error, IdentityError::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied)
}

/// What to do about a directory that cannot be opened.
fn unseen() -> &'static str {
    if nix::unistd::geteuid().is_root() { "see the line about its directory" } else { UNSEEN }
}

/// Owners and modes of what must belong to whom.
pub(super) fn directories(paths: &Paths) -> Vec<Check> {
    let relay_uid = (paths.state_dir() == Path::new(DEFAULT_STATE_DIR))
        .then(|| users::find(RELAY_USER).map(|user| user.uid))
        .flatten();
    [
        ("trust", paths.trust_dir(), 0o022, None),
        ("claims", paths.claims_dir(), 0o077, None),
        ("spool", paths.spool_dir(), 0o027, None),
        ("relay", paths.relay_dir(), 0o077, Some(relay_uid)),
    ]
    .into_iter()
    .map(|(name, path, forbidden, relay)| directory(name, &path, forbidden, relay))
    .collect()
}

/// `relay`: whether it is the relay's own, and who that is where that is known.
fn directory(name: &'static str, path: &Path, forbidden: u32, relay: Option<Option<u32>>) -> Check {
    let metadata = match Dir::open(path).and_then(|dir| dir.metadata()) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Check::warning(name, format!("{} cannot be seen", path.display()), UNSEEN);
        }
        Err(error) => return Check::problem(name, format!("{}: {error}", path.display()), REGISTER),
    };
    let seen = format!("{} is {}", path.display(), owner_and_mode(&metadata));
    match relay {
        Some(Some(uid)) if metadata.uid() != uid => {
            let advice = format!("chown -R {RELAY_USER}:{RELAY_USER} {}", path.display());
            return Check::problem(name, format!("{seen} and not the relay's"), advice);
        }
        Some(_) => {}
        None => {
            if let Err(error) = check_owner(path, &metadata) {
                let advice = format!("find out who changed it; chown root {0} and chmod go-w {0}", path.display());
                return Check::problem(name, error.to_string(), advice);
            }
        }
    }
    if metadata.mode() & forbidden != 0 {
        let advice = format!("chmod {:o} {}", metadata.mode() & 0o7777 & !forbidden, path.display());
        return Check::warning(name, format!("{seen}, which lets more users in than need be"), advice);
    }
    Check::ok(name, seen)
}

fn owner_and_mode(metadata: &Metadata) -> String {
    let owner = users::with_uid(metadata.uid()).map_or_else(|| metadata.uid().to_string(), |user| user.name);
    format!("{owner}'s, mode {:o}", metadata.mode() & 0o7777)
}

/// The host's clock beside the hub's.
pub(super) fn clock(paths: &Paths) -> Check {
    let name = "clock";
    let moment = match Moment::now(Clock::system()) {
        Ok(moment) => moment,
        Err(error) => return Check::problem(name, format!("/proc is not usable: {error}"), "mount /proc"),
    };
    let now = text::utc(moment.local_ms);
    let Some(ahead_ms) = HubTime::load(paths).and_then(|record| record.ahead_ms(&moment)) else {
        return Check::ok(name, format!("{now}; the hub's time was not heard since this machine was started"));
    };
    let offset = text::span(ahead_ms.saturating_abs());
    let which = if ahead_ms > 0 { "behind" } else { "ahead of" };
    let seen = format!("{now}, {offset} {which} the hub's");
    if ahead_ms.saturating_abs() < MAX_CLOCK_MS {
        return Check::ok(name, seen);
    }
    Check::warning(name, format!("{seen} (jobs expire by the hub's)"), "set the clock: timedatectl set-ntp true")
}

/// The relay and its link.
pub(super) fn relay(paths: &Paths) -> Check {
    let name = "connection";
    let found = Found::look(paths);
    let seen = found.sentence(Clock::system());
    match &found {
        Found::Running(_) if found.exit_code() == 0 => Check::ok(name, seen),
        Found::Running(_) => Check::problem(name, seen, "see journalctl -u roadstead-agent"),
        Found::Stopped(_) => Check::problem(name, seen, "systemctl start roadstead-agent, or run roadstead-agent run"),
        Found::Unregistered(_) => Check::problem(name, seen, REGISTER),
        Found::Hidden(_) => Check::warning(name, seen, UNSEEN),
    }
}

/// The units, and the socket that they open.
pub(super) fn units(paths: &Paths) -> Vec<Check> {
    let mut found: Vec<Check> = UNITS.into_iter().map(unit).collect();
    let path = paths.work_socket();
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    found.push(if is_socket {
        Check::ok("work socket", format!("{} is there", path.display()))
    } else {
        let advice = "systemctl restart roadstead-work.socket";
        Check::problem("work socket", format!("{} is not there: no job can start", path.display()), advice)
    });
    found
}

fn unit(unit: &'static str) -> Check {
    let arguments = ["show", "--property=LoadState,ActiveState,SubState,UnitFileState", "--", unit];
    let text = match commands::output("systemctl", &arguments, SYSTEMCTL_DEADLINE) {
        Ok(text) => text,
        Err(error) => return Check::warning(unit, format!("systemctl does not say: {error}"), "systemctl status"),
    };
    judge_unit(unit, &text)
}

fn judge_unit(unit: &'static str, properties: &str) -> Check {
    let property = |name: &str| {
        let value = properties.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or("unknown").to_owned()
    };
    let (load, active, sub, enabled) =
        (property("LoadState"), property("ActiveState"), property("SubState"), property("UnitFileState"));
    if load != "loaded" {
        return Check::problem(unit, format!("not installed ({load})"), "run the installer's line again");
    }
    let seen = format!("{active} ({sub}), {enabled}");
    match (active.as_str(), enabled.as_str()) {
        ("active", "enabled") => Check::ok(unit, seen),
        ("active", _) => {
            Check::warning(unit, format!("{seen}: not after a restart"), format!("systemctl enable {unit}"))
        }
        _ => Check::problem(unit, seen, format!("systemctl enable --now {unit}, and see journalctl -u {unit}")),
    }
}

/// Logs that wait for the hub, and room for more.
pub(super) fn spool(paths: &Paths) -> Check {
    let name = "disk";
    let dir = match Dir::open(&paths.spool_dir()) {
        Ok(dir) => dir,
        Err(error) => return Check::warning(name, format!("the spool cannot be seen: {error}"), unseen()),
    };
    let limits = Policy::load(paths.policy_file()).limits();
    let (waiting, free) = (limits::unacknowledged_bytes(&dir), limits::free_bytes(&dir));
    let seen = format!(
        "{} of logs wait for the hub (limit {}), {} are free (jobs start above {})",
        text::bytes(waiting),
        text::bytes(limits.total_bytes),
        text::bytes(free),
        text::bytes(limits.free_bytes)
    );
    if free < limits.free_bytes {
        return Check::problem(name, seen, "free some space: no job starts until then");
    }
    if waiting > limits.total_bytes {
        return Check::problem(name, seen, "output of jobs is being dropped: see why the hub does not take it");
    }
    if waiting > limits.total_bytes / 2 || free / 4 < limits.free_bytes {
        return Check::warning(name, seen, "make room, or see why the hub does not take the logs");
    }
    Check::ok(name, seen)
}

/// The host's own policy.
pub(super) fn policy(paths: &Paths) -> Check {
    let name = "policy";
    let summary = super::policy::in_force(paths).summary();
    let file = paths.policy_file().display();
    match summary.source {
        PolicySource::Absent => Check::ok(name, format!("no {file}: the hub may do everything")),
        PolicySource::File if summary.tiers.is_empty() => Check::warning(
            name,
            format!("{file} allows no tier: the hub can run nothing"),
            "roadstead-agent policy show",
        ),
        PolicySource::File => Check::ok(name, format!("{file} is in force; roadstead-agent policy show")),
        PolicySource::Unreadable => {
            let why = summary.problem.unwrap_or_default();
            let seen = format!("not usable, the hub may do nothing: {}", why.lines().next().unwrap_or_default());
            Check::problem(name, seen, "roadstead-agent policy check")
        }
    }
}

/// Jobs whose worker is dead and was not cleared away.
pub(super) fn leftovers(paths: &Paths) -> Check {
    let name = "jobs";
    let claims = match Claims::open(paths) {
        Ok(claims) => claims,
        Err(error) => return Check::warning(name, error.to_string(), unseen()),
    };
    let jobs = claims.jobs();
    let running = jobs.iter().filter(|job_id| claims.is_alive(**job_id)).count();
    let dead = jobs.iter().filter(|job_id| claims.end(**job_id).is_none() && !claims.is_alive(**job_id)).count();
    let seen = format!("{running} running, {} remembered", jobs.len());
    if dead == 0 {
        return Check::ok(name, seen);
    }
    let seen = format!("{seen}; {dead} lost their worker, their processes may be left");
    Check::warning(name, seen, "the relay clears them at its start: systemctl restart roadstead-agent")
}

/// What jobs need of the kernel.
pub(super) fn kernel() -> Vec<Check> {
    let kill = match cgroup_kill() {
        Some(true) => Check::ok("cgroup.kill", "jobs end as one"),
        Some(false) => Check::warning(
            "cgroup.kill",
            "this kernel (before 5.14) cannot kill a cgroup; processes of a job are looked for one by one",
            "a newer kernel is better at it",
        ),
        None => Check::warning(
            "cgroup.kill",
            "no cgroups of version 2 here; processes of a job are looked for one by one",
            "boot with systemd.unified_cgroup_hierarchy=1",
        ),
    };
    let memfd = match memfd_create(c"doctor", MFdFlags::MFD_CLOEXEC) {
        Ok(_) => Check::ok("memfd", "standard input can be passed to jobs"),
        Err(errno) => Check::problem(
            "memfd",
            format!("jobs with standard input cannot run: {errno}"),
            "a kernel from 3.17 on has it; look for a sandbox around this shell",
        ),
    };
    vec![kill, memfd]
}

/// Whether a cgroup of version 2 can be killed in one stroke; `None` where there are none. The root one never can.
fn cgroup_kill() -> Option<bool> {
    let mounts = files::read(Path::new("/proc/self/mountinfo"), MAX_PROC_FILE).ok()?;
    let mount = cgroup2_mount(&String::from_utf8_lossy(&mounts))?;
    let root = Dir::open(&mount).ok()?;
    let groups = root.entries().ok()?.into_iter().filter_map(|name| root.open_dir(name).ok());
    let mut known = groups.filter(|group| group.stat("cgroup.procs").is_ok()).peekable();
    if known.peek().is_none() {
        return root.stat("cgroup.kill").is_ok().then_some(true);
    }
    Some(known.any(|group| group.stat("cgroup.kill").is_ok()))
}

fn cgroup2_mount(mounts: &str) -> Option<PathBuf> {
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::super::doctor::Level;
    use super::*;
    use crate::fixture::Machine;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_unit_that_does_not_run_is_a_problem() {
        let text = |load: &str, active: &str, enabled: &str| {
            format!("LoadState={load}\nActiveState={active}\nSubState=x\nUnitFileState={enabled}\n")
        };
        for (load, active, enabled, level) in [
            ("loaded", "active", "enabled", Level::Ok),
            ("loaded", "active", "disabled", Level::Warning),
            ("loaded", "failed", "enabled", Level::Problem),
            ("not-found", "inactive", "", Level::Problem),
        ] {
            assert_eq!(judge_unit(UNITS[0], &text(load, active, enabled)).level, level, "{load} {active} {enabled}");
        }
        assert_eq!(judge_unit(UNITS[0], "").level, Level::Problem);
    }

    #[test]
    fn what_others_could_write_is_a_problem() {
        let machine = Machine::new(7);
        let level = |wanted: &str| {
            let found = directories(&machine.paths);
            found.into_iter().find(|check| check.name == wanted).unwrap().level
        };
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(&machine.paths.claims_dir(), 0o700);
        assert_eq!((level("trust"), level("claims")), (Level::Ok, Level::Ok));
        set(&machine.paths.claims_dir(), 0o755);
        assert_eq!(level("claims"), Level::Warning);
        set(&machine.paths.trust_dir(), 0o775);
        assert_eq!(level("trust"), Level::Problem);
    }

    #[test]
    fn the_clock_is_compared_with_what_the_hub_signed() {
        let machine = Machine::new(7);
        assert_eq!(clock(&machine.paths).level, Level::Ok);
        let moment = Moment::now(Clock::system()).unwrap();
        for (ahead_ms, level, part) in [(0, Level::Ok, "the hub's"), (3_600_000, Level::Warning, "behind")] {
            let _ = std::fs::remove_file(machine.paths.trust_dir().join("hub-time.json"));
            HubTime::learn(None, moment.local_ms + ahead_ms, &moment).unwrap().save(&machine.paths).unwrap();
            let check = clock(&machine.paths);
            assert!(check.level == level && check.seen.contains(part), "{check:?}");
        }
    }

    #[test]
    fn no_check_shows_the_token() {
        let machine = Machine::new(7);
        let paths = &machine.paths;
        let mut found = registration(paths);
        found.extend(directories(paths));
        found.extend([relay(paths), spool(paths), policy(paths), leftovers(paths)]);
        assert!(!format!("{found:?}").contains("rsa_"), "{found:?}");
        assert!(found.iter().any(|check| check.seen.contains(&machine.anchor.hub_fingerprint.to_string())));
    }
}
