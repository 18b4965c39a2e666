//! The tables `events` and `event_heads`.

use protocol::{ServerId, WorkspaceId};
use serde_json::Value;
use sqlx::FromRow;

use super::model::{Change, Position, StreamEvent, StreamSubject};
use crate::access::Place;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, IdText, JsonText};
use crate::ids::ProjectId;
use crate::sql;

/// How far a workspace's numbers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(super) struct Head {
    /// The last number given out.
    pub(super) seq: Position,
    /// The last number whose change is not kept any more.
    pub(super) pruned_seq: Position,
}

#[derive(FromRow)]
struct Row {
    seq: Position,
    at: Timestamp,
    kind: String,
    subject_kind: String,
    subject_id: String,
    data: JsonText<Value>,
    project_id: Option<IdText<ProjectId>>,
    server_id: Option<IdText<ServerId>>,
}

/// Takes `count` numbers; the last of them.
pub(super) async fn advance(conn: &mut Conn<'_>, workspace_id: WorkspaceId, count: i64) -> Result<Position, DbError> {
    let (last,) = conn
        .query(sql!(
            "insert into event_heads (workspace_id, seq, pruned_seq) values ($1, $2, 0)
             on conflict (workspace_id) do update set seq = event_heads.seq + excluded.seq
             returning seq"
        ))
        .bind(workspace_id.to_string())
        .bind(count)
        .fetch_one()
        .await?;
    Ok(last)
}

pub(super) async fn insert(
    conn: &mut Conn<'_>,
    position: Position,
    at: Timestamp,
    change: &Change,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into events (workspace_id, seq, at, kind, subject_kind, subject_id, data, project_id, server_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ))
    .bind(change.workspace_id.to_string())
    .bind(position)
    .bind(at)
    .bind(change.kind.to_owned())
    .bind(change.subject.kind.to_owned())
    .bind(change.subject.id.clone())
    .bind(JsonText(change.data.clone()))
    .bind(change.subject.place.project_id.map(IdText))
    .bind(change.subject.place.server_id.map(IdText))
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn head(conn: &mut Conn<'_>, workspace_id: WorkspaceId) -> Result<Head, DbError> {
    let head = conn
        .query(sql!("select seq, pruned_seq from event_heads where workspace_id = $1"))
        .bind(workspace_id.to_string())
        .fetch_optional()
        .await?;
    Ok(head.unwrap_or(Head { seq: Position::new(0), pruned_seq: Position::new(0) }))
}

/// The changes after `after` up to `last`, in order, at most `limit`.
pub(super) async fn between(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    after: Position,
    last: Position,
    limit: i64,
) -> Result<Vec<StreamEvent>, DbError> {
    let rows: Vec<Row> = conn
        .query(sql!(
            "select seq, at, kind, subject_kind, subject_id, data, project_id, server_id from events
             where workspace_id = $1 and seq > $2 and seq <= $3
             order by seq limit $4"
        ))
        .bind(workspace_id.to_string())
        .bind(after)
        .bind(last)
        .bind(limit)
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(Row::into_event).collect())
}

/// A workspace with changes that are too old.
#[derive(Debug, FromRow)]
pub(super) struct Outdated {
    pub(super) workspace_id: String,
    /// The last number that is forgotten already.
    pub(super) pruned_seq: Position,
    /// The last number that is too old.
    pub(super) last_seq: Position,
}

/// Workspaces that have changes from before `before`.
pub(super) async fn outdated(conn: &mut Conn<'_>, before: Timestamp, limit: i64) -> Result<Vec<Outdated>, DbError> {
    conn.query(sql!(
        "select h.workspace_id, h.pruned_seq, max(e.seq) as last_seq
         from event_heads h join events e on e.workspace_id = h.workspace_id
         where e.at < $1
         group by h.workspace_id, h.pruned_seq
         limit $2"
    ))
    .bind(before)
    .bind(limit)
    .fetch_all()
    .await
}

/// Forgets the changes of a workspace up to `last`.
pub(super) async fn prune(conn: &mut Conn<'_>, workspace_id: &str, last: Position) -> Result<u64, DbError> {
    conn.query(sql!("update event_heads set pruned_seq = $2 where workspace_id = $1 and pruned_seq < $2"))
        .bind(workspace_id.to_owned())
        .bind(last)
        .execute()
        .await?;
    conn.query(sql!("delete from events where workspace_id = $1 and seq <= $2"))
        .bind(workspace_id.to_owned())
        .bind(last)
        .execute()
        .await
}

impl Row {
    fn into_event(self) -> StreamEvent {
        let subject = StreamSubject { kind: self.subject_kind, id: self.subject_id };
        let place = Place { project_id: self.project_id.map(|id| id.0), server_id: self.server_id.map(|id| id.0) };
        StreamEvent { id: Some(self.seq), at: self.at, kind: self.kind, subject, data: self.data.0, place }
    }
}
