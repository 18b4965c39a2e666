//! SQL of the installation's facts.

use crate::db::{Conn, DbError};
use crate::sql;

#[derive(sqlx::FromRow)]
struct Row {
    value: String,
}

pub(super) async fn get(conn: &mut Conn<'_>, name: &'static str) -> Result<Option<String>, DbError> {
    let row: Option<Row> =
        conn.query(sql!("select value from installation where name = $1")).bind(name).fetch_optional().await?;
    Ok(row.map(|row| row.value))
}

pub(super) async fn put(conn: &mut Conn<'_>, name: &'static str, value: String) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into installation (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value"
    ))
    .bind(name)
    .bind(value)
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn claim(conn: &mut Conn<'_>, name: &'static str, value: String) -> Result<bool, DbError> {
    let inserted = conn
        .query(sql!("insert into installation (name, value) values ($1, $2) on conflict (name) do nothing"))
        .bind(name)
        .bind(value)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn remove(conn: &mut Conn<'_>, name: &'static str) -> Result<(), DbError> {
    conn.query(sql!("delete from installation where name = $1")).bind(name).execute().await?;
    Ok(())
}
