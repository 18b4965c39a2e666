//! What has ended long ago, and whose logs take room.

use protocol::JobId;

use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::sql;

/// Jobs that ended before a moment, oldest first.
pub(in crate::jobs) async fn ended_before(
    conn: &mut Conn<'_>,
    moment: Timestamp,
    limit: i64,
) -> Result<Vec<JobId>, DbError> {
    let rows = conn
        .query(sql!(
            "select id from jobs where finished_at is not null and finished_at < $1 order by finished_at limit $2"
        ))
        .bind(moment)
        .bind(limit)
        .fetch_all::<(String,)>()
        .await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

/// Bytes that the logs of ended jobs take.
pub(in crate::jobs) async fn stored_logs(conn: &mut Conn<'_>) -> Result<u64, DbError> {
    let (bytes,) = conn
        .query(sql!(
            "select cast(coalesce(sum(log_stored), 0) as bigint) from jobs \
             where finished_at is not null and log_stored > 0 and log_removed_at is null"
        ))
        .fetch_one::<(i64,)>()
        .await?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The logs that go next to make room, with their bytes: those of the jobs that ended first.
pub(in crate::jobs) async fn oldest_logs(conn: &mut Conn<'_>, limit: i64) -> Result<Vec<(JobId, u64)>, DbError> {
    let rows = conn
        .query(sql!(
            "select id, log_stored from jobs where finished_at is not null and log_stored > 0 and log_removed_at is null \
             order by finished_at limit $1"
        ))
        .bind(limit)
        .fetch_all::<(String, i64)>()
        .await?;
    Ok(rows.into_iter().filter_map(|(id, bytes)| Some((id.parse().ok()?, u64::try_from(bytes).unwrap_or(0)))).collect())
}

/// Remembers that the logs of these jobs are gone.
pub(in crate::jobs) async fn expire_logs(conn: &mut Conn<'_>, ids: &[JobId], now: Timestamp) -> Result<u64, DbError> {
    conn.query_in(
        sql!("update jobs set log_removed_at = $1 where id in ({in}) and finished_at is not null"),
        2,
        ids.len(),
    )
    .bind(now)
    .bind_all(ids.iter().map(JobId::to_string))
    .execute()
    .await
}
