//! SQL of servers.

pub(super) mod page;

use protocol::policy::Rules;
use protocol::{EventId, Hex, ServerId, WorkspaceId};

use super::facts::{Facts, PolicyFacts};
use super::model::{Labels, Name, Server, Status};
use super::selector::Selected;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, IdText, JsonText};
use crate::ids::ProjectId;
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

pub(super) async fn by_id(conn: &mut Conn<'_>, id: ServerId) -> Result<Option<Server>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, project_id, name, labels, status, registered_at, last_seen_at, revoked_at, host, agent, policy,
                clock_offset_ms, restrictions, restrictions_seq, token_issued_at, next_token_at, version
         from servers where id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

pub(super) async fn by_token(conn: &mut Conn<'_>, digest: TokenDigest) -> Result<Option<AgentIdentity>, DbError> {
    conn.query(sql!(
        "select id as server_id, workspace_id, name as server_name from servers
         where (token_digest = $1 or next_token_digest = $1) and revoked_at is null"
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
    pub(super) project_id: Option<ProjectId>,
    pub(super) registered_at: Timestamp,
}

pub(super) async fn insert(conn: &mut Conn<'_>, row: NewRow<'_>) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into servers (id, workspace_id, name, name_key, search_key, labels, status, token_digest,
                              machine_id_hash, registered_at, token_issued_at, project_id, restrictions_seq, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, 0, 1)"
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
    .bind(row.project_id.map(IdText))
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

pub(super) async fn set_token(
    conn: &mut Conn<'_>,
    id: ServerId,
    token: TokenDigest,
    at: Timestamp,
) -> Result<u64, DbError> {
    conn.query(sql!(
        "update servers
         set token_digest = $2, token_issued_at = $3, next_token_digest = null, next_token_at = null, revoked_at = null,
             status = case when status <> 'revoked' then status when last_seen_at is null then 'pending' else 'offline' end
         where id = $1"
    ))
    .bind(id.to_string())
    .bind(token)
    .bind(at)
    .execute()
    .await
}

/// What a hello says, as [`connect`] writes it.
pub(super) struct Connected {
    pub(super) id: ServerId,
    pub(super) token: TokenDigest,
    pub(super) facts: Facts,
    pub(super) clock_offset_ms: i64,
    pub(super) at: Timestamp,
}

/// Writes the facts of a hello, and lets a new token take the place of the old one when it came with it; 0 when the token does not belong to the server any more.
pub(super) async fn connect(conn: &mut Conn<'_>, row: Connected) -> Result<u64, DbError> {
    let searchable = format!("\n{}", row.facts.host.hostname.to_lowercase());
    conn.query(sql!(
        "update servers
         set host = $3, agent = $4, policy = $5, clock_offset_ms = $6, last_seen_at = $7, search_key = name_key || $8,
             token_digest = $2,
             token_issued_at = case when next_token_digest = $2 then next_token_at else token_issued_at end,
             next_token_at = case when next_token_digest = $2 then null else next_token_at end,
             next_token_digest = case when next_token_digest = $2 then null else next_token_digest end
         where id = $1 and (token_digest = $2 or next_token_digest = $2) and revoked_at is null"
    ))
    .bind(row.id.to_string())
    .bind(row.token)
    .bind(JsonText(row.facts.host))
    .bind(JsonText(row.facts.agent))
    .bind(JsonText(row.facts.policy))
    .bind(row.clock_offset_ms)
    .bind(row.at)
    .bind(searchable)
    .execute()
    .await
}

/// Writes down a token that waits to take the place of the present one; 0 when the server is revoked.
pub(super) async fn set_next_token(
    conn: &mut Conn<'_>,
    id: ServerId,
    token: TokenDigest,
    at: Timestamp,
) -> Result<u64, DbError> {
    conn.query(sql!(
        "update servers set next_token_digest = $2, next_token_at = $3 where id = $1 and revoked_at is null"
    ))
    .bind(id.to_string())
    .bind(token)
    .bind(at)
    .execute()
    .await
}

/// Online servers whose token was issued before `old`, unless a newer one was sent after `stuck`.
pub(super) async fn with_old_token(
    conn: &mut Conn<'_>,
    old: Timestamp,
    stuck: Timestamp,
    limit: i64,
) -> Result<Vec<(WorkspaceId, ServerId)>, DbError> {
    let rows: Vec<(String, String)> = conn
        .query(sql!(
            "select workspace_id, id from servers
             where status = 'online' and revoked_at is null
               and ((next_token_at is null and coalesce(token_issued_at, registered_at) < $1) or next_token_at < $2)
             order by id limit $3"
        ))
        .bind(old)
        .bind(stuck)
        .bind(limit)
        .fetch_all()
        .await?;
    Ok(rows.into_iter().filter_map(|(workspace, id)| Some((workspace.parse().ok()?, id.parse().ok()?))).collect())
}

/// Writes what the hub forbids itself on a server.
pub(super) async fn set_restrictions(
    conn: &mut Conn<'_>,
    id: ServerId,
    rules: &Rules,
    seq: i64,
) -> Result<(), DbError> {
    conn.query(sql!(
        "update servers set restrictions = $2, restrictions_seq = $3, version = version + 1 where id = $1"
    ))
    .bind(id.to_string())
    .bind(JsonText(rules.clone()))
    .bind(seq)
    .execute()
    .await?;
    Ok(())
}

/// Writes what a host says of its policy between two hellos.
pub(super) async fn set_policy(conn: &mut Conn<'_>, id: ServerId, policy: PolicyFacts) -> Result<(), DbError> {
    conn.query(sql!("update servers set policy = $2 where id = $1"))
        .bind(id.to_string())
        .bind(JsonText(policy))
        .execute()
        .await?;
    Ok(())
}

/// A server that presence has to watch.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Watched {
    #[sqlx(try_from = "String")]
    pub(super) id: ServerId,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    pub(super) status: Status,
    pub(super) last_seen_at: Timestamp,
}

/// Every server that was connected once and may come back.
pub(super) async fn watched(conn: &mut Conn<'_>) -> Result<Vec<Watched>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, status, last_seen_at from servers
         where status in ('online', 'suspect', 'offline') and last_seen_at is not null"
    ))
    .fetch_all()
    .await
}

