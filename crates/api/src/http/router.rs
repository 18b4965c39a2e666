//! Every route on one screen.

use axum::Router;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi;
use crate::hub::App;
use crate::{audit, auth, enrollment, events, gateway, jobs, metrics, servers};

/// The whole hub as one service.
pub fn router(app: App) -> Router {
    let (router, _) = api().split_for_parts();
    router.with_state(app)
}

/// The routes of the API, with their documentation.
pub(super) fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(openapi::openapi_get))
        .merge(auth::routes())
        .merge(audit::routes())
        .merge(enrollment::routes())
        .merge(events::routes())
        .merge(gateway::routes())
        .merge(jobs::routes())
        .merge(metrics::routes())
        .merge(servers::routes())
}
