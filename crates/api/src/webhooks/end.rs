//! How webhooks end without anybody ending them: their receiver is gone, or whoever made them is.

use std::time::Duration;

use protocol::{UserId, WorkspaceId};
use serde_json::json;

use super::model::Webhook;
use super::{store, subject};
use crate::access::Actor;
use crate::audit::Outcome;
use crate::auth;
use crate::deliveries::{self, Verdict};
use crate::error::Result;
use crate::hub::{Hub, Unit};
use crate::ids::WebhookId;
use crate::mail::{self, Notice};
use crate::workspaces;

/// After nothing but failures for so long a webhook is not called any more.
const FAILING: Duration = Duration::from_hours(3 * 24);

/// Remembers how a webhook fares, and gives it up after days of nothing but failures.
///
/// # Errors
/// When the database cannot be written.
pub async fn note(hub: &Hub, unit: &mut Unit<'_>, id: WebhookId, verdict: Verdict, status: Option<u16>) -> Result<()> {
    let Some(webhook) = store::by_id(&mut unit.conn(), id).await? else { return Ok(()) };
    let now = hub.now();
    match (verdict, webhook.failing_since) {
        (Verdict::Done, None) => Ok(()),
        (Verdict::Done, Some(_)) => Ok(store::set_failing(&mut unit.conn(), id, None).await?),
        (Verdict::Never, _) if status == Some(410) => {
            disable(hub, unit, &webhook, "the receiver answered 410 Gone: it wants no more events").await
        }
        (_, None) => Ok(store::set_failing(&mut unit.conn(), id, Some(now)).await?),
        (_, Some(since)) if now.since(since) >= FAILING => {
            disable(hub, unit, &webhook, "nothing was delivered for three days").await
        }
        (_, Some(_)) => Ok(()),
    }
}

async fn disable(hub: &Hub, unit: &mut Unit<'_>, webhook: &Webhook, reason: &'static str) -> Result<()> {
    if !store::disable(&mut unit.conn(), webhook.id, reason.to_owned()).await? {
        return Ok(());
    }
    let given_up = deliveries::end_waiting(hub, &mut unit.conn(), webhook.id).await?;
    tracing::warn!(webhook.id = %webhook.id, given_up, reason, "a webhook was disabled");
    let details = json!({ "reason": reason, "deliveries_given_up": given_up });
    let system = Actor::system(webhook.workspace_id);
    unit.audit(&system, "webhook.disable", subject(webhook), Outcome::Ok, details).await?;
    if let Some(maker) = auth::person(&mut unit.conn(), webhook.created_by).await? {
        let workspace = workspaces::name(&mut unit.conn(), webhook.workspace_id).await?;
        let notice = Notice::WebhookDisabled { webhook: webhook.name.as_str(), workspace: workspace.as_str(), reason };
        mail::notify(hub, unit, &mail::Recipient::of(&maker), &notice).await?;
    }
    Ok(())
}

/// Somebody is no member any more: what they had the hub tell ends, before it tells of that.
///
/// # Errors
/// When the database cannot be written.
pub async fn maker_left(hub: &Hub, unit: &mut Unit<'_>, workspace: WorkspaceId, user: UserId) -> Result<()> {
    for webhook in store::made_by(&mut unit.conn(), workspace, user).await? {
        disable(hub, unit, &webhook, "whoever made it is no member of the workspace any more").await?;
    }
    Ok(())
}
