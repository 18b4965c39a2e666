//! Who runs the hub: whoever holds `hub.manage` over its first workspace.

use super::actor::{Actor, Principal};
use super::node::Node;
use super::scope::Place;
use crate::db::Conn;
use crate::error::Result;
use crate::workspaces;

/// Whether somebody acts as who runs the hub: in its first workspace.
///
/// # Errors
/// When the database cannot be read.
pub async fn runs_hub(conn: &mut Conn<'_>, actor: &Actor) -> Result<bool> {
    Ok(actor.may(Node::HubManage) && is_at_home(conn, actor).await?)
}

/// Whether somebody runs the hub, wherever they act now. A key only where it is of.
///
/// # Errors
/// When the database cannot be read.
pub async fn runs_hub_from_anywhere(conn: &mut Conn<'_>, actor: &Actor) -> Result<bool> {
    let Some(home) = workspaces::home(conn).await? else { return Ok(false) };
    match actor.principal {
        Principal::User { id, .. } if actor.workspace_id != home => {
            let rights = super::rights_of(conn, home, id).await?;
            Ok(rights.allow(Node::HubManage, Place::WORKSPACE))
        }
        _ => runs_hub(conn, actor).await,
    }
}

/// Whether somebody acts in the hub's first workspace.
pub(super) async fn is_at_home(conn: &mut Conn<'_>, actor: &Actor) -> Result<bool> {
    Ok(workspaces::home(conn).await? == Some(actor.workspace_id))
}
