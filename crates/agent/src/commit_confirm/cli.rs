//! `roadstead-agent change …`: for the unit that watches, and for a person at the host.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use protocol::JobId;

use super::Verdict;
use super::journal::Journal;
use super::revert::{self, Reach, Report};
use crate::host::clock::Clock;
use crate::notify::Notifier;
use crate::paths::{DEFAULT_STATE_DIR, Paths};
use crate::trust::hub_time::Moment;

/// Arguments of `change`.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ChangeCommand,
    /// State directory
    #[arg(long, value_name = "DIR", global = true, default_value = DEFAULT_STATE_DIR)]
    pub state_dir: PathBuf,
}

/// What can be done with changes that are not confirmed.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// List changes that are not confirmed, and the last ones that were reverted
    List,
    /// Make a change permanent
    Confirm {
        /// The change: the id of the job that made it
        id: JobId,
    },
    /// Put everything back as it was before a change, or before all that are not confirmed
    Revert {
        /// The change; absent: all
        id: Option<JobId>,
    },
    /// Watch over changes until none is pending (systemd does this)
    Guard,
}

/// Runs `change`. Exit code 1: something is not as it should be, the text says what.
#[must_use]
pub fn main(arguments: &ChangeArgs) -> ExitCode {
    let paths = Paths::new(&arguments.state_dir);
    let done = Journal::open(&paths).map_err(|error| error.to_string()).and_then(|journal| match &arguments.command {
        ChangeCommand::List => Ok(list(&journal)),
        ChangeCommand::Confirm { id } => super::confirm(&journal, *id)
            .map(|()| format!("change {id} is permanent\n"))
            .map_err(|error| format!("change {id} was not confirmed: {error}")),
        ChangeCommand::Revert { id: Some(id) } => one(&journal, *id),
        ChangeCommand::Revert { id: None } => {
            let moment = Moment::now(Clock::system()).map_err(|error| error.to_string())?;
            told(&revert::pending(&journal, &moment, Reach::Everything))
        }
        ChangeCommand::Guard => {
            let report = revert::guard(&journal, &Notifier::from_environment()).map_err(|error| error.to_string())?;
            told(&report)
        }
    });
    match done {
        Ok(text) => {
            // Nobody may be listening.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn list(journal: &Journal) -> String {
    let lines = journal.changes().into_iter().map(|(id, state)| {
        let due = revert::due_ms(journal, id, state).map_or_else(String::new, |due_ms| {
            let left = due_ms.saturating_sub(Clock::system().now_ms()) / 1000;
            format!(", {} s left", left.max(0))
        });
        let report = revert::report_of(journal, id, state).map_or_else(String::new, |text| format!(": {text}"));
        format!("{id} {}{due}{report}\n", state.name())
    });
    lines.collect()
}

fn one(journal: &Journal, id: JobId) -> Result<String, String> {
    let moment = Moment::now(Clock::system()).map_err(|error| error.to_string())?;
    let verdict = revert::wanted(journal, id, &moment).map_err(|error| format!("change {id}: {error}"))?;
    match verdict {
        Verdict::Reverted(why) => Ok(format!("change {id} was reverted: {why}\n")),
        Verdict::Confirmed => Err(format!("there is no change {id} that could be reverted; it may be confirmed")),
        Verdict::Stuck(left) => Err(format!("change {id}: {left}")),
    }
}

fn told(report: &Report) -> Result<String, String> {
    let reverted = report.reverted.iter().map(|(id, why)| format!("change {id} was reverted: {why}\n")).collect();
    let stuck = report.stuck.iter().map(|(id, left)| format!("change {id}: {left}"));
    let waiting = report.waiting.iter().map(|(id, _)| format!("change {id} is not reverted yet"));
    let left: Vec<_> = stuck.chain(waiting).collect();
    if left.is_empty() { Ok(reverted) } else { Err(left.join("; ")) }
}
