//! A private sshd on loopback as the peer: bare shell, ed25519 keys, no PAM.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use support::hub::free_port;
use support::process::Process;
use support::wait;
use tempfile::TempDir;
use tokio::process::Command;

/// A running sshd and how to reach it.
#[derive(Debug)]
pub struct Ssh {
    /// The listening process.
    pub server: Process,
    dir: TempDir,
    port: u16,
}

impl Ssh {
    /// Starts it, with a master connection for the warm case.
    ///
    /// # Errors
    /// When OpenSSH is missing or does not answer.
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name);
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key));
            ensure!(keygen.status().await?.success(), "ssh-keygen");
        }
        fs::copy(path("user.pub"), path("authorized"))?;
        fs::create_dir_all("/run/sshd")?;
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\nAuthorizedKeysFile {authorized}\n\
             PasswordAuthentication no\nUsePAM no\nStrictModes no\n",
            host = path("host").display(),
            authorized = path("authorized").display(),
        );
        fs::write(path("config"), config)?;
        let args = ["-D", "-e", "-f", &path("config").display().to_string()].map(str::to_owned);
        let server = Process::start("/usr/sbin/sshd".as_ref(), &args, &[], &path("sshd.log"));
        let ssh = Self { server, dir, port };
        wait::until("sshd", Duration::from_secs(10), async || ssh.cold("true").await).await;
        let master = ssh.command(&["-M", "-N", "-f"]).stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        ensure!(master.success(), "the ssh master connection");
        Ok(ssh)
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "LogLevel=ERROR", "-p", &self.port.to_string(), "-i"])
            .arg(self.dir.path().join("user"))
            .arg("-S")
            .arg(self.socket())
            .args(options)
            .arg("root@127.0.0.1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("master")
    }

    /// Runs a command over the master connection.
    ///
    /// # Errors
    /// When it fails.
    pub async fn warm(&self, remote: &str) -> anyhow::Result<()> {
        ensure!(self.command(&[]).arg(remote).status().await?.success(), "warm ssh");
        Ok(())
    }

    /// Runs a command over a new connection.
    ///
    /// # Errors
    /// When it fails.
    pub async fn cold(&self, remote: &str) -> anyhow::Result<()> {
        ensure!(self.command(&["-S", "none"]).arg(remote).status().await?.success(), "cold ssh");
        Ok(())
    }

    /// Streams a file over a new connection with the cheapest cipher; processor time of the client, ms.
    ///
    /// # Errors
    /// When it fails.
    pub async fn cat(&self, file: &str) -> anyhow::Result<f64> {
        let before = children_ms()?;
        let mut command = self.command(&["-S", "none", "-c", "aes128-gcm@openssh.com"]);
        let status = command.arg(format!("cat {file}")).stdout(Stdio::null()).status().await.context("ssh")?;
        ensure!(status.success(), "ssh cat");
        Ok(children_ms()? - before)
    }
}

fn children_ms() -> anyhow::Result<f64> {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(microseconds)?).as_secs_f64() * 1e3)
}
