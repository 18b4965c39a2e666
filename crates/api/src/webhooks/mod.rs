//! Webhooks that the hub calls: what the audit log records of a workspace is told to the URLs that its people name,
//! signed as the Standard Webhooks specification says. Delivery is the outbox's business.

mod end;
mod model;
mod routes;
mod send;
mod store;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;

pub use end::{maker_left, note};
pub use send::send;

use crate::access::verbs::WebhooksManage;
use crate::access::{self, Actor, Authorized, Look, Node, Workspace};
use crate::audit::{self, Outcome, Subject};
use crate::db::{Conn, JsonText};
use crate::deliveries::{self, Channel, DeliveryView, NewDelivery, Payload};
use crate::error::{Error, ErrorCode, Result};
use crate::http::etag::{self, IfMatch};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::{App, Hub, Unit};
use crate::ids::WebhookId;
use crate::outbound::Target;
use crate::secret::Secret;
use model::{Events, NewWebhook, Patch, SigningSecret, Webhook, WebhookMade, WebhookView, reach};

/// Webhooks of one workspace.
const MAX: i64 = 20;
/// After a rotation both secrets sign for so long.
const OLD_SECRET: Duration = Duration::from_hours(24);
/// What somebody sends to see whether it arrives.
const TEST_EVENT: &str = "webhook.test";

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Tells the workspace's webhooks of a record, in the transaction that writes it.
///
/// # Errors
/// When the database cannot be used.
pub async fn tell(
    hub: &Hub,
    unit: &mut Unit<'_>,
    actor: &Actor,
    action: &str,
    subject: &Subject,
    (outcome, details): (Outcome, &Value),
) -> Result<()> {
    let listeners = store::listeners(&mut unit.conn(), actor.workspace_id).await?;
    let mut body = None;
    for listener in listeners.into_iter().filter(|listener| Events::hold(&listener.events, action)) {
        if !deliveries::has_room(&mut unit.conn(), listener.id).await? {
            store::count_missed(&mut unit.conn(), listener.id).await?;
            continue;
        }
        let body = body.get_or_insert_with(|| event(hub, actor, action, subject, (outcome, details)));
        let new = NewDelivery {
            workspace_id: Some(actor.workspace_id),
            person: None,
            channel: Channel::Webhook,
            webhook_id: Some(listener.id),
            recipient: host_of(&listener.url),
            event: action.to_owned(),
            subject: format!("{} {}", subject.kind, subject.name).trim().to_owned(),
            payload: Payload::Clear(body.clone()),
        };
        deliveries::put(hub, unit, new).await?;
        tracing::debug!(webhook = listener.name.as_str(), action, "a webhook is told");
    }
    Ok(())
}

fn event(hub: &Hub, actor: &Actor, action: &str, subject: &Subject, (outcome, details): (Outcome, &Value)) -> String {
    let mut data = json!({
        "workspace_id": actor.workspace_id,
        "actor": { "type": actor.kind(), "id": actor.id(), "name": actor.name() },
        "subject": { "type": subject.kind, "id": subject.id, "name": subject.name },
        "outcome": outcome,
        "details": details,
    });
    if let (Some(server), Some(data)) = (subject.server_id, data.as_object_mut()) {
        data.insert("server_id".to_owned(), json!(server));
    }
    json!({ "type": action, "timestamp": hub.now(), "data": data }).to_string()
}

async fn list(
    hub: &Hub,
    workspace: Authorized<Workspace, Look<WebhooksManage>>,
    page: PageQuery,
) -> Result<Page<WebhookView>> {
    let before = page.cursor.as_ref().map(|cursor| cursor.key::<String>()).transpose()?;
    let mut session = hub.db.read().await?;
    let rows = store::list(&mut session.conn(), workspace.resource.id, before, page.limit.with_next()).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| row.id.to_string())?;
    let mut data = Vec::with_capacity(rows.len());
    for row in rows {
        data.push(view(&mut session.conn(), row).await?);
    }
    Ok(Page { data, next_cursor })
}

async fn get(hub: &Hub, webhook: Authorized<Webhook, Look<WebhooksManage>>) -> Result<WebhookView> {
    let mut session = hub.db.read().await?;
    view(&mut session.conn(), webhook.resource).await
}

async fn create(hub: &Hub, workspace: Authorized<Workspace, WebhooksManage>, new: NewWebhook) -> Result<WebhookMade> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let made = make(hub, &actor, workspace, new).await;
    audit::noting_refusal(hub, &actor, Subject::new("webhook", &"", ""), made).await
}

