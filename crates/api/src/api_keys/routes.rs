//! `/v1/api-keys`.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::OwnKey;
use super::model::{ApiKey, KeyMade, KeyView, NewKey};
use crate::access::verbs::{ApiKeysCreate, ApiKeysManage};
use crate::access::{Authorized, Visible};
use crate::auth::Person;
use crate::error::Result;
use crate::http::Unrepeatable;
use crate::http::extract::{Json, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(delete_current))
        .routes(routes!(delete))
        .routes(routes!(rotate))
}

/// My API keys, newest first; with api-keys.manage everybody's
#[utoipa::path(
    get, path = "/v1/api-keys", operation_id = "api_keys_list", tag = "api-keys", params(PageQuery),
    responses((status = 200, description = "A page of keys", body = Page<KeyView>))
)]
async fn list(State(hub): State<App>, person: Person, Query(page): Query<PageQuery>) -> Result<Json<Page<KeyView>>> {
    Ok(Json(super::list(&hub, &person, page).await?))
}

/// Make an API key
///
/// The token is shown once. The key holds those of its permissions that you hold, for as long as you hold them.
#[utoipa::path(
    post, path = "/v1/api-keys", operation_id = "api_keys_create", tag = "api-keys", request_body = NewKey,
    responses((status = 201, description = "The key", body = KeyMade))
)]
async fn create(State(hub): State<App>, visible: Visible<ApiKeysCreate>, Json(new): Json<NewKey>) -> Result<Response> {
    Ok(answer(StatusCode::CREATED, super::create(&hub, visible, new).await?))
}

/// Give an API key of mine another token
///
/// The old one is worth nothing at once. The new one is shown once.
#[utoipa::path(
    post, path = "/v1/api-keys/{id}/rotate", operation_id = "api_keys_rotate", tag = "api-keys",
    params(("id" = uuid::Uuid, Path, description = "The key")),
    responses((status = 200, description = "The key", body = KeyMade))
)]
async fn rotate(State(hub): State<App>, key: Authorized<ApiKey, ApiKeysManage>) -> Result<Response> {
    Ok(answer(StatusCode::OK, super::rotate(&hub, key).await?))
}

/// Revoke an API key
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", operation_id = "api_keys_delete", tag = "api-keys",
    params(("id" = uuid::Uuid, Path, description = "The key")),
    responses((status = 204, description = "It opens nothing any more"))
)]
async fn delete(State(hub): State<App>, key: Authorized<ApiKey, ApiKeysManage>) -> Result<StatusCode> {
    super::revoke(&hub, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revoke the API key that this request comes with
///
/// It needs no permission: whoever has the key may end it.
#[utoipa::path(
    delete, path = "/v1/api-keys/current", operation_id = "api_keys_delete_current", tag = "api-keys",
    responses((status = 204, description = "It opens nothing any more"))
)]
async fn delete_current(State(hub): State<App>, key: OwnKey) -> Result<StatusCode> {
    super::revoke_own(&hub, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn answer(status: StatusCode, made: KeyMade) -> Response {
    let unrepeatable = Extension(Unrepeatable { resource_id: made.key.id.to_string() });
    (status, unrepeatable, Json(made)).into_response()
}
