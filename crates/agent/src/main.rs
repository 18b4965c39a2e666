//! The program: reads the command line, starts the role, says how it went.

use std::io::{Read as _, Write as _, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent::cli::{Cli, Command, DoctorArgs, PolicyCommand, RegisterArgs, StatusArgs};
use agent::enroll::{self, Order, Registered};
use agent::host::clock::Clock;
use agent::host::files;
use agent::host::random::Random;
use agent::inspect::logs::Mode;
use agent::inspect::{Problem, cancel, doctor, jobs, logs, policy};
use agent::paths::Paths;
use agent::status::Found;
use agent::{commit_confirm, logging, relay, work};
use clap::Parser as _;
use log::LevelFilter;
use protocol::enroll::{INSTALL_TOKEN_PREFIX, Token};
use tokio::runtime::{Builder, Runtime};

/// A token file holds one line.
const MAX_TOKEN_FILE: usize = 4 << 10;
/// What blocks is rare and short; its thread goes away soon after.
const BLOCKING_THREADS: usize = 1;
const BLOCKING_THREAD_LIFE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    logging::start(LevelFilter::Info);
    match Cli::parse().command {
        Command::Work(arguments) => work::main(&Paths::new(arguments.state_dir)),
        Command::Run(arguments) => run(Paths::new(arguments.state_dir)),
        Command::Register(arguments) => register(arguments),
        Command::Status(arguments) => status(&arguments),
        Command::Jobs(arguments) => {
            inspected(jobs::run(&Paths::new(arguments.state.state_dir), arguments.limit, arguments.json))
        }
        Command::Logs(arguments) => {
            let mode = if arguments.follow { Mode::Follow } else { Mode::Once };
            inspected(logs::run(&Paths::new(arguments.state.state_dir), &arguments.job, mode))
        }
        Command::Cancel(arguments) => inspected(cancel::run(&Paths::new(arguments.state.state_dir), &arguments.job)),
        Command::Policy(PolicyCommand::Show(arguments)) => policy::show(&Paths::new(arguments.state_dir)),
        Command::Policy(PolicyCommand::Check(arguments)) => {
            inspected(policy::check(&Paths::new(arguments.state.state_dir), arguments.file.as_deref()))
        }
        Command::Doctor(arguments) => doctor(&arguments),
        Command::Change(arguments) => commit_confirm::cli::main(&arguments),
        Command::Version => {
            say(&format!("roadstead-agent {}", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}

fn run(paths: Paths) -> ExitCode {
    let outcome = runtime().map_err(|error| error.to_string()).and_then(|runtime| {
        let outcome = runtime.block_on(Box::pin(relay::run(paths))).map_err(|error| error.to_string());
        // A look-up of a user or a disk that hangs must not hold up the end.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("the agent cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn register(arguments: RegisterArgs) -> ExitCode {
    let token = match read_token(&arguments.token_file) {
        Ok(token) => token,
        Err(error) => return fail(&error, "Copy the whole line from the dashboard and paste it again."),
    };
    let order = Order { hub: arguments.hub, token, fingerprint: arguments.hub_fingerprint, tls_pin: arguments.tls_pin };
    let paths = Paths::new(arguments.state.state_dir);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), "The machine is out of some resource; try again."),
    };
    match runtime.block_on(Box::pin(enroll::register(&paths, &order, &Random::system()))) {
        Ok(Registered::New { server_id, fingerprint }) => {
            say(&format!("registered as server {server_id} with the hub whose key is {fingerprint}"));
            ExitCode::SUCCESS
        }
        Ok(Registered::Already { server_id }) => {
            say(&format!("already registered as server {server_id}; nothing was changed"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string(), error.advice()),
    }
}

fn status(arguments: &StatusArgs) -> ExitCode {
    let found = Found::look(&Paths::new(&arguments.state.state_dir));
    if arguments.json {
        say(&found.json().to_string());
    } else {
        say(&found.sentence(Clock::system()));
    }
    ExitCode::from(found.exit_code())
}

fn doctor(arguments: &DoctorArgs) -> ExitCode {
    let paths = Paths::new(&arguments.state.state_dir);
    match runtime() {
        Ok(runtime) => {
            let outcome = runtime.block_on(Box::pin(doctor::run(&paths, arguments.json)));
            runtime.shutdown_background();
            outcome
        }
        Err(error) => fail(&error.to_string(), "The machine is out of some resource; try again."),
    }
}

fn inspected(outcome: Result<ExitCode, Problem>) -> ExitCode {
    outcome.unwrap_or_else(|problem| fail(&problem.what, &problem.advice))
}

fn read_token(path: &Path) -> Result<Token, String> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_TOKEN_FILE).unwrap_or(u64::MAX);
        stdin().lock().take(limit).read_to_end(&mut bytes).map(|_| bytes)
    } else {
        files::read(path, MAX_TOKEN_FILE)
    };
    let bytes = bytes.map_err(|error| format!("the token file {} cannot be read: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    // Never the content: whatever was pasted there may be a secret of something else.
    Token::parse(INSTALL_TOKEN_PREFIX, text.trim()).ok_or_else(|| {
        format!(
            "{} holds no install token: one starts with {INSTALL_TOKEN_PREFIX}, 43 letters and digits follow",
            path.display()
        )
    })
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_THREAD_LIFE)
        .build()
}

fn fail(problem: &str, advice: &str) -> ExitCode {
    // The caller sees the exit code even where nobody reads standard error.
    let _ = writeln!(std::io::stderr(), "{problem}\n{advice}");
    ExitCode::FAILURE
}

fn say(text: &str) {
    // A closed pipe behind us is no failure of ours.
    let _ = writeln!(stdout(), "{text}");
}
