//! Path parameters.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Parameters of the path, for routes whose resource needs no [`Authorized`](crate::access::Authorized). A value that
/// does not fit names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    #[expect(clippy::disallowed_types, reason = "this is the replacement that the ban names")]
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let extracted = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        extracted.map(|path| Self(path.0)).map_err(|_| Error::not_found("thing"))
    }
}
