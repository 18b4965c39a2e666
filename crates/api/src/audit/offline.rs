//! Verification without a hub, for the command line: of an export, and of a database that is only read.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use protocol::{Hex, Signed};

use super::chain::{self, HeadFile};
use super::file::{self, Sound, Trust};
use super::verify::{self, Report};
use super::walk::Finding;
use crate::config::Config;
use crate::data_dir;
use crate::db::Db;
use crate::keys::Keys;

const MAX_HEAD_BYTES: u64 = 4096;

/// What a check found.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing is wrong: what was looked at, for people.
    Good(String),
    /// Something is.
    Bad(Bad),
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Where in the chain, when it can be said.
    pub position: Option<i64>,
    /// Which record, when it is there and in its place.
    pub id: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = self.position.map_or_else(|| "-".to_owned(), |position| position.to_string());
        let id = self.id.as_deref().unwrap_or("-");
        write!(f, "position {position}, record {id}: {}", self.problem)
    }
}

impl From<Finding> for Verdict {
    fn from(finding: Finding) -> Self {
        let Finding { position, id, problem } = finding;
        Self::Bad(Bad { position, id, problem })
    }
}

/// Checks an export. `fingerprint` is that of the hub that must have signed it; `head` the text of a signed head.
///
/// # Errors
/// When something cannot be read.
pub fn verify_file(input: impl BufRead, fingerprint: Option<&str>, head: Option<&Path>) -> Result<Verdict> {
    let fingerprint = fingerprint.map(|text| text.parse::<Hex<32>>().context("--fingerprint")).transpose()?;
    let head = head.map(read_head).transpose()?;
    let named = fingerprint.is_some();
    let given = head.as_ref().and_then(|signed| serde_json::from_str::<HeadFile>(&signed.body).ok());
    let given = given.map(|head| head.position);
    let sound = match file::verify(input, &Trust { fingerprint, head })? {
        Ok(sound) => sound,
        Err(finding) => return Ok(finding.into()),
    };
    let Sound { records, redacted, complete, unseen, removed_up_to, end, fingerprint } = sound;
    let mut text = format!("good: {records} records up to position {}, {redacted} of them redacted", end.position);
    if removed_up_to > 0 {
        text += &format!("\nremoved by the retention: everything up to position {removed_up_to}");
    }
    if let Some(head) = given
        && (!complete || head < removed_up_to)
    {
        text += &format!("\nthe head of position {head} could not be compared: the export does not hold that part");
    }
    if !complete {
        text += "\nthe export is filtered: what it holds is right, what it leaves out cannot be seen";
    }
    if unseen > 0 {
        text += &format!("\n{unseen} records of other workspaces are in an old form; their hashes are taken on trust");
    }
    text += &format!("\nsigned by the hub with the fingerprint {fingerprint}");
    if !named {
        text += "; compare it, or name the right one with --fingerprint";
    }
    Ok(Verdict::Good(text))
}

/// Checks the log of an installation whose hub need not run. Nothing is written.
///
/// # Errors
/// When something cannot be read.
pub async fn verify_database(config: &Config, head: Option<&Path>) -> Result<Verdict> {
    let keys = Keys::read(&config.keys_dir)?;
    let path = Keys::path(&config.keys_dir);
    let keys =
        keys.with_context(|| format!("there is no signing key {}; name --data-dir or --keys-dir", path.display()))?;
    let beside = chain::path(&config.data_dir);
    let mut kept = Vec::new();
    for path in [head, Some(beside.as_path())].into_iter().flatten() {
        match chain::read(path, &keys) {
            Ok(Some(head)) => kept.push(head),
            Ok(None) if head == Some(path) => bail!("there is no file {}", path.display()),
            Ok(None) => {}
            Err(error) => return Ok(Finding::whole(error.to_string()).into()),
        }
    }
    let db = Db::open_read_only(&config.database).await.context("the database cannot be opened")?;
    let report = verify::walk(&db, &keys, kept.clone()).await;
    db.close().await;
    let report = report.context("the audit log in the database cannot be read; is it of this version of roadstead?")?;
    Ok(verdict(report, &kept, &beside))
}

fn verdict(report: Report, kept: &[HeadFile], beside: &Path) -> Verdict {
    let Report { checked, redacted, removed_up_to, end, unchained, finding } = report;
    if let Some(finding) = finding {
        return finding.into();
    }
    let Some(signed) = kept.iter().map(|head| head.position).max() else {
        if end.position == 0 {
            return Verdict::Good("good: the audit log is empty".to_owned());
        }
        let problem = format!("there is no signed head {}: a cut end could not be noticed", beside.display());
        return Finding::whole(problem).into();
    };
    let mut text = format!("good: {checked} records up to position {}, {redacted} of them redacted", end.position);
    if removed_up_to > 0 {
        text += &format!("\nremoved by the retention: everything up to position {removed_up_to}");
    }
    for old in kept.iter().filter(|head| head.position < removed_up_to) {
        text += &format!("\nthe head of position {} could not be compared: that part was removed", old.position);
    }
    if signed < end.position {
        text += &format!("\nrecords after position {signed} are younger than the signed head");
    }
    if unchained > 0 {
        text +=
            &format!("\n{unchained} records wait to be chained; the hub does that within a second, or when it starts");
    }
    Verdict::Good(text)
}

fn read_head(path: &Path) -> Result<Signed> {
    let content = data_dir::read(path, MAX_HEAD_BYTES)?;
    let content = content.with_context(|| format!("there is no file {}", path.display()))?;
    serde_json::from_slice(&content).with_context(|| format!("{} is no signed head", path.display()))
}
