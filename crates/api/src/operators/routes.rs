//! `/v1/account/operator-keys`.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::KeyView;
use crate::auth::Oneself;
use crate::error::{Error, Result};
use crate::http::extract::{Json, Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(remove))
}

/// My keys that sign jobs, newest first
#[utoipa::path(
    get, path = "/v1/account/operator-keys", operation_id = "operator_keys_list", tag = "account",
    params(PageQuery),
    responses((status = 200, description = "A page of keys", body = Page<KeyView>))
)]
async fn list(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<KeyView>>> {
    Ok(Json(super::list(&hub, &person, page).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OperatorKeyCreate)]
struct Form {
    /// The line of a `.pub` file; an ed25519 key.
    #[schema(example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1p0w5iOfXxTGfB1nAvg4BYFfSJHhAeCnnG2XsSfvYc ada@laptop")]
    public_key: String,
    /// What to call it; the key's comment unless told.
    name: Option<String>,
}

/// Register a key that I sign jobs with
///
/// A host takes its signatures only when its own policy file lists the key in `operators`.
#[utoipa::path(
    post, path = "/v1/account/operator-keys", operation_id = "operator_keys_create", tag = "account",
    request_body = Form,
    responses((status = 201, description = "The key", body = KeyView))
)]
async fn add(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<Form>,
) -> Result<(StatusCode, Json<KeyView>)> {
    let key = super::add(&hub, &person, &form.public_key, form.name.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(key.into())))
}

/// Remove one of my keys
#[utoipa::path(
    delete, path = "/v1/account/operator-keys/{id}", operation_id = "operator_keys_delete", tag = "account",
    params(("id" = String, Path, description = "The key")),
    responses((status = 204, description = "Removed; 404 when it is none of mine"))
)]
async fn remove(State(hub): State<App>, Oneself(person): Oneself, Path(id): Path<String>) -> Result<StatusCode> {
    let id = id.parse().map_err(|_| Error::not_found("operator key"))?;
    super::remove(&hub, &person, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
