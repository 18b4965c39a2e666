//! SQL of workspaces and members.

use protocol::{UserId, WorkspaceId};

use super::model::{Workspace, WorkspaceName, WorkspaceView};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError};
use crate::sql;

pub(super) async fn insert(conn: &mut Conn<'_>, workspace: &Workspace, at: Timestamp) -> Result<(), DbError> {
    conn.query(sql!("insert into workspaces (id, name, created_at) values ($1, $2, $3)"))
        .bind(workspace.id.to_string())
        .bind(workspace.name.clone())
        .bind(at)
        .execute()
        .await?;
    Ok(())
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: WorkspaceId) -> Result<Option<Workspace>, DbError> {
    conn.query(sql!("select id, name from workspaces where id = $1")).bind(id.to_string()).fetch_optional().await
}

#[derive(sqlx::FromRow)]
struct Named {
    #[sqlx(try_from = "String")]
    id: WorkspaceId,
}

/// By id, else by name.
pub(super) async fn named(conn: &mut Conn<'_>, name: String) -> Result<Option<WorkspaceId>, DbError> {
    let found: Option<Named> = conn
        .query(sql!(
            "select id from workspaces where id = $1 or name = $1
             order by case when id = $1 then 0 else 1 end, created_at, id limit 1"
        ))
        .bind(name)
        .fetch_optional()
        .await?;
    Ok(found.map(|found| found.id))
}

pub(super) async fn with_rules(conn: &mut Conn<'_>, id: WorkspaceId) -> Result<Option<WorkspaceView>, DbError> {
    conn.query(sql!("select id, name, require_totp, created_at, version from workspaces where id = $1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

/// Changes a workspace that is still at the version of `before`; false when it is not.
pub(super) async fn update(
    conn: &mut Conn<'_>,
    before: &WorkspaceView,
    name: WorkspaceName,
    require_totp: bool,
) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update workspaces set name = $1, require_totp = $2, version = version + 1 where id = $3 and version = $4"
        ))
        .bind(name)
        .bind(require_totp)
        .bind(before.id.to_string())
        .bind(before.version)
        .execute()
        .await?;
    Ok(changed > 0)
}

pub(super) async fn of_user(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<Workspace>, DbError> {
    conn.query(sql!(
        "select w.id, w.name from members m join workspaces w on w.id = m.workspace_id
         where m.user_id = $1 order by m.created_at, w.id"
    ))
    .bind(user.to_string())
    .fetch_all()
    .await
}

pub(super) async fn oldest(conn: &mut Conn<'_>) -> Result<Option<WorkspaceId>, DbError> {
    let oldest: Option<Oldest> =
        conn.query(sql!("select id from workspaces order by created_at, id limit 1")).fetch_optional().await?;
    Ok(oldest.map(|oldest| oldest.id))
}

#[derive(sqlx::FromRow)]
struct Oldest {
    #[sqlx(try_from = "String")]
    id: WorkspaceId,
}
