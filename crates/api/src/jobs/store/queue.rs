//! What waits, what is out, and which servers have either.

use protocol::ServerId;

use super::Row;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, Stmt};
use crate::jobs::model::Job;
use crate::sql;

/// How many jobs wait for a server.
pub(in crate::jobs) async fn waiting(conn: &mut Conn<'_>, server_id: ServerId) -> Result<usize, DbError> {
    let (count,) = conn
        .query(sql!(
            "select count(*) from jobs where server_id = $1 and finished_at is null \
             and state in ('queued', 'awaiting_signature')"
        ))
        .bind(server_id.to_string())
        .fetch_one::<(i64,)>()
        .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Jobs that have not ended, by state.
pub(in crate::jobs) async fn count_unfinished(conn: &mut Conn<'_>) -> Result<Vec<(String, i64)>, DbError> {
    conn.query(sql!("select state, count(*) from jobs where finished_at is null group by state order by state"))
        .fetch_all()
        .await
}

/// The jobs whose turn is next.
pub(in crate::jobs) async fn next_queued(
    conn: &mut Conn<'_>,
    server_id: ServerId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from jobs where server_id = $1 and state = 'queued' and finished_at is null and expires_at > $2 \
             order by position limit $3"
        ))
        .bind(server_id.to_string())
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// The jobs that went to a server and have not ended, in order. The concurrency limit bounds them.
pub(in crate::jobs) async fn in_flight(conn: &mut Conn<'_>, server_id: ServerId) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from jobs where server_id = $1 and state in ('sent', 'running', 'reconciling') \
             and finished_at is null order by position"
        ))
        .bind(server_id.to_string())
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Unfinished jobs of a server, oldest first.
pub(in crate::jobs) async fn unfinished(
    conn: &mut Conn<'_>,
    server_id: ServerId,
    limit: usize,
) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!("select * from jobs where server_id = $1 and finished_at is null order by position limit $2"))
        .bind(server_id.to_string())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Servers with waiting jobs that have expired.
pub(in crate::jobs) async fn servers_with_expired(
    conn: &mut Conn<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<ServerId>, DbError> {
    servers(
        conn.query(sql!(
            "select distinct server_id from jobs where finished_at is null and expires_at <= $1 \
             and state in ('queued', 'awaiting_signature') limit $2"
        ))
        .bind(now)
        .bind(limit),
    )
    .await
}

/// Waiting jobs of a server that have expired.
pub(in crate::jobs) async fn expired(
    conn: &mut Conn<'_>,
    server_id: ServerId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from jobs where server_id = $1 and finished_at is null and expires_at <= $2 \
             and state in ('queued', 'awaiting_signature') order by position limit $3"
        ))
        .bind(server_id.to_string())
        .bind(now)
        .bind(limit)
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Servers that have jobs out, as far as their state says.
pub(in crate::jobs) async fn servers_with_jobs_out(conn: &mut Conn<'_>) -> Result<Vec<ServerId>, DbError> {
    servers(
        conn.query(sql!(
            "select distinct server_id from jobs where finished_at is null and state in ('sent', 'running')"
        )),
    )
    .await
}

/// Servers with jobs that were sent at least so long ago and never answered.
pub(in crate::jobs) async fn servers_with_unanswered(
    conn: &mut Conn<'_>,
    sent_before: Timestamp,
) -> Result<Vec<ServerId>, DbError> {
    servers(
        conn.query(sql!(
            "select distinct server_id from jobs where finished_at is null and state = 'sent' and delivered_at <= $1"
        ))
        .bind(sent_before),
    )
    .await
}

/// Servers that jobs wait for.
pub(in crate::jobs) async fn servers_with_queued(conn: &mut Conn<'_>) -> Result<Vec<ServerId>, DbError> {
    servers(conn.query(sql!("select distinct server_id from jobs where finished_at is null and state = 'queued'")))
        .await
}

async fn servers(query: Stmt<'_>) -> Result<Vec<ServerId>, DbError> {
    let rows = query.fetch_all::<(String,)>().await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}
