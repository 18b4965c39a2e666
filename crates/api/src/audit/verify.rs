//! Checks the whole chain against itself, against its head in the database and against the signed head beside it.

use serde::Serialize;
use utoipa::ToSchema;

use super::chain::{self, Head};
use super::store;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::Hub;

const PAGE: i64 = 1000;

/// What a check found.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AuditVerification)]
pub(super) struct Verification {
    /// Whether nothing was changed or removed.
    pub(super) ok: bool,
    /// Records checked.
    pub(super) checked: i64,
    /// Where the chain stops being right; null when it is right to its end.
    #[schema(required)]
    pub(super) broken_at: Option<i64>,
    /// What is wrong, for people; null when nothing is.
    #[schema(required)]
    pub(super) problem: Option<String>,
}

/// Walks the chain. One walk at a time: it reads the whole table.
pub(super) async fn verify(hub: &Hub) -> Result<Verification> {
    let Ok(_alone) = hub.audit.verifying.try_lock() else {
        let message = "the audit log is being verified already; wait for that to end";
        return Err(Error::new(ErrorCode::Conflict, message));
    };
    let path = chain::path(&hub.config.data_dir);
    let keys = hub.keys.clone();
    let kept = tokio::task::spawn_blocking(move || chain::read(&path, &keys)).await.map_err(Error::internal)?;
    let kept = match kept {
        Ok(kept) => kept,
        Err(error) => return Ok(broken(0, None, error.to_string())),
    };
    let recorded = {
        let mut database = hub.db.read().await?;
        store::head(&mut database.conn()).await?
    };
    let mut head = Head::start();
    while head.position < recorded.position {
        // A session per page: a walk through a long log must not hold a connection for its whole time.
        let mut database = hub.db.read().await?;
        let page = store::chained_after(&mut database.conn(), head.position, PAGE).await?;
        drop(database);
        if page.is_empty() {
            break;
        }
        for entry in page {
            let position = head.position + 1;
            let hash = entry.link(&head.hash, position).map_err(Error::internal)?;
            if entry.position != Some(position) {
                return Ok(broken(
                    head.position,
                    Some(position),
                    format!("the record at position {position} is missing"),
                ));
            }
            if entry.hash.as_ref() != Some(&hash) {
                let problem = format!("the record at position {position} was changed");
                return Ok(broken(head.position, Some(position), problem));
            }
            head = Head { position, hash };
            if let Some(kept) = &kept
                && kept.position == head.position
                && kept.hash != head.hash
            {
                let problem = format!("the chain was rewritten: position {position} is not the one that was signed");
                return Ok(broken(head.position, Some(position), problem));
            }
        }
    }
    if head.position < recorded.position || kept.is_some_and(|kept| kept.position > head.position) {
        let problem = format!("records after position {} are missing", head.position);
        return Ok(broken(head.position, Some(head.position + 1), problem));
    }
    Ok(Verification { ok: true, checked: head.position, broken_at: None, problem: None })
}

fn broken(checked: i64, broken_at: Option<i64>, problem: String) -> Verification {
    tracing::error!(checked, "the audit log does not verify: {problem}");
    Verification { ok: false, checked, broken_at, problem: Some(problem) }
}
