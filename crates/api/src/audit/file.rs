//! Checks an export without a hub: the chain in it, and that the hub signed every byte of it.

use std::io::{BufRead, Read as _};

use anyhow::{Context as _, Result, bail};
use protocol::{Hex, Signed, signing};
use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::de::DeserializeOwned;

use super::chain::{self, Head, HeadFile};
use super::lines::{End, EndBody, Line, Record, SIGNATURE_PREFIX, Start, VERSION};
use super::walk::{Finding, Walk, missing};
use crate::secret::sha256;

/// Longest line that is taken for one.
const MAX_LINE: u64 = 16 << 20;

/// What an export must agree with.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// Fingerprint of the hub that must have signed it.
    pub(super) fingerprint: Option<Hex<32>>,
    /// A copy of a signed head that the chain must go through.
    pub(super) head: Option<Signed>,
}

/// What is known of an export in which nothing is wrong.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) records: u64,
    pub(super) redacted: i64,
    /// Whether the chain was in it without a gap.
    pub(super) complete: bool,
    /// Records of other workspaces in an old form, whose hashes were taken on trust.
    pub(super) unseen: u64,
    pub(super) removed_up_to: i64,
    pub(super) end: Head,
    pub(super) fingerprint: Hex<32>,
}

/// Reads an export to its end.
///
/// # Errors
/// When it cannot be read, or is no export at all.
pub(super) fn verify(mut input: impl BufRead, trust: &Trust) -> Result<Result<Sound, Finding>> {
    let mut reader = Reader { digest: Context::new(&SHA256), number: 0 };
    let Some(first) = reader.line(&mut input)? else { bail!("the file is empty") };
    reader.digest.update(&first);
    let start = match serde_json::from_slice(&first) {
        Ok(Line::Start(start)) if start.version == VERSION => start,
        Ok(Line::Start(start)) => bail!("the export has the version {}; use a newer roadstead", start.version),
        _ => bail!("this is no export of an audit log as JSON lines: its first line is not the start of one"),
    };
    let mut check = Check::new(start, trust);
    while let Some(bytes) = reader.line(&mut input)? {
        let line = match serde_json::from_slice(&bytes) {
            Ok(line) => line,
            Err(error) => return Ok(Err(check.unreadable(reader.number, &error))),
        };
        if let Line::End(end) = line {
            let sha256 = reader.digest.clone().finish();
            if reader.line(&mut input)?.is_some() {
                return Ok(Err(Finding::whole("lines follow the signed end")));
            }
            return Ok(check.end(&end, sha256.as_ref(), trust));
        }
        reader.digest.update(&bytes);
        if let Err(finding) = check.line(line) {
            return Ok(Err(finding));
        }
    }
    let position = check.walk.head().position;
    let problem = format!("the file was cut off after position {position}: its signed end is missing");
    Ok(Err(Finding { position: Some(position + 1), ..Finding::whole(problem) }))
}

struct Reader {
    digest: Context,
    number: u64,
}

impl Reader {
    fn line(&mut self, input: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let length = input.take(MAX_LINE).read_until(b'\n', &mut bytes).context("the file cannot be read")?;
        self.number += 1;
        if u64::try_from(length).is_ok_and(|length| length >= MAX_LINE) {
            bail!("line {} is longer than any line of an export", self.number);
        }
        Ok((length > 0).then_some(bytes))
    }
}

struct Check {
    start: Start,
    walk: Walk,
    /// Heads that the chain must pass turned out not to be on it at the very start.
    early: Option<Finding>,
    records: u64,
    redacted: i64,
    unseen: u64,
    /// Of the record before, where the chain has gaps.
    last: i64,
}

impl Check {
    fn new(start: Start, trust: &Trust) -> Self {
        let mut walk = Walk::new(Head { position: start.position, hash: start.hash.clone() });
        let mut early = None;
        if start.position == 0 && start.hash != Head::start().hash {
            early = Some(Finding::whole("the chain does not begin where every chain begins"));
        }
        // Whether the hub signed it is seen when its key is known, at the end.
        let given = trust.head.as_ref().and_then(body::<HeadFile>);
        let given = given.filter(|head| head.position >= start.position);
        if start.complete {
            for kept in start.kept.clone().into_iter().chain(given) {
                early = early.or(walk.must_pass(kept).err());
            }
        }
        let last = start.position;
        Self { start, walk, early, records: 0, redacted: 0, unseen: 0, last }
    }

    fn unreadable(&self, number: u64, error: &serde_json::Error) -> Finding {
        // The library's own text may hold what stands in the line.
        let problem = format!("line {number} cannot be understood (column {})", error.column());
        Finding { position: Some(self.walk.head().position.max(self.last) + 1), ..Finding::whole(problem) }
    }

