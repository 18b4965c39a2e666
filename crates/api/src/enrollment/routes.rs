//! Install tokens, registration, the installer and the agent builds.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::builds::Target;
use super::model::{InstallToken, InstallTokenView, MintedToken, NewInstallToken};
use super::{installer, registration, tokens};
use crate::access::verbs::ServersEnroll;
use crate::access::{Authorized, RequestOrigin, Visible};
use crate::error::{Error, Result};
use crate::http::ErrorBody;
use crate::http::extract::{Json, Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::{ClientAddress, Unrepeatable, etag};
use crate::hub::App;

const CHUNK: usize = 64 << 10;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(install_tokens_list, install_tokens_create))
        .routes(routes!(install_tokens_get, install_tokens_delete))
        .routes(routes!(agent_register))
        .routes(routes!(agent_binary_get))
        .routes(routes!(installer_get))
}

/// List install tokens
///
/// Newest first. Expired tokens are listed for a week.
#[utoipa::path(
    get,
    path = "/v1/servers/install-tokens",
    operation_id = "install_tokens_list",
    tag = "enrollment",
    params(PageQuery),
    responses((status = 200, description = "One page", body = Page<InstallTokenView>))
)]
async fn install_tokens_list(
    State(hub): State<App>,
    visible: Visible<ServersEnroll>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<InstallTokenView>>> {
    let page = tokens::list(&hub, &visible, page).await?;
    let now = hub.now();
    let data = page.data.into_iter().map(|token| token.view(now)).collect();
    Ok(Json(Page { data, next_cursor: page.next_cursor }))
}

/// Make an install token
///
/// The answer holds the line to paste into a root shell on the VPS. The token is shown this once; it admits one agent.
#[utoipa::path(
    post,
    path = "/v1/servers/install-tokens",
    operation_id = "install_tokens_create",
    tag = "enrollment",
    request_body = NewInstallToken,
    responses(
        (status = 201, description = "The token", body = MintedToken),
        (status = 404, description = "There is no such server or project", body = ErrorBody),
    )
)]
async fn install_tokens_create(
    State(hub): State<App>,
    visible: Visible<ServersEnroll>,
    Json(wanted): Json<NewInstallToken>,
) -> Result<Response> {
    let minted = tokens::mint(&hub, visible, wanted).await?;
    let unrepeatable = Extension(Unrepeatable { resource_id: minted.id.clone() });
    Ok((StatusCode::CREATED, unrepeatable, Json(minted)).into_response())
}

/// Look at an install token
#[utoipa::path(
    get,
    path = "/v1/servers/install-tokens/{id}",
    operation_id = "install_tokens_get",
    tag = "enrollment",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token's state", body = InstallTokenView))
)]
async fn install_tokens_get(
    State(hub): State<App>,
    token: Authorized<InstallToken, ServersEnroll>,
) -> Json<InstallTokenView> {
    Json(token.resource.view(hub.now()))
}

