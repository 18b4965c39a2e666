//! Every route on one screen.

use axum::Router;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{assets, docs, health, openapi, pipeline};
use crate::error::{Error, ErrorCode};
use crate::hub::App;
use crate::{
    api_keys, audit, auth, deliveries, enrollment, events, gateway, installation, job_batches, jobs, metrics,
    operators, plans, projects, servers, team, webhooks, workspaces,
};

/// The whole hub as one service.
pub fn router(app: App) -> Router {
    let (router, _) = api().split_for_parts();
    router
        .merge(docs::routes())
        .fallback(assets::fallback)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(App::clone(&app), pipeline::pipeline))
        .with_state(app)
}

async fn method_not_allowed() -> Error {
    Error::new(ErrorCode::MethodNotAllowed, "this path does not take this method")
}

/// The routes of the API, with their documentation.
pub(super) fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(openapi::openapi_get))
        .merge(health::routes())
        .merge(auth::routes())
        .merge(api_keys::routes())
        .merge(audit::routes())
        .merge(deliveries::routes())
        .merge(enrollment::routes())
        .merge(events::routes())
        .merge(gateway::routes())
        .merge(installation::routes())
        .merge(job_batches::routes())
        .merge(jobs::routes())
        .merge(metrics::routes())
        .merge(operators::routes())
        .merge(plans::routes())
        .merge(projects::routes())
        .merge(servers::routes())
        .merge(team::routes())
        .merge(webhooks::routes())
        .merge(workspaces::routes())
}
