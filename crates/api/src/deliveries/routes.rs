//! `/v1/deliveries`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{Channel, Delivery, DeliveryState, DeliveryView, DetailView};
use crate::access::verbs::WebhooksManage;
use crate::access::{Authorized, Look, Workspace};
use crate::error::Result;
use crate::http::extract::{Json, Query};
use crate::http::page::{Cursor, Limit, Page};
use crate::hub::App;
use crate::ids::WebhookId;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(retry))
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only these.
    pub(super) channel: Option<Channel>,
    /// Only these.
    pub(super) state: Option<DeliveryState>,
    /// Only those of this webhook.
    #[param(value_type = Option<uuid::Uuid>)]
    pub(super) webhook_id: Option<WebhookId>,
    /// How many items at most, 1 to 200.
    #[serde(default)]
    #[param(required = false, inline)]
    pub(super) limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    pub(super) cursor: Option<Cursor>,
}

/// What the hub told others, or tries to, newest first
///
/// Those of my workspace; with `hub.manage` also mail that belongs to none. Kept for 30 days after they ended.
#[utoipa::path(
    get, path = "/v1/deliveries", operation_id = "deliveries_list", tag = "deliveries", params(ListQuery),
    responses((status = 200, description = "A page of deliveries", body = Page<DeliveryView>))
)]
async fn list(
    State(hub): State<App>,
    workspace: Authorized<Workspace, Look<WebhooksManage>>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<DeliveryView>>> {
    Ok(Json(super::list(&hub, workspace, query).await?))
}

/// Look at a delivery, at what was sent and at every attempt
#[utoipa::path(
    get, path = "/v1/deliveries/{id}", operation_id = "deliveries_get", tag = "deliveries",
    params(("id" = uuid::Uuid, Path, description = "The delivery")),
    responses((status = 200, description = "The delivery", body = DetailView))
)]
async fn get(State(hub): State<App>, delivery: Authorized<Delivery, Look<WebhooksManage>>) -> Result<Json<DetailView>> {
    Ok(Json(super::get(&hub, delivery).await?))
}

/// Try a delivery again now, whatever became of it
///
/// Receivers see the same `webhook-id` again. Mail that has arrived cannot be sent again.
#[utoipa::path(
    post, path = "/v1/deliveries/{id}/retry", operation_id = "deliveries_retry", tag = "deliveries",
    params(("id" = uuid::Uuid, Path, description = "The delivery")),
    responses((status = 202, description = "It will be tried at once", body = DeliveryView))
)]
async fn retry(
    State(hub): State<App>,
    delivery: Authorized<Delivery, WebhooksManage>,
) -> Result<(StatusCode, Json<DeliveryView>)> {
    Ok((StatusCode::ACCEPTED, Json(super::retry(&hub, delivery).await?)))
}
