//! SQL of people and sessions.

mod attempts;
mod email_changes;
mod factors;
mod identities;
mod passkeys;
mod resets;
#[cfg(test)]
mod second_factor;

pub(super) use attempts::*;
pub(super) use email_changes::*;
pub(super) use factors::*;
pub(super) use identities::*;
pub(super) use passkeys::*;
pub(super) use resets::*;

use protocol::{UserId, WorkspaceId};

use super::model::User;
use super::session::Session;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::ids::SessionId;
use crate::secret::TokenDigest;
use crate::sql;

/// A person with what their password is compared to.
#[derive(sqlx::FromRow)]
pub(in crate::auth) struct Account {
    #[sqlx(flatten)]
    pub(in crate::auth) user: User,
    pub(in crate::auth) password_hash: String,
}

impl Account {
    /// `None` for an account that only an identity provider opens.
    pub(in crate::auth) fn hash(&self) -> Option<String> {
        (!self.password_hash.is_empty()).then(|| self.password_hash.clone())
    }
}

/// What one request needs to know about its caller.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::auth) struct Caller {
    #[sqlx(flatten)]
    pub(in crate::auth) session: Session,
    pub(in crate::auth) email: String,
    pub(in crate::auth) name: String,
    #[sqlx(try_from = "String")]
    pub(in crate::auth) workspace_id: WorkspaceId,
}

pub(in crate::auth) async fn insert_user(
    conn: &mut Conn<'_>,
    user: &User,
    email_key: String,
    password_hash: String,
    at: Timestamp,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into users (id, email, email_key, name, password_hash, created_at) values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(user.id.to_string())
    .bind(user.email.clone())
    .bind(email_key)
    .bind(user.name.clone())
    .bind(password_hash)
    .bind(at)
    .execute()
    .await?;
    Ok(())
}

pub(in crate::auth) async fn account_by_email(
    conn: &mut Conn<'_>,
    email_key: String,
) -> Result<Option<Account>, DbError> {
    conn.query(sql!("select id, email, name, password_hash from users where email_key = $1"))
        .bind(email_key)
        .fetch_optional()
        .await
}

