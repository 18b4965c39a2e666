//! The policy file: who may have written it, and what it says.

use std::io;
use std::path::Path;

use protocol::policy::{Rules, Tier};
use serde::Deserialize;

use super::problem_of;
use crate::host::files;
use crate::operators::Operator;
use crate::spool::Limits;
use crate::trust::check_owner;

/// Longest policy file, bytes.
pub const MAX_FILE: usize = 64 << 10;
/// Operators of one host.
pub const MAX_OPERATORS: usize = 64;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct FilePolicy {
    pub(super) rules: Rules,
    pub(super) operators: Vec<Operator>,
    pub(super) limits: Limits,
}

/// Its keys. The rules stand here one by one, so that a mistake is named with its line.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Keys {
    tiers: Option<Vec<Tier>>,
    kinds: Option<Vec<String>>,
    users: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    require_operator_signature: Vec<Tier>,
    operators: Vec<String>,
    limits: Limits,
}

/// Reads the file; `None` when there is none.
pub(super) fn load(path: &Path) -> Result<Option<FilePolicy>, String> {
    read(path)?.map(|text| parse(&text)).transpose()
}

pub(super) fn parse(text: &str) -> Result<FilePolicy, String> {
    mean(toml::from_str(text).map_err(|error| error.to_string())?)
}

impl Keys {
    /// What is wrong although every key and type is right.
    pub(crate) fn problem(self) -> Option<String> {
        mean(self).err()
    }
}

fn mean(keys: Keys) -> Result<FilePolicy, String> {
    let Keys { tiers, kinds, users, paths, require_operator_signature, operators, limits } = keys;
    let rules = Rules { tiers, kinds, users, paths, require_operator_signature };
    if let Some(problem) = problem_of(&rules) {
        return Err(problem);
    }
    if operators.len() > MAX_OPERATORS {
        return Err(format!("operators: there are {}, more than {MAX_OPERATORS}", operators.len()));
    }
    let operators = operators.iter().zip(1..).map(|(line, number)| {
        Operator::parse(line).map_err(|error| format!("operators: entry {number} is no key: {error}"))
    });
    Ok(FilePolicy { rules, operators: operators.collect::<Result<_, _>>()?, limits })
}

/// The file's text; `None` when there is no file.
fn read(path: &Path) -> Result<Option<String>, String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let file = match files::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    check_owner(path, &file.metadata().map_err(failed)?).map_err(|error| error.to_string())?;
    if let Some(dir) = path.parent() {
        // Whoever can write there can put another file in its place.
        let opened = files::Dir::open(dir).map_err(failed)?;
        check_owner(dir, &opened.metadata().map_err(failed)?).map_err(|error| error.to_string())?;
    }
    let bytes = files::read_file(&file, MAX_FILE).map_err(failed)?;
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{} is not UTF-8", path.display()))
}