    fn line(&mut self, line: Line) -> Result<(), Finding> {
        if let Some(finding) = self.early.take() {
            return Err(finding);
        }
        let expected = self.walk.head().position + 1;
        let in_place = |position: i64| {
            if position > expected {
                return Err(missing(position.min(expected)));
            }
            let problem = format!("another record stands at position {expected}");
            let twice = Finding { position: Some(expected), ..Finding::whole(problem) };
            if position == expected { Ok(()) } else { Err(twice) }
        };
        match line {
            Line::Record(record) if self.start.complete => {
                self.records += 1;
                self.walk.record(&record.into_entry())
            }
            Line::Record(record) => self.alone(*record),
            Line::Others(others) if self.start.complete => {
                in_place(others.from)?;
                others.digests.iter().try_for_each(|digest| self.walk.digest(digest))
            }
            Line::Other(other) if self.start.complete => {
                in_place(other.position)?;
                self.unseen += 1;
                self.walk.unseen(other.hash)
            }
            Line::Start(_) | Line::Others(_) | Line::Other(_) | Line::End(_) => {
                Err(Finding { position: Some(expected), ..Finding::whole("a line stands where it does not belong") })
            }
        }
    }

    /// A record between which and the one before others were left out.
    fn alone(&mut self, record: Record) -> Result<(), Finding> {
        let position = record.position;
        let entry = record.into_entry();
        if position <= self.last {
            let problem = format!("the record at position {position} comes after position {}", self.last);
            return Err(Finding { position: Some(position), id: Some(entry.id), problem });
        }
        let mut walk = Walk::new(Head { position: position - 1, hash: entry.prev_hash.clone().unwrap_or_default() });
        walk.record(&entry)?;
        self.last = position;
        self.records += 1;
        self.redacted += walk.redacted;
        Ok(())
    }

    fn end(mut self, end: &End, digest: &[u8], trust: &Trust) -> Result<Sound, Finding> {
        if let Some(finding) = self.early.take() {
            return Err(finding);
        }
        let body = signed_end(end, trust)?;
        let head = Head { position: body.position, hash: body.hash };
        let same = (body.workspace_id, body.complete) == (self.start.workspace_id, self.start.complete);
        if self.start.complete {
            let last = self.walk.head().position;
            if last > head.position {
                let position = head.position;
                let problem = format!("the signed end is that of position {position}, but records go on up to {last}");
                return Err(Finding::whole(format!("{problem}: it is an older one")));
            }
            // Rather where the chain breaks than that something is wrong somewhere.
            self.walk.end_at(&head)?;
        }
        if body.records != self.records || !same {
            let problem = "the signed end belongs to another export, or records were removed from this one";
            return Err(Finding::whole(problem));
        }
        if body.sha256.as_bytes() != digest {
            let problem = "a line was changed, removed or moved after the hub signed the export";
            return Err(Finding::whole(problem));
        }
        Ok(Sound {
            records: self.records,
            redacted: self.redacted + self.walk.redacted,
            complete: self.start.complete,
            unseen: self.unseen,
            removed_up_to: self.start.position,
            end: head,
            fingerprint: end.fingerprint,
        })
    }
}

/// The end, if the hub signed it that is trusted.
fn signed_end(end: &End, trust: &Trust) -> Result<EndBody, Finding> {
    let forged = || Finding::whole("the end was not signed by the hub that it names");
    if sha256(end.public_key.as_bytes()) != end.fingerprint
        || !end.fingerprint.as_bytes().starts_with(end.signed.key_id.as_bytes())
        || !is_signed(end.public_key, SIGNATURE_PREFIX, &end.signed)
    {
        return Err(forged());
    }
    if let Some(trusted) = trust.fingerprint
        && trusted != end.fingerprint
    {
        let problem = format!("the end was signed by the hub {}, not by {trusted}", end.fingerprint);
        return Err(Finding::whole(problem));
    }
    if let Some(head) = &trust.head
        && !is_signed(end.public_key, chain::SIGNATURE_PREFIX, head)
    {
        return Err(Finding::whole("the head was not signed by the hub that signed the export"));
    }
    body(&end.signed).ok_or_else(forged)
}

fn is_signed(key: Hex<32>, prefix: &str, signed: &Signed) -> bool {
    let bytes = signing::signed_bytes(prefix, &signed.body);
    UnparsedPublicKey::new(&ED25519, key.0).verify(&bytes, signed.sig.as_bytes()).is_ok()
}

fn body<T: DeserializeOwned>(signed: &Signed) -> Option<T> {
    serde_json::from_str(&signed.body).ok()
}
