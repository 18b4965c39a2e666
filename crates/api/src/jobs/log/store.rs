//! The table of log segments, in the history store.

use protocol::JobId;

use super::segment::{Encoding, Row};
use crate::db::{Conn, DbError};
use crate::sql;

#[derive(Debug, sqlx::FromRow)]
struct Stored {
    start: i64,
    finish: i64,
    gap_bytes: i64,
    encoding: i64,
    data: Vec<u8>,
}

impl TryFrom<Stored> for Row {
    type Error = DbError;

    fn try_from(stored: Stored) -> Result<Self, DbError> {
        let encoding = Encoding::from_number(stored.encoding).ok_or_else(|| {
            DbError::Other(sqlx::Error::Decode(format!("unknown log encoding {}", stored.encoding).into()))
        })?;
        Ok(Self {
            start: unsigned(stored.start),
            finish: unsigned(stored.finish),
            gap_bytes: unsigned(stored.gap_bytes),
            encoding,
            data: stored.data,
        })
    }
}

/// How far a log goes, and how much of it was dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) finish: u64,
    pub(super) gap_bytes: u64,
    /// Bytes that are still there.
    pub(super) kept: u64,
    /// Bytes that they take as they are stored.
    pub(super) stored: u64,
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Appends a segment where the log ends; `false` when it ends elsewhere, because another hub wrote there.
pub(super) async fn append(conn: &mut Conn<'_>, job_id: JobId, row: Row) -> Result<bool, DbError> {
    let appended = conn
        .query(sql!(
            "insert into job_log (job_id, start, finish, gap_bytes, encoding, data) \
             select $1, $2, $3, $4, $5, $6 \
             where $2 = coalesce((select finish from job_log where job_id = $1 order by start desc limit 1), 0)"
        ))
        .bind(job_id.to_string())
        .bind(signed(row.start))
        .bind(signed(row.finish))
        .bind(signed(row.gap_bytes))
        .bind(row.encoding.as_number())
        .bind(row.data)
        .execute()
        .await;
    match appended {
        Ok(count) => Ok(count == 1),
        Err(DbError::UniqueViolation(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Appends segments to the one that was appended before in the same transaction.
pub(super) async fn append_more(conn: &mut Conn<'_>, job_id: JobId, rows: &[Row]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    let text =
        sql!("insert into job_log (job_id, start, finish, gap_bytes, encoding, data) values ($1, $2, $3, $4, $5, $6)");
    let insert = conn.query_rows(text, 6, rows.len());
    let insert = rows.iter().fold(insert, |insert, row| {
        insert
            .bind(job_id.to_string())
            .bind(signed(row.start))
            .bind(signed(row.finish))
            .bind(signed(row.gap_bytes))
            .bind(row.encoding.as_number())
            .bind(row.data.clone())
    });
    insert.execute().await.map(drop)
}

/// How far the log of a job goes.
pub(super) async fn extent(conn: &mut Conn<'_>, job_id: JobId) -> Result<Extent, DbError> {
    let (finish, gap_bytes, kept, stored) = conn
        .query(sql!(
            "select coalesce(max(finish), 0), cast(coalesce(sum(gap_bytes), 0) as bigint), \
             cast(coalesce(sum(case when encoding = 2 then 0 else finish - start end), 0) as bigint), \
             cast(coalesce(sum(length(data)), 0) as bigint) \
             from job_log where job_id = $1"
        ))
        .bind(job_id.to_string())
        .fetch_one::<(i64, i64, i64, i64)>()
        .await?;
    Ok(Extent {
        finish: unsigned(finish),
        gap_bytes: unsigned(gap_bytes),
        kept: unsigned(kept),
        stored: unsigned(stored),
    })
}

/// The first segment that begins at `from` or later, without its data: start, finish, and whether it was dropped.
pub(super) async fn first_from(
    conn: &mut Conn<'_>,
    job_id: JobId,
    from: u64,
) -> Result<Option<(u64, u64, bool)>, DbError> {
    let row = conn
        .query(sql!(
            "select start, finish, encoding from job_log where job_id = $1 and start >= $2 order by start limit 1"
        ))
        .bind(job_id.to_string())
        .bind(signed(from))
        .fetch_optional::<(i64, i64, i64)>()
        .await?;
    let dropped = Encoding::Dropped.as_number();
    Ok(row.map(|(start, finish, encoding)| (unsigned(start), unsigned(finish), encoding == dropped)))
}

/// Bytes that are missing in the segments that begin from `from` on and before `to`.
pub(super) async fn gaps_between(conn: &mut Conn<'_>, job_id: JobId, from: u64, to: u64) -> Result<u64, DbError> {
    let (gap_bytes,) = conn
        .query(sql!(
            "select cast(coalesce(sum(gap_bytes), 0) as bigint) from job_log \
             where job_id = $1 and start >= $2 and start < $3"
        ))
        .bind(job_id.to_string())
        .bind(signed(from))
        .bind(signed(to))
        .fetch_one::<(i64,)>()
        .await?;
    Ok(unsigned(gap_bytes))
}

/// Puts `row` in the place of everything that it covers.
pub(super) async fn replace(conn: &mut Conn<'_>, job_id: JobId, row: Row) -> Result<(), DbError> {
    conn.query(sql!("delete from job_log where job_id = $1 and start >= $2 and start < $3"))
        .bind(job_id.to_string())
        .bind(signed(row.start))
        .bind(signed(row.finish))
        .execute()
        .await?;
    append_more(conn, job_id, &[row]).await
}

/// The last segment of a log.
pub(super) async fn last(conn: &mut Conn<'_>, job_id: JobId) -> Result<Option<Row>, DbError> {
    let row = conn
        .query(sql!("select * from job_log where job_id = $1 order by start desc limit 1"))
        .bind(job_id.to_string())
        .fetch_optional::<Stored>()
        .await?;
    row.map(Row::try_from).transpose()
}

/// The segment that holds the byte at `from`, and at most `limit` segments with it.
pub(super) async fn page(conn: &mut Conn<'_>, job_id: JobId, from: u64, limit: i64) -> Result<Vec<Row>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from job_log where job_id = $1 \
             and start >= coalesce((select max(start) from job_log where job_id = $1 and start <= $2), 0) \
             order by start limit $3"
        ))
        .bind(job_id.to_string())
        .bind(signed(from))
        .bind(limit)
        .fetch_all::<Stored>()
        .await?;
    rows.into_iter().map(Row::try_from).collect()
}

/// Removes whole logs.
pub(super) async fn delete(conn: &mut Conn<'_>, job_ids: &[JobId]) -> Result<u64, DbError> {
    conn.query_in(sql!("delete from job_log where job_id in ({in})"), 1, job_ids.len())
        .bind_all(job_ids.iter().map(JobId::to_string))
        .execute()
        .await
}
