//! `roadstead audit verify`: checks the audit log without a hub, from an export or straight from the database.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::flags::SettingFlags;
use super::{Failure, say, small_runtime};
use crate::audit::{self, Verdict};
use crate::data_dir;

/// Tells scripts that nothing is known of the log: it could not be read.
const UNREADABLE: u8 = 2;

/// What to check, and against what.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// An export as JSON lines, - for standard input
    #[arg(value_name = "FILE", required_unless_present = "database", conflicts_with = "database")]
    file: Option<PathBuf>,
    /// A copy of audit-head.json that was kept elsewhere: the chain must go through it
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Fingerprint of the hub that must have signed the export
    #[arg(long, value_name = "SHA256", conflicts_with = "database")]
    fingerprint: Option<String>,
    #[command(flatten)]
    settings: DatabaseFlags,
}

/// The settings of the hub, where `--database` may stand without a URL: the one that the hub uses.
#[derive(Debug)]
struct DatabaseFlags(SettingFlags);

impl FromArgMatches for DatabaseFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        SettingFlags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Args for DatabaseFlags {
    fn augment_args(command: Command) -> Command {
        let help = "Check the log in the database of this installation; nothing is written, the hub may run or not";
        SettingFlags::augment_args(command)
            .mut_arg("database", |arg| arg.num_args(0..=1).default_missing_value("").help(help))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Exit codes: 0 nothing is wrong, 1 something is, 2 it cannot be read.
pub(super) fn verify(command: Verify) -> Result<(), Failure> {
    let unreadable = |error| Failure { error, code: UNREADABLE };
    match check(command).map_err(unreadable)? {
        Verdict::Good(text) => say(text),
        Verdict::Bad(bad) => {
            say(format_args!("bad: {bad}"))?;
            Err(anyhow!("the audit log was tampered with, or is not whole").into())
        }
    }
}

fn check(command: Verify) -> Result<Verdict> {
    let Verify { file, head, fingerprint, settings } = command;
    let head = head.as_deref();
    if let Some(file) = file {
        return audit::verify_file(open(&file)?, fingerprint.as_deref(), head);
    }
    let config = settings.0.without_empty().load()?.config;
    small_runtime()?.block_on(audit::verify_database(&config, head))
}

fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let opened = data_dir::open(file)?;
    let opened = opened.with_context(|| format!("there is no file {}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        verify: Verify,
    }

    #[test]
    fn a_file_or_a_database_is_checked_and_not_both() {
        let parsed = |line: &str| Arguments::try_parse_from(line.split(' ')).map(|parsed| parsed.verify);
        assert_eq!(parsed("x export.jsonl").unwrap().file, Some("export.jsonl".into()));
        assert_eq!(parsed("x --database --data-dir /x").unwrap().file, None);
        assert_eq!(parsed("x --data-dir /x --database --head h").unwrap().head, Some("h".into()));
        assert!(parsed("x --database sqlite:/x --data-dir /x").is_ok());
        for bad in ["x", "x --data-dir /x", "x export.jsonl --database", "x --database --fingerprint f"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
