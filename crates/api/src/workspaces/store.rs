//! SQL of workspaces and members.

use protocol::{UserId, WorkspaceId};

use super::model::Workspace;
use crate::access::Role;
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

pub(super) async fn insert_member(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    at: Timestamp,
) -> Result<(), DbError> {
    conn.query(sql!("insert into members (workspace_id, user_id, role, created_at) values ($1, $2, $3, $4)"))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .bind(role)
        .bind(at)
        .execute()
        .await?;
    Ok(())
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

pub(super) async fn role(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<Option<Role>, DbError> {
    let member: Option<Member> = conn
        .query(sql!("select role from members where workspace_id = $1 and user_id = $2"))
        .bind(workspace.to_string())
        .bind(user.to_string())
        .fetch_optional()
        .await?;
    Ok(member.map(|member| member.role))
}

#[derive(sqlx::FromRow)]
struct Member {
    role: Role,
}

#[derive(sqlx::FromRow)]
struct Oldest {
    #[sqlx(try_from = "String")]
    id: WorkspaceId,
}
