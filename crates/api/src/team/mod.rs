//! Who belongs to a workspace: members and what they were granted, roles of the workspace's own, invitations.
//!
//! Two rules hold everywhere here: nobody grants or takes away what they do not hold themselves, and a workspace always
//! has an owner.

mod grants;
mod invites;
mod mapped;
mod members;
mod model;
mod roles;
mod routes;
mod store;
mod task;
#[cfg(test)]
mod tests;

use protocol::{UserId, WorkspaceId};
use utoipa_axum::router::OpenApiRouter;

pub use mapped::{Mapped, mapped_people, set_mapped, sources_of};
pub use task::{start, sweep};

use crate::access::{Role, Scope};
use crate::db::Conn;
use crate::error::Result;
use crate::hub::{App, Hub};
use model::{Grant, Granted};

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Makes the first member of a workspace, its owner.
///
/// # Errors
/// When the database cannot be written.
pub async fn found(hub: &Hub, conn: &mut Conn<'_>, workspace: WorkspaceId, owner: UserId) -> Result<()> {
    store::insert_member(conn, workspace, owner, hub.now()).await?;
    let grant = Grant { id: hub.ids.grant(), granted: Granted::Role(Role::Owner), scope: Scope::Workspace };
    store::insert_grant(conn, workspace, owner, &grant, hub.now()).await?;
    Ok(())
}
