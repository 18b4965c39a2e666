//! metrics

/// In-memory state.
#[derive(Debug, Default)]
pub struct State {}

/// The routes of this slice.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::hub::App> {
    utoipa_axum::router::OpenApiRouter::new()
}
