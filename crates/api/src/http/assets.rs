//! The dashboard, and what is answered where no route is.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use dashboard::Asset;

use super::etag;
use crate::error::Error;

/// Answers requests that no route takes: a file of the dashboard, its page for every path inside it, or 404.
pub(super) async fn fallback(request: Request) -> Response {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) || path == "/v1" || path.starts_with("/v1/") {
        return Error::not_found("path").into_response();
    }
    match dashboard::lookup(path) {
        Some(asset) => send(asset, request.headers()),
        None if is_page(path) && (path == "/" || takes_html(request.headers())) => {
            send(dashboard::index(), request.headers())
        }
        None => Error::not_found("page").into_response(),
    }
}

/// Whether the single-page app may have a page there: plain words between slashes. Anything else, `..` and its
/// encodings among it, is nothing that we ever link to.
fn is_page(path: &str) -> bool {
    let Some(inside) = path.strip_prefix('/') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    inside.is_empty() || inside.trim_end_matches('/').split('/').all(|word| !word.is_empty() && word.bytes().all(plain))
}

fn takes_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accept
        .flat_map(|accept| accept.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}

fn send(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT_ENCODING).and_then(|accept| accept.to_str().ok());
    let form = asset.negotiate(accept);
    let mut response = if etag::matches(headers, &form.etag) {
        etag::not_modified(&form.etag)
    } else {
        let mut response = Body::from(form.body).into_response();
        if let Ok(tag) = HeaderValue::from_str(&form.etag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
        if let Some(encoding) = form.encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(asset.cache_control()));
    if asset.varies() {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_plain_words() {
        for path in ["/", "/servers", "/servers/019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70", "/jobs/", "/sign_in"] {
            assert!(is_page(path), "{path}");
        }
        for path in [
            "/../etc/passwd",
            "/..",
            "/assets/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/..%2fetc",
            "/a//b",
            "//evil.example",
            "/a\\b",
            "/index.html%00",
            "/missing.js",
            "*",
        ] {
            assert!(!is_page(path), "{path}");
        }
    }
}
