//! `GET /v1/agent`: where agents connect.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::{Extension, response::IntoResponse as _};
use protocol::MAX_TEXT_FRAME;
use protocol::version::SUBPROTOCOL;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::session::{self, Caller};
use crate::access::RequestOrigin;
use crate::error::{Error, Result};
use crate::hub::App;
use crate::secret::TokenDigest;
use crate::servers;

/// A buffer per connection: read eagerly and zero-filled by the library, so small.
const READ_BUFFER: usize = 4096;
/// The largest frame and its header must fit, or it could never be sent.
const MAX_WRITE_BUFFER: usize = MAX_TEXT_FRAME + 1024;
/// Longest credential that is looked at.
const MAX_TOKEN: usize = 128;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(agent_connect))
}

/// Connect an agent.
///
/// A WebSocket with the subprotocol `roadstead.v1`, for agents only: the agent token comes as a bearer token.
#[utoipa::path(
    get,
    path = "/v1/agent",
    operation_id = "agent_connect",
    tag = "agents",
    responses(
        (status = 101, description = "The socket is open; the agent says hello."),
        (status = 400, description = "Not a WebSocket, or not the subprotocol `roadstead.v1`."),
        (status = 401, description = "The agent token is missing, unknown or revoked."),
        (status = 503, description = "Too many agents connect at this moment."),
    )
)]
async fn agent_connect(
    State(hub): State<App>,
    Extension(origin): Extension<RequestOrigin>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response> {
    // Token first: a stranger learns nothing about what else this route wants.
    let token = presented_token(&headers).ok_or_else(refused)?;
    let place = hub
        .gateway
        .greet()
        .await
        .ok_or_else(|| Error::unavailable("too many agents connect at this moment; try again").retry_after(10))?;
    let identity = servers::by_agent_token(&hub, token.clone()).await?.ok_or_else(refused)?;
    let upgrade = upgrade.map_err(|error| Error::bad_request(error.body_text()))?.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(Error::bad_request(format!("the WebSocket subprotocol must be {SUBPROTOCOL}")));
    }
    if hub.tasks.is_stopping() {
        return Err(Error::unavailable("the hub stops; try again").retry_after(2));
    }
    let caller = Caller { identity, token, origin, place };
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_frame_size(MAX_TEXT_FRAME)
        .max_message_size(MAX_TEXT_FRAME);
    Ok(upgrade
        .on_upgrade(async move |socket| {
            // A task of its own: it is small, and stopping the hub waits for it.
            let tasks = hub.tasks.clone();
            tasks.spawn(session::run(hub, socket, caller));
        })
        .into_response())
}

fn refused() -> Error {
    Error::new(crate::ErrorCode::Unauthenticated, "the agent token is missing, unknown or revoked")
}

/// What was presented as token. A malformed one is looked up like any other, so that answers take the same time.
fn presented_token(headers: &HeaderMap) -> Option<TokenDigest> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let acceptable = scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN;
    acceptable.then(|| TokenDigest::of(token.trim()))
}
