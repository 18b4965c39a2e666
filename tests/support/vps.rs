//! A fresh VPS: a machine of its own under systemd-nspawn, with systemd as PID 1 (or without) and a network whose other
//! end is here.
//!
//! Needs root and `ROADSTEAD_TEST_VPS_ROOT`, the tar file of a Debian root (`cargo xtask test` makes it). Machines run beside
//! each other, each with its own subnet `10.77.n.0/24`; dropping one leaves nothing of it.

use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use cgroups::Cgroups;
use tempfile::TempDir;

mod cgroups;

/// A running machine.
pub struct Vps {
    network: Network,
    cgroups: Cgroups,
    root: TempDir,
    init: Init,
    machine: Child,
    leader: u32,
}

/// What runs as PID 1 of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// systemd, as on a VPS.
    Systemd,
    /// Something that only reaps, as in a container.
    Stub,
}

/// What a command inside the machine gave.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Vps {
    /// Whether this run may start machines; if not, it says so.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "a test that steps aside says so in its output")]
    pub fn available() -> bool {
        let available = image().is_some();
        if !available {
            println!("skipped: ROADSTEAD_TEST_VPS_ROOT is not set (`cargo xtask test` sets it)");
        }
        available
    }

    /// Unpacks and boots a fresh machine.
    ///
    /// # Errors
    /// When the image, systemd-nspawn or a free subnet cannot be had, or the machine does not come up.
    pub fn start() -> Result<Self> {
        Self::start_with(Init::Systemd)
    }

    /// The same, with another PID 1.
    ///
    /// # Errors
    /// As [`Vps::start`].
    pub fn start_with(init: Init) -> Result<Self> {
        let image = image().context("ROADSTEAD_TEST_VPS_ROOT is not set")?;
        let root = tempfile::Builder::new().prefix("roadstead-vps-").tempdir()?;
        run(Command::new("tar").arg("-xf").arg(&image).arg("-C").arg(root.path()))?;
        let network = Network::new()?;
        // The image's own would be the same on every machine.
        let _absent = std::fs::remove_file(root.path().join("etc/machine-id"));
        std::fs::write(root.path().join("etc/hostname"), format!("{}\n", network.machine()))?;
        let cgroups = Cgroups::new(&network.machine())?;
        let machine = boot(&network, &cgroups, root.path(), init)?;
        let mut vps = Self { network, cgroups, root, init, machine, leader: 0 };
        vps.wait_until_up()?;
        Ok(vps)
    }

    /// This machine's name, which is its host name too.
    #[must_use]
    pub fn name(&self) -> String {
        self.network.machine()
    }

    /// Our end of its network: where a hub for it listens.
    #[must_use]
    pub fn hub_address(&self) -> Ipv4Addr {
        self.network.address(1)
    }

    /// Its own end: where something that runs in it is reached.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.network.address(2)
    }

    /// The root of its file system, seen from outside.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path of the machine as it is seen from outside, file systems that are mounted inside included.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.leader))
    }

    /// Runs a line in a root shell of the machine.
    ///
    /// # Errors
    /// When the shell cannot be started; the line's own failure is in [`Ran::status`].
    pub fn shell(&self, line: &str) -> Result<Ran> {
        let output = self.enter().args(["/bin/sh", "-c", line]).output().context("cannot enter the machine")?;
        Ok(Ran::from(output))
    }

    /// Runs a line in a root shell and returns what it printed.
    ///
    /// # Errors
    /// When it fails; the error holds everything that it said.
    pub fn run(&self, line: &str) -> Result<String> {
        let ran = self.shell(line)?;
        if !ran.status.success() {
            bail!("`{line}` ended with {} on {}:\n{}{}", ran.status, self.name(), ran.stdout, ran.stderr);
        }
        Ok(ran.stdout)
    }

    /// Runs a line as if somebody had pasted it at the prompt of a root shell: it is no argument of any process.
    ///
    /// # Errors
    /// When the shell cannot be started; the line's own failure is in [`Ran::status`].
    pub fn paste(&self, line: &str) -> Result<Ran> {
        let mut shell = self.enter();
        shell.arg("/bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = shell.spawn().context("cannot enter the machine")?;
        // Dropping it ends the input.
        let mut input = shell.stdin.take().context("the shell has no input")?;
        writeln!(input, "{line}")?;
        drop(input);
        Ok(Ran::from(shell.wait_with_output()?))
    }

    /// A command that will run inside the machine: add program and arguments. Its environment is a root login's.
    #[must_use]
    pub fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.leader.to_string(),
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--root",
            "--wd",
        ]);
        command.args(["--", "/usr/bin/env", "--ignore-environment", "HOME=/root", "TERM=dumb"]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::null());
        command
    }

    /// Reboots the machine, as its administrator would, and waits until it is up again.
    ///
    /// # Errors
    /// When it does not go down or does not come up.
    pub fn reboot(&mut self) -> Result<()> {
        self.run("systemctl reboot")?;
        let mut ended = None;
        until("the machine went down", Duration::from_secs(60), || {
            ended = self.machine.try_wait().unwrap_or_default();
            ended.is_some()
        })?;
        // What systemd-nspawn says when the machine asked for a reboot and not for its end.
        if ended.and_then(|status| status.code()) != Some(133) {
            bail!("{} did not reboot, it ended: {ended:?}", self.name());
        }
        self.machine = boot(&self.network, &self.cgroups, self.root.path(), self.init)?;
        self.wait_until_up()
    }

    /// Pulls the machine's network cable.
    ///
    /// # Errors
    /// When the link cannot be changed.
    pub fn unplug(&self) -> Result<()> {
        run(ip().args(["link", "set", &self.network.link(), "down"]))
    }

    /// Plugs it in again.
    ///
    /// # Errors
    /// When the link cannot be changed.
    pub fn plug_in(&self) -> Result<()> {
        run(ip().args(["link", "set", &self.network.link(), "up"]))
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let mut state = String::new();
        until("the machine is up", Duration::from_secs(60), || {
            let children = format!("/proc/{0}/task/{0}/children", self.machine.id());
            let leader = std::fs::read_to_string(children)
                .unwrap_or_default()
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok());
            let Some(leader) = leader else { return false };
            // systemd-nspawn has another child for a moment, which makes this one.
            let status = std::fs::read_to_string(format!("/proc/{leader}/status")).unwrap_or_default();
            let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            if pids.and_then(|pids| pids.split_whitespace().nth(1)) != Some("1") {
                return false;
            }
            self.leader = leader;
            let question = match self.init {
                Init::Systemd => "systemctl is-system-running",
                Init::Stub => "test -d /proc/self && echo running",
            };
            state = self.shell(question).map(|ran| ran.stdout).unwrap_or_default();
            matches!(state.trim(), "running" | "degraded")
        })
        .with_context(|| format!("{} is {:?}; it said:\n{}", self.name(), state.trim(), self.console()))
    }

    fn console(&self) -> String {
        std::fs::read_to_string(console_path(self.root.path())).unwrap_or_default()
    }
}

