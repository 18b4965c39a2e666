//! `/v1/account/passkeys`, and signing in with one.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::RequestOrigin;
use crate::auth::caller::Oneself;
use crate::auth::join::signed_in_answer;
use crate::auth::passkeys::{self, AddedView, Begun, NewPasskey, PasskeyAnswer, PasskeyView, Purpose};
use crate::auth::routes::SignedInView;
use crate::auth::sign_in;
use crate::error::{Error, Result};
use crate::http::extract::{Json, Path};
use crate::http::page::Page;
use crate::http::{ErrorBody, Unrepeatable};
use crate::hub::App;
use crate::ids::PasskeyId;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth_passkey_begin))
        .routes(routes!(auth_passkey))
        .routes(routes!(auth_step_up_begin))
        .routes(routes!(account_passkeys_begin))
        .routes(routes!(account_passkeys_list, account_passkeys_create))
        .routes(routes!(account_passkeys_update, account_passkeys_delete))
}

/// Nothing is needed to begin.
#[derive(Debug, Deserialize, ToSchema)]
struct Nothing {}

/// Begin to sign in with a passkey
///
/// What is asked fits every passkey that the browser holds for this hub: it says whose it is. 409 when the hub is reached
/// by an address, for which there are no passkeys.
#[utoipa::path(
    post, path = "/v1/auth/passkey/begin", operation_id = "auth_passkey_begin", tag = "auth", security(()),
    request_body = Nothing,
    responses(
        (status = 200, description = "What to ask the browser", body = Begun),
        (status = 409, description = "The hub has no name that passkeys could be for", body = ErrorBody),
    )
)]
async fn auth_passkey_begin(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Json<Begun>> {
    passkeys::ask(&hub, &origin, Purpose::SignIn).await?.map(Json).ok_or_else(nothing_to_ask)
}

/// Sign in with a passkey
///
/// It is both factors: no password and no code is asked for.
#[utoipa::path(
    post, path = "/v1/auth/passkey", operation_id = "auth_passkey", tag = "auth", security(()),
    request_body = PasskeyAnswer,
    responses(
        (status = 200, description = "Signed in; the answer sets the session cookie", body = SignedInView),
        (status = 401, description = "The passkey opens no account here", body = ErrorBody),
        (status = 410, description = "It was answered before, or too late; begin again", body = ErrorBody),
    )
)]
async fn auth_passkey(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(answer): Json<PasskeyAnswer>,
) -> Result<Response> {
    let signed_in = sign_in::by_passkey(&hub, origin, &answer).await?;
    signed_in_answer(&hub, signed_in)
}

/// Begin to prove with a passkey that this session is mine
#[utoipa::path(
    post, path = "/v1/auth/step-up/begin", operation_id = "auth_step_up_begin", tag = "auth", request_body = Nothing,
    responses(
        (status = 200, description = "What to ask the browser", body = Begun),
        (status = 409, description = "The account has no passkey", body = ErrorBody),
    )
)]
async fn auth_step_up_begin(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Json<Begun>> {
    let purpose = Purpose::StepUp(person.user.id, person.session.id);
    passkeys::ask(&hub, &person.actor.origin, purpose).await?.map(Json).ok_or_else(nothing_to_ask)
}

fn nothing_to_ask() -> Error {
    Error::conflict("this account has no passkeys; prove with the password who you are")
}

/// My passkeys, oldest first
#[utoipa::path(
    get, path = "/v1/account/passkeys", operation_id = "account_passkeys_list", tag = "account",
    responses((status = 200, description = "All of them; they are few", body = Page<PasskeyView>))
)]
async fn account_passkeys_list(State(hub): State<App>, Oneself(person): Oneself) -> Result<Json<Page<PasskeyView>>> {
    Ok(Json(Page { data: passkeys::list(&hub, &person).await?, next_cursor: None }))
}

/// Begin to make a passkey
#[utoipa::path(
    post, path = "/v1/account/passkeys/begin", operation_id = "account_passkeys_begin", tag = "account",
    request_body = Nothing,
    responses(
        (status = 200, description = "What to ask the browser", body = Begun),
        (status = 403, description = "Prove first that the session is yours: `POST /v1/auth/step-up`", body = ErrorBody),
        (status = 409, description = "The hub has no name that passkeys could be for, or no more fit", body = ErrorBody),
    )
)]
async fn account_passkeys_begin(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Json<Begun>> {
    Ok(Json(passkeys::begin(&hub, &person).await?))
}

/// Keep the passkey that my device made
///
/// From now on it signs in alone, and signing in with the password asks for it or for another second factor. The first
/// second factor of an account comes with recovery codes, shown this once.
#[utoipa::path(
    post, path = "/v1/account/passkeys", operation_id = "account_passkeys_create", tag = "account",
    request_body = NewPasskey,
    responses(
        (status = 201, description = "The passkey", body = AddedView),
        (status = 403, description = "Prove first that the session is yours: `POST /v1/auth/step-up`", body = ErrorBody),
        (status = 409, description = "It is registered already, or no more fit", body = ErrorBody),
        (status = 410, description = "It was answered before, or too late; begin again", body = ErrorBody),
    )
)]
async fn account_passkeys_create(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(new): Json<NewPasskey>,
) -> Result<(StatusCode, Extension<Unrepeatable>, Json<AddedView>)> {
    let added = passkeys::add(&hub, &person, &new).await?;
    // It may hold recovery codes, which are kept nowhere.
    let unrepeatable = Extension(Unrepeatable { resource_id: added.id().to_string() });
    Ok((StatusCode::CREATED, unrepeatable, Json(added)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyPatch)]
struct Patch {
    /// What to call it: one line of at most 80 characters.
    name: Option<String>,
}

/// Call one of my passkeys something else
#[utoipa::path(
    patch, path = "/v1/account/passkeys/{id}", operation_id = "account_passkeys_update", tag = "account",
    params(("id" = uuid::Uuid, Path, description = "The passkey")), request_body = Patch,
    responses(
        (status = 200, description = "The passkey", body = PasskeyView),
        (status = 404, description = "It is none of mine", body = ErrorBody),
    )
)]
async fn account_passkeys_update(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Path(id): Path<String>,
    Json(patch): Json<Patch>,
) -> Result<Json<PasskeyView>> {
    Ok(Json(passkeys::rename(&hub, &person, parse(&id)?, patch.name.as_deref()).await?))
}

/// Remove one of my passkeys
///
/// 409 for the last second factor where a workspace requires one.
#[utoipa::path(
    delete, path = "/v1/account/passkeys/{id}", operation_id = "account_passkeys_delete", tag = "account",
    params(("id" = uuid::Uuid, Path, description = "The passkey")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Prove first that the session is yours: `POST /v1/auth/step-up`", body = ErrorBody),
        (status = 404, description = "It is none of mine", body = ErrorBody),
        (status = 409, description = "A workspace requires a second factor, and this is the last", body = ErrorBody),
    )
)]
async fn account_passkeys_delete(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    passkeys::remove(&hub, &person, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(id: &str) -> Result<PasskeyId> {
    id.parse().map_err(|_| Error::not_found("passkey"))
}
