//! Entity tags: `If-None-Match` for downloads, `If-Match` for changes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::error::{Error, ErrorCode, Result};

/// A tag of exactly these bytes.
#[must_use]
pub fn strong(digest: &str) -> String {
    format!("\"{digest}\"")
}

/// The tag of an object's version.
#[must_use]
pub fn of_version(version: i64) -> String {
    strong(&version.to_string())
}

/// Whether the client has it already.
#[must_use]
pub fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|candidate| {
        let candidate = candidate.trim();
        candidate == "*" || candidate.trim_start_matches("W/") == tag
    })
}

/// 304.
#[must_use]
pub fn not_modified(tag: &str) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version that a change was made against; the header may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(Option<i64>);

impl IfMatch {
    /// Whatever the version is.
    #[must_use]
    pub const fn any() -> Self {
        Self(None)
    }

    /// The version the caller read, if it said so. A store compares it in the statement that changes the row.
    #[must_use]
    pub const fn version(self) -> Option<i64> {
        self.0
    }

    /// Compares with the version that the object has now.
    ///
    /// # Errors
    /// 412 when somebody else changed it meanwhile.
    pub fn check(self, current: i64) -> Result<()> {
        if self.0.is_none_or(|version| version == current) { Ok(()) } else { Err(stale()) }
    }
}

/// 412: somebody else changed it meanwhile.
#[must_use]
pub fn stale() -> Error {
    let message = "somebody else changed it since you read it; read it again and repeat the change";
    Error::new(ErrorCode::PreconditionFailed, message)
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
        let version =
            version.ok_or_else(|| Error::bad_request("If-Match must hold one version in quotes, such as \"3\""))?;
        Ok(Self(Some(version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_match_in_lists_and_weakly() {
        let headers = |value: &str| HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
        for (value, expected) in
            [("\"a\"", true), ("W/\"a\"", true), ("\"b\", \"a\"", true), ("*", true), ("\"b\"", false), ("a", false)]
        {
            assert_eq!(matches(&headers(value), "\"a\""), expected, "{value}");
        }
    }

    #[tokio::test]
    async fn if_match_takes_one_version() {
        for (value, expected) in [
            (None, Ok(None)),
            (Some("*"), Ok(None)),
            (Some("\"3\""), Ok(Some(3))),
            (Some("3"), Err(())),
            (Some("\"x\""), Err(())),
            (Some("W/\"3\""), Err(())),
        ] {
            let mut request = axum::http::Request::builder();
            if let Some(value) = value {
                request = request.header(header::IF_MATCH, value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let found = IfMatch::from_request_parts(&mut parts, &()).await;
            assert_eq!(found.map(IfMatch::version).map_err(|_| ()), expected, "{value:?}");
        }
        assert_eq!(IfMatch(Some(2)).check(3).unwrap_err().code(), ErrorCode::PreconditionFailed);
    }
}
