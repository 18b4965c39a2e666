//! `/v1/setup`, `/v1/auth`; the files below: `/v1/account`.

mod account;
mod email_change;
mod oidc;
mod passkeys;
mod reset;
mod totp;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::{Oneself, Person};
use super::code::OneTimeCode;
use super::confirm::{self, FRESH};
use super::factors::{Given, must_enroll};
use super::join::signed_in_answer;
use super::model::{Email, NewPassword, Password, PersonName, User};
use super::oidc::{Pending, ProviderView};
use super::passkeys::{self as keys, PasskeyAnswer};
use super::setup::{self, NewOwner};
use super::sign_in::{self, Credentials, SignedIn};
use super::{account as own_account, session};
use crate::access::{Held, NodeSet, RequestOrigin, Rights};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::ErrorBody;
use crate::http::extract::Json;
use crate::hub::App;
use crate::workspaces::{self, Workspace, WorkspaceName};

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(setup_get, setup_complete))
        .routes(routes!(auth_methods))
        .routes(routes!(auth_login))
        .routes(routes!(auth_logout))
        .routes(routes!(auth_session, auth_session_update))
        .routes(routes!(auth_step_up))
        .merge(account::routes())
        .merge(email_change::routes())
        .merge(passkeys::routes())
        .merge(oidc::routes())
        .merge(reset::routes())
        .merge(totp::routes())
}

#[derive(Debug, Serialize, ToSchema)]
struct SetupState {
    /// Whether nobody owns this hub yet.
    needs_setup: bool,
}

/// Whether the hub waits for its first owner
#[utoipa::path(
    get, path = "/v1/setup", operation_id = "setup_get", tag = "auth", security(()),
    responses((status = 200, description = "Whether set-up is open", body = SetupState))
)]
async fn setup_get(State(hub): State<App>) -> Result<Json<SetupState>> {
    Ok(Json(SetupState { needs_setup: setup::needs_setup(&hub).await? }))
}

#[derive(Debug, Deserialize, ToSchema)]
struct SetupForm {
    /// The code that the hub printed when it started.
    code: String,
    email: Email,
    name: PersonName,
    password: NewPassword,
    /// Name of the first workspace.
    workspace: WorkspaceName,
}

#[derive(Debug, Serialize, ToSchema)]
struct SetupDone {
    user: User,
    workspace: Workspace,
}

/// Create the first owner, who is signed in at once
#[utoipa::path(
    post, path = "/v1/setup", operation_id = "setup_complete", tag = "auth", security(()),
    request_body = SetupForm,
    responses((status = 201, description = "The owner and their workspace", body = SetupDone))
)]
async fn setup_complete(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(form): Json<SetupForm>,
) -> Result<Response> {
    let SetupForm { code, email, name, password, workspace } = form;
    let owner = NewOwner { email, name, password, workspace };
    let (signed_in, workspace) = setup::set_up(&hub, origin, &code, owner).await?;
    let cookie = session::set_cookie(&signed_in.token, &hub.config.public_url)?;
    let done = SetupDone { user: signed_in.user, workspace };
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], Json(done)).into_response())
}

/// How people sign in to this hub.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignInMethods)]
struct Methods {
    /// With e-mail and password: always.
    password: bool,
    /// With a passkey. Browsers know none for a hub that is reached by an address and not by a name.
    passkeys: bool,
    /// Whether a forgotten password can be replaced by a link that is mailed.
    password_reset: bool,
    /// Through these identity providers: the browser goes to `/v1/auth/oidc/{id}/start`.
    providers: Vec<ProviderView>,
}

/// How people can sign in to this hub
#[utoipa::path(
    get, path = "/v1/auth/methods", operation_id = "auth_methods", tag = "auth", security(()),
    responses((status = 200, description = "What its sign-in page offers", body = Methods))
)]
async fn auth_methods(State(hub): State<App>) -> Json<Methods> {
    Json(Methods {
        password: true,
        passkeys: keys::are_possible(&hub),
        password_reset: hub.config.mail.is_some(),
        providers: ProviderView::all(&hub),
    })
}

#[derive(Debug, Deserialize, ToSchema)]
struct LoginForm {
    email: Email,
    password: Password,
    /// Where the account has one-time codes: that of the app, or a recovery code.
    totp: Option<OneTimeCode>,
    /// Where the account has passkeys: the answer to what 401 `totp_required` asked.
    passkey: Option<PasskeyAnswer>,
}

/// Somebody signed in, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInView {
    user: User,
    /// Where the user is a member, oldest membership first.
    workspaces: Vec<Workspace>,
    /// The workspace that the session acts in.
    #[schema(value_type = uuid::Uuid)]
    workspace_id: WorkspaceId,
    /// What may be done there, if only to one thing.
    permissions: NodeSet,
    /// The same by place.
    grants: Vec<Held>,
    /// The workspace requires a second factor: nothing may be done there until the account has one-time codes or a
    /// passkey.
    totp_enrollment_required: bool,
}

impl SignedInView {
    fn new(
        user: User,
        workspaces: Vec<Workspace>,
        workspace_id: WorkspaceId,
        rights: &Rights,
        totp_enrollment_required: bool,
    ) -> Self {
        let (permissions, grants) = (rights.anywhere(), rights.held().to_vec());
        Self { user, workspaces, workspace_id, permissions, grants, totp_enrollment_required }
    }
}

