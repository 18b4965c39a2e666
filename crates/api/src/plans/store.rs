//! SQL of plans, and of what they count.

use protocol::WorkspaceId;

use super::model::{Features, Limits, Plan, PlanName, Tenant, Used};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::sql;

#[derive(sqlx::FromRow)]
struct Row {
    name: PlanName,
    limits: JsonText<Limits>,
    features: JsonText<Features>,
    version: i64,
}

impl From<Row> for Plan {
    fn from(row: Row) -> Self {
        Self { name: row.name, limits: row.limits.0, features: row.features.0, version: row.version }
    }
}

pub(super) async fn plan(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<Option<Plan>, DbError> {
    let row: Option<Row> = conn
        .query(sql!("select name, limits, features, version from plans where workspace_id = $1"))
        .bind(workspace.to_string())
        .fetch_optional()
        .await?;
    Ok(row.map(Plan::from))
}

/// The same, locked until the end of the transaction.
pub(super) async fn hold(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<Option<Plan>, DbError> {
    let row: Option<Row> = conn
        .query(sql!(
            "update plans set version = version where workspace_id = $1 returning name, limits, features, version"
        ))
        .bind(workspace.to_string())
        .fetch_optional()
        .await?;
    Ok(row.map(Plan::from))
}

/// Whether it was there in the version that was read.
pub(super) async fn put(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    version: i64,
    plan: &Plan,
    at: Timestamp,
) -> Result<bool, DbError> {
    let put = conn
        .query(sql!(
            "insert into plans (workspace_id, name, limits, features, version, updated_at) values ($1, $2, $3, $4, 1, $6)
             on conflict (workspace_id) do update set name = excluded.name, limits = excluded.limits,
                 features = excluded.features, version = plans.version + 1, updated_at = excluded.updated_at
             where plans.version = $5"
        ))
        .bind(workspace.to_string())
        .bind(plan.name.clone())
        .bind(JsonText(plan.limits))
        .bind(JsonText(plan.features.clone()))
        .bind(version)
        .bind(at)
        .execute()
        .await?;
    Ok(put == 1)
}

pub(super) async fn used(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<Used, DbError> {
    conn.query(sql!(
        "select (select count(*) from servers where workspace_id = $1) as servers,
                (select count(*) from members where workspace_id = $1)
                + (select count(*) from invites where workspace_id = $1) as members"
    ))
    .bind(workspace.to_string())
    .fetch_one()
    .await
}

pub(super) async fn tenant(conn: &mut Conn<'_>, id: WorkspaceId) -> Result<Option<Tenant>, DbError> {
    conn.query(sql!("select id, name, created_at from workspaces where id = $1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

/// Oldest first, after `(created_at, id)` when given.
pub(super) async fn tenants(
    conn: &mut Conn<'_>,
    after: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<Tenant>, DbError> {
    let (created_at, id) = after.unwrap_or((i64::MIN, String::new()));
    conn.query(sql!(
        "select id, name, created_at from workspaces where (created_at, id) > ($1, $2) order by created_at, id limit $3"
    ))
    .bind(created_at)
    .bind(id)
    .bind(limit)
    .fetch_all()
    .await
}
