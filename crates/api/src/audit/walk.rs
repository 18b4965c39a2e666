//! Follows the chain from record to record and says where it stops being right. It knows no database and no file: the
//! hub, the command line and the check of an export all use it.

use std::collections::HashMap;
use std::fmt;

use super::chain::{Head, HeadFile};
use super::form;
use super::model::{Entry, Outcome};

/// What the record of a redaction says was done.
pub(super) const REDACT: &str = "audit.redact";

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Where, when it can be said.
    pub(super) position: Option<i64>,
    /// Which record, when it is there and in its place.
    pub(super) id: Option<String>,
    /// What is wrong, for people.
    pub(super) problem: String,
}

impl Finding {
    /// About no record in particular.
    pub(super) fn whole(problem: impl Into<String>) -> Self {
        Self { position: None, id: None, problem: problem.into() }
    }

    fn at(position: i64, id: Option<&str>, problem: impl Into<String>) -> Self {
        Self { position: Some(position), id: id.map(str::to_owned), problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        self.id.as_ref().map_or(Ok(()), |id| write!(f, " (record {id})"))
    }
}

/// A walk along the chain.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    head: Head,
    kept: Vec<HeadFile>,
    redactions: Redactions,
    /// Records checked.
    pub(super) checked: i64,
    /// Those of them that were redacted.
    pub(super) redacted: i64,
}

impl Walk {
    /// From the record after `begin` on.
    pub(super) fn new(begin: Head) -> Self {
        Self { head: begin, kept: Vec::new(), redactions: Redactions::default(), checked: 0, redacted: 0 }
    }

    /// The chain must go through this head, which was signed when it was the end.
    ///
    /// # Errors
    /// When it does not, as far as that can be told now.
    pub(super) fn must_pass(&mut self, kept: HeadFile) -> Result<(), Finding> {
        self.kept.push(kept);
        self.compare()
    }

    /// How far it came.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Goes on over a record.
    ///
    /// # Errors
    /// When it is not the next one, or was changed.
    pub(super) fn record(&mut self, entry: &Entry) -> Result<(), Finding> {
        let position = self.head.position + 1;
        let id = Some(entry.id.as_str());
        match entry.position {
            Some(found) if found > position => return Err(missing(position)),
            Some(found) if found == position => {}
            _ => return Err(Finding::at(position, id, format!("another record stands at position {position}"))),
        }
        let changed = || Finding::at(position, id, format!("the record at position {position} was changed"));
        if entry.form > form::NEWEST {
            let problem = format!("the record at position {position} has a form that this program does not know");
            return Err(Finding::at(position, id, format!("{problem}; use a newer one")));
        }
        if entry.prev_hash.as_ref() != Some(&self.head.hash) {
            let problem = format!("the record at position {position} does not follow the one before it");
            return Err(Finding::at(position, id, format!("{problem}: one of the two was changed or moved")));
        }
        let hash = entry.link(&self.head.hash, position).map_err(|_| changed())?;
        if !entry.keeps_its_seal().unwrap_or(false) || entry.hash.as_ref() != Some(&hash) {
            return Err(changed());
        }
        self.head = Head { position, hash };
        self.checked += 1;
        self.redacted += i64::from(entry.is_redacted());
        self.redactions.note(entry, position);
        self.compare()
    }

    /// Goes on over a record of which only the digest is known.
    ///
    /// # Errors
    /// When the chain does not go through a head that it must pass.
    pub(super) fn digest(&mut self, digest: &str) -> Result<(), Finding> {
        self.head = Head { position: self.head.position + 1, hash: form::link(&self.head.hash, digest) };
        self.compare()
    }

    /// Goes on over a record of which nothing is known, and takes its hash on trust.
    ///
    /// # Errors
    /// When the chain does not go through a head that it must pass.
    pub(super) fn unseen(&mut self, hash: String) -> Result<(), Finding> {
        self.head = Head { position: self.head.position + 1, hash };
        self.compare()
    }

    /// A record that is not chained yet.
    pub(super) fn unchained(&mut self, entry: &Entry) {
        self.redactions.note(entry, i64::MAX);
    }

    /// Whether every redaction so far is recorded.
    pub(super) fn knows_its_redactions(&self) -> bool {
        self.redactions.are_recorded()
    }

    /// Ends where the chain is said to end.
    ///
    /// # Errors
    /// When something is missing there, or a redaction was never recorded.
    pub(super) fn end_at(&self, end: &Head) -> Result<(), Finding> {
        let head = &self.head;
        if head.position < end.position || self.kept.iter().any(|kept| kept.position > head.position) {
            let problem = format!("records after position {} are missing", head.position);
            return Err(Finding::at(head.position + 1, None, problem));
        }
        if head != end {
            let position = end.position;
            let problem = format!("the end of the chain is said to be position {position}, which does not fit");
            return Err(Finding::at(position, None, problem));
        }
        self.redactions.first_unrecorded()
    }

    fn compare(&self) -> Result<(), Finding> {
        let head = &self.head;
        if self.kept.iter().all(|kept| kept.position != head.position || kept.hash == head.hash) {
            return Ok(());
        }
        let position = head.position;
        let problem = format!("the chain was rewritten: position {position} is not the one that was signed");
        Err(Finding::at(position, None, problem))
    }
}

pub(super) fn missing(position: i64) -> Finding {
    Finding::at(position, None, format!("the record at position {position} is missing"))
}

/// Redacted records whose redaction was not met yet: it is recorded after them.
#[derive(Debug, Clone, Default)]
pub(super) struct Redactions(HashMap<String, i64>);

impl Redactions {
    /// Whether every redaction so far is recorded.
    pub(super) fn are_recorded(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn note(&mut self, entry: &Entry, position: i64) {
        if entry.action == REDACT && entry.result == Outcome::Ok {
            self.0.remove(&entry.subject_id);
        }
        if entry.is_redacted() && position != i64::MAX {
            self.0.insert(entry.id.clone(), position);
        }
    }

    fn first_unrecorded(&self) -> Result<(), Finding> {
        let Some((id, position)) = self.0.iter().min_by_key(|(_, position)| **position) else { return Ok(()) };
        let problem = format!("the record at position {position} was emptied, and no record says who redacted it");
        Err(Finding::at(*position, Some(id), problem))
    }
}