impl Drop for Vps {
    fn drop(&mut self) {
        // PID 1 of the machine takes everything in it along; systemd-nspawn then tidies up after itself.
        if self.leader != 0 {
            let _gone = Command::new("kill").args(["-KILL", &self.leader.to_string()]).stderr(Stdio::null()).status();
        }
        let ended =
            until("the machine ended", Duration::from_secs(10), || matches!(self.machine.try_wait(), Ok(Some(_))));
        if ended.is_err() {
            let _gone = self.machine.kill();
            let _reaped = self.machine.wait();
        }
        let _absent = std::fs::remove_file(console_path(self.root.path()));
    }
}

/// A subnet of one machine: a network namespace, and a pair of links whose outer end is here.
struct Network {
    number: u8,
}

impl Network {
    /// Takes the first subnet that nobody has; making the namespace is what takes it.
    fn new() -> Result<Self> {
        for number in 1..=250 {
            let taken = Self { number };
            let name = taken.namespace();
            if !ip().args(["netns", "add", &name]).stderr(Stdio::null()).status().context("cannot run ip")?.success() {
                // Not ours: it must not be removed.
                std::mem::forget(taken);
                continue;
            }
            let (link, ours, theirs) = (taken.link(), taken.address(1), taken.address(2));
            run(ip().args(["link", "add", &link, "type", "veth", "peer", "name", "host0", "netns", &name]))?;
            run(ip().args(["addr", "add", &format!("{ours}/24"), "dev", &link]))?;
            run(ip().args(["link", "set", &link, "up"]))?;
            run(ip().args(["-n", &name, "addr", "add", &format!("{theirs}/24"), "dev", "host0"]))?;
            run(ip().args(["-n", &name, "link", "set", "host0", "up"]))?;
            run(ip().args(["-n", &name, "link", "set", "lo", "up"]))?;
            run(ip().args(["-n", &name, "route", "add", "default", "via", &ours.to_string()]))?;
            return Ok(taken);
        }
        bail!("no free subnet below 10.77.0.0/16; do machines of earlier runs still stand in `ip netns list`?")
    }

    fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number, host)
    }

    fn namespace(&self) -> String {
        format!("roadstead-vps{}", self.number)
    }

    fn machine(&self) -> String {
        format!("vps{}", self.number)
    }

    fn link(&self) -> String {
        format!("ve-vps{}", self.number)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _absent = ip().args(["link", "del", &self.link()]).stderr(Stdio::null()).status();
        let _absent = ip().args(["netns", "del", &self.namespace()]).stderr(Stdio::null()).status();
    }
}

fn image() -> Option<PathBuf> {
    std::env::var_os("ROADSTEAD_TEST_VPS_ROOT").map(PathBuf::from)
}

fn boot(network: &Network, cgroups: &Cgroups, root: &Path, init: Init) -> Result<Child> {
    let console = File::create(console_path(root))?;
    let mut nspawn = cgroups.command("systemd-nspawn");
    nspawn.args(["--quiet", "--register=no", "--keep-unit", "--console=pipe", "--directory"]).arg(root);
    nspawn.arg(format!("--machine={}", network.machine()));
    nspawn.arg(format!("--network-namespace-path=/run/netns/{}", network.namespace()));
    match init {
        Init::Systemd => nspawn.arg("--boot"),
        Init::Stub => nspawn.args(["--as-pid2", "sleep", "infinity"]),
    };
    nspawn.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
    nspawn.spawn().context("cannot start systemd-nspawn")
}

/// Beside the root, not in it.
fn console_path(root: &Path) -> PathBuf {
    root.with_extension("console")
}

fn ip() -> Command {
    let mut ip = Command::new("/usr/bin/env");
    ip.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").arg("ip");
    ip
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !condition() {
        if Instant::now() >= deadline {
            bail!("waited {} s in vain until {what}", patience.as_secs());
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_boots_reboots_and_leaves_nothing() {
        if !Vps::available() {
            return;
        }
        let mut vps = Vps::start().unwrap();
        let other = Vps::start().unwrap();
        assert_ne!(vps.hub_address(), other.hub_address());
        // Seen from here: one's systemd must not tidy away the other's groups.
        let groups = |vps: &Vps| std::fs::read_to_string(format!("/proc/{}/cgroup", vps.leader)).unwrap();
        assert_ne!(groups(&vps), groups(&other));
        assert_eq!(vps.run("hostname").unwrap().trim(), vps.name());
        let boot_id = "cat /proc/sys/kernel/random/boot_id";
        let before = vps.run(boot_id).unwrap();
        vps.run("touch /root/kept").unwrap();
        vps.reboot().unwrap();
        vps.run("test -e /root/kept").unwrap();
        assert_ne!(vps.run(boot_id).unwrap(), before);

        let (root, link) = (vps.root().to_owned(), vps.network.link());
        let cgroups = vps.cgroups.0.clone();
        drop(vps);
        assert!(!root.exists());
        assert!(cgroups.iter().all(|group| !group.exists()), "{cgroups:?}");
        assert!(!Path::new("/sys/class/net").join(link).exists());
        assert_eq!(other.run("echo still here").unwrap(), "still here\n");
    }
}
