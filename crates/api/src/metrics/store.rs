//! SQL of history. In SQLite it is a file of its own with a writer of its own.

use futures_util::TryStreamExt as _;
use protocol::ServerId;

use super::ring::Minute;
use crate::db::{Conn, DbError};
use crate::sql;

#[derive(sqlx::FromRow)]
struct JournalRow {
    minute: i64,
    data: Vec<u8>,
}

pub(super) async fn add_to_journal(
    conn: &mut Conn<'_>,
    minute: Minute,
    id: String,
    data: Vec<u8>,
) -> Result<(), DbError> {
    conn.query(sql!("insert into sample_journal (minute, id, data) values ($1, $2, $3)"))
        .bind(minute)
        .bind(id)
        .bind(data)
        .execute()
        .await?;
    Ok(())
}

/// Hands every entry of the journal to `take`, oldest first.
pub(super) async fn read_journal(conn: &mut Conn<'_>, mut take: impl FnMut(Minute, Vec<u8>)) -> Result<(), DbError> {
    let mut rows =
        conn.query(sql!("select minute, data from sample_journal order by minute, id")).fetch::<JournalRow>();
    while let Some(row) = rows.try_next().await? {
        take(row.minute, row.data);
    }
    Ok(())
}

pub(super) async fn trim_journal(conn: &mut Conn<'_>, before: Minute) -> Result<u64, DbError> {
    conn.query(sql!("delete from sample_journal where minute < $1")).bind(before).execute().await
}

/// A stored block.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct BlockRow {
    pub(super) start: i64,
    pub(super) data: Vec<u8>,
}

/// Blocks that start at `from` or later and before `to`.
pub(super) async fn blocks(
    conn: &mut Conn<'_>,
    server: ServerId,
    tier_s: i64,
    from: i64,
    to: i64,
) -> Result<Vec<BlockRow>, DbError> {
    conn.query(sql!(
        "select start, data from sample_blocks
         where server_id = $1 and tier = $2 and start >= $3 and start < $4 order by start"
    ))
    .bind(server.to_string())
    .bind(tier_s)
    .bind(from)
    .bind(to)
    .fetch_all()
    .await
}

pub(super) async fn put_block(
    conn: &mut Conn<'_>,
    server: ServerId,
    tier_s: i64,
    start: i64,
    data: Vec<u8>,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into sample_blocks (server_id, tier, start, data) values ($1, $2, $3, $4)
         on conflict (server_id, tier, start) do update set data = excluded.data"
    ))
    .bind(server.to_string())
    .bind(tier_s)
    .bind(start)
    .bind(data)
    .execute()
    .await?;
    Ok(())
}

/// Deletes a server's blocks of one tier that start before `before`.
pub(super) async fn trim_blocks(
    conn: &mut Conn<'_>,
    server: ServerId,
    tier_s: i64,
    before: i64,
) -> Result<u64, DbError> {
    conn.query(sql!("delete from sample_blocks where server_id = $1 and tier = $2 and start < $3"))
        .bind(server.to_string())
        .bind(tier_s)
        .bind(before)
        .execute()
        .await
}

/// Deletes everything of a server.
pub(super) async fn delete_blocks(conn: &mut Conn<'_>, server: ServerId) -> Result<u64, DbError> {
    conn.query(sql!("delete from sample_blocks where server_id = $1")).bind(server.to_string()).execute().await
}

#[derive(sqlx::FromRow)]
struct NextServer {
    next: Option<String>,
}

/// The server with blocks that comes after `after`; one step along the key instead of a scan of all blocks.
pub(super) async fn next_server(conn: &mut Conn<'_>, after: &str) -> Result<Option<String>, DbError> {
    let row: NextServer = conn
        .query(sql!("select min(server_id) as next from sample_blocks where server_id > $1"))
        .bind(after.to_owned())
        .fetch_one()
        .await?;
    Ok(row.next)
}
