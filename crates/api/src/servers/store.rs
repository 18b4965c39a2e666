//! SQL of servers.

use protocol::{Hex, ServerId, WorkspaceId};

use super::model::{Labels, Name, Server, Status};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::secret::TokenDigest;
use crate::sql;

/// The server that an agent token belongs to.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AgentIdentity {
    /// The server.
    #[sqlx(try_from = "String")]
    pub server_id: ServerId,
    /// Its owner.
    #[sqlx(try_from = "String")]
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub server_name: String,
}

pub(super) async fn by_id(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    id: ServerId,
) -> Result<Option<Server>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, name, labels, status, registered_at, last_seen_at, revoked_at, host, agent, policy,
                clock_offset_ms, version
         from servers where id = $1 and workspace_id = $2"
    ))
    .bind(id.to_string())
    .bind(workspace_id.to_string())
    .fetch_optional()
    .await
}

pub(super) async fn by_token(conn: &mut Conn<'_>, digest: TokenDigest) -> Result<Option<AgentIdentity>, DbError> {
    conn.query(sql!(
        "select id as server_id, workspace_id, name as server_name from servers
         where token_digest = $1 and revoked_at is null"
    ))
    .bind(digest)
    .fetch_optional()
    .await
}

/// What [`insert`] writes.
pub(super) struct NewRow<'a> {
    pub(super) id: ServerId,
    pub(super) workspace_id: WorkspaceId,
    pub(super) name: &'a Name,
    pub(super) labels: &'a Labels,
    pub(super) token: TokenDigest,
    pub(super) machine_id_hash: Hex<32>,
    pub(super) registered_at: Timestamp,
}

pub(super) async fn insert(conn: &mut Conn<'_>, row: NewRow<'_>) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into servers (id, workspace_id, name, name_key, search_key, labels, status, token_digest,
                              machine_id_hash, registered_at, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)"
    ))
    .bind(row.id.to_string())
    .bind(row.workspace_id.to_string())
    .bind(row.name.as_str().to_owned())
    .bind(row.name.key())
    .bind(row.name.key())
    .bind(JsonText(row.labels.clone()))
    .bind(Status::Pending)
    .bind(row.token)
    .bind(row.machine_id_hash.to_string())
    .bind(row.registered_at)
    .execute()
    .await?;
    insert_labels(conn, row.id, row.labels).await
}

async fn insert_labels(conn: &mut Conn<'_>, id: ServerId, labels: &Labels) -> Result<(), DbError> {
    for label in labels.pairs() {
        conn.query(sql!("insert into server_labels (server_id, label) values ($1, $2)"))
            .bind(id.to_string())
            .bind(label)
            .execute()
            .await?;
    }
    Ok(())
}

pub(super) async fn set_token(conn: &mut Conn<'_>, id: ServerId, token: TokenDigest) -> Result<u64, DbError> {
    conn.query(sql!(
        "update servers
         set token_digest = $2, revoked_at = null,
             status = case when status <> 'revoked' then status when last_seen_at is null then 'pending' else 'offline' end
         where id = $1"
    ))
    .bind(id.to_string())
    .bind(token)
    .execute()
    .await
}
