//! The command line of the hub. Only this module prints; everything else logs.

mod admin;
mod audit;
mod client;
mod config;
mod flags;
mod logging;
mod plan;
mod serve;
mod sign;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use flags::SettingFlags;

/// The hub of Roadstead: servers dial in, people and scripts use its dashboard and its API.
///
/// Settings come from flags, from variables ROADSTEAD_<KEY> and from roadstead.toml in the data directory or
/// /etc/roadstead; `roadstead config check` shows which are in force.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the hub until it is told to stop (SIGTERM, Ctrl-C)
    Serve(SettingFlags),
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Manage the installation; works beside a running hub
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Look at the audit log without a hub
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Sign a job as an operator, after a look at what it says: prints the signature
    Sign(sign::Sign),
    /// Sign in to a hub from this machine: makes an API key for `roadstead api`
    Login(Box<client::Login>),
    /// Revoke the API key that `roadstead login` made, and forget it
    Logout(client::Logout),
    /// Ask a hub's API, as who `roadstead login` signed in
    Api(Box<client::Api>),
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check all settings and show which are in force, and why
    Check(SettingFlags),
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Create an owner with a workspace of their own
    CreateOwner(admin::CreateOwner),
    /// Put a workspace on a plan: how many servers and members it may have
    SetPlan(plan::SetPlan),
    /// Give somebody who forgot theirs another password, and end all of their sessions
    ResetPassword(admin::ResetPassword),
    /// Turn off the one-time codes of somebody who lost their app and their recovery codes
    DisableTotp(admin::DisableTotp),
    /// Remove the passkeys of somebody who lost the devices that keep them
    RemovePasskeys(admin::RemovePasskeys),
    /// Put a new signing key in the place of the old one, which vouches for it; stop the hub first
    RotateKey(SettingFlags),
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check that no record was changed or removed; exit code 0: none, 1: some, 2: it cannot be read
    Verify(Box<audit::Verify>),
}

/// Why a command failed.
#[derive(Debug)]
struct Failure {
    error: anyhow::Error,
    code: u8,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), code: 1 }
    }
}

/// Runs the command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 exists already.
#[must_use]
pub fn run() -> ExitCode {
    // Several libraries bring TLS; all of them must use the same cryptography. Nobody was faster, this is the first line.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(flags) => serve::serve(flags),
        Command::Config { command: ConfigCommand::Check(flags) } => config::check(flags),
        Command::Admin { command: AdminCommand::CreateOwner(command) } => admin::create_owner(command),
        Command::Admin { command: AdminCommand::ResetPassword(command) } => admin::reset_password(command),
        Command::Admin { command: AdminCommand::DisableTotp(command) } => admin::disable_totp(command),
        Command::Admin { command: AdminCommand::RemovePasskeys(command) } => admin::remove_passkeys(command),
        Command::Admin { command: AdminCommand::RotateKey(flags) } => admin::rotate_key(flags),
        Command::Admin { command: AdminCommand::SetPlan(command) } => plan::set_plan(command),
        Command::Audit { command: AuditCommand::Verify(command) } => audit::verify(*command),
        Command::Sign(command) => sign::sign(&command),
        Command::Login(command) => client::login(*command),
        Command::Logout(command) => client::logout(&command),
        Command::Api(command) => client::api(&command),
        Command::Openapi => print_openapi(),
        Command::Version => say(format_args!("roadstead {}", env!("CARGO_PKG_VERSION"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("roadstead: {:#}", failure.error));
            ExitCode::from(failure.code)
        }
    }
}

fn print_openapi() -> Result<(), Failure> {
    let document = crate::http::openapi().to_pretty_json()?;
    say(document)
}

/// Prints a line on standard output; a reader that went away is an error, not a panic.
fn say(line: impl Display) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Prints a line on standard error, where nothing can be done when nobody reads it.
fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The runtime of a command that is over soon.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
