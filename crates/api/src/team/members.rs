//! Members: who they are, what they hold, and how they go.

use protocol::{UserId, WorkspaceId};
use serde_json::{Value, json};

use super::grants;
use super::model::{Grant, GrantView, Granted, Member, MemberView, Wanted};
use super::store;
use crate::access::verbs::{MembersManage, MembersRead, WorkspaceClose};
use crate::access::{self, Actor, Authorized, NodeSet, Role, Scope, Workspace};
use crate::audit::{self, Outcome, Subject};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::{Hub, Unit};
use crate::webhooks;

pub(super) async fn list(
    hub: &Hub,
    workspace: Authorized<Workspace, MembersRead>,
    page: PageQuery,
) -> Result<Page<MemberView>> {
    let after = page.cursor.as_ref().map(|cursor| cursor.key::<(i64, String)>()).transpose()?;
    let mut session = hub.db.read().await?;
    let limit = page.limit.with_next();
    let rows = store::members(&mut session.conn(), workspace.resource.id, after, limit).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| (row.joined_at.as_ms(), row.user_id.to_string()))?;
    let mut data = Vec::with_capacity(rows.len());
    for member in rows {
        data.push(view(&mut session.conn(), member).await?);
    }
    Ok(Page { data, next_cursor })
}

pub(super) async fn get(hub: &Hub, member: Authorized<Member, MembersRead>) -> Result<MemberView> {
    let mut session = hub.db.read().await?;
    view(&mut session.conn(), member.resource).await
}

/// Puts other grants in place of all that a member has.
pub(super) async fn set_grants(
    hub: &Hub,
    member: Authorized<Member, MembersManage>,
    wanted: Vec<Wanted>,
) -> Result<MemberView> {
    let Authorized { actor, resource: member, .. } = member;
    // The route is open to everybody for themselves, so that they can leave; not for this.
    access::in_workspace::<MembersManage>(hub, actor.clone()).await?;
    let about = subject(&member);
    let replaced = replace_grants(hub, &actor, member, wanted).await;
    audit::noting_refusal(hub, &actor, about, replaced).await
}

async fn replace_grants(hub: &Hub, actor: &Actor, member: Member, wanted: Vec<Wanted>) -> Result<MemberView> {
    let mut unit = hub.begin().await?;
    store::hold(&mut unit.conn(), member.workspace_id).await?;
    let actor = &access::still::<MembersManage>(hub, &mut unit.conn(), actor).await?;
    let before = grants::of(&mut unit.conn(), member.workspace_id, member.user_id).await?;
    let after = grants::prepare(hub, &mut unit.conn(), member.workspace_id, wanted).await?;
    let same = |one: &Grant, other: &Grant| (one.granted, one.scope) == (other.granted, other.scope);
    let gone = before.iter().filter(|old| !after.iter().any(|new| same(old, new)));
    let come = after.iter().filter(|new| !before.iter().any(|old| same(old, new)));
    let (gone, come) = (gone.copied().collect::<Vec<_>>(), come.copied().collect::<Vec<_>>());
    for grant in gone.iter().chain(&come) {
        grants::demand_held(&mut unit.conn(), actor, grant.granted, grant.scope).await?;
    }
    change(hub, &mut unit, member.workspace_id, member.user_id, &gone, &come).await?;
    grants::demand_owner(&mut unit.conn(), member.workspace_id).await?;
    let details = json!({ "granted": shown(&come), "taken": shown(&gone) });
    unit.audit(actor, "member.grant", subject(&member), Outcome::Ok, details).await?;
    let shown = view(&mut unit.conn(), member).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(shown)
}

/// Ends a membership: keys and invitations that the member made end with it. Everybody may leave.
pub(super) async fn remove(hub: &Hub, member: Authorized<Member, MembersManage>) -> Result<()> {
    let Authorized { actor, resource: member, .. } = member;
    let removed = end_membership(hub, &actor, &member).await;
    audit::noting_refusal(hub, &actor, subject(&member), removed).await
}