pub(in crate::auth) async fn account(conn: &mut Conn<'_>, id: UserId) -> Result<Option<Account>, DbError> {
    conn.query(sql!("select id, email, name, password_hash from users where id = $1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

pub(in crate::auth) async fn set_password(
    conn: &mut Conn<'_>,
    id: UserId,
    password_hash: String,
) -> Result<(), DbError> {
    conn.query(sql!("update users set password_hash = $1 where id = $2"))
        .bind(password_hash)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

pub(in crate::auth) async fn set_name(conn: &mut Conn<'_>, id: UserId, name: String) -> Result<(), DbError> {
    conn.query(sql!("update users set name = $1 where id = $2")).bind(name).bind(id.to_string()).execute().await?;
    Ok(())
}

pub(in crate::auth) async fn set_email(
    conn: &mut Conn<'_>,
    id: UserId,
    email: String,
    email_key: String,
) -> Result<(), DbError> {
    conn.query(sql!("update users set email = $1, email_key = $2 where id = $3"))
        .bind(email)
        .bind(email_key)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

pub(in crate::auth) async fn insert_session(
    conn: &mut Conn<'_>,
    session: &Session,
    digest: TokenDigest,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into sessions (id, user_id, token_digest, created_at, last_seen_at, expires_at, verified_at, ip,
                               user_agent)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ))
    .bind(session.id.to_string())
    .bind(session.user_id.to_string())
    .bind(digest)
    .bind(session.created_at)
    .bind(session.last_seen_at)
    .bind(session.expires_at)
    .bind(session.verified_at)
    .bind(session.ip.clone())
    .bind(session.user_agent.clone())
    .execute()
    .await?;
    Ok(())
}

/// The caller behind a token, acting in the workspace that the session is set to, else in their oldest.
pub(in crate::auth) async fn caller(conn: &mut Conn<'_>, digest: TokenDigest) -> Result<Option<Caller>, DbError> {
    conn.query(sql!(
        "select s.id, s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.verified_at, s.ip, s.user_agent,
                u.email, u.name, m.workspace_id
         from sessions s join users u on u.id = s.user_id join members m on m.user_id = u.id
         where s.token_digest = $1
         order by case when m.workspace_id = s.workspace_id then 0 else 1 end, m.created_at, m.workspace_id limit 1"
    ))
    .bind(digest)
    .fetch_optional()
    .await
}

/// Where a session acts, if it is still good.
pub(in crate::auth) async fn workspace_of_session(
    conn: &mut Conn<'_>,
    id: SessionId,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Option<WorkspaceId>, DbError> {
    let found: Option<Acting> = conn
        .query(sql!(
            "select m.workspace_id from sessions s join members m on m.user_id = s.user_id
             where s.id = $1 and s.expires_at > $2 and s.last_seen_at > $3
             order by case when m.workspace_id = s.workspace_id then 0 else 1 end, m.created_at, m.workspace_id limit 1"
        ))
        .bind(id.to_string())
        .bind(now)
        .bind(idle_since)
        .fetch_optional()
        .await?;
    Ok(found.map(|found| found.workspace_id))
}

#[derive(sqlx::FromRow)]
struct Acting {
    #[sqlx(try_from = "String")]
    workspace_id: WorkspaceId,
}

pub(in crate::auth) async fn touch_session(conn: &mut Conn<'_>, id: SessionId, at: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("update sessions set last_seen_at = $1 where id = $2 and last_seen_at < $1"))
        .bind(at)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Has a session act in one of its owner's workspaces from now on.
pub(in crate::auth) async fn set_workspace(
    conn: &mut Conn<'_>,
    id: SessionId,
    workspace: WorkspaceId,
) -> Result<(), DbError> {
    conn.query(sql!("update sessions set workspace_id = $1 where id = $2"))
        .bind(workspace.to_string())
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Sessions of a person that are still good, newest first, before `(created_at, id)` when given.
pub(in crate::auth) async fn sessions(
    conn: &mut Conn<'_>,
    user: UserId,
    now: Timestamp,
    idle_since: Timestamp,
    before: Option<(Timestamp, String)>,
    limit: i64,
) -> Result<Vec<Session>, DbError> {
    let (created_at, id) = before.unwrap_or((Timestamp::from_ms(i64::MAX), String::new()));
    conn.query(sql!(
        "select id, user_id, created_at, last_seen_at, expires_at, verified_at, ip, user_agent from sessions
         where user_id = $1 and expires_at > $2 and last_seen_at > $3 and (created_at, id) < ($4, $5)
         order by created_at desc, id desc limit $6"
    ))
    .bind(user.to_string())
    .bind(now)
    .bind(idle_since)
    .bind(created_at)
    .bind(id)
    .bind(limit)
    .fetch_all()
    .await
}

pub(in crate::auth) async fn delete_session(conn: &mut Conn<'_>, user: UserId, id: SessionId) -> Result<bool, DbError> {
    let deleted = conn
        .query(sql!("delete from sessions where id = $1 and user_id = $2"))
        .bind(id.to_string())
        .bind(user.to_string())
        .execute()
        .await?;
    Ok(deleted > 0)
}

pub(in crate::auth) async fn delete_other_sessions(
    conn: &mut Conn<'_>,
    user: UserId,
    keep: String,
) -> Result<u64, DbError> {
    conn.query(sql!("delete from sessions where user_id = $1 and id <> $2"))
        .bind(user.to_string())
        .bind(keep)
        .execute()
        .await
}

pub(in crate::auth) async fn delete_sessions(conn: &mut Conn<'_>, user: UserId) -> Result<u64, DbError> {
    conn.query(sql!("delete from sessions where user_id = $1")).bind(user.to_string()).execute().await
}

/// A session's owner has just proved again that it is theirs.
pub(in crate::auth) async fn verify_session(conn: &mut Conn<'_>, id: SessionId, at: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("update sessions set verified_at = $1 where id = $2"))
        .bind(at)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Keeps a person's newest `keep` sessions.
pub(in crate::auth) async fn trim_sessions(conn: &mut Conn<'_>, user: UserId, keep: i64) -> Result<(), DbError> {
    conn.query(sql!(
        "delete from sessions where user_id = $1 and id not in
         (select id from sessions where user_id = $1 order by created_at desc, id desc limit $2)"
    ))
    .bind(user.to_string())
    .bind(keep)
    .execute()
    .await?;
    Ok(())
}

pub(in crate::auth) async fn delete_expired_sessions(
    conn: &mut Conn<'_>,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<u64, DbError> {
    conn.query(sql!("delete from sessions where expires_at <= $1 or last_seen_at <= $2"))
        .bind(now)
        .bind(idle_since)
        .execute()
        .await
}