/// Writes what presence found; 0 when the server is revoked or gone.
pub(super) async fn set_status(
    conn: &mut Conn<'_>,
    id: ServerId,
    status: Status,
    last_seen_at: Timestamp,
) -> Result<u64, DbError> {
    conn.query(sql!("update servers set status = $2, last_seen_at = $3 where id = $1 and revoked_at is null"))
        .bind(id.to_string())
        .bind(status)
        .bind(last_seen_at)
        .execute()
        .await
}

pub(super) async fn set_last_seen(conn: &mut Conn<'_>, id: ServerId, at: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!("update servers set last_seen_at = $2 where id = $1")).bind(id.to_string()).bind(at).execute().await
}

/// What an agent reported, as [`insert_event`] writes it.
pub(super) struct EventRow {
    pub(super) server_id: ServerId,
    pub(super) id: EventId,
    pub(super) kind: String,
    pub(super) severity: &'static str,
    pub(super) subject: Option<String>,
    pub(super) at: Timestamp,
    pub(super) received_at: Timestamp,
    pub(super) data: String,
}

/// Stores an event once; 0 when it is there already.
pub(super) async fn insert_event(conn: &mut Conn<'_>, event: EventRow) -> Result<u64, DbError> {
    conn.query(sql!(
        "insert into server_events (server_id, id, kind, severity, subject, at, received_at, data)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (server_id, id) do nothing"
    ))
    .bind(event.server_id.to_string())
    .bind(event.id.to_string())
    .bind(event.kind)
    .bind(event.severity.to_owned())
    .bind(event.subject)
    .bind(event.at)
    .bind(event.received_at)
    .bind(event.data)
    .execute()
    .await
}