async fn end_membership(hub: &Hub, actor: &Actor, member: &Member) -> Result<()> {
    let mut unit = hub.begin().await?;
    store::hold(&mut unit.conn(), member.workspace_id).await?;
    let held = grants::of(&mut unit.conn(), member.workspace_id, member.user_id).await?;
    if actor.user_id() != Some(member.user_id) {
        let actor = &access::still::<MembersManage>(hub, &mut unit.conn(), actor).await?;
        for grant in &held {
            grants::demand_held(&mut unit.conn(), actor, grant.granted, grant.scope).await?;
        }
    }
    if !leave(hub, &mut unit, member.workspace_id, member.user_id).await? {
        return Err(Error::not_found("member"));
    }
    grants::demand_owner(&mut unit.conn(), member.workspace_id).await?;
    let details = json!({ "taken": shown(&held) });
    unit.audit(actor, "member.remove", subject(member), Outcome::Ok, details).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

/// Takes somebody out of a workspace, with everything that they made and that would go on for them. Whether they were in it.
pub(super) async fn leave(hub: &Hub, unit: &mut Unit<'_>, workspace: WorkspaceId, user: UserId) -> Result<bool> {
    webhooks::maker_left(hub, unit, workspace, user).await?;
    Ok(store::delete_member(&mut unit.conn(), workspace, user).await?)
}

/// Hands the workspace to another member: they become its owner, and the one who did it an admin.
pub(super) async fn transfer(hub: &Hub, workspace: Authorized<Workspace, WorkspaceClose>, to: UserId) -> Result<()> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let Some(from) = actor.user_id().filter(|_| matches!(actor.principal, crate::access::Principal::User { .. }))
    else {
        return Err(Error::conflict("only an owner who is signed in can hand a workspace on"));
    };
    let mut unit = hub.begin().await?;
    store::hold(&mut unit.conn(), workspace.id).await?;
    let actor = access::still::<WorkspaceClose>(hub, &mut unit.conn(), &actor).await?;
    let member = store::member(&mut unit.conn(), workspace.id, to).await?;
    let member = member.ok_or_else(|| Error::invalid_field("user_id", "must be a member of this workspace"))?;
    if from == to {
        return Err(Error::invalid_field("user_id", "must be somebody else"));
    }
    let owner = Grant { id: hub.ids.grant(), granted: Granted::Role(Role::Owner), scope: Scope::Workspace };
    let admin = Grant { id: hub.ids.grant(), granted: Granted::Role(Role::Admin), scope: Scope::Workspace };
    for (user, new) in [(to, owner), (from, admin)] {
        let old = grants::of(&mut unit.conn(), workspace.id, user).await?;
        let over_all: Vec<_> = old.into_iter().filter(|grant| grant.scope == Scope::Workspace).collect();
        change(hub, &mut unit, workspace.id, user, &over_all, &[new]).await?;
    }
    grants::demand_owner(&mut unit.conn(), workspace.id).await?;
    unit.audit(&actor, "workspace.transfer", subject(&member), Outcome::Ok, json!({ "from": from, "to": to })).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

async fn change(
    hub: &Hub,
    unit: &mut Unit<'_>,
    workspace: WorkspaceId,
    user: UserId,
    gone: &[Grant],
    come: &[Grant],
) -> Result<()> {
    for grant in gone {
        store::delete_grant(&mut unit.conn(), grant.id).await?;
    }
    for grant in come {
        store::insert_grant(&mut unit.conn(), workspace, user, grant, hub.now()).await?;
    }
    Ok(())
}

async fn view(conn: &mut Conn<'_>, member: Member) -> Result<MemberView> {
    let mut grants = Vec::new();
    let mut permissions = NodeSet::default();
    for row in store::grants(conn, member.workspace_id, member.user_id).await? {
        let (role_name, scope_name, source) = (row.role_name.clone(), row.scope_name.clone(), row.source.clone());
        let Some(grant) = row.read() else { continue };
        let nodes = grants::nodes(conn, member.workspace_id, grant.granted).await?;
        if grant.scope == Scope::Workspace {
            permissions = permissions.and(nodes);
        }
        let role_name = grant.granted.role().map(|role| role.as_str().to_owned()).or(role_name);
        let Grant { id, granted, scope } = grant;
        grants.push(GrantView { id, granted, scope, role_name, scope_name, source, permissions: nodes });
    }
    let Member { user_id: id, email, name, joined_at, .. } = member;
    Ok(MemberView { id, email, name, joined_at, grants, permissions })
}

fn shown(grants: &[Grant]) -> Value {
    grants.iter().map(|grant| json!({ "granted": grant.granted, "scope": grant.scope })).collect()
}

fn subject(member: &Member) -> Subject {
    Subject::new("user", &member.user_id, member.name.as_str())
}

/// Makes somebody a member who was invited.
pub(super) async fn join(
    hub: &Hub,
    unit: &mut Unit<'_>,
    actor: &Actor,
    (user, name): (UserId, &str),
    grant: Grant,
) -> Result<()> {
    let workspace = actor.workspace_id;
    if store::member(&mut unit.conn(), workspace, user).await?.is_none() {
        store::insert_member(&mut unit.conn(), workspace, user, hub.now()).await?;
    }
    store::insert_grant(&mut unit.conn(), workspace, user, &grant, hub.now()).await?;
    let details = json!({ "granted": shown(&[grant]) });
    unit.audit(actor, "member.join", Subject::new("user", &user, name), Outcome::Ok, details).await
}
