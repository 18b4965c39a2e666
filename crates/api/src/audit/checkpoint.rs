//! Where the chain begins once old records were removed: a checkpoint that the hub signs in the transaction that removes
//! them. What is missing without one was removed by somebody else.

use std::time::Duration;

use protocol::Signed;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chain::Head;
use super::model::{Outcome, Subject};
use super::store;
use super::walk::{Finding, Walk};
use crate::access::Actor;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::keys::Keys;

const SIGNATURE_PREFIX: &str = "roadstead-audit-checkpoint-v1\0";
/// Records that one transaction removes.
const BATCH: i64 = 500;
/// Transactions of one run; the next one goes on.
const STEPS: usize = 40;

/// The last record that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    position: i64,
    hash: String,
    at: Timestamp,
}

/// What stands before the first record that is still there.
pub(super) async fn read(conn: &mut Conn<'_>, keys: &Keys) -> Result<Result<Head, Finding>, DbError> {
    let Some(text) = store::checkpoint(conn).await? else { return Ok(Ok(Head::start())) };
    let signed: Option<Signed> = serde_json::from_str(&text).ok();
    let signed = signed.filter(|signed| keys.has_signed(SIGNATURE_PREFIX, signed));
    let body: Option<Body> = signed.and_then(|signed| serde_json::from_str(&signed.body).ok());
    let forged = || Finding::whole("the checkpoint that says from where the chain goes on was not signed by this hub");
    Ok(body.map(|body| Head { position: body.position, hash: body.hash }).ok_or_else(forged))
}

/// Removes records that are older than the setting allows, oldest first. May run twice, and on several hubs at once.
pub(super) async fn expire(hub: &Hub) -> Result<()> {
    let days = hub.config.retention.audit_days;
    if days == 0 {
        return Ok(());
    }
    let before = hub.now().minus(Duration::from_secs(u64::from(days) * 24 * 3600));
    for _ in 0..STEPS {
        if !step(hub, before).await? {
            break;
        }
    }
    Ok(())
}

/// Whether there may be more to remove.
async fn step(hub: &Hub, before: Timestamp) -> Result<bool> {
    let mut unit = hub.begin().await?;
    // Nobody else chains or removes meanwhile.
    store::lock_head(&mut unit.conn()).await?;
    let refuse = |finding: Finding| Error::internal(format!("old audit records are not removed: {finding}"));
    let begin = read(&mut unit.conn(), &hub.keys).await?.map_err(refuse)?;
    let page = store::chained_after(&mut unit.conn(), begin.position, BATCH).await?;
    let full = i64::try_from(page.len()).is_ok_and(|count| count == BATCH);
    let mut walk = Walk::new(begin);
    let mut last = None;
    for entry in page.iter().take_while(|entry| entry.at < before) {
        // What was tampered with is evidence, and a checkpoint after it would hide that.
        walk.record(entry).map_err(refuse)?;
        last = Some(&entry.id);
    }
    let Some(last) = last else { return Ok(false) };
    let more = full && page.last().is_some_and(|entry| entry.id == *last);
    let head = walk.head().clone();
    let body = Body { position: head.position, hash: head.hash, at: hub.now() };
    let signed = hub.keys.sign(SIGNATURE_PREFIX, serde_json::to_string(&body).map_err(Error::internal)?);
    let signed = serde_json::to_string(&signed).map_err(Error::internal)?;
    store::set_checkpoint(&mut unit.conn(), signed).await?;
    let removed = store::delete_up_to(&mut unit.conn(), body.position).await?;
    if let Some(home) = crate::workspaces::home(&mut unit.conn()).await? {
        let details = json!({ "removed": removed, "up_to_position": body.position, "older_than": before });
        let subject = Subject::new("audit_log", &"", "");
        unit.audit(&Actor::system(home), "audit.expire", subject, Outcome::Ok, details).await?;
    }
    unit.commit().await?;
    tracing::info!(removed, up_to = body.position, "removed old audit records");
    Ok(more)
}
