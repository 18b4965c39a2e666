//! The table `idempotency_keys`.

use protocol::WorkspaceId;
use sqlx::FromRow;

use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::sql;

/// Whose key for which request.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) workspace_id: WorkspaceId,
    pub(super) actor_id: String,
    pub(super) name: String,
    /// SHA-256 over method, path and body.
    pub(super) request: String,
}

/// What is known about the first request with a key.
#[derive(Debug, Clone, FromRow)]
pub(super) struct Kept {
    pub(super) request_digest: String,
    pub(super) status: Option<i64>,
    pub(super) body: Option<String>,
    pub(super) resource_id: Option<String>,
}

/// `false` when the key was used before.
pub(super) async fn claim(conn: &mut Conn<'_>, key: &Key, now: Timestamp) -> Result<bool, DbError> {
    let inserted = conn
        .query(sql!(
            "insert into idempotency_keys (workspace_id, actor_id, key, request_digest, created_at)
             values ($1, $2, $3, $4, $5)
             on conflict (workspace_id, actor_id, key) do nothing"
        ))
        .bind(key.workspace_id.to_string())
        .bind(key.actor_id.clone())
        .bind(key.name.clone())
        .bind(key.request.clone())
        .bind(now)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn kept(conn: &mut Conn<'_>, key: &Key) -> Result<Option<Kept>, DbError> {
    conn.query(sql!(
        "select request_digest, status, body, resource_id from idempotency_keys
         where workspace_id = $1 and actor_id = $2 and key = $3"
    ))
    .bind(key.workspace_id.to_string())
    .bind(key.actor_id.clone())
    .bind(key.name.clone())
    .fetch_optional()
    .await
}

pub(super) async fn keep(conn: &mut Conn<'_>, key: &Key, kept: Kept) -> Result<(), DbError> {
    conn.query(sql!(
        "update idempotency_keys set status = $4, body = $5, resource_id = $6
         where workspace_id = $1 and actor_id = $2 and key = $3"
    ))
    .bind(key.workspace_id.to_string())
    .bind(key.actor_id.clone())
    .bind(key.name.clone())
    .bind(kept.status)
    .bind(kept.body)
    .bind(kept.resource_id)
    .execute()
    .await?;
    Ok(())
}

/// Frees a key whose request failed.
pub(super) async fn release(conn: &mut Conn<'_>, key: &Key) -> Result<(), DbError> {
    conn.query(sql!("delete from idempotency_keys where workspace_id = $1 and actor_id = $2 and key = $3"))
        .bind(key.workspace_id.to_string())
        .bind(key.actor_id.clone())
        .bind(key.name.clone())
        .execute()
        .await?;
    Ok(())
}

/// Forgets keys from before `before`.
pub(super) async fn forget(conn: &mut Conn<'_>, before: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!("delete from idempotency_keys where created_at < $1")).bind(before).execute().await
}
