//! The outbox: what the hub tells others by itself. A delivery is written in the transaction of the change that it tells
//! of, so that neither is without the other, and is tried until it arrives or a day is over: at least once, under one id.

mod model;
mod routes;
mod store;
mod task;
#[cfg(test)]
mod tests;

use std::time::Duration;

use protocol::{UserId, WorkspaceId};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use model::{Channel, DeliveryState, DeliveryView, Due, NewDelivery, Payload, Tried, Verdict};
pub use task::{State, reconcile, start, sweep};

use crate::access::verbs::WebhooksManage;
use crate::access::{self, Actor, Authorized, Look, Node, Principal, Workspace};
use crate::audit::{Outcome, Subject};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::page::{Page, cut};
use crate::hub::{App, Hub, Unit};
use crate::ids::{DeliveryId, WebhookId};
use crate::secret::Secret;
use model::{Delivery, DetailView};
use routes::ListQuery;

/// Deliveries of one webhook that wait at the same time.
const MAX_WAITING: i64 = 5_000;
/// Mail of one workspace in a day: invitations must not become a way to write to strangers.
const MAX_MAIL: i64 = 200;
/// Letters about one account in a day: whoever has a session must not fill its owner's mailbox, or strangers'.
const MAX_NOTICES: i64 = 50;
/// What mail is called as a destination.
const MAIL: &str = "mail";

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// Puts a message into the queue; it goes out once the unit of work is committed.
///
/// # Errors
/// When it cannot be written.
pub async fn put(hub: &Hub, unit: &mut Unit<'_>, new: NewDelivery) -> Result<DeliveryId> {
    let NewDelivery { workspace_id, person, channel, webhook_id, recipient, event, subject, payload } = new;
    let id = hub.ids.delivery();
    let payload = match payload {
        Payload::Clear(text) => text,
        Payload::Sealed(secret) => {
            let sealed = hub.sealing.seal(hub.random.as_ref(), &purpose(id), &secret);
            sealed.map_err(|error| Error::internal(error.to_string()))?
        }
    };
    let row = store::NewRow {
        id,
        workspace_id,
        person,
        channel,
        destination: webhook_id.map_or_else(|| MAIL.to_owned(), |id| id.to_string()),
        webhook_id,
        recipient,
        event,
        subject,
        payload,
        now: hub.now(),
    };
    store::insert(&mut unit.conn(), row).await?;
    unit.delivers();
    Ok(id)
}

/// Opens a sealed payload; `None` when the key that it was sealed with is lost.
#[must_use]
pub fn unseal(hub: &Hub, due: &Due) -> Option<Secret> {
    hub.sealing.unseal(&purpose(due.id), due.payload.as_deref()?).ok()
}

/// Whether one more message may wait for a webhook.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_room(conn: &mut Conn<'_>, webhook: WebhookId) -> Result<bool> {
    Ok(store::count_waiting(conn, webhook, MAX_WAITING).await? < MAX_WAITING)
}

/// Whether a workspace may send one more mail today.
///
/// # Errors
/// When the database cannot be read.
pub async fn may_mail(hub: &Hub, conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<bool> {
    Ok(store::count_mail(conn, workspace, a_day_ago(hub), MAX_MAIL).await? < MAX_MAIL)
}

/// Whether one more letter about somebody's account may be written today.
///
/// # Errors
/// When the database cannot be read.
pub async fn may_notify(hub: &Hub, conn: &mut Conn<'_>, person: UserId) -> Result<bool> {
    Ok(store::count_notices(conn, person, a_day_ago(hub), MAX_NOTICES).await? < MAX_NOTICES)
}

/// The first id of the last 24 hours: ids begin with their time.
fn a_day_ago(hub: &Hub) -> String {
    let since = hub.now().minus(Duration::from_hours(24));
    let ms = u64::try_from(since.as_ms()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid().to_string()
}

/// Gives up everything that waits for a webhook.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_waiting(hub: &Hub, conn: &mut Conn<'_>, webhook: WebhookId) -> Result<u64> {
    Ok(store::end_waiting(conn, webhook, hub.now()).await?)
}

/// A delivery as lists show it.
///
/// # Errors
/// 404 when there is none.
pub async fn shown(conn: &mut Conn<'_>, id: DeliveryId) -> Result<DeliveryView> {
    let row = store::by_id(conn, id).await?;
    Ok(row.ok_or_else(|| Error::not_found("delivery"))?.into())
}

async fn list(
    hub: &Hub,
    workspace: Authorized<Workspace, Look<WebhooksManage>>,
    query: ListQuery,
) -> Result<Page<DeliveryView>> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let before = query.cursor.as_ref().map(|cursor| cursor.key::<String>()).transpose()?;
    let mut session = hub.db.read().await?;
    let of_nobody = access::runs_hub(&mut session.conn(), &actor).await?;
    let filter = store::Filter {
        workspace_id: workspace.id,
        of_nobody,
        channel: query.channel,
        state: query.state,
        webhook_id: query.webhook_id,
        before,
        limit: query.limit.with_next(),
    };
    let rows = store::list(&mut session.conn(), filter).await?;
    let (rows, next_cursor) = cut(rows, query.limit, |row| row.id.to_string())?;
    Ok(Page { data: rows.into_iter().map(DeliveryView::from).collect(), next_cursor })
}

async fn get(hub: &Hub, delivery: Authorized<Delivery, Look<WebhooksManage>>) -> Result<DetailView> {
    let Authorized { actor, resource: delivery, .. } = delivery;
    demand_sight(hub, &actor, &delivery).await?;
    let is_maker = match &actor.principal {
        Principal::User { id, .. } => delivery.row.webhook_maker.as_deref() == Some(id.to_string().as_str()),
        _ => false,
    };
    // What stands in a network that only the hub reaches is for whoever runs the hub.
    let is_private = delivery.row.allow_private == Some(true);
    let sees_answers = is_maker && (!is_private || access::runs_hub(&mut hub.db.read().await?.conn(), &actor).await?);
    let shown = DetailView::new(delivery.row, sees_answers);
    // It is a record of the audit log.
    Ok(if actor.may(Node::AuditRead) { shown } else { shown.without_payload() })
}

/// Tries again at once, and then as if it were new.
async fn retry(hub: &Hub, delivery: Authorized<Delivery, WebhooksManage>) -> Result<DeliveryView> {
    let Authorized { actor, resource: delivery, .. } = delivery;
    demand_sight(hub, &actor, &delivery).await?;
    let row = delivery.row;
    let mut unit = hub.begin().await?;
    if !store::requeue(&mut unit.conn(), row.id, hub.now()).await? {
        return Err(Error::conflict("this mail has arrived, and what it said is not kept; it cannot be sent again"));
    }
    let subject = Subject::new("delivery", &row.id, row.recipient.as_str());
    let details = json!({ "event": row.event, "channel": row.channel });
    unit.audit(&actor, "delivery.retry", subject, Outcome::Ok, details).await?;
    unit.delivers();
    let shown = shown(&mut unit.conn(), row.id).await?;
    unit.commit().await?;
    Ok(shown)
}

/// What belongs to no workspace is for whoever runs the hub.
async fn demand_sight(hub: &Hub, actor: &Actor, delivery: &Delivery) -> Result<()> {
    if delivery.row.workspace_id.is_some() || access::runs_hub(&mut hub.db.read().await?.conn(), actor).await? {
        return Ok(());
    }
    Err(Error::not_found("delivery"))
}

fn purpose(id: DeliveryId) -> String {
    format!("delivery/{id}")
}
