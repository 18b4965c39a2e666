//! Plans: what a workspace may have, where whoever runs the hub limits it. Reaching a limit refuses what is new; it never
//! disconnects a server and never stops what protects data.

mod model;
mod routes;
mod store;
#[cfg(test)]
mod tests;

use protocol::WorkspaceId;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use model::{Limits, Plan, PlanName};

use crate::access::verbs::HubManage;
use crate::access::{Actor, Authorized, Installation};
use crate::audit::{Outcome, Subject};
use crate::db::{Conn, DbError};
use crate::error::{Error, ErrorCode, Result};
use crate::http::etag::{self, IfMatch};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::{App, Hub, Unit};
use model::{PlanView, Tenant, TenantView, Used};

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Servers that are enrolled.
    Servers,
    /// Members, and people who are invited.
    Members,
}

/// The plan of a workspace.
///
/// # Errors
/// When the database cannot be read.
pub async fn of(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<Plan, DbError> {
    Ok(store::plan(conn, workspace).await?.unwrap_or_default())
}

/// Makes sure that there is room for one more, in the transaction that adds it: of many at once, so many get in as there
/// is room for.
///
/// # Errors
/// 403 `quota_exceeded`.
pub async fn demand_room(conn: &mut Conn<'_>, workspace: WorkspaceId, quota: Quota) -> Result<()> {
    // Without a plan there is nothing to count.
    let Some(plan) = store::hold(conn, workspace).await? else { return Ok(()) };
    let (limit, word) = match quota {
        Quota::Servers => (plan.limits.servers, "servers"),
        Quota::Members => (plan.limits.members, "members and invitations"),
    };
    let Some(limit) = limit else { return Ok(()) };
    let used = store::used(conn, workspace).await?;
    let used = match quota {
        Quota::Servers => used.servers,
        Quota::Members => used.members,
    };
    if used < i64::from(limit) {
        return Ok(());
    }
    let message = format!(
        "the plan {} allows {limit} {word}, and there are {used}; remove one, or ask whoever runs this hub",
        plan.name.as_str()
    );
    Err(Error::new(ErrorCode::QuotaExceeded, message).with_details(json!({ "limit": limit, "used": used })))
}

async fn view(hub: &Hub, workspace: WorkspaceId) -> Result<PlanView> {
    let mut session = hub.db.read().await?;
    let plan = of(&mut session.conn(), workspace).await?;
    let used = store::used(&mut session.conn(), workspace).await?;
    Ok(PlanView::new(plan, used))
}

async fn tenants(
    hub: &Hub,
    _installation: Authorized<Installation, HubManage>,
    page: PageQuery,
) -> Result<Page<TenantView>> {
    let after = page.cursor.as_ref().map(|cursor| cursor.key::<(i64, String)>()).transpose()?;
    let mut session = hub.db.read().await?;
    let rows = store::tenants(&mut session.conn(), after, page.limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| (row.created_at.as_ms(), row.id.to_string()))?;
    let mut data = Vec::with_capacity(rows.len());
    for tenant in rows {
        data.push(shown(&mut session.conn(), tenant).await?);
    }
    Ok(Page { data, next_cursor })
}

async fn shown(conn: &mut Conn<'_>, tenant: Tenant) -> Result<TenantView> {
    let plan = of(conn, tenant.id).await?;
    let used = store::used(conn, tenant.id).await?;
    let Tenant { id, name, created_at } = tenant;
    Ok(TenantView { id, name, created_at, plan: PlanView::new(plan, used) })
}

/// Puts a workspace on a plan.
async fn set(
    hub: &Hub,
    installation: Authorized<Installation, HubManage>,
    workspace: WorkspaceId,
    plan: Plan,
    if_match: IfMatch,
) -> Result<TenantView> {
    let mut unit = hub.begin().await?;
    let tenant = put(hub, &mut unit, &installation.actor, workspace, plan, if_match).await?;
    let shown = shown(&mut unit.conn(), tenant).await?;
    unit.commit().await?;
    Ok(shown)
}

/// Puts a workspace on a plan, for the command line, whose user can write the database anyway.
///
/// # Errors
/// 404 when there is no such workspace.
pub async fn set_by_hand(hub: &Hub, workspace: WorkspaceId, plan: Plan) -> Result<()> {
    let mut unit = hub.begin().await?;
    put(hub, &mut unit, &Actor::system(workspace), workspace, plan, IfMatch::any()).await?;
    unit.commit().await
}

async fn put(
    hub: &Hub,
    unit: &mut Unit<'_>,
    actor: &Actor,
    workspace: WorkspaceId,
    plan: Plan,
    if_match: IfMatch,
) -> Result<Tenant> {
    let tenant = store::tenant(&mut unit.conn(), workspace).await?;
    let tenant = tenant.ok_or_else(|| Error::not_found("workspace"))?;
    let before = of(&mut unit.conn(), workspace).await?;
    if_match.check(before.version)?;
    if !store::put(&mut unit.conn(), workspace, before.version, &plan, hub.now()).await? {
        return Err(etag::stale());
    }
    let details = json!({
        "plan": { "from": before.name, "to": plan.name }, "limits": { "from": before.limits, "to": plan.limits },
        "features": { "from": before.features, "to": plan.features },
    });
    let subject = Subject::new("workspace", &workspace, tenant.name.as_str());
    // Where it holds, whoever set it.
    let there = Actor { workspace_id: workspace, ..actor.clone() };
    unit.audit(&there, "plan.set", subject, Outcome::Ok, details).await?;
    Ok(tenant)
}

impl PlanView {
    fn new(plan: Plan, used: Used) -> Self {
        let Plan { name, limits, features, version } = plan;
        Self { name, limits, features, used, version }
    }
}
