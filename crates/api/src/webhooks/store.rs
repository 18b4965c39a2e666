//! SQL of outgoing webhooks.

use protocol::{UserId, WorkspaceId};

use super::model::{LastDelivery, Webhook, WebhookName};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::ids::WebhookId;
use crate::sql;

pub(super) async fn insert(conn: &mut Conn<'_>, webhook: &Webhook) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into outgoing_webhooks (id, workspace_id, name, url, events, enabled, allow_private, sealed_secret,
                                        created_at, created_by, missed, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 1)"
    ))
    .bind(webhook.id.to_string())
    .bind(webhook.workspace_id.to_string())
    .bind(webhook.name.clone())
    .bind(webhook.url.clone())
    .bind(webhook.events.clone())
    .bind(webhook.enabled)
    .bind(webhook.allow_private)
    .bind(webhook.sealed_secret.clone())
    .bind(webhook.created_at)
    .bind(webhook.created_by.to_string())
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: WebhookId) -> Result<Option<Webhook>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, name, url, events, enabled, allow_private, sealed_secret, sealed_old_secret,
                old_secret_until, created_at, created_by, failing_since, disabled_reason, missed, version
         from outgoing_webhooks where id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional()
    .await
}

/// Newest first.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    before: Option<String>,
    limit: i64,
) -> Result<Vec<Webhook>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, name, url, events, enabled, allow_private, sealed_secret, sealed_old_secret,
                old_secret_until, created_at, created_by, failing_since, disabled_reason, missed, version
         from outgoing_webhooks where workspace_id = $1 and (cast($2 as text) is null or id < $2)
         order by id desc limit $3"
    ))
    .bind(workspace.to_string())
    .bind(before)
    .bind(limit)
    .fetch_all()
    .await
}

/// Those of a workspace that somebody made and that are called.
pub(super) async fn made_by(
    conn: &mut Conn<'_>,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Vec<Webhook>, DbError> {
    conn.query(sql!(
        "select id, workspace_id, name, url, events, enabled, allow_private, sealed_secret, sealed_old_secret,
                old_secret_until, created_at, created_by, failing_since, disabled_reason, missed, version
         from outgoing_webhooks where workspace_id = $1 and created_by = $2 and enabled order by id"
    ))
    .bind(workspace.to_string())
    .bind(user.to_string())
    .fetch_all()
    .await
}

pub(super) async fn last_delivery(conn: &mut Conn<'_>, id: WebhookId) -> Result<Option<LastDelivery>, DbError> {
    conn.query(sql!("select state, created_at as at from deliveries where webhook_id = $1 order by id desc limit 1"))
        .bind(id.to_string())
        .fetch_optional()
        .await
}

pub(super) async fn count(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<i64, DbError> {
    let (count,) = conn
        .query(sql!("select count(*) from outgoing_webhooks where workspace_id = $1"))
        .bind(workspace.to_string())
        .fetch_one()
        .await?;
    Ok(count)
}

/// What [`listeners`] tells of a webhook.
#[derive(sqlx::FromRow)]
pub(super) struct Listener {
    #[sqlx(try_from = "String")]
    pub(super) id: WebhookId,
    pub(super) name: WebhookName,
    pub(super) url: String,
    /// Not checked again: a change must not fail because of whom it is told to.
    pub(super) events: JsonText<Vec<String>>,
}

/// Those of a workspace that are called.
pub(super) async fn listeners(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<Vec<Listener>, DbError> {
    conn.query(sql!(
        "select id, name, url, events from outgoing_webhooks where workspace_id = $1 and enabled order by id"
    ))
    .bind(workspace.to_string())
    .fetch_all()
    .await
}

/// Writes what people change, and forgets failures; false when the row is at another version.
pub(super) async fn update(conn: &mut Conn<'_>, webhook: &Webhook) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update outgoing_webhooks set name = $1, url = $2, events = $3, enabled = $4, allow_private = $5,
                    disabled_reason = null, failing_since = null, version = version + 1
             where id = $6 and version = $7"
        ))
        .bind(webhook.name.clone())
        .bind(webhook.url.clone())
        .bind(webhook.events.clone())
        .bind(webhook.enabled)
        .bind(webhook.allow_private)
        .bind(webhook.id.to_string())
        .bind(webhook.version)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Another secret; the one before signs as well until then. False when the row is at another version.
pub(super) async fn set_secret(
    conn: &mut Conn<'_>,
    webhook: &Webhook,
    sealed: String,
    until: Timestamp,
) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update outgoing_webhooks set sealed_old_secret = sealed_secret, old_secret_until = $1, sealed_secret = $2,
                    version = version + 1
             where id = $3 and version = $4"
        ))
        .bind(until)
        .bind(sealed)
        .bind(webhook.id.to_string())
        .bind(webhook.version)
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Since when it fails.
pub(super) async fn set_failing(conn: &mut Conn<'_>, id: WebhookId, since: Option<Timestamp>) -> Result<(), DbError> {
    conn.query(sql!("update outgoing_webhooks set failing_since = $1 where id = $2"))
        .bind(since)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// The hub does not call it any more; false when nobody was called before.
pub(super) async fn disable(conn: &mut Conn<'_>, id: WebhookId, reason: String) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update outgoing_webhooks set enabled = $1, disabled_reason = $2, version = version + 1
             where id = $3 and enabled"
        ))
        .bind(false)
        .bind(reason)
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Counts an event that was left out.
pub(super) async fn count_missed(conn: &mut Conn<'_>, id: WebhookId) -> Result<(), DbError> {
    conn.query(sql!("update outgoing_webhooks set missed = missed + 1 where id = $1"))
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(())
}

/// Whether it was there; its deliveries go with it.
pub(super) async fn delete(conn: &mut Conn<'_>, id: WebhookId) -> Result<bool, DbError> {
    let deleted =
        conn.query(sql!("delete from outgoing_webhooks where id = $1")).bind(id.to_string()).execute().await?;
    Ok(deleted == 1)
}
