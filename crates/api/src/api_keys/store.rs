//! SQL of API keys.

use protocol::{UserId, WorkspaceId};

use super::model::{ApiKey, KeyName, Listed};
use crate::access::{NodeSet, Scope};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::ids::ApiKeyId;
use crate::secret::TokenDigest;
use crate::sql;

/// What [`insert`] writes.
pub(super) struct NewRow<'a> {
    pub(super) id: ApiKeyId,
    pub(super) workspace_id: WorkspaceId,
    pub(super) user_id: UserId,
    pub(super) name: &'a KeyName,
    pub(super) token: TokenDigest,
    pub(super) permissions: NodeSet,
    pub(super) scope: Scope,
    pub(super) networks: Vec<String>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

pub(super) async fn insert(conn: &mut Conn<'_>, row: NewRow<'_>) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into api_keys (id, workspace_id, user_id, name, token_digest, nodes, project_id, server_id, networks,
                               created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    ))
    .bind(row.id.to_string())
    .bind(row.workspace_id.to_string())
    .bind(row.user_id.to_string())
    .bind(row.name.clone())
    .bind(row.token)
    .bind(JsonText(row.permissions))
    .bind(row.scope.project_column())
    .bind(row.scope.server_column())
    .bind(JsonText(row.networks))
    .bind(row.created_at)
    .bind(row.expires_at)
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn by_token(conn: &mut Conn<'_>, token: TokenDigest) -> Result<Option<ApiKey>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, user_id, name, nodes, project_id, server_id, networks, created_at, expires_at,
                last_used_at, last_used_ip
         from api_keys where token_digest = $1"
    ))
    .bind(token)
    .fetch_optional()
    .await
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: ApiKeyId) -> Result<Option<ApiKey>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, user_id, name, nodes, project_id, server_id, networks, created_at, expires_at,
                last_used_at, last_used_ip
         from api_keys where id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

pub(super) async fn listed(conn: &mut Conn<'_>, id: ApiKeyId) -> Result<Option<Listed>, DbError> {
    conn.query(sql!(
        "select k.id, k.workspace_id, k.user_id, k.name, k.nodes, k.project_id, k.server_id, k.networks, k.created_at,
                k.expires_at, k.last_used_at, k.last_used_ip, u.name as user_name
         from api_keys k join users u on u.id = k.user_id where k.id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

/// Newest first, of `owner` only when given, before `before` when given.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    owner: Option<UserId>,
    before: Option<String>,
    limit: i64,
) -> Result<Vec<Listed>, DbError> {
    conn.query(sql!(
        "select k.id, k.workspace_id, k.user_id, k.name, k.nodes, k.project_id, k.server_id, k.networks, k.created_at,
                k.expires_at, k.last_used_at, k.last_used_ip, u.name as user_name
         from api_keys k join users u on u.id = k.user_id
         where k.workspace_id = $1 and (cast($2 as text) is null or k.user_id = $2)
               and (cast($3 as text) is null or k.id < $3)
         order by k.id desc limit $4"
    ))
    .bind(workspace.to_string())
    .bind(owner.map(|id| id.to_string()))
    .bind(before)
    .bind(limit)
    .fetch_all()
    .await
}

pub(super) async fn count(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from api_keys where workspace_id = $1 and user_id = $2"))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// Whether it was there.
pub(super) async fn set_token(conn: &mut Conn<'_>, id: ApiKeyId, token: TokenDigest) -> Result<bool, DbError> {
    let set = conn
        .query(sql!("update api_keys set token_digest = $1 where id = $2"))
        .bind(token)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(set == 1)
}

pub(super) async fn note_use(conn: &mut Conn<'_>, id: ApiKeyId, at: Timestamp, ip: String) -> Result<(), DbError> {
    conn.query(sql!("update api_keys set last_used_at = $1, last_used_ip = $2 where id = $3"))
        .bind(at)
        .bind(ip)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Whether it was there.
pub(super) async fn delete(conn: &mut Conn<'_>, id: ApiKeyId) -> Result<bool, DbError> {
    let deleted = conn.query(sql!("delete from api_keys where id = $1")).bind(id.to_string()).execute().await?;
    Ok(deleted == 1)
}
