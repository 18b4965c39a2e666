//! Programs that run beside xtask until it stops them: hub, agent, PostgreSQL.

use std::fs::File;
use std::io::{PipeReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{install, interrupt, proc};

/// A running program and its log.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
    log_writer: JoinHandle<()>,
    stop_signal: Signal,
}

impl Service {
    /// Starts `command`; what it prints goes to `log`, which stays below 8 MiB (and one older file of that size).
    pub(crate) fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let file = File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
        command.process_group(0).stdout(writer.try_clone()?).stderr(writer);
        let child = command.spawn().with_context(|| format!("cannot start `{}`", proc::shown(command)))?;
        let path = log.to_owned();
        let log_writer = std::thread::spawn(move || keep_log(reader, file, &path));
        Ok(Self { name, child, log: log.to_owned(), log_writer, stop_signal: Signal::SIGTERM })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot see whether the {} runs", self.name))
    }

    /// Waits until `ready` says so; an end before that, or none in time, is an error with the end of the log.
    pub(crate) fn wait_until(&mut self, what: &str, patience: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !ready() {
            interrupt::check()?;
            if let Some(status) = self.ended()? {
                bail!("the {} ended ({status}) before it was {what}. Its last words:\n{}", self.name, self.tail());
            }
            if Instant::now() >= deadline {
                let waited_s = patience.as_secs();
                bail!("the {} was not {what} within {waited_s} s. Its last words:\n{}", self.name, self.tail());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        // What it said last may be on its way still.
        let deadline = Instant::now() + Duration::from_millis(500);
        while !self.log_writer.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
        tail.iter()
            .map(|line| format!("  {line}\n"))
            .chain([format!("  (all of it: {})", self.log.display())])
            .collect()
    }

    /// Asks it to stop, waits, and ends it and what it started if it does not.
    pub(crate) fn stop(&mut self, patience: Duration) {
        let leader = interrupt::pid_of(&self.child);
        if !matches!(self.ended(), Ok(None)) {
            return;
        }
        let _gone = nix::sys::signal::kill(leader, self.stop_signal);
        let deadline = Instant::now() + patience;
        while matches!(self.ended(), Ok(None)) {
            if Instant::now() >= deadline {
                println!("The {} did not stop within {} s and is killed", self.name, patience.as_secs());
                interrupt::signal_group(leader, Signal::SIGKILL);
                let _reaped = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(15));
    }
}

/// A PostgreSQL of our own: empty, on a free port of loopback, gone with its files when dropped.
pub(crate) struct Postgres {
    // Before `_dir`: stopped first, then removed.
    _service: Service,
    _dir: TempDir,
    url: String,
}

impl Postgres {
    /// Makes and starts it.
    pub(crate) fn start() -> Result<Self> {
        let programs = install::postgres_programs().context("PostgreSQL is not installed")?;
        let dir = tempfile::Builder::new().prefix("roadstead-pg-").tempdir()?;
        // The server refuses to run as root.
        let account = install::is_root().then(|| account("postgres")).transpose()?;
        if let Some((uid, gid)) = account {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700))?;
        let program = |name: &str| {
            let mut command = proc::command(programs.join(name));
            command.current_dir(dir.path()).env("LC_ALL", "C.UTF-8");
            if let Some((uid, gid)) = account {
                command.uid(uid).gid(gid);
            }
            command
        };

        let data = dir.path().join("data");
        let mut initdb = program("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        proc::capture(initdb.arg(&data))?;

        let port = free_port()?;
        let mut server = program("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(dir.path()).arg("-p").arg(port.to_string());
        // Nothing here outlives the run: no durability, and room for every test at once.
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=400",
        ] {
            server.args(["-c", setting]);
        }
        let mut service = Service::start("PostgreSQL", &mut server, &dir.path().join("log"))?;
        service.stop_signal = Signal::SIGINT;
        // Asked by its own socket, so that no other server on the machine can answer in its place.
        service.wait_until("ready", Duration::from_secs(30), || {
            let mut ready = program("pg_isready");
            proc::succeeds(ready.arg("-q").arg("-h").arg(dir.path()).arg("-p").arg(port.to_string()))
        })?;
        Ok(Self { _service: service, _dir: dir, url: format!("postgres://postgres@127.0.0.1:{port}/postgres") })
    }

    /// How to reach it, as a superuser.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// A port of loopback that nobody listens on at the moment.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}

/// User and group id of an account.
fn account(name: &str) -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    found.with_context(|| format!("there is no user {name} on this machine"))
}

const LOG_LIMIT_BYTES: usize = 8 * 1024 * 1024;

fn keep_log(mut reader: PipeReader, mut file: File, path: &Path) {
    let mut written = 0;
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        if written + count > LOG_LIMIT_BYTES {
            let _kept = std::fs::rename(path, path.with_extension("log.1"));
            if let Ok(next) = File::create(path) {
                file = next;
                written = 0;
            }
        }
        // A full disk must not stop the program that writes this log.
        let _lost = file.write_all(buffer.get(..count).unwrap_or_default());
        written += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgresql_of_our_own_starts_and_leaves_nothing() {
        if install::postgres_programs().is_none() {
            return;
        }
        let server = Postgres::start().unwrap();
        let dir = server._dir.path().to_owned();
        let port = server.url().rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned();
        let mut psql = proc::command(install::postgres_programs().unwrap().join("psql"));
        let answer = proc::capture(psql.args(["-Atc", "show data_directory", server.url()])).unwrap();
        assert_eq!(Path::new(answer.trim()), dir.join("data"));
        drop(server);
        assert!(!dir.exists());
        assert!(TcpListener::bind(("127.0.0.1", port.parse::<u16>().unwrap())).is_ok());
    }

    #[test]
    fn a_service_that_ends_early_is_reported_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = proc::command("sh");
        command.args(["-c", "echo the reason; exit 3"]);
        let mut service = Service::start("thing", &mut command, &dir.path().join("log")).unwrap();
        let error = service.wait_until("ready", Duration::from_secs(10), || false).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("the reason"), "{error}");
    }

    #[test]
    fn a_service_that_ignores_term_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = proc::command("sh");
        command.args(["-c", "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000"]);
        let mut service = Service::start("thing", &mut command, &log).unwrap();
        let child = || std::fs::read_to_string(&log).unwrap().trim().parse::<u32>().ok();
        service.wait_until("started", Duration::from_secs(10), || child().is_some()).unwrap();
        service.stop(Duration::from_millis(100));
        assert!(service.ended().unwrap().is_some());
        let stat = format!("/proc/{}/stat", child().unwrap());
        let deadline = Instant::now() + Duration::from_secs(5);
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the child lives on");
        }
    }
}
