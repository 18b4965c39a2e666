//! Checks the whole chain against itself, against its end in the database and against signed heads beside it.

use serde::Serialize;
use utoipa::ToSchema;

use super::chain::{self, Head, HeadFile};
use super::walk::{Finding, Walk, missing};
use super::{checkpoint, store};
use crate::db::Db;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::Hub;
use crate::keys::Keys;

const PAGE: i64 = 1000;

/// What a check found.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AuditVerification)]
pub(super) struct Verification {
    /// Whether nothing was changed or removed.
    pub(super) ok: bool,
    /// Records checked.
    pub(super) checked: i64,
    /// Those of them that were redacted.
    pub(super) redacted: i64,
    /// Where the chain goes on after old records were removed: the last position that is gone, 0 when none is.
    pub(super) removed_up_to: i64,
    /// Where the chain stops being right; null when it is right to its end.
    #[schema(required)]
    pub(super) broken_at: Option<i64>,
    /// The record there; null when there is none.
    #[schema(required, value_type = Option<uuid::Uuid>)]
    pub(super) broken_id: Option<String>,
    /// What is wrong, for people; null when nothing is.
    #[schema(required)]
    pub(super) problem: Option<String>,
}

/// What a walk through a database found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) checked: i64,
    pub(super) redacted: i64,
    pub(super) removed_up_to: i64,
    /// How far it came.
    pub(super) end: Head,
    /// Records that wait to be chained.
    pub(super) unchained: i64,
    pub(super) finding: Option<Finding>,
}

/// Walks the chain. One walk at a time: it reads the whole table.
pub(super) async fn verify(hub: &Hub) -> Result<Verification> {
    let Ok(_alone) = hub.audit.verifying.try_lock() else {
        let message = "the audit log is being verified already; wait for that to end";
        return Err(Error::new(ErrorCode::Conflict, message));
    };
    let report = match chain::read_kept(hub).await? {
        Ok(kept) => walk(&hub.db, &hub.keys, kept.into_iter().collect()).await?,
        Err(error) => Report::failed(Head::start(), Finding::whole(error.to_string())),
    };
    if let Some(finding) = &report.finding {
        tracing::error!(checked = report.checked, "the audit log does not verify: {finding}");
    }
    let Report { checked, redacted, removed_up_to, finding, .. } = report;
    let ok = finding.is_none();
    let Finding { position: broken_at, id: broken_id, problem } = finding.unwrap_or_else(|| Finding::whole(""));
    let problem = (!ok).then_some(problem);
    Ok(Verification { ok, checked, redacted, removed_up_to, broken_at, broken_id, problem })
}

/// Walks the chain of a database, which a hub may be writing to meanwhile; `kept` are heads that were signed.
pub(super) async fn walk(db: &Db, keys: &Keys, kept: Vec<HeadFile>) -> Result<Report> {
    loop {
        let begin = {
            let mut database = db.read().await?;
            checkpoint::read(&mut database.conn(), keys).await?
        };
        let begin = match begin {
            Ok(begin) => begin,
            Err(finding) => return Ok(Report::failed(Head::start(), finding)),
        };
        let report = walk_from(db, begin.clone(), kept.clone()).await?;
        if report.finding.is_some() {
            // Old records may have been removed under the walk; then it starts again where the chain begins now.
            let mut database = db.read().await?;
            let now = checkpoint::read(&mut database.conn(), keys).await?;
            if now.is_ok_and(|now| now.position > begin.position) {
                continue;
            }
        }
        return Ok(report);
    }
}

async fn walk_from(db: &Db, begin: Head, kept: Vec<HeadFile>) -> Result<Report> {
    let mut walk = Walk::new(begin.clone());
    let mut unchained = 0;
    let finding = follow(db, &mut walk, kept, &mut unchained).await?;
    Ok(Report {
        checked: walk.checked,
        redacted: walk.redacted,
        removed_up_to: begin.position,
        end: walk.head().clone(),
        unchained,
        finding: finding.err(),
    })
}

async fn follow(db: &Db, walk: &mut Walk, kept: Vec<HeadFile>, unchained: &mut i64) -> Result<Result<(), Finding>> {
    let recorded = {
        let mut database = db.read().await?;
        store::head(&mut database.conn()).await?
    };
    for kept in kept {
        // What is older than the chain by now cannot be compared with it.
        if kept.position >= walk.head().position
            && let Err(finding) = walk.must_pass(kept)
        {
            return Ok(Err(finding));
        }
    }
    while walk.head().position < recorded.position {
        // A session per page: a walk through a long log must not hold a connection for its whole time.
        let mut database = db.read().await?;
        let page = store::chained_after(&mut database.conn(), walk.head().position, PAGE).await?;
        drop(database);
        if page.is_empty() {
            break;
        }
        for entry in page.iter().take_while(|entry| entry.position.is_some_and(|at| at <= recorded.position)) {
            if let Err(finding) = walk.record(entry) {
                return Ok(Err(finding));
            }
        }
        if page.first().is_some_and(|entry| entry.position.is_some_and(|at| at > recorded.position)) {
            return Ok(Err(missing(walk.head().position + 1)));
        }
    }
    let mut database = db.read().await?;
    // A redaction may be younger than the chain.
    for entry in store::unchained(&mut database.conn(), PAGE).await? {
        walk.unchained(&entry);
    }
    *unchained = store::count_unchained(&mut database.conn()).await?;
    let last = store::last_position(&mut database.conn()).await?;
    let now = store::head(&mut database.conn()).await?;
    drop(database);
    if last > now.position {
        let problem = format!("a record stands at position {last}, but the chain ends at position {}", now.position);
        return Ok(Err(Finding { position: Some(last), ..Finding::whole(problem) }));
    }
    // Somebody may have redacted a record under the walk, and the hub chained that meanwhile.
    let mut after = walk.clone();
    if !after.knows_its_redactions() && now.position > after.head().position {
        let mut database = db.read().await?;
        for entry in store::chained_after(&mut database.conn(), after.head().position, PAGE).await? {
            after.unchained(&entry);
        }
    }
    Ok(after.end_at(&recorded))
}

impl Report {
    pub(super) fn failed(end: Head, finding: Finding) -> Self {
        Self { checked: 0, redacted: 0, removed_up_to: 0, end, unchained: 0, finding: Some(finding) }
    }
}
