//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use protocol::Hex;

use crate::commit_confirm::cli::ChangeArgs;
use crate::inspect::records::JobName;
use crate::link::endpoint::{Endpoint, Family};
use crate::link::tls::TlsPin;
use crate::paths::DEFAULT_STATE_DIR;

/// Connects this server to a Roadstead hub.
#[derive(Debug, Parser)]
#[command(name = "roadstead-agent", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register this server with a hub
    Register(RegisterArgs),
    /// Keep the connection to the hub (the service does this)
    Run(StateArgs),
    /// Run one job for the relay that is connected to standard input (systemd does this)
    #[command(hide = true)]
    Work(StateArgs),
    /// Say whether this server is connected: exit code 0 connected, 1 running but not connected, 2 not running
    Status(StatusArgs),
    /// List the jobs that the hub had run here, newest first
    Jobs(JobsArgs),
    /// Print a job's log: its output to standard output, its errors and remarks to standard error
    Logs(LogsArgs),
    /// End a running job without the hub (root only)
    ///
    /// TERM to all of its processes, KILL after 10 s. The hub records it as cancelled on the server itself.
    ///
    /// Exit code: 0 it has ended, 1 it cannot be cancelled, 3 it had ended before, 4 it has not ended within 20 s.
    Cancel(CancelArgs),
    /// What this server lets the hub do
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Check everything that has to be right: exit code 0 healthy, 1 problems
    Doctor(DoctorArgs),
    /// Changes of this host that undo themselves unless they are confirmed
    #[command(hide = true)]
    Change(ChangeArgs),
    /// Print the version
    Version,
}

/// Where the agent keeps things.
#[derive(Debug, clap::Args)]
pub struct StateArgs {
    /// State directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    pub state_dir: PathBuf,
}

/// Arguments of `register`.
#[derive(Debug, clap::Args)]
pub struct RegisterArgs {
    /// The hub, such as https://hub.example.com
    #[arg(long, value_name = "URL", value_parser = hub)]
    pub hub: Endpoint,
    /// File that holds the install token, - for standard input; a token is never an argument, others could read it
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// SHA-256 of the hub's public key in hexadecimal; another hub is refused
    #[arg(long, value_name = "SHA256")]
    pub hub_fingerprint: Option<Hex<32>>,
    /// SHA-256 of the hub's certificate key in base64, for a certificate that is self-signed
    #[arg(long, value_name = "BASE64")]
    pub tls_pin: Option<TlsPin>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Machine-readable
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

/// Arguments of `jobs`.
#[derive(Debug, clap::Args)]
pub struct JobsArgs {
    /// Machine-readable
    #[arg(long)]
    pub json: bool,
    /// How many; what still runs is always listed
    #[arg(short = 'n', value_name = "N", default_value_t = 20)]
    pub limit: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

/// Arguments of `logs`.
#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// The job's id, or the last 8 digits of it
    #[arg(value_name = "JOB")]
    pub job: JobName,
    /// Go on until the job ends
    #[arg(short, long)]
    pub follow: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// The job's id, or the last 8 digits of it
    #[arg(value_name = "JOB")]
    pub job: JobName,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

/// The commands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say in words what is in force
    Show(StateArgs),
    /// Check a policy file without installing it: exit code 0 usable, 1 not
    Check(PolicyCheckArgs),
}

/// Arguments of `policy check`.
#[derive(Debug, clap::Args)]
pub struct PolicyCheckArgs {
    /// The file; the one in force when absent
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Machine-readable
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as a heading")]
    pub state: StateArgs,
}

fn hub(text: &str) -> Result<Endpoint, String> {
    Endpoint::parse(Family::Http, text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_the_installer_passes_is_taken() {
        let fingerprint = "ab".repeat(32);
        let line = [
            "roadstead-agent",
            "register",
            "--hub",
            "https://hub.example.com",
            "--token-file",
            "/tmp/token",
            "--hub-fingerprint",
            &fingerprint,
            "--tls-pin",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "--state-dir",
            "/tmp/agent",
        ];
        let Command::Register(arguments) = Cli::try_parse_from(line).unwrap().command else { panic!("not register") };
        assert_eq!(arguments.hub_fingerprint, Some(Hex([0xab; 32])));
        assert_eq!(arguments.state.state_dir, PathBuf::from("/tmp/agent"));
    }

    #[test]
    fn a_wrong_argument_says_what_would_be_right() {
        for (flag, value, hint) in [
            ("--hub", "http://hub.example.com", "https"),
            ("--hub-fingerprint", "abc", "64 hexadecimal digits"),
            ("--tls-pin", "abc", "44 characters"),
        ] {
            let mut line = vec!["roadstead-agent", "register", "--token-file", "-", flag, value];
            if flag != "--hub" {
                line.extend(["--hub", "https://hub.example.com"]);
            }
            let error = Cli::try_parse_from(line).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
