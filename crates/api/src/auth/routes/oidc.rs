//! `/v1/auth/oidc`: signing in through identity providers; `/v1/account/identities`: who somebody is there.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::RequestOrigin;
use crate::auth::caller::{self, Oneself};
use crate::auth::code::OneTimeCode;
use crate::auth::factors::Given;
use crate::auth::join::signed_in_answer;
use crate::auth::oidc::{self, IdentityView, Pending, Returned};
use crate::auth::passkeys::PasskeyAnswer;
use crate::auth::routes::SignedInView;
use crate::error::{Error, Result};
use crate::http::ErrorBody;
use crate::http::extract::{Json, Path, Query};
use crate::http::page::Page;
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth_oidc_start))
        .routes(routes!(auth_oidc_callback))
        .routes(routes!(auth_oidc_complete))
        .routes(routes!(account_identities_list))
        .routes(routes!(account_identities_link))
        .routes(routes!(account_identities_delete))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StartQuery {
    /// Where to go afterwards: a path of the dashboard.
    return_to: Option<String>,
    /// Prove again that this session is mine: the provider asks, however recently it did.
    #[serde(default)]
    #[param(required = false)]
    step_up: bool,
}

/// Go to an identity provider
///
/// For a browser, not for a program: the answer sends it there, and remembers in a cookie that it went.
#[utoipa::path(
    get, path = "/v1/auth/oidc/{provider}/start", operation_id = "auth_oidc_start", tag = "auth", security(()),
    params(("provider" = String, Path, description = "The provider, as `/v1/auth/methods` calls it"), StartQuery),
    responses(
        (status = 303, description = "To the provider"),
        (status = 200, description = "A page that goes back to the dashboard and says there what is wrong"),
        (status = 401, description = "There is no session to prove anything of", body = ErrorBody),
        (status = 404, description = "There is no such provider", body = ErrorBody),
    )
)]
async fn auth_oidc_start(
    State(hub): State<App>,
    Path(provider): Path<String>,
    Query(query): Query<StartQuery>,
    request: Request,
) -> Result<Response> {
    let (parts, _) = request.into_parts();
    oidc::find(&hub, &provider)?;
    let person = if query.step_up { Some(caller::person(&hub, &parts).await?) } else { None };
    oidc::start(&hub, &provider, query.return_to.as_deref(), person.as_ref()).await
}

/// Come back from an identity provider
///
/// For a browser that the provider sends here. The answer is a page that goes on: signed in, or to `/sign-in#error=…`
/// with `oidc_denied`, `oidc_failed`, `oidc_expired`, `oidc_unknown_account`, `oidc_address_taken`,
/// `oidc_identity_taken` or `oidc_second_factor`, after which `POST /v1/auth/oidc/complete` is next.
#[utoipa::path(
    get, path = "/v1/auth/oidc/{provider}/callback", operation_id = "auth_oidc_callback", tag = "auth", security(()),
    params(("provider" = String, Path, description = "The provider")),
    responses(
        (status = 200, description = "A page that goes on; it may set the session cookie"),
        (status = 404, description = "There is no such provider", body = ErrorBody),
    )
)]
async fn auth_oidc_callback(
    State(hub): State<App>,
    origin: RequestOrigin,
    Path(provider): Path<String>,
    request: Request,
) -> Result<Response> {
    let returned = Returned::read(request.uri().query().unwrap_or_default());
    oidc::callback(&hub, origin, &provider, request.headers(), returned).await
}

#[derive(Debug, Deserialize, ToSchema)]
struct CompleteForm {
    /// That of the app, or a recovery code.
    totp: Option<OneTimeCode>,
    /// The answer to what 401 `totp_required` asked.
    passkey: Option<PasskeyAnswer>,
}

/// Finish signing in through a provider, with my second factor
///
/// Without one the answer is 401 `totp_required`, which says which there are.
#[utoipa::path(
    post, path = "/v1/auth/oidc/complete", operation_id = "auth_oidc_complete", tag = "auth", security(()),
    request_body = CompleteForm,
    responses(
        (status = 200, description = "Signed in; the answer sets the session cookie", body = SignedInView),
        (status = 401, description = "The second factor is missing or wrong", body = ErrorBody),
        (status = 410, description = "It took too long; begin again at the provider", body = ErrorBody),
    )
)]
async fn auth_oidc_complete(
    State(hub): State<App>,
    origin: RequestOrigin,
    headers: axum::http::HeaderMap,
    Json(form): Json<CompleteForm>,
) -> Result<Response> {
    let given = Given { totp: form.totp.as_ref(), passkey: form.passkey.as_ref() };
    let signed_in = oidc::complete(&hub, origin, &headers, given).await?;
    let mut response = signed_in_answer(&hub, signed_in)?;
    response.headers_mut().append(header::SET_COOKIE, Pending::clear_cookie(&hub)?);
    Ok(response)
}

/// Who I am at identity providers, oldest first
#[utoipa::path(
    get, path = "/v1/account/identities", operation_id = "account_identities_list", tag = "account",
    responses((status = 200, description = "All of them; they are few", body = Page<IdentityView>))
)]
async fn account_identities_list(State(hub): State<App>, Oneself(person): Oneself) -> Result<Json<Page<IdentityView>>> {
    Ok(Json(Page { data: oidc::list(&hub, &person).await?, next_cursor: None }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = IdentityLinkStart)]
struct Nothing {}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityLink)]
struct LinkView {
    /// Where the browser has to go.
    location: String,
}

/// Begin to sign in to my account through a provider as well
///
/// The browser goes to `location` and comes back to `/account`; what went wrong stands there after `#error=`.
#[utoipa::path(
    post, path = "/v1/account/identities/{provider}/link", operation_id = "account_identities_link", tag = "account",
    params(("provider" = String, Path, description = "The provider")), request_body = Nothing,
    responses(
        (status = 200, description = "Where to go; the answer remembers it in a cookie", body = LinkView),
        (status = 403, description = "Prove first that the session is yours: `POST /v1/auth/step-up`", body = ErrorBody),
        (status = 404, description = "There is no such provider", body = ErrorBody),
        (status = 409, description = "No more fit", body = ErrorBody),
        (status = 503, description = "The provider cannot be reached", body = ErrorBody),
    )
)]
async fn account_identities_link(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Path(provider): Path<String>,
    Json(Nothing {}): Json<Nothing>,
) -> Result<Response> {
    let (location, cookie) = oidc::begin_link(&hub, &person, &provider).await?;
    Ok(([(header::SET_COOKIE, cookie)], Json(LinkView { location })).into_response())
}

/// Sign in through this provider no more
///
/// 409 when there is no other way in.
#[utoipa::path(
    delete, path = "/v1/account/identities/{id}", operation_id = "account_identities_delete", tag = "account",
    params(("id" = uuid::Uuid, Path, description = "The identity")),
    responses(
        (status = 204, description = "Taken back"),
        (status = 403, description = "Prove first that the session is yours: `POST /v1/auth/step-up`", body = ErrorBody),
        (status = 404, description = "It is none of mine", body = ErrorBody),
        (status = 409, description = "It is the only way in", body = ErrorBody),
    )
)]
async fn account_identities_delete(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let id = id.parse().map_err(|_| Error::not_found("identity"))?;
    oidc::unlink(&hub, &person, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
