//! `/v1/account`: the person's name, password and sessions.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::account::{self, AccountView, SessionView};
use crate::auth::caller::Oneself;
use crate::auth::model::{NewPassword, Password, PersonName, User};
use crate::auth::session;
use crate::error::{Error, Result};
use crate::http::extract::{Json, Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(account_get, account_update))
        .routes(routes!(account_password_change))
        .routes(routes!(account_sessions_list, account_sessions_revoke_others))
        .routes(routes!(account_sessions_revoke))
}

/// My account
#[utoipa::path(
    get, path = "/v1/account", operation_id = "account_get", tag = "account",
    responses((status = 200, description = "The person, and how they sign in", body = AccountView))
)]
async fn account_get(State(hub): State<App>, Oneself(person): Oneself) -> Result<Json<AccountView>> {
    Ok(Json(account::view(&hub, &person).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct AccountPatch {
    /// What to call me.
    name: Option<PersonName>,
}

/// Change my name
#[utoipa::path(
    patch, path = "/v1/account", operation_id = "account_update", tag = "account", request_body = AccountPatch,
    responses((status = 200, description = "The person", body = User))
)]
async fn account_update(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(patch): Json<AccountPatch>,
) -> Result<Json<User>> {
    Ok(Json(account::rename(&hub, &person, patch.name).await?))
}

/// My sessions, newest first
#[utoipa::path(
    get, path = "/v1/account/sessions", operation_id = "account_sessions_list", tag = "account",
    params(PageQuery),
    responses((status = 200, description = "Sessions that are still good", body = Page<SessionView>))
)]
async fn account_sessions_list(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SessionView>>> {
    Ok(Json(account::sessions(&hub, &person, page).await?))
}

/// End one of my sessions
#[utoipa::path(
    delete, path = "/v1/account/sessions/{id}", operation_id = "account_sessions_revoke", tag = "account",
    params(("id" = uuid::Uuid, Path, description = "The session")),
    responses((status = 204, description = "Ended; 404 when it is none of mine"))
)]
async fn account_sessions_revoke(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = id.parse().map_err(|_| Error::not_found("session"))?;
    account::revoke(&hub, &person, id).await?;
    if id != person.session.id {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let cookie: HeaderValue = session::clear_cookie(&hub.config.public_url)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordForm {
    /// Where the account has one; otherwise the session must be proved fresh.
    current_password: Option<Password>,
    new_password: NewPassword,
}

/// Change my password; my other sessions end
#[utoipa::path(
    post, path = "/v1/account/password", operation_id = "account_password_change", tag = "account",
    request_body = PasswordForm,
    responses((status = 204, description = "Changed"))
)]
async fn account_password_change(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<PasswordForm>,
) -> Result<StatusCode> {
    account::change_password(&hub, &person, form.current_password.as_ref(), &form.new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End all of my sessions but this one
#[utoipa::path(
    delete, path = "/v1/account/sessions", operation_id = "account_sessions_revoke_others", tag = "account",
    responses((status = 204, description = "Ended"))
)]
async fn account_sessions_revoke_others(State(hub): State<App>, Oneself(person): Oneself) -> Result<StatusCode> {
    account::revoke_others(&hub, &person).await?;
    Ok(StatusCode::NO_CONTENT)
}
