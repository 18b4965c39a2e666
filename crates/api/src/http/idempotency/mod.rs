//! `Idempotency-Key`: the same request sent again gets the same answer for a day, and is not carried out twice.

mod store;

use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::{HeaderName, Method, StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use serde_json::json;

use super::body;
use crate::auth;
use crate::background::{self, Wake};
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use store::{Kept, Key};

const HEADER: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY: usize = 255;
/// Longer answers are not kept; objects that were created are much smaller.
const MAX_KEPT_BYTES: u64 = 256 << 10;
const KEEP: Duration = Duration::from_hours(24);
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Put into an answer that holds a secret: it is not kept, and whoever repeats the request learns which resource the
/// first one made.
#[derive(Debug, Clone)]
pub struct Unrepeatable {
    /// The resource's id.
    pub resource_id: String,
}

/// Whether the request asks to be carried out once.
pub(super) fn applies(request: &Request) -> bool {
    request.method() == Method::POST && request.headers().contains_key(HEADER)
}

/// Carries the request out, or answers as the first time.
pub(super) async fn once(hub: &App, request: Request, next: Next) -> Result<Response> {
    let (parts, content) = request.into_parts();
    let name = key_of(&parts)?;
    let Ok(actor) = auth::authenticate(hub, &parts).await else {
        // Whoever is nobody yet has nothing to repeat: the route decides.
        return Ok(next.run(Request::from_parts(parts, content)).await);
    };
    let bytes = body::read(&parts.headers, content, body::MAX_BODY_BYTES).await?;
    let key =
        Key { workspace_id: actor.workspace_id, actor_id: actor.id(), name, request: digest_of(hub, &parts, &bytes) };
    if !claim(hub, &key).await? {
        return repeat(hub, &key).await;
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    keep(hub, &key, response).await
}

/// Starts forgetting old keys.
pub(super) fn start(app: &App) {
    background::spawn(app, "http.idempotency", FORGET_EVERY, Wake::default(), forget_old);
}

pub(super) async fn forget_old(hub: App) -> Result<()> {
    let mut tx = hub.db.write().await?;
    store::forget(&mut tx.conn(), hub.now().minus(KEEP)).await?;
    tx.commit().await?;
    Ok(())
}

fn key_of(parts: &Parts) -> Result<String> {
    let key = parts.headers.get(HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default().trim();
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Error::bad_request(format!("Idempotency-Key must be 1 to {MAX_KEY} ASCII characters")));
    }
    Ok(key.to_owned())
}

/// Keyed, because a body may hold a secret that is short enough to be guessed.
fn digest_of(hub: &Hub, parts: &Parts, body: &[u8]) -> String {
    let head = format!("{} {}\n", parts.method, parts.uri);
    hub.sealing.digest(&[head.as_bytes(), body].concat())
}

async fn claim(hub: &Hub, key: &Key) -> Result<bool> {
    let mut tx = hub.db.write().await?;
    let claimed = store::claim(&mut tx.conn(), key, hub.now()).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// Answers a request that came before.
async fn repeat(hub: &Hub, key: &Key) -> Result<Response> {
    let kept = store::kept(&mut hub.db.read().await?.conn(), key).await?;
    let Some(Kept { request_digest, status, body, resource_id }) = kept else {
        return Err(Error::conflict("the first request with this Idempotency-Key just failed; send it again"));
    };
    if request_digest != key.request {
        return Err(Error::conflict("this Idempotency-Key came with another request before; use a new one"));
    }
    if let Some(id) = resource_id {
        let message = "this request was carried out before, and its answer held a secret that is not kept";
        return Err(Error::conflict(message).with_details(json!({ "id": id })));
    }
    let status = status.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    if status.is_some() && body.is_none() {
        let message =
            "this request was carried out before, and its answer was too long to be kept; look at what it made";
        return Err(Error::conflict(message));
    }
    let (Some(status), Some(body)) = (status, body) else {
        let message = "the first request with this Idempotency-Key still runs, or broke off in the middle; look whether \
                       it took effect, then use a new key";
        return Err(Error::conflict(message));
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (REPLAYED, "true")];
    Ok((status, headers, body).into_response())
}

/// Keeps a success; a failure changed nothing and may be tried again under the same key.
async fn keep(hub: &Hub, key: &Key, mut response: Response) -> Result<Response> {
    let status = response.status();
    if !status.is_success() {
        let mut tx = hub.db.write().await?;
        store::release(&mut tx.conn(), key).await?;
        tx.commit().await?;
        return Ok(response);
    }
    let unrepeatable = response.extensions_mut().remove::<Unrepeatable>();
    let (parts, content) = response.into_parts();
    // What is too long, or comes as it is made, goes to the caller and is not kept: the change has happened.
    let is_short = content.size_hint().exact().is_some_and(|length| length <= MAX_KEPT_BYTES);
    let (text, content) = if is_short && unrepeatable.is_none() {
        let bytes = content.collect().await.map_err(Error::internal)?.to_bytes();
        (String::from_utf8(bytes.to_vec()).ok(), Body::from(bytes))
    } else {
        (None, content)
    };
    let kept = Kept {
        request_digest: key.request.clone(),
        status: Some(i64::from(status.as_u16())),
        body: text,
        resource_id: unrepeatable.map(|unrepeatable| unrepeatable.resource_id),
    };
    let mut tx = hub.db.write().await?;
    store::keep(&mut tx.conn(), key, kept).await?;
    tx.commit().await?;
    Ok(Response::from_parts(parts, content))
}
