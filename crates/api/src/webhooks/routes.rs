//! `/v1/outgoing-webhooks`.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{NewWebhook, Patch, Webhook, WebhookMade, WebhookView};
use crate::access::verbs::WebhooksManage;
use crate::access::{Authorized, Look, Workspace};
use crate::deliveries::DeliveryView;
use crate::error::Result;
use crate::http::Unrepeatable;
use crate::http::etag::{IfMatch, of_version};
use crate::http::extract::{Json, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate_secret))
        .routes(routes!(test))
}

/// Webhooks that the hub calls, newest first
#[utoipa::path(
    get, path = "/v1/outgoing-webhooks", operation_id = "webhooks_list", tag = "webhooks", params(PageQuery),
    responses((status = 200, description = "A page of webhooks", body = Page<WebhookView>))
)]
async fn list(
    State(hub): State<App>,
    workspace: Authorized<Workspace, Look<WebhooksManage>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<WebhookView>>> {
    Ok(Json(super::list(&hub, workspace, page).await?))
}

/// Have the hub tell a URL what happens
///
/// What the audit log records of the workspace is sent there, signed as the Standard Webhooks specification says. The
/// secret is shown once.
#[utoipa::path(
    post, path = "/v1/outgoing-webhooks", operation_id = "webhooks_create", tag = "webhooks",
    request_body = NewWebhook,
    responses((status = 201, description = "The webhook", body = WebhookMade))
)]
async fn create(
    State(hub): State<App>,
    workspace: Authorized<Workspace, WebhooksManage>,
    Json(new): Json<NewWebhook>,
) -> Result<Response> {
    Ok(answer(StatusCode::CREATED, super::create(&hub, workspace, new).await?))
}

/// Look at a webhook
#[utoipa::path(
    get, path = "/v1/outgoing-webhooks/{id}", operation_id = "webhooks_get", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = WebhookView))
)]
async fn get(State(hub): State<App>, webhook: Authorized<Webhook, Look<WebhooksManage>>) -> Result<Response> {
    Ok(tagged(super::get(&hub, webhook).await?))
}

/// Change a webhook
///
/// Turning it off gives up what waits for it; any change forgets past failures.
#[utoipa::path(
    patch, path = "/v1/outgoing-webhooks/{id}", operation_id = "webhooks_update", tag = "webhooks",
    request_body = Patch,
    params(
        ("id" = uuid::Uuid, Path, description = "The webhook"),
        ("If-Match" = Option<String>, Header, description = "The version that was read, in quotes"),
    ),
    responses((status = 200, description = "The webhook", body = WebhookView))
)]
async fn update(
    State(hub): State<App>,
    webhook: Authorized<Webhook, WebhooksManage>,
    if_match: IfMatch,
    Json(patch): Json<Patch>,
) -> Result<Response> {
    Ok(tagged(super::update(&hub, webhook, patch, if_match).await?))
}

/// Remove a webhook and its deliveries
#[utoipa::path(
    delete, path = "/v1/outgoing-webhooks/{id}", operation_id = "webhooks_delete", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "The webhook")),
    responses((status = 204, description = "Removed"))
)]
async fn delete(State(hub): State<App>, webhook: Authorized<Webhook, WebhooksManage>) -> Result<StatusCode> {
    super::remove(&hub, webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook another secret
///
/// It is shown once. For 24 hours messages carry signatures of both.
#[utoipa::path(
    post, path = "/v1/outgoing-webhooks/{id}/rotate-secret", operation_id = "webhooks_rotate_secret",
    tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "The webhook")),
    responses((status = 200, description = "The webhook", body = WebhookMade))
)]
async fn rotate_secret(State(hub): State<App>, webhook: Authorized<Webhook, WebhooksManage>) -> Result<Response> {
    Ok(answer(StatusCode::OK, super::rotate(&hub, webhook).await?))
}

/// Send a webhook an event of the type webhook.test
///
/// Also to one that is disabled.
#[utoipa::path(
    post, path = "/v1/outgoing-webhooks/{id}/test", operation_id = "webhooks_test", tag = "webhooks",
    params(("id" = uuid::Uuid, Path, description = "The webhook")),
    responses((status = 202, description = "It will be tried at once", body = DeliveryView))
)]
async fn test(
    State(hub): State<App>,
    webhook: Authorized<Webhook, WebhooksManage>,
) -> Result<(StatusCode, Json<DeliveryView>)> {
    Ok((StatusCode::ACCEPTED, Json(super::test(&hub, webhook).await?)))
}

fn tagged(webhook: WebhookView) -> Response {
    ([(header::ETAG, of_version(webhook.version))], Json(webhook)).into_response()
}

fn answer(status: StatusCode, made: WebhookMade) -> Response {
    let unrepeatable = Extension(Unrepeatable { resource_id: made.webhook.id.to_string() });
    (status, unrepeatable, Json(made)).into_response()
}
