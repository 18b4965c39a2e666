//! `/v1/auth/password-reset`: another password for somebody who reads their mail.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::RequestOrigin;
use crate::auth::code::OneTimeCode;
use crate::auth::factors::Given;
use crate::auth::model::{Email, NewPassword};
use crate::auth::passkeys::PasskeyAnswer;
use crate::auth::reset_link;
use crate::error::Result;
use crate::http::ErrorBody;
use crate::http::extract::Json;
use crate::hub::App;
use crate::secret::Secret;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(request)).routes(routes!(complete))
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordResetForm {
    /// Of the account.
    email: Email,
}

/// Nothing more to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Done)]
pub(super) struct Done {}

/// Have a link mailed to choose another password with
///
/// The answer is the same whether there is such an account or not. 409 where the hub sends no mail.
#[utoipa::path(
    post, path = "/v1/auth/password-reset", operation_id = "auth_password_reset", tag = "auth", security(()),
    request_body = PasswordResetForm,
    responses((status = 202, description = "If there is such an account, its owner gets mail", body = Done))
)]
async fn request(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(form): Json<PasswordResetForm>,
) -> Result<(StatusCode, Json<Done>)> {
    reset_link::request(&hub, origin, form.email).await?;
    Ok((StatusCode::ACCEPTED, Json(Done {})))
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordResetCompletion {
    /// What stands behind # in the link.
    token: Secret,
    password: NewPassword,
    /// Where the account has one-time codes: that of the app, or a recovery code.
    totp: Option<OneTimeCode>,
    /// Where the account has passkeys: the answer to what 401 `totp_required` asked.
    passkey: Option<PasskeyAnswer>,
}

/// Choose another password with a link that was mailed
///
/// All sessions of the account end. 401 `totp_required`: the account needs a one-time code as well, and the link still
/// works.
#[utoipa::path(
    post, path = "/v1/auth/password-reset/complete", operation_id = "auth_password_reset_complete", tag = "auth",
    security(()), request_body = PasswordResetCompletion,
    responses(
        (status = 200, description = "The account has the new password", body = Done),
        (status = 401, description = "A second factor is missing or wrong", body = ErrorBody),
        (status = 410, description = "The link was used or has expired", body = ErrorBody),
    )
)]
async fn complete(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(form): Json<PasswordResetCompletion>,
) -> Result<Json<Done>> {
    let PasswordResetCompletion { token, password, totp, passkey } = &form;
    let given = Given { totp: totp.as_ref(), passkey: passkey.as_ref() };
    reset_link::complete(&hub, &origin, token.reveal(), password, given).await?;
    Ok(Json(Done {}))
}
