//! `/v1/account/totp`: one-time codes.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::caller::{Oneself, Person};
use crate::auth::code::OneTimeCode;
use crate::auth::factors::{self, Given, RecoveryCodesView, StartedView, StateView};
use crate::auth::model::Password;
use crate::auth::passkeys::PasskeyAnswer;
use crate::error::Result;
use crate::http::Unrepeatable;
use crate::http::extract::Json;
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(totp_get, totp_start, totp_disable))
        .routes(routes!(totp_confirm))
        .routes(routes!(totp_recovery_codes))
}

/// These answers hold secrets, and are not kept for a repeated request.
fn unrepeatable(person: &Person) -> Extension<Unrepeatable> {
    Extension(Unrepeatable { resource_id: person.user.id.to_string() })
}

/// How one-time codes stand on my account
#[utoipa::path(
    get, path = "/v1/account/totp", operation_id = "account_totp_get", tag = "account",
    responses((status = 200, description = "Whether they are on", body = StateView))
)]
async fn totp_get(State(hub): State<App>, Oneself(person): Oneself) -> Result<Json<StateView>> {
    Ok(Json(factors::state(&hub, &person).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct StartForm {
    /// Where the account has one; otherwise the session must be proved fresh.
    password: Option<Password>,
}

/// Make a secret for my authenticator app
///
/// It is shown once. Nothing asks for its codes until one of them was confirmed; starting again makes another secret.
/// 409 when one-time codes are on already.
#[utoipa::path(
    post, path = "/v1/account/totp", operation_id = "account_totp_start", tag = "account", request_body = StartForm,
    responses((status = 201, description = "The secret, for typing and as a QR code's text", body = StartedView))
)]
async fn totp_start(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<StartForm>,
) -> Result<(StatusCode, Extension<Unrepeatable>, Json<StartedView>)> {
    let started = factors::start(&hub, &person, form.password.as_ref()).await?;
    Ok((StatusCode::CREATED, unrepeatable(&person), Json(started)))
}

#[derive(Debug, Deserialize, ToSchema)]
struct ConfirmForm {
    /// What the app shows.
    code: OneTimeCode,
}

/// Turn one-time codes on
///
/// From now on signing in asks for a code. The answer holds recovery codes, shown this once.
#[utoipa::path(
    post, path = "/v1/account/totp/confirm", operation_id = "account_totp_confirm", tag = "account",
    request_body = ConfirmForm,
    responses((status = 200, description = "They are on", body = RecoveryCodesView))
)]
async fn totp_confirm(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<ConfirmForm>,
) -> Result<(Extension<Unrepeatable>, Json<RecoveryCodesView>)> {
    let recovery_codes = factors::enable(&hub, &person, &form.code).await?;
    Ok((unrepeatable(&person), Json(recovery_codes)))
}

#[derive(Debug, Deserialize, ToSchema)]
struct ProofForm {
    /// Where the account has one; otherwise the session must be proved fresh.
    password: Option<Password>,
    /// That of the app; to turn one-time codes off, a recovery code as well.
    totp: Option<OneTimeCode>,
    /// In its place: the answer to what `POST /v1/auth/step-up/begin` asked.
    passkey: Option<PasskeyAnswer>,
}

impl ProofForm {
    const fn given(&self) -> Given<'_> {
        Given { totp: self.totp.as_ref(), passkey: self.passkey.as_ref() }
    }
}

/// Turn one-time codes off
#[utoipa::path(
    delete, path = "/v1/account/totp", operation_id = "account_totp_disable", tag = "account",
    request_body = ProofForm,
    responses((status = 204, description = "They are off; without a passkey, the recovery codes are worth nothing"))
)]
async fn totp_disable(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<ProofForm>,
) -> Result<StatusCode> {
    factors::disable(&hub, &person, form.password.as_ref(), form.given()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make other recovery codes
///
/// Those of before are worth nothing then.
#[utoipa::path(
    post, path = "/v1/account/totp/recovery-codes", operation_id = "account_totp_recovery_codes", tag = "account",
    request_body = ProofForm,
    responses((status = 200, description = "The new ones, shown this once", body = RecoveryCodesView))
)]
async fn totp_recovery_codes(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<ProofForm>,
) -> Result<(Extension<Unrepeatable>, Json<RecoveryCodesView>)> {
    let recovery_codes = factors::renew_recovery_codes(&hub, &person, form.password.as_ref(), form.given()).await?;
    Ok((unrepeatable(&person), Json(recovery_codes)))
}