/// Withdraw an install token
///
/// A token that was used already is a 409.
#[utoipa::path(
    delete,
    path = "/v1/servers/install-tokens/{id}",
    operation_id = "install_tokens_delete",
    tag = "enrollment",
    params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It admits nobody any more"))
)]
async fn install_tokens_delete(
    State(hub): State<App>,
    token: Authorized<InstallToken, ServersEnroll>,
) -> Result<StatusCode> {
    tokens::withdraw(&hub, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Register an agent
///
/// Agents call this with the install token of the pasted line. 401: the token is unknown or malformed. 410: it was used
/// or has expired. The same token with the same nonce is answered again until the agent has connected.
#[utoipa::path(
    post,
    path = "/v1/agent/register",
    operation_id = "agent_register",
    tag = "agents",
    security(()),
    request_body = RegisterBody,
    responses(
        (status = 201, description = "The server and its credential", body = RegisterAnswer),
        (status = 401, description = "The install token is unknown", body = ErrorBody),
        (status = 410, description = "The install token was used or has expired", body = ErrorBody),
    )
)]
async fn agent_register(
    State(hub): State<App>,
    Extension(client): Extension<ClientAddress>,
    Extension(origin): Extension<RequestOrigin>,
    Json(request): Json<protocol::enroll::RegisterRequest>,
) -> Result<Response> {
    hub.enrollment.registrations.check(&client.limit_key())?;
    let answer = registration::register(&hub, origin, request).await?;
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Download the agent
///
/// Its SHA-256 and the release key's signature come as headers.
#[utoipa::path(
    get,
    path = "/v1/agent/binary/{target}",
    operation_id = "agent_binary_get",
    tag = "agents",
    security(()),
    params(("target" = inline(Target), Path, description = "Which machine")),
    responses((status = 200, description = "The program", content_type = "application/octet-stream"))
)]
async fn agent_binary_get(State(hub): State<App>, Path(target): Path<Target>, headers: HeaderMap) -> Result<Response> {
    let builds = hub.enrollment.builds();
    let build = builds.get(target).ok_or_else(|| Error::not_found("agent build on this hub"))?;
    let sha256 = build.sha256.to_string();
    let tag = etag::strong(&sha256);
    if etag::matches(&headers, &tag) {
        return Ok(etag::not_modified(&tag));
    }
    let file = build.open().await.map_err(|error| {
        Error::unavailable("the agent builds of this hub are being replaced; try again")
            .retry_after(30)
            .caused_by(error)
    })?;
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let length = file.read(&mut chunk).await?;
        chunk.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then(|| (Bytes::from(chunk), file)))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, build.size_bytes.to_string()),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (HeaderName::from_static("x-roadstead-sha256"), sha256),
        (HeaderName::from_static("x-roadstead-signature"), build.signature.clone()),
        (HeaderName::from_static("x-roadstead-key-id"), build.key_id.clone()),
        (HeaderName::from_static("x-roadstead-version"), builds.version().unwrap_or_default().to_owned()),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(Error::internal)?);
    }
    Ok(response)
}

/// The installer
///
/// A POSIX shell script that knows this hub's address, key and agents.
#[utoipa::path(
    get,
    path = "/install.sh",
    operation_id = "installer_get",
    tag = "agents",
    security(()),
    responses((status = 200, description = "The script", content_type = "text/x-shellscript", body = String))
)]
async fn installer_get(State(hub): State<App>) -> Response {
    let script = installer::script(&hub, &hub.enrollment.builds());
    let headers = [(header::CONTENT_TYPE, "text/x-shellscript; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, script).into_response()
}

/// What an agent registers with.
#[derive(Deserialize, ToSchema)]
#[schema(as = RegisterRequest)]
#[expect(dead_code, reason = "documents the fields of protocol::enroll::RegisterRequest; a test compares both")]
pub(super) struct RegisterBody {
    /// The install token.
    token: String,
    /// 32 random bytes in hexadecimal.
    nonce: String,
    /// Host name.
    hostname: String,
    /// Operating system.
    os: String,
    /// `x86_64` or `aarch64`.
    arch: String,
    /// SHA-256 of the machine id, in hexadecimal.
    machine_id_hash: String,
    /// The agent's version.
    agent_version: String,
    /// SHA-256 of the hub's key as it was pasted: a hub with another key refuses before the token is used up.
    #[serde(default)]
    hub_fingerprint: Option<String>,
}

/// What it gets.
#[derive(Serialize, ToSchema)]
#[schema(as = RegisterResponse)]
pub(super) struct RegisterAnswer {
    /// The server.
    server_id: String,
    /// Its credential.
    agent_token: String,
    /// The hub's Ed25519 public key, in hexadecimal.
    hub_key: String,
    /// First 8 bytes of its SHA-256.
    hub_key_id: String,
    /// Where to connect.
    ws_url: String,
}
