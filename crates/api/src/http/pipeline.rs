//! What happens to every request, in order: it gets an id, is let in or refused, is counted against its caller's limit,
//! its body is read to the end, it runs with a time limit, and leaves with its headers and one line in the log.
//!
//! The body comes first because what follows asks who the caller is and what they may do: asked before the last byte,
//! that would hold for as long as the caller likes to take over it. A route that takes more than fits into memory will
//! be let past [`body::read`] by name, in [`answer`], and must ask for the caller's rights again once its stream ended.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::FutureExt as _;
use protocol::Hex;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::client::{self, ClientAddress, Peer};
use super::limit::Standing;
use super::{admit, body, headers, idempotency};
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::secret::sha256;

/// Until the answer begins; streams may go on for as long as they like.
const TIME_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn pipeline(State(hub): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let request_id = hub.ids.uuid().to_string();
    let span = tracing::info_span!("request", request_id, %method, route);

    let peer = request.extensions().get::<Peer>().copied();
    let client = ClientAddress::of(peer, request.headers(), &hub.config.trusted_proxies);
    let origin = client::origin(client, request.headers(), &request_id);
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(origin);

    let mut response = answer(&hub, request, next).instrument(span.clone()).await;

    let duration = started.elapsed();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    hub.http.requests.count(known(&method), &route, status, duration);
    span.in_scope(|| {
        // Whoever looks at a dashboard reads several times a second. What changes something or fails is told.
        let succeeded = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
        if succeeded && matches!(method, Method::GET | Method::HEAD) {
            tracing::debug!(status, duration_ms, client = %client.0, "answered");
        } else {
            tracing::info!(status, duration_ms, client = %client.0, "answered");
        }
    });
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    headers::secure(response.headers_mut(), &path, hub.config.public_url.is_secure() && hub.http.strict_transport());
    response
}

async fn answer(hub: &App, request: Request, next: Next) -> Response {
    let (parts, content) = request.into_parts();
    let admitted = admit::check(&parts, &hub.config.public_url).and_then(|()| count(hub, &parts));
    let standing = match admitted {
        Ok(standing) => standing,
        Err(error) => return error.into_response(),
    };
    let reads = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let outcome = if reads {
        // Nothing that is asked for has a body; one that came along is not waited for.
        attached(Request::from_parts(parts, Body::empty()), next).await
    } else {
        match whole(hub, &parts, content).await {
            Ok(bytes) => detached(hub, Request::from_parts(parts, Body::from(bytes)), next).await,
            Err(error) => Err(error),
        }
    };
    let mut response = outcome.unwrap_or_else(Error::into_response);
    standing.write(response.headers_mut());
    response
}

/// The whole body. Nobody was asked yet who sends it, so what it may hold is counted by address.
async fn whole(hub: &Hub, parts: &Parts, content: Body) -> Result<Bytes> {
    if content.is_end_stream() {
        return Ok(Bytes::new());
    }
    let client = parts.extensions.get::<ClientAddress>().copied();
    let client = client.ok_or_else(|| Error::internal("a request without a client address"))?;
    let _room = hub.http.unfinished.room(client.limit_key(), &parts.headers)?;
    body::read(&parts.headers, content, body::MAX_BODY_BYTES).await
}

/// Names of methods become labels, so made-up ones share one.
fn known(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str() } else { "other" }
}

/// Counts the request against its address, and against its credential where it has one. The credential is not checked
/// yet: made-up ones are bounded by the address.
fn count(hub: &Hub, parts: &Parts) -> Result<Standing> {
    let client = parts.extensions.get::<ClientAddress>().copied();
    let by_address = match client {
        Some(client) => Some(hub.http.addresses.check(&client.limit_key())?),
        None => None,
    };
    let credentials = [header::AUTHORIZATION, header::COOKIE];
    let credential = credentials.into_iter().find_map(|name| parts.headers.get(name));
    match (credential, by_address) {
        (Some(credential), _) => hub.http.callers.check(&key_of(credential)),
        (None, Some(standing)) => Ok(standing),
        (None, None) => Err(Error::internal("a request without a client address")),
    }
}

fn key_of(credential: &HeaderValue) -> [u8; 16] {
    let Hex(digest) = sha256(credential.as_bytes());
    let mut key = [0; 16];
    key.iter_mut().zip(digest).for_each(|(key, byte)| *key = byte);
    key
}

/// Reading ends when the client leaves.
async fn attached(request: Request, next: Next) -> Result<Response> {
    let handler = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(TIME_LIMIT, handler).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(Error::internal("the handler panicked")),
        Err(_) => Err(Error::unavailable("the hub did not answer in time; try again").retry_after(5)),
    }
}

/// Writing goes on when the client leaves: a change must not stop half-way because somebody closed a tab.
async fn detached(hub: &App, request: Request, next: Next) -> Result<Response> {
    let app = App::clone(hub);
    let handler = async move {
        if idempotency::applies(&request) {
            return idempotency::once(&app, request, next).await.unwrap_or_else(Error::into_response);
        }
        next.run(request).await
    };
    match tokio::time::timeout(TIME_LIMIT, hub.tasks.spawn(handler.in_current_span())).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(_)) => Err(Error::internal("the handler panicked")),
        Err(_) => {
            let message = "the hub did not answer in time; the change may still happen, look before you repeat it";
            Err(Error::unavailable(message).retry_after(5))
        }
    }
}