impl From<SignedIn> for SignedInView {
    fn from(signed_in: SignedIn) -> Self {
        let SignedIn { user, workspaces, workspace_id, rights, must_enroll, .. } = signed_in;
        Self::new(user, workspaces, workspace_id, &rights, must_enroll)
    }
}

/// Sign in with e-mail and password
///
/// 401 `totp_required`: they were right, and a second factor is needed as well. `details.methods` says which the account
/// has, of `totp`, `recovery` and `passkey`; `details.passkey` is what to ask the browser for a passkey. Repeat with
/// `totp` or `passkey`.
#[utoipa::path(
    post, path = "/v1/auth/login", operation_id = "auth_login", tag = "auth", security(()),
    request_body = LoginForm,
    responses(
        (status = 200, description = "Signed in; the answer sets the session cookie", body = SignedInView),
        (status = 401, description = "E-mail and password do not match, or a second factor is needed", body = ErrorBody),
        (status = 410, description = "The passkey answered before, or too late; begin again", body = ErrorBody),
    )
)]
async fn auth_login(State(hub): State<App>, origin: RequestOrigin, Json(form): Json<LoginForm>) -> Result<Response> {
    let LoginForm { email, password, totp, passkey } = &form;
    let given = Given { totp: totp.as_ref(), passkey: passkey.as_ref() };
    let credentials = Credentials { email, password, given };
    let signed_in = sign_in::sign_in(&hub, origin, credentials).await?;
    signed_in_answer(&hub, signed_in)
}

/// End the session that this request came with
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "auth_logout", tag = "auth",
    responses((status = 204, description = "Signed out"))
)]
async fn auth_logout(State(hub): State<App>, Oneself(person): Oneself) -> Result<Response> {
    sign_in::sign_out(&hub, &person).await?;
    let cookie = session::clear_cookie(&hub.config.public_url)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

#[derive(Debug, Serialize, ToSchema)]
struct CurrentSession {
    #[serde(flatten)]
    signed_in: SignedInView,
    /// When the session ends unless it is used before.
    expires_at: Timestamp,
    /// Until when nothing dangerous asks for the password again; may be past.
    verified_until: Timestamp,
}

/// Who am I, and what may I do
#[utoipa::path(
    get, path = "/v1/auth/session", operation_id = "auth_session", tag = "auth",
    responses((status = 200, description = "The session of this request", body = CurrentSession))
)]
async fn auth_session(State(hub): State<App>, person: Oneself) -> Result<Json<CurrentSession>> {
    let Oneself(Person { actor, user, session }) = person;
    let (workspaces, must_enroll) = {
        let mut database = hub.db.read().await?;
        let must_enroll = must_enroll(&mut database.conn(), actor.workspace_id, user.id, &actor.rights).await?;
        (workspaces::of_user(&mut database.conn(), user.id).await?, must_enroll)
    };
    let signed_in = SignedInView::new(user, workspaces, actor.workspace_id, &actor.rights, must_enroll);
    let verified_until = session.verified_at.plus(FRESH);
    Ok(Json(CurrentSession { signed_in, expires_at: session.ends_at(), verified_until }))
}

#[derive(Debug, Deserialize, ToSchema)]
struct SessionPatch {
    /// One of the person's workspaces.
    #[schema(value_type = uuid::Uuid)]
    workspace_id: WorkspaceId,
}

/// Act in another of my workspaces
#[utoipa::path(
    patch, path = "/v1/auth/session", operation_id = "auth_session_update", tag = "auth",
    request_body = SessionPatch,
    responses(
        (status = 204, description = "From now on this session acts there"),
        (status = 404, description = "I am no member there", body = ErrorBody),
    )
)]
async fn auth_session_update(
    State(hub): State<App>,
    Oneself(person): Oneself,
    Json(patch): Json<SessionPatch>,
) -> Result<StatusCode> {
    own_account::enter_workspace(&hub, &person, patch.workspace_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
struct StepUpForm {
    /// Not needed with a passkey.
    password: Option<Password>,
    /// Where the account has one-time codes: that of the app, or a recovery code.
    totp: Option<OneTimeCode>,
    /// The answer to what `POST /v1/auth/step-up/begin` asked.
    passkey: Option<PasskeyAnswer>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SteppedUp)]
struct SteppedUp {
    /// Until when nothing dangerous asks again.
    verified_until: Timestamp,
}

/// Prove again that this session is mine
///
/// What gives or takes power wants a proof of the last ten minutes, and answers 403 `step_up_required` otherwise. The proof
/// is a passkey, or the password with a second factor where the account has one.
#[utoipa::path(
    post, path = "/v1/auth/step-up", operation_id = "auth_step_up", tag = "auth", request_body = StepUpForm,
    responses(
        (status = 200, description = "Proved; repeat what was refused", body = SteppedUp),
        (status = 401, description = "`totp_required`: the account has a second factor", body = ErrorBody),
        (status = 410, description = "The passkey answered before, or too late; begin again", body = ErrorBody),
    )
)]
async fn auth_step_up(
    State(hub): State<App>,
    Oneself(person): Oneself,
    headers: axum::http::HeaderMap,
    Json(form): Json<StepUpForm>,
) -> Result<Json<SteppedUp>> {
    let given = Given { totp: form.totp.as_ref(), passkey: form.passkey.as_ref() };
    let pending = Pending::of(&hub, &headers);
    let proof = confirm::Proof { password: form.password.as_ref(), given, pending: pending.as_ref() };
    let verified_until = confirm::step_up(&hub, &person, proof).await?;
    Ok(Json(SteppedUp { verified_until }))
}
