//! SQL of projects.

use protocol::{ServerId, WorkspaceId};

use super::model::{Listed, Project, ProjectName};
use crate::access::{Columns, Reach};
use crate::db::{Conn, DbError};
use crate::ids::ProjectId;
use crate::sql;

pub(super) async fn insert(conn: &mut Conn<'_>, project: &Project) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into projects (id, workspace_id, name, name_key, created_at, version) values ($1, $2, $3, $4, $5, $6)"
    ))
    .bind(project.id.to_string())
    .bind(project.workspace_id.to_string())
    .bind(project.name.clone())
    .bind(project.name.key())
    .bind(project.created_at)
    .bind(project.version)
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: ProjectId) -> Result<Option<Project>, DbError> {
    conn.query(sql!("select id, workspace_id, name, created_at, version from projects where id = $1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

pub(super) async fn count(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from projects where workspace_id = $1"))
        .bind(workspace.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// By name, after `(name_key, id)` when given.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    reach: &Reach,
    after: Option<(String, String)>,
    limit: i64,
) -> Result<Vec<Listed>, DbError> {
    let (name_key, id) = after.unwrap_or_default();
    // A grant over one server of a project is none over the project.
    let columns = Columns { project: "p.id", server: "''" };
    let text = sql!(
        "select p.id, p.workspace_id, p.name, p.name_key, p.created_at, p.version,
                    (select count(*) from servers s where s.project_id = p.id) as servers
             from projects p
             where p.workspace_id = $1 and (p.name_key, p.id) > ($2, $3) and {within}
             order by p.name_key, p.id limit $4"
    );
    let stmt = reach.query(conn, text, columns, 5).bind(workspace.to_string()).bind(name_key).bind(id).bind(limit);
    stmt.bind_all(reach.ids()).fetch_all().await
}

/// Whether it was there in the version that was read.
pub(super) async fn rename(conn: &mut Conn<'_>, project: &Project, name: &ProjectName) -> Result<bool, DbError> {
    let renamed = conn
        .query(sql!(
            "update projects set name = $1, name_key = $2, version = version + 1 where id = $3 and version = $4"
        ))
        .bind(name.clone())
        .bind(name.key())
        .bind(project.id.to_string())
        .bind(project.version)
        .execute()
        .await?;
    Ok(renamed == 1)
}

pub(super) async fn delete(conn: &mut Conn<'_>, id: ProjectId) -> Result<bool, DbError> {
    let deleted = conn.query(sql!("delete from projects where id = $1")).bind(id.to_string()).execute().await?;
    Ok(deleted == 1)
}

/// How many servers are in it.
pub(super) async fn servers(conn: &mut Conn<'_>, id: ProjectId) -> Result<i64, DbError> {
    let (count,) =
        conn.query(sql!("select count(*) from servers where project_id = $1")).bind(id.to_string()).fetch_one().await?;
    Ok(count)
}

/// Ends the install tokens for servers of it that nobody used; how many.
pub(super) async fn delete_install_tokens(conn: &mut Conn<'_>, id: ProjectId) -> Result<u64, DbError> {
    conn.query(sql!("delete from install_tokens where project_id = $1 and used_at is null"))
        .bind(id.to_string())
        .execute()
        .await
}

#[derive(sqlx::FromRow)]
struct ServerRow {
    project_id: Option<String>,
}

/// The project of a server of this workspace: `None` when there is no such server, `Some(None)` when it is in none.
pub(super) async fn project_of_server(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    id: ServerId,
) -> Result<Option<Option<ProjectId>>, DbError> {
    let row: Option<ServerRow> = conn
        .query(sql!("select project_id from servers where id = $1 and workspace_id = $2"))
        .bind(id.to_string())
        .bind(workspace.to_string())
        .fetch_optional()
        .await?;
    Ok(row.map(|row| row.project_id.and_then(|id| id.parse().ok())))
}
