//! SQL of passkeys.

use protocol::UserId;

use crate::auth::model::User;
use crate::auth::passkeys::Record;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::ids::PasskeyId;
use crate::sql;

/// Somebody's passkey.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::auth) struct PasskeyRow {
    #[sqlx(try_from = "String")]
    pub(in crate::auth) id: PasskeyId,
    pub(in crate::auth) credential_id: String,
    pub(in crate::auth) name: String,
    pub(in crate::auth) record: JsonText<Record>,
    pub(in crate::auth) sign_count: i64,
    pub(in crate::auth) backup_eligible: bool,
    pub(in crate::auth) backed_up: bool,
    pub(in crate::auth) created_at: Timestamp,
    pub(in crate::auth) last_used_at: Option<Timestamp>,
}

/// What a device says of a passkey whenever it signs.
#[derive(Debug, Clone, Copy)]
pub(in crate::auth) struct Signed {
    pub(in crate::auth) sign_count: u32,
    pub(in crate::auth) backup_eligible: bool,
    pub(in crate::auth) backed_up: bool,
}

/// The person's passkeys, oldest first; they are few.
pub(in crate::auth) async fn passkeys(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<PasskeyRow>, DbError> {
    conn.query(sql!(
        "select id, credential_id, name, record, sign_count, backup_eligible, backed_up, created_at, last_used_at
         from passkeys where user_id = $1 order by id"
    ))
    .bind(user.to_string())
    .fetch_all()
    .await
}

/// The passkey that a device calls so.
pub(in crate::auth) async fn passkey_by_credential(
    conn: &mut Conn<'_>,
    credential_id: String,
) -> Result<Option<PasskeyRow>, DbError> {
    conn.query(sql!(
        "select id, credential_id, name, record, sign_count, backup_eligible, backed_up, created_at, last_used_at
         from passkeys where credential_id = $1"
    ))
    .bind(credential_id)
    .fetch_optional()
    .await
}

/// Whose passkey it is.
pub(in crate::auth) async fn user_of_passkey(conn: &mut Conn<'_>, id: PasskeyId) -> Result<Option<User>, DbError> {
    conn.query(sql!("select u.id, u.email, u.name from users u join passkeys p on p.user_id = u.id where p.id = $1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

pub(in crate::auth) async fn count_passkeys(conn: &mut Conn<'_>, user: UserId) -> Result<i64, DbError> {
    let (count,) =
        conn.query(sql!("select count(*) from passkeys where user_id = $1")).bind(user.to_string()).fetch_one().await?;
    Ok(count)
}

pub(in crate::auth) async fn insert_passkey(
    conn: &mut Conn<'_>,
    user: UserId,
    passkey: PasskeyRow,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into passkeys (id, user_id, credential_id, name, record, sign_count, backup_eligible, backed_up,
                               created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ))
    .bind(passkey.id.to_string())
    .bind(user.to_string())
    .bind(passkey.credential_id)
    .bind(passkey.name)
    .bind(passkey.record)
    .bind(passkey.sign_count)
    .bind(passkey.backup_eligible)
    .bind(passkey.backed_up)
    .bind(passkey.created_at)
    .execute()
    .await?;
    Ok(())
}

/// Notes a signature; false when its count is not above the last one that was seen, perhaps in this very moment.
pub(in crate::auth) async fn use_passkey(
    conn: &mut Conn<'_>,
    id: PasskeyId,
    signed: Signed,
    at: Timestamp,
) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update passkeys set sign_count = $1, backup_eligible = $2, backed_up = $3, last_used_at = $4
             where id = $5 and (sign_count < $1 or (sign_count = 0 and $1 = 0))"
        ))
        .bind(i64::from(signed.sign_count))
        .bind(signed.backup_eligible)
        .bind(signed.backed_up)
        .bind(at)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(changed > 0)
}

pub(in crate::auth) async fn rename_passkey(
    conn: &mut Conn<'_>,
    user: UserId,
    id: PasskeyId,
    name: String,
) -> Result<(), DbError> {
    conn.query(sql!("update passkeys set name = $1 where id = $2 and user_id = $3"))
        .bind(name)
        .bind(id.to_string())
        .bind(user.to_string())
        .execute()
        .await?;
    Ok(())
}

pub(in crate::auth) async fn delete_passkey(conn: &mut Conn<'_>, user: UserId, id: PasskeyId) -> Result<bool, DbError> {
    let deleted = conn
        .query(sql!("delete from passkeys where id = $1 and user_id = $2"))
        .bind(id.to_string())
        .bind(user.to_string())
        .execute()
        .await?;
    Ok(deleted > 0)
}

/// All of somebody's passkeys; how many there were.
pub(in crate::auth) async fn delete_passkeys(conn: &mut Conn<'_>, user: UserId) -> Result<u64, DbError> {
    conn.query(sql!("delete from passkeys where user_id = $1")).bind(user.to_string()).execute().await
}
