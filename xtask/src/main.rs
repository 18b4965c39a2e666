//! `cargo xtask`: everything that people and CI run besides plain cargo.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its user")]

mod agent_build;
mod bench;
mod codegen;
mod digest;
mod dist;
mod http;
mod install;
mod interrupt;
mod paths;
mod proc;
mod python;
mod release_key;
mod service;
mod stage;
mod tally;
mod test;
mod tidy;
mod up;
mod vps_root;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and checks Roadstead.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a hub and an enrolled local agent, and print where to sign in
    Up,
    /// Install what is missing, then run every check and test
    Test(test::Options),
    /// Check the rules that no compiler knows
    Tidy,
    /// Write the generated files: the OpenAPI document and the dashboard's client
    Codegen {
        /// Only compare; fail when one of them is out of date
        #[arg(long)]
        check: bool,
    },
    /// Build what is shipped: static agents, the hub, checksums, signatures
    Dist,
    /// Measure beside a floor or a peer: agent-idle, agent-size, agent-soak, dispatch, dispatch-fanout, log,
    /// log-slow-follower
    Bench {
        /// Only see that they work, with a small size; its figures mean nothing and are not kept
        #[arg(long)]
        quick: bool,
        /// Which benchmarks
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Build the static agent for this machine and put it where a hub can serve it from
    StageAgent {
        /// The agents directory to fill (`roadstead serve --agents-dir`)
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    interrupt::listen()?;
    match arguments.command {
        Command::Up => up::up()?,
        Command::Test(options) => return test::test(&options),
        Command::Tidy => {
            let kept = tidy::tidy()?.report();
            codegen::check()?;
            return Ok(kept);
        }
        Command::Codegen { check: true } => codegen::check()?,
        Command::Codegen { check: false } => codegen::write()?,
        Command::Dist => dist::dist()?,
        Command::Bench { quick, names } => bench::bench(&names, quick)?,
        Command::StageAgent { dir } => stage::stage_native(&dir)?,
    }
    Ok(ExitCode::SUCCESS)
}
