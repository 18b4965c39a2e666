//! The two rules of granting.

use protocol::{UserId, WorkspaceId};

use super::model::{Grant, Granted, Wanted};
use super::store;
use crate::access::{Actor, NodeSet, Place, Rights, Role, Scope};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::projects;

/// Grants of one member.
pub(super) const MAX: usize = 100;

/// What a grant comes to.
///
/// # Errors
/// 422 when its role is not one of this workspace.
pub(super) async fn nodes(conn: &mut Conn<'_>, workspace: WorkspaceId, granted: Granted) -> Result<NodeSet> {
    match granted {
        Granted::Role(role) => Ok(role.nodes()),
        Granted::Permissions(nodes) => Ok(nodes),
        Granted::RoleId(id) => {
            let role = store::role(conn, id).await?.filter(|role| role.workspace_id == workspace);
            let role = role.ok_or_else(|| Error::invalid_field("granted", "names no role of this workspace"))?;
            Ok(role.nodes())
        }
    }
}

/// Where a scope lies.
///
/// # Errors
/// 422 when it names nothing of this workspace.
pub(super) async fn place(conn: &mut Conn<'_>, workspace: WorkspaceId, scope: Scope) -> Result<Place> {
    let place = projects::place_of(conn, workspace, scope).await?;
    place.ok_or_else(|| Error::invalid_field("scope", "names nothing of this workspace"))
}

/// Makes grants of what is asked for.
///
/// # Errors
/// 422 when something of it is not of this workspace or could not be.
pub(super) async fn prepare(
    hub: &Hub,
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    wanted: Vec<Wanted>,
) -> Result<Vec<Grant>> {
    if wanted.len() > MAX {
        return Err(Error::invalid_field("grants", format!("must not be more than {MAX}")));
    }
    let mut grants = Vec::<Grant>::with_capacity(wanted.len());
    for Wanted { granted, scope } in wanted {
        place(conn, workspace, scope).await?;
        if nodes(conn, workspace, granted).await?.is_empty() {
            return Err(Error::invalid_field("granted", "must hold at least one permission"));
        }
        if granted == Granted::Role(Role::Owner) && scope != Scope::Workspace {
            return Err(Error::invalid_field("scope", "must be the workspace for an owner; an admin can be narrower"));
        }
        if grants.iter().all(|grant| (grant.granted, grant.scope) != (granted, scope)) {
            grants.push(Grant { id: hub.ids.grant(), granted, scope });
        }
    }
    Ok(grants)
}

/// The rule: nobody gives or takes what they do not hold there themselves.
///
/// # Errors
/// 403 that names what is missing.
pub(super) async fn demand_held(conn: &mut Conn<'_>, actor: &Actor, granted: Granted, scope: Scope) -> Result<()> {
    let nodes = nodes(conn, actor.workspace_id, granted).await?;
    let place = place(conn, actor.workspace_id, scope).await?;
    demand(&actor.rights, nodes, place)
}

/// The same for nodes at a place.
///
/// # Errors
/// As [`demand_held`].
pub(super) fn demand(rights: &Rights, nodes: NodeSet, place: Place) -> Result<()> {
    rights.demand(nodes, place)
}

/// The other rule: a workspace has an owner. To be called after the change, in its transaction, with the workspace held.
///
/// # Errors
/// 409.
pub(super) async fn demand_owner(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<()> {
    if store::owners(conn, workspace).await? > 0 {
        return Ok(());
    }
    Err(Error::conflict("a workspace needs an owner; make somebody else an owner first"))
}

/// What somebody was granted.
pub(super) async fn of(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<Vec<Grant>> {
    let rows = store::grants(conn, workspace, user).await?;
    Ok(rows.into_iter().filter_map(store::GrantRow::read).collect())
}
