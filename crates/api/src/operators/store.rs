//! SQL of operators' keys.

use protocol::{OperatorKeyId, UserId, WorkspaceId};

use super::model::{OperatorKey, Signer};
use crate::db::{Conn, DbError};
use crate::sql;

pub(super) async fn list(
    conn: &mut Conn<'_>,
    user_id: UserId,
    before: Option<String>,
    limit: i64,
) -> Result<Vec<OperatorKey>, DbError> {
    conn.query(sql!("select * from operator_keys where user_id = $1 and id < $2 order by id desc limit $3"))
        .bind(user_id.to_string())
        // Greater than every id.
        .bind(before.unwrap_or_else(|| "g".to_owned()))
        .bind(limit)
        .fetch_all()
        .await
}

pub(super) async fn count(conn: &mut Conn<'_>, user_id: UserId) -> Result<i64, DbError> {
    let (count,): (i64,) = conn
        .query(sql!("select count(*) from operator_keys where user_id = $1"))
        .bind(user_id.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// `false` when the person has registered the key already.
pub(super) async fn insert(conn: &mut Conn<'_>, key: &OperatorKey) -> Result<bool, DbError> {
    let inserted = conn
        .query(sql!(
            "insert into operator_keys (id, user_id, name, public_key, fingerprint, created_at)
             values ($1, $2, $3, $4, $5, $6) on conflict (user_id, fingerprint) do nothing"
        ))
        .bind(key.id.to_string())
        .bind(key.user_id.to_string())
        .bind(key.name.clone())
        .bind(key.public_key.clone())
        .bind(key.fingerprint.clone())
        .bind(key.created_at)
        .execute()
        .await?;
    Ok(inserted == 1)
}

pub(super) async fn delete(
    conn: &mut Conn<'_>,
    user_id: UserId,
    id: OperatorKeyId,
) -> Result<Option<OperatorKey>, DbError> {
    conn.query(sql!("delete from operator_keys where id = $1 and user_id = $2 returning *"))
        .bind(id.to_string())
        .bind(user_id.to_string())
        .fetch_optional()
        .await
}

pub(super) async fn signer(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    fingerprint: &str,
) -> Result<Option<Signer>, DbError> {
    conn.query(sql!(
        "select u.id as user_id, u.name as user_name, k.name as key_name
         from operator_keys k join users u on u.id = k.user_id join members m on m.user_id = u.id
         where k.fingerprint = $1 and m.workspace_id = $2 order by k.id limit 1"
    ))
    .bind(fingerprint.to_owned())
    .bind(workspace_id.to_string())
    .fetch_optional()
    .await
}
