//! SQL of the audit log.

use super::chain::Head;
use super::model::Entry;
use crate::access::verbs::AuditRead;
use crate::access::{Columns, Visible};
use crate::db::{Conn, DbError};
use crate::sql;

pub(super) async fn insert(conn: &mut Conn<'_>, entry: Entry) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into audit (id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id,
                            subject_name, server_id, result, ip, user_agent, request_id, details)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    ))
    .bind(entry.id)
    .bind(entry.workspace_id.to_string())
    .bind(entry.at)
    .bind(entry.actor_type)
    .bind(entry.actor_id)
    .bind(entry.actor_name)
    .bind(entry.action)
    .bind(entry.subject_type)
    .bind(entry.subject_id)
    .bind(entry.subject_name)
    .bind(entry.server_id)
    .bind(entry.result)
    .bind(entry.ip)
    .bind(entry.user_agent)
    .bind(entry.request_id)
    .bind(entry.details)
    .execute()
    .await?;
    Ok(())
}

/// Which records a list shows.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) action: Option<String>,
    pub(super) actor_id: Option<String>,
    pub(super) subject_id: Option<String>,
    pub(super) server_id: Option<String>,
    /// Records older than this one.
    pub(super) before: Option<String>,
}

/// Newest first; ids grow with time.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    visible: &Visible<AuditRead>,
    filter: Filter,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let text = sql!(
        "select id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id, subject_name,
                server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash
         from audit
         where workspace_id = $1
               and (cast($2 as text) is null or action = $2) and (cast($3 as text) is null or actor_id = $3)
               and (cast($4 as text) is null or subject_id = $4) and (cast($5 as text) is null or server_id = $5)
               and (cast($6 as text) is null or id < $6) and {within}
         order by id desc limit $7"
    );
    // What happened on a server that is gone is for those who see the whole workspace.
    let columns =
        Columns { project: "(select s.project_id from servers s where s.id = audit.server_id)", server: "server_id" };
    let stmt = visible.reach.query(conn, text, columns, 8).bind(visible.actor.workspace_id.to_string());
    let stmt = stmt.bind(filter.action).bind(filter.actor_id).bind(filter.subject_id).bind(filter.server_id);
    stmt.bind(filter.before).bind(limit).bind_all(visible.reach.ids()).fetch_all().await
}

/// Records that the chain does not hold yet, oldest first.
pub(super) async fn unchained(conn: &mut Conn<'_>, limit: i64) -> Result<Vec<Entry>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id, subject_name,
                server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash
         from audit where position is null order by id limit $1"
    ))
    .bind(limit)
    .fetch_all()
    .await
}

/// The chain after `position`, in order.
pub(super) async fn chained_after(conn: &mut Conn<'_>, position: i64, limit: i64) -> Result<Vec<Entry>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id, subject_name,
                server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash
         from audit where position > $1 order by position limit $2"
    ))
    .bind(position)
    .bind(limit)
    .fetch_all()
    .await
}

pub(super) async fn set_link(
    conn: &mut Conn<'_>,
    id: String,
    position: i64,
    prev_hash: String,
    hash: String,
) -> Result<(), DbError> {
    conn.query(sql!("update audit set position = $1, prev_hash = $2, hash = $3 where id = $4"))
        .bind(position)
        .bind(prev_hash)
        .bind(hash)
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// The end of the chain, locked until the transaction ends.
pub(super) async fn lock_head(conn: &mut Conn<'_>) -> Result<Head, DbError> {
    conn.query(sql!("update audit_head set position = position where name = 'head' returning position, hash"))
        .fetch_one()
        .await
}

pub(super) async fn head(conn: &mut Conn<'_>) -> Result<Head, DbError> {
    conn.query(sql!("select position, hash from audit_head where name = 'head'")).fetch_one().await
}

pub(super) async fn set_head(conn: &mut Conn<'_>, head: &Head) -> Result<(), DbError> {
    conn.query(sql!("update audit_head set position = $1, hash = $2 where name = 'head'"))
        .bind(head.position)
        .bind(head.hash.clone())
        .execute()
        .await?;
    Ok(())
}