/// Keeps the newest `keep` events of a server.
pub(super) async fn trim_events(conn: &mut Conn<'_>, id: ServerId, keep: i64) -> Result<u64, DbError> {
    conn.query(sql!(
        "delete from server_events where server_id = $1 and received_at <
             (select received_at from server_events where server_id = $1 order by received_at desc limit 1 offset $2)"
    ))
    .bind(id.to_string())
    .bind(keep)
    .execute()
    .await
}

/// What somebody changes of a server.
pub(super) struct Edited<'a> {
    pub(super) id: ServerId,
    /// The version that the change was made of.
    pub(super) version: i64,
    pub(super) name: &'a Name,
    pub(super) labels: &'a Labels,
    pub(super) project_id: Option<ProjectId>,
    pub(super) hostname: &'a str,
}

/// Writes a change; 0 when the version is not the current one any more.
pub(super) async fn update(conn: &mut Conn<'_>, edited: Edited<'_>) -> Result<u64, DbError> {
    let changed = conn
        .query(sql!(
            "update servers set name = $3, name_key = $4, search_key = $5, labels = $6, project_id = $7,
                    version = version + 1
             where id = $1 and version = $2"
        ))
        .bind(edited.id.to_string())
        .bind(edited.version)
        .bind(edited.name.as_str().to_owned())
        .bind(edited.name.key())
        .bind(format!("{}\n{}", edited.name.key(), edited.hostname.to_lowercase()))
        .bind(JsonText(edited.labels.clone()))
        .bind(edited.project_id.map(IdText))
        .execute()
        .await?;
    if changed > 0 {
        conn.query(sql!("delete from server_labels where server_id = $1"))
            .bind(edited.id.to_string())
            .execute()
            .await?;
        insert_labels(conn, edited.id, edited.labels).await?;
    }
    Ok(changed)
}

/// Revokes the agent token; 0 when it is revoked already.
pub(super) async fn revoke(conn: &mut Conn<'_>, id: ServerId, at: Timestamp) -> Result<u64, DbError> {
    conn.query(sql!(
        "update servers set revoked_at = $2, token_digest = null, next_token_digest = null, next_token_at = null, status = 'revoked', version = version + 1
         where id = $1 and revoked_at is null"
    ))
    .bind(id.to_string())
    .bind(at)
    .execute()
    .await
}

pub(super) async fn delete(conn: &mut Conn<'_>, id: ServerId) -> Result<u64, DbError> {
    conn.query(sql!("delete from servers where id = $1")).bind(id.to_string()).execute().await
}

#[derive(sqlx::FromRow)]
struct Id {
    #[sqlx(try_from = "String")]
    id: ServerId,
}

/// Whether there is such a server, whoever owns it.
pub(super) async fn exists(conn: &mut Conn<'_>, id: ServerId) -> Result<bool, DbError> {
    let found: Option<Id> =
        conn.query(sql!("select id from servers where id = $1")).bind(id.to_string()).fetch_optional().await?;
    Ok(found.is_some_and(|found| found.id == id))
}

#[derive(sqlx::FromRow)]
struct Named {
    #[sqlx(try_from = "String")]
    id: ServerId,
    name: String,
    project_id: Option<IdText<ProjectId>>,
    revoked_at: Option<Timestamp>,
}

/// Names of servers, where they lie and whether they are revoked; others than the workspace's are left out.
pub(super) async fn names(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    ids: &[ServerId],
) -> Result<Vec<(Selected, bool)>, DbError> {
    let mut names = Vec::with_capacity(ids.len());
    for page in ids.chunks(500) {
        let rows: Vec<Named> = conn
            .query_in(
                sql!("select id, name, project_id, revoked_at from servers where workspace_id = $1 and id in ({in})"),
                2,
                page.len(),
            )
            .bind(workspace_id.to_string())
            .bind_all(page.iter().map(ServerId::to_string))
            .fetch_all()
            .await?;
        names.extend(rows.into_iter().map(|row| {
            let project_id = row.project_id.map(|id| id.0);
            (Selected { id: row.id, name: row.name, project_id }, row.revoked_at.is_some())
        }));
    }
    Ok(names)
}
