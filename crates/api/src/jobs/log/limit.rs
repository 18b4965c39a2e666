//! How much of one log the hub keeps: its beginning and its end. What is dropped between them stays visible as a gap.

use protocol::JobId;

use super::segment::Row;
use super::store;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};

/// Bytes of one log that are kept.
pub(super) const KEPT: u64 = 2 << 30;

/// Drops the middle of a log of which `kept` bytes are there, so that they are at most `limit`. It drops some more, so
/// that it need not do so with every piece. Gives how many bytes are gone.
pub(super) async fn shorten(
    conn: &mut Conn<'_>,
    job_id: JobId,
    kept: u64,
    limit: u64,
    now: Timestamp,
) -> Result<u64, DbError> {
    if kept <= limit {
        return Ok(0);
    }
    let excess = kept - (limit - limit / 16);
    // From the first segment of the second half on; what was dropped before lies there.
    let Some((start, finish, was_dropped)) = store::first_from(conn, job_id, limit / 2).await? else {
        return Ok(0);
    };
    let before = if was_dropped { finish } else { start };
    let Some((to, _, _)) = store::first_from(conn, job_id, before.saturating_add(excess)).await? else {
        return Ok(0);
    };
    let dropped = to - before;
    let gap_bytes = store::gaps_between(conn, job_id, start, to).await?.saturating_add(dropped);
    store::replace(conn, job_id, Row::dropped(start, to, gap_bytes, now.as_ms())).await?;
    Ok(dropped)
}
