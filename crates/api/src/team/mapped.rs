//! What groups of an identity provider give, beside what people granted: given and taken whenever somebody signs in.

use std::collections::BTreeSet;

use protocol::{UserId, WorkspaceId};
use serde_json::json;

use super::model::{Grant, Granted};
use super::{grants, members, store};
use crate::access::{Actor, Principal, RequestOrigin, Rights, Role, Scope};
use crate::audit::{Outcome, Subject};
use crate::db::{Conn, DbError};
use crate::error::{ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::plans::{self, Quota};

/// A role over a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Where.
    pub workspace: WorkspaceId,
    /// What.
    pub role: Role,
}

/// Who holds what from which source beside people: the person and the source.
///
/// # Errors
/// When the database cannot be read.
pub async fn mapped_people(conn: &mut Conn<'_>) -> Result<Vec<(UserId, String)>, DbError> {
    store::mapped_people(conn).await
}

/// The sources beside people that somebody holds anything from.
///
/// # Errors
/// When the database cannot be read.
pub async fn sources_of(conn: &mut Conn<'_>, user: UserId) -> Result<Vec<String>, DbError> {
    store::sources_of(conn, user).await
}

/// Has somebody hold exactly this from one source; what people or other sources gave is left alone. Whether that
/// changed anything. A membership that came of it ends with its last grant.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_mapped(
    hub: &Hub,
    unit: &mut Unit<'_>,
    (by, origin): (&Principal, &RequestOrigin),
    (user, name): (UserId, &str),
    source: &str,
    wanted: Vec<Mapped>,
) -> Result<bool> {
    let before = store::mapped(&mut unit.conn(), user, source.to_owned()).await?;
    let places: BTreeSet<WorkspaceId> =
        before.iter().map(|held| held.workspace_id).chain(wanted.iter().map(|wanted| wanted.workspace)).collect();
    let mut changed = false;
    for workspace in places {
        store::hold(&mut unit.conn(), workspace).await?;
        // Of two sign-ins at once the second sees what the first gave.
        let held = store::mapped(&mut unit.conn(), user, source.to_owned()).await?;
        let mut roles = Vec::<Role>::new();
        for wanted in wanted.iter().filter(|wanted| wanted.workspace == workspace) {
            // Two groups may give the same.
            if !roles.contains(&wanted.role) {
                roles.push(wanted.role);
            }
        }
        let (mut granted, mut taken) = (Vec::new(), Vec::new());
        for held in held.iter().filter(|held| held.workspace_id == workspace) {
            match roles.iter().position(|role| role.as_str() == held.role) {
                Some(index) => drop(roles.remove(index)),
                None => {
                    store::delete_grant(&mut unit.conn(), held.id).await?;
                    taken.push(held.role.clone());
                }
            }
        }
        for role in roles {
            // A mapping cannot name it; should one, it is not honoured.
            if role == Role::Owner || !admit(hub, unit, workspace, user).await? {
                continue;
            }
            let grant = Grant { id: hub.ids.grant(), granted: Granted::Role(role), scope: Scope::Workspace };
            store::insert_grant(&mut unit.conn(), workspace, user, &grant, hub.now()).await?;
            store::mark_grant(&mut unit.conn(), grant.id, source.to_owned()).await?;
            granted.push(role.as_str().to_owned());
        }
        if granted.is_empty() && taken.is_empty() {
            continue;
        }
        changed = true;
        let is_over = grants::of(&mut unit.conn(), workspace, user).await?.is_empty();
        let rights = Rights::none();
        let actor = Actor { principal: by.clone(), workspace_id: workspace, rights, origin: origin.clone() };
        let details = json!({ "source": source, "granted": granted, "taken": taken, "membership_ended": is_over });
        let subject = Subject::new("user", &user, name);
        if is_over {
            members::leave(hub, unit, workspace, user).await?;
        }
        unit.audit(&actor, "member.map", subject, Outcome::Ok, details).await?;
    }
    Ok(changed)
}

/// Makes somebody a member where they are none; false when the workspace's plan has no room.
async fn admit(hub: &Hub, unit: &mut Unit<'_>, workspace: WorkspaceId, user: UserId) -> Result<bool> {
    if store::member(&mut unit.conn(), workspace, user).await?.is_some() {
        return Ok(true);
    }
    match plans::demand_room(&mut unit.conn(), workspace, Quota::Members).await {
        Ok(()) => {}
        Err(error) if error.code() == ErrorCode::QuotaExceeded => {
            tracing::warn!(%workspace, %error, "a group would give somebody a place in a workspace that is full");
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    store::insert_member(&mut unit.conn(), workspace, user, hub.now()).await?;
    Ok(true)
}
