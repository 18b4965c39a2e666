//! Roles of a workspace's own: lists of permissions with a name.

use serde_json::json;

use super::grants;
use super::model::{CustomRole, RoleName, RoleView};
use super::store;
use crate::access::verbs::{MembersRead, RolesManage};
use crate::access::{self, Actor, Authorized, NodeSet, Place, Workspace};
use crate::audit::{self, Outcome, Subject};
use crate::db::DbError;
use crate::error::{Error, Result};
use crate::http::etag::{self, IfMatch};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::Hub;

/// Roles of one workspace.
const MAX: i64 = 100;

pub(super) async fn list(
    hub: &Hub,
    workspace: Authorized<Workspace, MembersRead>,
    page: PageQuery,
) -> Result<Page<RoleView>> {
    let after = page.cursor.as_ref().map(|cursor| cursor.key::<(String, String)>()).transpose()?;
    let mut session = hub.db.read().await?;
    let rows = store::roles(&mut session.conn(), workspace.resource.id, after, page.limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |role| (role.name.key(), role.id.to_string()))?;
    Ok(Page { data: rows.into_iter().map(RoleView::from).collect(), next_cursor })
}

pub(super) async fn create(
    hub: &Hub,
    workspace: Authorized<Workspace, RolesManage>,
    name: RoleName,
    nodes: NodeSet,
) -> Result<CustomRole> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    check(nodes)?;
    let held = grants::demand(&actor.rights, nodes, Place::WORKSPACE);
    audit::noting_refusal(hub, &actor, Subject::new("role", &"", name.as_str()), held).await?;
    let role = CustomRole::new(hub.ids.role(), workspace.id, name, hub.now()).with_nodes(nodes);
    let mut unit = hub.begin().await?;
    store::hold(&mut unit.conn(), workspace.id).await?;
    if store::count_roles(&mut unit.conn(), workspace.id).await? >= MAX {
        return Err(Error::conflict(format!("a workspace has {MAX} roles at most; remove one first")));
    }
    store::insert_role(&mut unit.conn(), &role).await.map_err(taken)?;
    let details = json!({ "permissions": nodes });
    unit.audit(&actor, "role.create", subject(&role), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(role)
}

/// Changes name or permissions; whoever holds the role holds the new ones at once.
pub(super) async fn update(
    hub: &Hub,
    role: Authorized<CustomRole, RolesManage>,
    name: Option<RoleName>,
    nodes: Option<NodeSet>,
    if_match: IfMatch,
) -> Result<CustomRole> {
    let Authorized { actor, resource: role, .. } = role;
    let changed = change(hub, &actor, &role, name, nodes, if_match).await;
    audit::noting_refusal(hub, &actor, subject(&role), changed).await
}

async fn change(
    hub: &Hub,
    actor: &Actor,
    role: &CustomRole,
    name: Option<RoleName>,
    nodes: Option<NodeSet>,
    if_match: IfMatch,
) -> Result<CustomRole> {
    let mut unit = hub.begin().await?;
    store::hold(&mut unit.conn(), role.workspace_id).await?;
    let actor = &access::still::<RolesManage>(hub, &mut unit.conn(), actor).await?;
    let before = store::role(&mut unit.conn(), role.id).await?.ok_or_else(|| Error::not_found("role"))?;
    if_match.check(before.version)?;
    let (old, new) = (before.nodes(), nodes.unwrap_or(before.nodes()));
    check(new)?;
    // What is given to its holders, and what is taken from them.
    grants::demand(&actor.rights, old.without(new).and(new.without(old)), Place::WORKSPACE)?;
    let mut after = before.clone().with_nodes(new);
    after.name = name.unwrap_or(after.name);
    if !store::update_role(&mut unit.conn(), &after).await.map_err(taken)? {
        return Err(etag::stale());
    }
    after.version += 1;
    let details = json!({
        "name": { "from": before.name.as_str(), "to": after.name.as_str() },
        "permissions": { "from": old, "to": new },
    });
    unit.audit(actor, "role.update", subject(&after), Outcome::Ok, details).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(after)
}

/// Removes a role that nobody holds.
pub(super) async fn remove(hub: &Hub, role: Authorized<CustomRole, RolesManage>) -> Result<()> {
    let Authorized { actor, resource: role, .. } = role;
    let mut unit = hub.begin().await?;
    let holders = store::holders(&mut unit.conn(), role.id).await?;
    if holders > 0 {
        let grants = if holders == 1 { "1 grant uses".to_owned() } else { format!("{holders} grants use") };
        return Err(Error::conflict(format!("{grants} this role; give those members another one first")));
    }
    if !store::delete_role(&mut unit.conn(), role.id).await? {
        return Err(Error::not_found("role"));
    }
    unit.audit(&actor, "role.delete", subject(&role), Outcome::Ok, json!({})).await?;
    unit.commit().await
}

fn check(nodes: NodeSet) -> Result<()> {
    if nodes.is_empty() {
        return Err(Error::invalid_field("permissions", "must hold at least one permission"));
    }
    Ok(())
}

fn taken(error: DbError) -> Error {
    match error {
        DbError::UniqueViolation(_) => Error::conflict("there is a role with this name already"),
        other => other.into(),
    }
}

fn subject(role: &CustomRole) -> Subject {
    Subject::new("role", &role.id, role.name.as_str())
}
