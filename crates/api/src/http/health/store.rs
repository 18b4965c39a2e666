//! Asks a database for a sign of life.

use crate::db::{Conn, DbError};
use crate::sql;

pub(super) async fn ping(conn: &mut Conn<'_>) -> Result<(), DbError> {
    let _alive: (i64,) = conn.query(sql!("select cast(1 as bigint) as alive")).fetch_one().await?;
    Ok(())
}
