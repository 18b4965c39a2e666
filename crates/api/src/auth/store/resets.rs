//! SQL of links for a new password.

use protocol::UserId;

use crate::auth::model::User;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::secret::TokenDigest;
use crate::sql;

pub(in crate::auth) async fn insert_reset(
    conn: &mut Conn<'_>,
    token: TokenDigest,
    user: UserId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into password_resets (token_digest, user_id, created_at, expires_at) values ($1, $2, $3, $4)"
    ))
    .bind(token)
    .bind(user.to_string())
    .bind(now)
    .bind(expires_at)
    .execute()
    .await?;
    Ok(())
}

/// Keeps others from an account until the transaction ends.
pub(in crate::auth) async fn lock_user(conn: &mut Conn<'_>, id: UserId) -> Result<(), DbError> {
    conn.query(sql!("update users set name = name where id = $1")).bind(id.to_string()).execute().await?;
    Ok(())
}

/// How many links to an account still work.
pub(in crate::auth) async fn count_resets(conn: &mut Conn<'_>, user: UserId, now: Timestamp) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from password_resets where user_id = $1 and expires_at > $2"))
        .bind(user.to_string())
        .bind(now)
        .fetch_one()
        .await?;
    Ok(count)
}

/// Whose link it is, if it still works.
pub(in crate::auth) async fn reset_user(
    conn: &mut Conn<'_>,
    token: TokenDigest,
    now: Timestamp,
) -> Result<Option<User>, DbError> {
    conn.query(sql!(
        "select u.id, u.email, u.name from password_resets r join users u on u.id = r.user_id
         where r.token_digest = $1 and r.expires_at > $2"
    ))
    .bind(token)
    .bind(now)
    .fetch_optional()
    .await
}

/// Uses a link up; false when it does not work any more.
pub(in crate::auth) async fn use_reset(
    conn: &mut Conn<'_>,
    token: TokenDigest,
    now: Timestamp,
) -> Result<bool, DbError> {
    let used = conn
        .query(sql!("delete from password_resets where token_digest = $1 and expires_at > $2"))
        .bind(token)
        .bind(now)
        .execute()
        .await?;
    Ok(used == 1)
}

/// Has no link that was mailed for an account work any more: neither for a new password nor for another address.
pub(in crate::auth) async fn delete_links(conn: &mut Conn<'_>, user: UserId) -> Result<(), DbError> {
    conn.query(sql!("delete from password_resets where user_id = $1")).bind(user.to_string()).execute().await?;
    super::delete_email_change(conn, user).await
}

pub(in crate::auth) async fn delete_expired_resets(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("delete from password_resets where expires_at <= $1")).bind(now).execute().await?;
    Ok(())
}
