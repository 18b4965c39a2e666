//! `/v1/account/email` and `/v1/auth/email-change`: another address to sign in with.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::reset::Done;
use crate::access::RequestOrigin;
use crate::auth::caller::Oneself;
use crate::auth::email_change::{self, Outlook};
use crate::auth::model::{Email, Password, User};
use crate::error::Result;
use crate::http::ErrorBody;
use crate::http::extract::Json;
use crate::hub::App;
use crate::secret::Secret;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(account_email_change)).routes(routes!(complete))
}

#[derive(Debug, Deserialize, ToSchema)]
struct EmailForm {
    /// The new address, in plain letters.
    email: Email,
    /// As it is now, where the account has one; otherwise the session must be proved fresh.
    password: Option<Password>,
}

/// An address that waits for its link to be opened.
#[derive(Debug, Serialize, ToSchema)]
struct EmailPending {
    /// Where the link was mailed to.
    pending: String,
}

/// Change the address that I sign in with; my other sessions end
///
/// Where the hub sends mail, a link is mailed to the new address and the address changes when it is opened within half an
/// hour; another request, and a change of the password, end the link.
#[utoipa::path(
    post, path = "/v1/account/email", operation_id = "account_email_change", tag = "account",
    request_body = EmailForm,
    responses(
        (status = 200, description = "The person; the hub sends no mail", body = User),
        (status = 202, description = "A link was mailed to the new address", body = EmailPending),
    )
)]
async fn account_email_change(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(form): Json<EmailForm>,
) -> Result<Response> {
    let EmailForm { email, password } = form;
    match email_change::change(&hub, &person, &email, password.as_ref()).await? {
        Outlook::Changed(user) => Ok(Json(user).into_response()),
        Outlook::Asked => {
            let pending = EmailPending { pending: email.as_str().to_owned() };
            Ok((StatusCode::ACCEPTED, Json(pending)).into_response())
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct EmailChangeCompletion {
    /// What stands behind # in the link.
    token: Secret,
}

/// Sign in with another address from now on, with the link that was mailed to it
///
/// All sessions of the account end, but for the one that asked.
#[utoipa::path(
    post, path = "/v1/auth/email-change/complete", operation_id = "auth_email_change_complete", tag = "auth",
    security(()), request_body = EmailChangeCompletion,
    responses(
        (status = 200, description = "The account has the new address", body = Done),
        (status = 409, description = "Another account has the address meanwhile", body = ErrorBody),
        (status = 410, description = "The link was used or has expired", body = ErrorBody),
    )
)]
async fn complete(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(form): Json<EmailChangeCompletion>,
) -> Result<Json<Done>> {
    email_change::complete(&hub, &origin, form.token.reveal()).await?;
    Ok(Json(Done {}))
}
