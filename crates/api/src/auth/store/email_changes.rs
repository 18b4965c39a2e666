//! SQL of addresses that people want to sign in with and have not confirmed yet.

use protocol::UserId;

use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::secret::TokenDigest;
use crate::sql;

/// An address that waits for its link to be opened.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::auth) struct EmailChange {
    #[sqlx(try_from = "String")]
    pub(in crate::auth) user_id: UserId,
    /// That asked; it may be gone.
    pub(in crate::auth) session_id: String,
    pub(in crate::auth) email: String,
    pub(in crate::auth) created_at: Timestamp,
    pub(in crate::auth) expires_at: Timestamp,
}

pub(in crate::auth) async fn insert_email_change(
    conn: &mut Conn<'_>,
    token: TokenDigest,
    wanted: EmailChange,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into email_changes (token_digest, user_id, session_id, email, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(token)
    .bind(wanted.user_id.to_string())
    .bind(wanted.session_id)
    .bind(wanted.email)
    .bind(wanted.created_at)
    .bind(wanted.expires_at)
    .execute()
    .await?;
    Ok(())
}

/// What a link is for, if it still works.
pub(in crate::auth) async fn email_change(
    conn: &mut Conn<'_>,
    token: TokenDigest,
    now: Timestamp,
) -> Result<Option<EmailChange>, DbError> {
    conn.query(sql!(
        "select user_id, session_id, email, created_at, expires_at from email_changes
         where token_digest = $1 and expires_at > $2"
    ))
    .bind(token)
    .bind(now)
    .fetch_optional()
    .await
}

/// Uses a link up; false when somebody else did.
pub(in crate::auth) async fn use_email_change(conn: &mut Conn<'_>, token: TokenDigest) -> Result<bool, DbError> {
    let used = conn.query(sql!("delete from email_changes where token_digest = $1")).bind(token).execute().await?;
    Ok(used == 1)
}

pub(in crate::auth) async fn delete_email_change(conn: &mut Conn<'_>, user: UserId) -> Result<(), DbError> {
    conn.query(sql!("delete from email_changes where user_id = $1")).bind(user.to_string()).execute().await?;
    Ok(())
}

pub(in crate::auth) async fn delete_expired_email_changes(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("delete from email_changes where expires_at <= $1")).bind(now).execute().await?;
    Ok(())
}
