//! SQL of second factors.

use protocol::{UserId, WorkspaceId};

use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::secret::TokenDigest;
use crate::sql;

/// Somebody's one-time codes.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::auth) struct TotpRow {
    pub(in crate::auth) sealed_secret: String,
    /// `None`: not confirmed yet.
    pub(in crate::auth) enabled_at: Option<Timestamp>,
}

pub(in crate::auth) async fn totp(conn: &mut Conn<'_>, user: UserId) -> Result<Option<TotpRow>, DbError> {
    conn.query(sql!("select sealed_secret, enabled_at from totp where user_id = $1"))
        .bind(user.to_string())
        .fetch_optional()
        .await
}

/// Puts a secret that waits for its first code in the place of another that does; false when one is in force.
pub(in crate::auth) async fn put_pending(conn: &mut Conn<'_>, user: UserId, sealed: String) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "insert into totp (user_id, sealed_secret, last_step) values ($1, $2, -1)
             on conflict (user_id) do update set sealed_secret = excluded.sealed_secret, last_step = -1
             where totp.enabled_at is null"
        ))
        .bind(user.to_string())
        .bind(sealed)
        .execute()
        .await?;
    Ok(changed > 0)
}

/// Puts the secret in force that a code was just right for; false when it is not the one that waits.
pub(in crate::auth) async fn enable(
    conn: &mut Conn<'_>,
    user: UserId,
    sealed: String,
    step: i64,
    at: Timestamp,
) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update totp set enabled_at = $1, last_step = $2
             where user_id = $3 and sealed_secret = $4 and enabled_at is null"
        ))
        .bind(at)
        .bind(step)
        .bind(user.to_string())
        .bind(sealed)
        .execute()
        .await?;
    Ok(changed > 0)
}

/// Uses up a step and all before it; false when that was done already, perhaps in this very moment.
pub(in crate::auth) async fn use_step(
    conn: &mut Conn<'_>,
    user: UserId,
    sealed: String,
    step: i64,
) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update totp set last_step = $1
             where user_id = $2 and sealed_secret = $3 and enabled_at is not null and last_step < $1"
        ))
        .bind(step)
        .bind(user.to_string())
        .bind(sealed)
        .execute()
        .await?;
    Ok(changed > 0)
}

/// Recovery codes stay, which passkeys need as well.
pub(in crate::auth) async fn delete_totp(conn: &mut Conn<'_>, user: UserId) -> Result<bool, DbError> {
    let deleted = conn.query(sql!("delete from totp where user_id = $1")).bind(user.to_string()).execute().await?;
    Ok(deleted > 0)
}

pub(in crate::auth) async fn delete_recovery_codes(conn: &mut Conn<'_>, user: UserId) -> Result<(), DbError> {
    conn.query(sql!("delete from recovery_codes where user_id = $1")).bind(user.to_string()).execute().await?;
    Ok(())
}

pub(in crate::auth) async fn insert_recovery_code(
    conn: &mut Conn<'_>,
    user: UserId,
    digest: TokenDigest,
) -> Result<(), DbError> {
    conn.query(sql!("insert into recovery_codes (user_id, digest) values ($1, $2)"))
        .bind(user.to_string())
        .bind(digest)
        .execute()
        .await?;
    Ok(())
}

/// Recovery codes stand in for a second factor: without one they are worth nothing.
pub(in crate::auth) async fn delete_spare_recovery_codes(conn: &mut Conn<'_>, user: UserId) -> Result<(), DbError> {
    conn.query(sql!(
        "delete from recovery_codes where user_id = $1
            and not exists (select 1 from totp t where t.user_id = $1 and t.enabled_at is not null)
            and not exists (select 1 from passkeys p where p.user_id = $1)"
    ))
    .bind(user.to_string())
    .execute()
    .await?;
    Ok(())
}

/// Uses a recovery code up; false when it is none, or not any more.
pub(in crate::auth) async fn use_recovery_code(
    conn: &mut Conn<'_>,
    user: UserId,
    digest: TokenDigest,
) -> Result<bool, DbError> {
    let deleted = conn
        .query(sql!("delete from recovery_codes where user_id = $1 and digest = $2"))
        .bind(user.to_string())
        .bind(digest)
        .execute()
        .await?;
    Ok(deleted > 0)
}

pub(in crate::auth) async fn count_recovery_codes(conn: &mut Conn<'_>, user: UserId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from recovery_codes where user_id = $1"))
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// Whether a workspace requires a second factor of somebody who has none.
pub(in crate::auth) async fn must_enroll(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<bool, DbError> {
    let (count,): (i64,) = conn
        .query(sql!(
            "select count(*) from workspaces w where w.id = $1 and w.require_totp
                and not exists (select 1 from totp t where t.user_id = $2 and t.enabled_at is not null)
                and not exists (select 1 from passkeys p where p.user_id = $2)"
        ))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(count > 0)
}

/// Whether some workspace of theirs requires a second factor of somebody.
pub(in crate::auth) async fn is_required(conn: &mut Conn<'_>, user: UserId) -> Result<bool, DbError> {
    let (count,): (i64,) = conn
        .query(sql!(
            "select count(*) from members m join workspaces w on w.id = m.workspace_id
             where m.user_id = $1 and w.require_totp"
        ))
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(count > 0)
}
