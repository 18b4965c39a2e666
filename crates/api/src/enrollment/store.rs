//! The table `install_tokens`.

use protocol::ServerId;

use super::model::InstallToken;
use crate::access::verbs::ServersEnroll;
use crate::access::{Columns, Visible};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::http::page::Limit;
use crate::ids::InstallTokenId;
use crate::secret::TokenDigest;
use crate::sql;

pub(super) async fn insert(conn: &mut Conn<'_>, token: &InstallToken, digest: TokenDigest) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into install_tokens (id, workspace_id, token_digest, name, labels, server_id, created_at, expires_at,
                                     project_id, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    ))
    .bind(token.id.to_string())
    .bind(token.workspace_id.to_string())
    .bind(digest)
    .bind(token.name.clone())
    .bind(token.labels.clone())
    .bind(token.server_id.clone())
    .bind(token.created_at)
    .bind(token.expires_at)
    .bind(token.project_id)
    .bind(token.created_by.clone())
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: InstallTokenId) -> Result<Option<InstallToken>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, project_id, created_by, name, labels, server_id, created_at, expires_at, used_at, nonce_digest,
                registered_server_id
         from install_tokens where id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

/// Newest first, before `before`.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    visible: &Visible<ServersEnroll>,
    before: Option<InstallTokenId>,
    limit: Limit,
) -> Result<Vec<InstallToken>, DbError> {
    let text = sql!(
        "select id, workspace_id, project_id, created_by, name, labels, server_id, created_at, expires_at, used_at, nonce_digest,
                registered_server_id
         from install_tokens
         where workspace_id = $1 and (cast($2 as text) is null or id < $2) and {within}
         order by id desc limit $3"
    );
    let columns = Columns { project: "project_id", server: "server_id" };
    let stmt = visible.reach.query(conn, text, columns, 4).bind(visible.actor.workspace_id.to_string());
    let stmt = stmt.bind(before.map(|id| id.to_string())).bind(limit.with_next());
    stmt.bind_all(visible.reach.ids()).fetch_all().await
}

pub(super) async fn by_digest(conn: &mut Conn<'_>, digest: TokenDigest) -> Result<Option<InstallToken>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, project_id, created_by, name, labels, server_id, created_at, expires_at, used_at, nonce_digest,
                registered_server_id
         from install_tokens where token_digest = $1"
    ))
    .bind(digest)
    .fetch_optional()
    .await
}

/// Marks a token as used, if nobody did before and it has not expired. Of many at once, one gets the row.
pub(super) async fn claim(
    conn: &mut Conn<'_>,
    digest: TokenDigest,
    nonce_digest: String,
    now: Timestamp,
) -> Result<Option<InstallToken>, DbError> {
    conn.query(sql!(
        "update install_tokens set used_at = $3, nonce_digest = $2
         where token_digest = $1 and used_at is null and expires_at > $3
         returning id, workspace_id, project_id, created_by, name, labels, server_id, created_at, expires_at, used_at, nonce_digest,
                   registered_server_id"
    ))
    .bind(digest)
    .bind(nonce_digest)
    .bind(now)
    .fetch_optional()
    .await
}

pub(super) async fn set_registered(
    conn: &mut Conn<'_>,
    id: InstallTokenId,
    server_id: ServerId,
) -> Result<(), DbError> {
    conn.query(sql!("update install_tokens set registered_server_id = $2 where id = $1"))
        .bind(id.to_string())
        .bind(server_id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Removes a token that nobody used yet.
pub(super) async fn delete_unused(conn: &mut Conn<'_>, id: InstallTokenId) -> Result<u64, DbError> {
    conn.query(sql!("delete from install_tokens where id = $1 and used_at is null"))
        .bind(id.to_string())
        .execute()
        .await
}

/// Forgets tokens that expired before `before`.
pub(super) async fn delete_expired(conn: &mut Conn<'_>, before: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!("delete from install_tokens where expires_at < $1")).bind(before).execute().await
}

/// As the gateway does when the agent connects.
#[cfg(test)]
pub(super) async fn pretend_connected(conn: &mut Conn<'_>, id: ServerId, at: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!("update servers set last_seen_at = $2 where id = $1")).bind(id.to_string()).bind(at).execute().await
}
