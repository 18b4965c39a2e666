//! Tenants: everything but people belongs to exactly one.

mod model;
mod store;

pub use model::{Workspace, WorkspaceName};

use protocol::{UserId, WorkspaceId};

use crate::access::Role;
use crate::db::{Conn, DbError};
use crate::error::Result;
use crate::hub::Hub;

/// Makes a workspace with its first member, its owner. The caller owns the transaction and the audit record.
///
/// # Errors
/// When the database cannot be written.
pub async fn create(hub: &Hub, conn: &mut Conn<'_>, name: WorkspaceName, owner: UserId) -> Result<Workspace> {
    let workspace = Workspace { id: hub.ids.workspace(), name };
    store::insert(conn, &workspace, hub.now()).await?;
    store::insert_member(conn, workspace.id, owner, Role::Owner, hub.now()).await?;
    Ok(workspace)
}

/// The workspaces of a person, oldest membership first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_user(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<Workspace>, DbError> {
    store::of_user(conn, user).await
}

/// The first workspace of the installation: what concerns the hub as a whole is recorded there. `None` before set-up.
///
/// # Errors
/// When the database cannot be read.
pub async fn home(conn: &mut Conn<'_>) -> Result<Option<WorkspaceId>, DbError> {
    store::oldest(conn).await
}

/// What a person may do in a workspace; nothing when they are no member.
///
/// # Errors
/// When the database cannot be read.
pub async fn role(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<Role, DbError> {
    Ok(store::role(conn, workspace, user).await?.unwrap_or(Role::Nobody))
}
