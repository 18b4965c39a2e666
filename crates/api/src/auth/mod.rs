//! People signing in: the first owner, passwords, sessions.

use axum::http::request::Parts;

use crate::access::Actor;
use crate::error::{Error, Result};
use crate::hub::Hub;

/// Sign-in throttling and the password hashing pool.
#[derive(Debug, Default)]
pub struct State {}

/// Who sent this request.
///
/// # Errors
/// 401 when no valid session came with it.
pub async fn authenticate(hub: &Hub, parts: &Parts) -> Result<Actor> {
    let _ = (hub, parts);
    Err(Error::unauthenticated())
}

/// The routes of this slice.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::hub::App> {
    utoipa_axum::router::OpenApiRouter::new()
}
