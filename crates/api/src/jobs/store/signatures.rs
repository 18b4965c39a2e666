//! Operators' signatures of jobs.

use protocol::{JobId, UserId};

use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::jobs::signing::Signed;
use crate::sql;

#[derive(sqlx::FromRow)]
struct SignedRow {
    fingerprint: String,
    signature: String,
    key_name: String,
    #[sqlx(try_from = "String")]
    user_id: UserId,
    user_name: String,
    signed_at: Timestamp,
}

/// Operators' signatures of a job, in the order in which they were given.
pub(in crate::jobs) async fn signatures(conn: &mut Conn<'_>, id: JobId) -> Result<Vec<Signed>, DbError> {
    let rows: Vec<SignedRow> = conn
        .query(sql!("select * from job_signatures where job_id = $1 order by signed_at, fingerprint"))
        .bind(id.to_string())
        .fetch_all()
        .await?;
    let signed = |row: SignedRow| Signed {
        fingerprint: row.fingerprint,
        signature: row.signature,
        key_name: row.key_name,
        user_id: row.user_id,
        user_name: row.user_name,
        at: row.signed_at,
    };
    Ok(rows.into_iter().map(signed).collect())
}

pub(in crate::jobs) async fn insert_signature(conn: &mut Conn<'_>, id: JobId, signed: &Signed) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into job_signatures (job_id, fingerprint, signature, key_name, user_id, user_name, signed_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (job_id, fingerprint) do nothing"
    ))
    .bind(id.to_string())
    .bind(signed.fingerprint.clone())
    .bind(signed.signature.clone())
    .bind(signed.key_name.clone())
    .bind(signed.user_id.to_string())
    .bind(signed.user_name.clone())
    .bind(signed.at)
    .execute()
    .await?;
    Ok(())
}
