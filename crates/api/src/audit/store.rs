//! SQL of the audit log.

use super::chain::Head;
use super::filter::Filter;
use super::model::Entry;
use crate::access::verbs::AuditRead;
use crate::access::{Columns, Visible};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, Stmt};
use crate::sql;
use protocol::WorkspaceId;

pub(super) async fn insert(conn: &mut Conn<'_>, entry: Entry) -> Result<(), DbError> {
    let search_key = entry.search_key();
    conn.query(sql!(
        "insert into audit (id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id,
                            subject_name, server_id, result, ip, user_agent, request_id, details, form, salt, sealed,
                            search_key)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"
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
    .bind(entry.form)
    .bind(entry.salt)
    .bind(entry.sealed)
    .bind(search_key)
    .execute()
    .await?;
    Ok(())
}

/// Records of the workspace `$1` that pass the filter `$2`–`$10`; the rest of the statement comes after that.
macro_rules! filtered {
    ($rest:literal) => {
        sql!(
            "select id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id, subject_name,
                    server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash, form, salt, sealed,
                    redacted_at
             from audit
             where workspace_id = $1
                   and (cast($2 as text) is null or action = $2) and (cast($3 as text) is null or actor_id = $3)
                   and (cast($4 as text) is null or subject_id = $4) and (cast($5 as text) is null or server_id = $5)
                   and (cast($6 as text) is null or result = $6) and at >= $7 and at < $8
                   and ($9 = '' or replace(search_key, $9, '') <> search_key) and id >= $10 ",
            $rest
        )
    };
}

fn bind_filter<'c>(stmt: Stmt<'c>, workspace: WorkspaceId, filter: &Filter) -> Stmt<'c> {
    let Filter { action, actor_id, subject_id, server_id, .. } = filter.clone();
    let stmt = stmt.bind(workspace.to_string()).bind(action).bind(actor_id).bind(subject_id).bind(server_id);
    let stmt = stmt.bind(filter.result.map(|result| result.as_str().to_owned()));
    stmt.bind(filter.from()).bind(filter.to()).bind(filter.text.clone()).bind(filter.first_id())
}

/// Newest first; ids grow with time.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    visible: &Visible<AuditRead>,
    filter: &Filter,
    before: Option<String>,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let text = filtered!("and id < $11 and {within} order by id desc limit $12");
    // What happened on a server that is gone is for those who see the whole workspace.
    let columns =
        Columns { project: "(select s.project_id from servers s where s.id = audit.server_id)", server: "server_id" };
    let stmt = visible.reach.query(conn, text, columns, 13);
    let stmt = bind_filter(stmt, visible.actor.workspace_id, filter).bind(filter.end_id(before)).bind(limit);
    stmt.bind_all(visible.reach.ids()).fetch_all().await
}

/// Those of one workspace that pass the filter, chained after `after` and not after `up_to`, in the order of the chain.
pub(super) async fn chained_of(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    filter: &Filter,
    (after, up_to): (i64, i64),
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    let text = filtered!("and position > $11 and position <= $12 order by position limit $13");
    bind_filter(conn.query(text), workspace, filter).bind(after).bind(up_to).bind(limit).fetch_all().await
}

/// One record, whosever it is.
pub(super) async fn by_id(conn: &mut Conn<'_>, id: String) -> Result<Option<Entry>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id, subject_name,
                server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash, form, salt, sealed,
                redacted_at
         from audit where id = $1"
    ))
    .bind(id)
    .fetch_optional()
    .await
}

/// Records that the chain does not hold yet, oldest first.
pub(super) async fn unchained(conn: &mut Conn<'_>, limit: i64) -> Result<Vec<Entry>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, at, actor_type, actor_id, actor_name, action, subject_type, subject_id, subject_name,
                server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash, form, salt, sealed,
                redacted_at
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
                server_id, result, ip, user_agent, request_id, details, position, prev_hash, hash, form, salt, sealed,
                redacted_at
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

/// Writes a record that was blanked; whether it had not been redacted before.
pub(super) async fn redact(conn: &mut Conn<'_>, blank: &Entry, at: Timestamp) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update audit set actor_name = $1, subject_name = $2, ip = $3, user_agent = $4, details = $5, salt = null,
                              redacted_at = $6, search_key = $7
             where id = $8 and salt is not null"
        ))
        .bind(blank.actor_name.clone())
        .bind(blank.subject_name.clone())
        .bind(blank.ip.clone())
        .bind(blank.user_agent.clone())
        .bind(blank.details.clone())
        .bind(at)
        .bind(blank.search_key())
        .bind(blank.id.clone())
        .execute()
        .await?;
    Ok(changed == 1)
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

#[derive(sqlx::FromRow)]
struct Number {
    number: i64,
}

/// The highest position that a record has, 0 when none has one.
pub(super) async fn last_position(conn: &mut Conn<'_>) -> Result<i64, DbError> {
    let row: Number = conn.query(sql!("select coalesce(max(position), 0) as number from audit")).fetch_one().await?;
    Ok(row.number)
}

/// How many records wait to be chained.
pub(super) async fn count_unchained(conn: &mut Conn<'_>) -> Result<i64, DbError> {
    let text = sql!("select count(*) as number from audit where position is null");
    let row: Number = conn.query(text).fetch_one().await?;
    Ok(row.number)
}

#[derive(sqlx::FromRow)]
struct Text {
    text: String,
}

/// The hash of the record at a position.
pub(super) async fn hash_at(conn: &mut Conn<'_>, position: i64) -> Result<Option<String>, DbError> {
    let text = sql!("select coalesce(hash, '') as text from audit where position = $1");
    let row: Option<Text> = conn.query(text).bind(position).fetch_optional().await?;
    Ok(row.map(|row| row.text))
}

/// The signed checkpoint, as JSON.
pub(super) async fn checkpoint(conn: &mut Conn<'_>) -> Result<Option<String>, DbError> {
    let text = sql!("select signed as text from audit_checkpoint where name = 'checkpoint'");
    let row: Option<Text> = conn.query(text).fetch_optional().await?;
    Ok(row.map(|row| row.text))
}

pub(super) async fn set_checkpoint(conn: &mut Conn<'_>, signed: String) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into audit_checkpoint (name, signed) values ('checkpoint', $1)
         on conflict (name) do update set signed = excluded.signed"
    ))
    .bind(signed)
    .execute()
    .await?;
    Ok(())
}

/// Removes the chain up to a position.
pub(super) async fn delete_up_to(conn: &mut Conn<'_>, position: i64) -> Result<u64, DbError> {
    conn.query(sql!("delete from audit where position <= $1")).bind(position).execute().await
}
