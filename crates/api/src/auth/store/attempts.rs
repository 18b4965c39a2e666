//! SQL of what throttling remembers.

use protocol::UserId;

use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::sql;

/// The attempts of one address, or at one account.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(in crate::auth) struct AttemptRow {
    /// `network` or `account`.
    pub(in crate::auth) kind: String,
    pub(in crate::auth) name: String,
    pub(in crate::auth) window_start: Timestamp,
    pub(in crate::auth) attempts: i64,
    pub(in crate::auth) delay_ms: i64,
    pub(in crate::auth) blocked_until: Timestamp,
    pub(in crate::auth) last_at: Timestamp,
}

/// What is not older than `since`, newest first.
pub(in crate::auth) async fn attempts(
    conn: &mut Conn<'_>,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<AttemptRow>, DbError> {
    conn.query(sql!(
        "select kind, name, window_start, attempts, delay_ms, blocked_until, last_at from sign_in_attempts
         where last_at > $1 order by last_at desc limit $2"
    ))
    .bind(since)
    .bind(limit)
    .fetch_all()
    .await
}

pub(in crate::auth) async fn put_attempts(conn: &mut Conn<'_>, row: AttemptRow) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into sign_in_attempts (kind, name, window_start, attempts, delay_ms, blocked_until, last_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (kind, name) do update set window_start = excluded.window_start, attempts = excluded.attempts,
            delay_ms = excluded.delay_ms, blocked_until = excluded.blocked_until, last_at = excluded.last_at"
    ))
    .bind(row.kind)
    .bind(row.name)
    .bind(row.window_start)
    .bind(row.attempts)
    .bind(row.delay_ms)
    .bind(row.blocked_until)
    .bind(row.last_at)
    .execute()
    .await?;
    Ok(())
}

pub(in crate::auth) async fn delete_attempts(
    conn: &mut Conn<'_>,
    kind: &'static str,
    name: String,
) -> Result<(), DbError> {
    conn.query(sql!("delete from sign_in_attempts where kind = $1 and name = $2"))
        .bind(kind.to_owned())
        .bind(name)
        .execute()
        .await?;
    Ok(())
}

/// Forgets what nobody reads any more: rows that a hub which was killed left behind.
pub(in crate::auth) async fn delete_old_attempts(conn: &mut Conn<'_>, since: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("delete from sign_in_attempts where last_at <= $1")).bind(since).execute().await?;
    Ok(())
}

/// Whether the person with this address signed in from there before.
pub(in crate::auth) async fn knows_network(
    conn: &mut Conn<'_>,
    email_key: String,
    network: String,
) -> Result<bool, DbError> {
    let (count,): (i64,) = conn
        .query(sql!(
            "select count(*) from known_networks k join users u on u.id = k.user_id
             where u.email_key = $1 and k.network = $2"
        ))
        .bind(email_key)
        .bind(network)
        .fetch_one()
        .await?;
    Ok(count > 0)
}

/// Whether somebody signed in from other networks before, and never from this one.
pub(in crate::auth) async fn is_new_network(
    conn: &mut Conn<'_>,
    user: UserId,
    network: String,
) -> Result<bool, DbError> {
    let (all, same): (i64, i64) = conn
        .query(sql!(
            "select count(*), cast(coalesce(sum(case when network = $1 then 1 else 0 end), 0) as bigint)
             from known_networks where user_id = $2"
        ))
        .bind(network)
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(all > 0 && same == 0)
}

/// Remembers where somebody signed in from; of many places, the newest `keep`.
pub(in crate::auth) async fn note_network(
    conn: &mut Conn<'_>,
    user: UserId,
    network: String,
    at: Timestamp,
    keep: i64,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into known_networks (user_id, network, used_at) values ($1, $2, $3)
         on conflict (user_id, network) do update set used_at = excluded.used_at"
    ))
    .bind(user.to_string())
    .bind(network)
    .bind(at)
    .execute()
    .await?;
    conn.query(sql!(
        "delete from known_networks where user_id = $1 and network not in
         (select network from known_networks where user_id = $1 order by used_at desc, network limit $2)"
    ))
    .bind(user.to_string())
    .bind(keep)
    .execute()
    .await?;
    Ok(())
}

/// Forgets where nobody signed in from for long.
pub(in crate::auth) async fn delete_old_networks(conn: &mut Conn<'_>, since: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("delete from known_networks where used_at <= $1")).bind(since).execute().await?;
    Ok(())
}
