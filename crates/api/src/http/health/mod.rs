//! Whether the hub lives, whether it can work, and what it counts.

mod exposition;
mod store;

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ClientAddress;
use super::extract::Json;
use crate::db::Db;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::{App, Hub};
use crate::secret::sha256;

pub(super) use exposition::Requests;

/// Until a database counts as away.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health_get)).routes(routes!(health_ready)).routes(routes!(health_metrics))
}

/// That the process answers.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`
    status: &'static str,
    /// The hub's version.
    version: &'static str,
}

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "health_get",
    tag = "meta",
    security(()),
    responses((status = 200, description = "It is", body = Health))
)]
async fn health_get() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// What the hub needs to work.
#[derive(Debug, Serialize, ToSchema)]
struct Readiness {
    /// `ready`
    status: &'static str,
    /// Rows can be read.
    database: bool,
    /// Samples and logs can be read.
    history: bool,
    /// Changes reach followers. Always true: the bus is a part of this process.
    bus: bool,
}

/// Can the hub work?
///
/// 503 while a database is away or the hub stops; `details` says which.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "health_ready",
    tag = "meta",
    security(()),
    responses((status = 200, description = "It can", body = Readiness))
)]
async fn health_ready(State(hub): State<App>) -> Result<Json<Readiness>> {
    let (database, history) = tokio::join!(answers(&hub.db), answers(&hub.history));
    let stopping = hub.tasks.is_stopping();
    if database && history && !stopping {
        return Ok(Json(Readiness { status: "ready", database, history, bus: true }));
    }
    let details = json!({ "database": database, "history": history, "bus": true, "stopping": stopping });
    Err(Error::unavailable("the hub cannot work right now").with_details(details).retry_after(2))
}

/// Numbers for Prometheus
///
/// With the setting `metrics_token` it must come as bearer token; without, only this machine is answered.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "health_metrics",
    tag = "meta",
    security(()),
    responses((status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text", body = String))
)]
async fn health_metrics(
    State(hub): State<App>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Result<Response> {
    admit(&hub, client, &headers)?;
    let text = exposition::text(&hub).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

fn admit(hub: &Hub, client: ClientAddress, headers: &HeaderMap) -> Result<()> {
    let Some(token) = &hub.config.metrics_token else {
        if client.0.is_loopback() {
            return Ok(());
        }
        let message = "metrics are for this machine only; set metrics_token to read them from elsewhere";
        return Err(Error::new(ErrorCode::Forbidden, message));
    };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // Digests are compared, so that the time taken says nothing about the token.
    if sent.is_some_and(|sent| sha256(sent.trim().as_bytes()) == sha256(token.reveal().as_bytes())) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Unauthenticated, "metrics need the bearer token of the setting metrics_token"))
}

async fn answers(db: &Db) -> bool {
    let ask = async {
        let mut session = db.read().await?;
        store::ping(&mut session.conn()).await
    };
    matches!(tokio::time::timeout(PATIENCE, ask).await, Ok(Ok(())))
}
