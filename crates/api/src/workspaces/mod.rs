//! Tenants: everything but people belongs to exactly one.

mod model;
mod store;

pub use model::{Workspace, WorkspaceName};

use protocol::{UserId, WorkspaceId};

use crate::db::{Conn, DbError};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::team;

/// Makes a workspace with its first member, its owner. The caller owns the transaction and the audit record.
///
/// # Errors
/// When the database cannot be written.
pub async fn create(hub: &Hub, conn: &mut Conn<'_>, name: WorkspaceName, owner: UserId) -> Result<Workspace> {
    let workspace = Workspace { id: hub.ids.workspace(), name };
    store::insert(conn, &workspace, hub.now()).await?;
    team::found(hub, conn, workspace.id, owner).await?;
    Ok(workspace)
}

/// The workspaces of a person, oldest membership first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_user(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<Workspace>, DbError> {
    store::of_user(conn, user).await
}

/// What a workspace is called.
///
/// # Errors
/// 404 when there is none.
pub async fn name(conn: &mut Conn<'_>, id: WorkspaceId) -> Result<WorkspaceName> {
    let workspace = store::by_id(conn, id).await?;
    Ok(workspace.ok_or_else(|| Error::not_found("workspace"))?.name)
}

/// The first workspace of the installation: what concerns the hub as a whole is recorded there. `None` before set-up.
///
/// # Errors
/// When the database cannot be read.
pub async fn home(conn: &mut Conn<'_>) -> Result<Option<WorkspaceId>, DbError> {
    store::oldest(conn).await
}