async fn make(hub: &Hub, actor: &Actor, workspace: Workspace, new: NewWebhook) -> Result<WebhookMade> {
    let Some(created_by) = actor.user_id() else {
        return Err(Error::conflict("only a person can make a webhook"));
    };
    demand_audit(actor)?;
    if new.allow_private {
        demand_hub(hub, actor).await?;
    }
    let target = parse(&new.url, new.allow_private)?;
    let id = hub.ids.webhook();
    let secret = SigningSecret::new(hub.random.as_ref());
    let webhook = Webhook {
        id,
        workspace_id: workspace.id,
        name: new.name,
        url: target.as_str().to_owned(),
        events: JsonText(new.events),
        enabled: new.enabled,
        allow_private: new.allow_private,
        sealed_secret: seal(hub, id, secret.secret())?,
        sealed_old_secret: None,
        old_secret_until: None,
        created_at: hub.now(),
        created_by,
        failing_since: None,
        disabled_reason: None,
        missed: 0,
        version: 1,
    };
    let mut unit = hub.begin().await?;
    access::hold(&mut unit.conn(), workspace.id).await?;
    if store::count(&mut unit.conn(), workspace.id).await? >= MAX {
        return Err(Error::conflict(format!("a workspace has {MAX} webhooks at most; remove one first")));
    }
    store::insert(&mut unit.conn(), &webhook).await?;
    // Paths of webhooks are secrets of the receiving side.
    let details = json!({
        "host": target.host(), "events": webhook.events.0, "enabled": webhook.enabled,
        "allow_private": webhook.allow_private,
    });
    unit.audit(actor, "webhook.create", subject(&webhook), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(WebhookMade { webhook: WebhookView::new(webhook, None), secret: secret.secret().reveal().to_owned() })
}

async fn update(
    hub: &Hub,
    webhook: Authorized<Webhook, WebhooksManage>,
    patch: Patch,
    if_match: IfMatch,
) -> Result<WebhookView> {
    let Authorized { actor, resource, .. } = webhook;
    let changed = change(hub, &actor, resource.id, patch, if_match).await;
    audit::noting_refusal(hub, &actor, subject(&resource), changed).await
}

async fn change(hub: &Hub, actor: &Actor, id: WebhookId, patch: Patch, if_match: IfMatch) -> Result<WebhookView> {
    let mut unit = hub.begin().await?;
    let runs_hub = access::runs_hub_from_anywhere(&mut unit.conn(), actor).await?;
    let before = reload(&mut unit.conn(), id).await?;
    if_match.check(before.version)?;
    let allow_private = patch.allow_private.unwrap_or(before.allow_private);
    let url = match &patch.url {
        Some(url) => parse(url, allow_private)?,
        None => parse(&before.url, allow_private)?,
    };
    let leads_elsewhere = url.as_str() != before.url || !before.allow_private;
    if allow_private && leads_elsewhere && !runs_hub {
        return Err(hub_needed());
    }
    let after = Webhook {
        name: patch.name.unwrap_or_else(|| before.name.clone()),
        url: url.as_str().to_owned(),
        events: patch.events.map_or_else(|| before.events.clone(), JsonText),
        enabled: patch.enabled.unwrap_or(before.enabled),
        allow_private,
        ..before.clone()
    };
    let tells_more = before.url != after.url || before.events != after.events || (after.enabled && !before.enabled);
    if tells_more {
        demand_audit(actor)?;
    }
    let details = differences(&before, &after, url.host());
    if details.is_empty() {
        return view(&mut unit.conn(), before).await;
    }
    if !store::update(&mut unit.conn(), &after).await? {
        return Err(etag::stale());
    }
    if before.enabled && !after.enabled {
        deliveries::end_waiting(hub, &mut unit.conn(), id).await?;
    }
    unit.audit(actor, "webhook.update", subject(&before), Outcome::Ok, Value::Object(details)).await?;
    let after = reload(&mut unit.conn(), id).await?;
    let shown = view(&mut unit.conn(), after).await?;
    unit.commit().await?;
    Ok(shown)
}

fn differences(before: &Webhook, after: &Webhook, host: &str) -> Map<String, Value> {
    let mut details = Map::new();
    if before.name != after.name {
        details.insert("name".to_owned(), json!({ "from": before.name, "to": after.name }));
    }
    if before.url != after.url {
        details.insert("host".to_owned(), json!({ "from": host_of(&before.url), "to": host }));
    }
    if before.events != after.events {
        details.insert("events".to_owned(), json!({ "from": before.events.0, "to": after.events.0 }));
    }
    if before.enabled != after.enabled {
        details.insert("enabled".to_owned(), json!(after.enabled));
    }
    if before.allow_private != after.allow_private {
        details.insert("allow_private".to_owned(), json!(after.allow_private));
    }
    details
}

async fn remove(hub: &Hub, webhook: Authorized<Webhook, WebhooksManage>) -> Result<()> {
    let Authorized { actor, resource: webhook, .. } = webhook;
    let mut unit = hub.begin().await?;
    if !store::delete(&mut unit.conn(), webhook.id).await? {
        return Err(Error::not_found("webhook"));
    }
    unit.audit(&actor, "webhook.delete", subject(&webhook), Outcome::Ok, json!({})).await?;
    unit.commit().await
}

/// Another secret. For a day both sign, so that receivers can change theirs in between.
async fn rotate(hub: &Hub, webhook: Authorized<Webhook, WebhooksManage>) -> Result<WebhookMade> {
    let Authorized { actor, resource: webhook, .. } = webhook;
    let secret = SigningSecret::new(hub.random.as_ref());
    let sealed = seal(hub, webhook.id, secret.secret())?;
    let mut unit = hub.begin().await?;
    if !store::set_secret(&mut unit.conn(), &webhook, sealed, hub.now().plus(OLD_SECRET)).await? {
        return Err(etag::stale());
    }
    unit.audit(&actor, "webhook.rotate_secret", subject(&webhook), Outcome::Ok, json!({})).await?;
    let after = reload(&mut unit.conn(), webhook.id).await?;
    let shown = view(&mut unit.conn(), after).await?;
    unit.commit().await?;
    Ok(WebhookMade { webhook: shown, secret: secret.secret().reveal().to_owned() })
}

/// Sends an event that tells of nothing, also to a webhook that is disabled: to see whether it is mended.
async fn test(hub: &Hub, webhook: Authorized<Webhook, WebhooksManage>) -> Result<DeliveryView> {
    let Authorized { actor, resource: webhook, .. } = webhook;
    let mut unit = hub.begin().await?;
    if !deliveries::has_room(&mut unit.conn(), webhook.id).await? {
        return Err(Error::conflict("too many deliveries wait for this webhook already; look at them first"));
    }
    let subject = subject(&webhook);
    let new = NewDelivery {
        workspace_id: Some(webhook.workspace_id),
        person: None,
        channel: Channel::Webhook,
        webhook_id: Some(webhook.id),
        recipient: host_of(&webhook.url),
        event: TEST_EVENT.to_owned(),
        subject: format!("webhook {}", webhook.name.as_str()),
        payload: Payload::Clear(event(hub, &actor, TEST_EVENT, &subject, (Outcome::Ok, &json!({})))),
    };
    let id = deliveries::put(hub, &mut unit, new).await?;
    let shown = deliveries::shown(&mut unit.conn(), id).await?;
    unit.commit().await?;
    Ok(shown)
}

async fn view(conn: &mut Conn<'_>, webhook: Webhook) -> Result<WebhookView> {
    let last = store::last_delivery(conn, webhook.id).await?;
    Ok(WebhookView::new(webhook, last))
}

async fn reload(conn: &mut Conn<'_>, id: WebhookId) -> Result<Webhook> {
    store::by_id(conn, id).await?.ok_or_else(|| Error::not_found("webhook"))
}

fn parse(url: &str, allow_private: bool) -> Result<Target> {
    Target::parse(url, reach(allow_private)).map_err(|problem| Error::invalid_field("url", problem.to_string()))
}

async fn demand_hub(hub: &Hub, actor: &Actor) -> Result<()> {
    let mut session = hub.db.read().await?;
    if access::runs_hub_from_anywhere(&mut session.conn(), actor).await? { Ok(()) } else { Err(hub_needed()) }
}

/// A webhook tells what the audit log records: whoever says what and where must be allowed to read it.
fn demand_audit(actor: &Actor) -> Result<()> {
    if actor.may(Node::AuditRead) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::Forbidden,
        "saying what a webhook is told, and where, needs the permission audit.read over the workspace as well: it is told \
         what the audit log records",
    ))
}

fn hub_needed() -> Error {
    Error::new(
        ErrorCode::Forbidden,
        "allow_private needs the permission hub.manage: such a webhook reaches the networks of whoever runs this hub",
    )
}

fn seal(hub: &Hub, id: WebhookId, secret: &Secret) -> Result<String> {
    let sealed = hub.sealing.seal(hub.random.as_ref(), &purpose(id), secret);
    sealed.map_err(|error| Error::internal(error.to_string()))
}

fn purpose(id: WebhookId) -> String {
    format!("webhook/{id}")
}

fn host_of(url: &str) -> String {
    Target::private(url).map(|target| target.host().to_owned()).unwrap_or_default()
}

fn subject(webhook: &Webhook) -> Subject {
    Subject::new("webhook", &webhook.id, webhook.name.as_str())
}
