//! agent
use std::process::ExitCode;

use agent::cli::{Cli, Command};
use agent::paths::Paths;
use clap::Parser as _;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Work(arguments) => {
            agent::logging::start(log::LevelFilter::Info);
            agent::work::main(&Paths::new(arguments.state_dir))
        }
        _ => ExitCode::FAILURE,
    }
}
