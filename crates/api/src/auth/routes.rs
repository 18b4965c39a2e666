//! `/v1/setup`, `/v1/auth`, `/v1/account`.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::account::{self, SessionView};
use super::caller::Person;
use super::join::signed_in_answer;
use super::model::{Email, NewPassword, Password, PersonName, User};
use super::session;
use super::setup::{self, NewOwner};
use super::sign_in::{self, SignedIn};
use crate::access::{Held, NodeSet, RequestOrigin, Rights};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::ErrorBody;
use crate::http::extract::{Json, Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::hub::App;
use crate::workspaces::{self, Workspace, WorkspaceName};

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(setup_get, setup_complete))
        .routes(routes!(auth_login))
        .routes(routes!(auth_logout))
        .routes(routes!(auth_session, auth_session_update))
        .routes(routes!(account_sessions_list))
        .routes(routes!(account_sessions_revoke))
        .routes(routes!(account_password_change))
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

#[derive(Debug, Deserialize, ToSchema)]
struct LoginForm {
    email: Email,
    password: Password,
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
}

impl SignedInView {
    fn new(user: User, workspaces: Vec<Workspace>, workspace_id: WorkspaceId, rights: &Rights) -> Self {
        let (permissions, grants) = (rights.anywhere(), rights.held().to_vec());
        Self { user, workspaces, workspace_id, permissions, grants }
    }
}

impl From<SignedIn> for SignedInView {
    fn from(signed_in: SignedIn) -> Self {
        let SignedIn { user, workspaces, workspace_id, rights, .. } = signed_in;
        Self::new(user, workspaces, workspace_id, &rights)
    }
}

/// Sign in with e-mail and password
#[utoipa::path(
    post, path = "/v1/auth/login", operation_id = "auth_login", tag = "auth", security(()),
    request_body = LoginForm,
    responses(
        (status = 200, description = "Signed in; the answer sets the session cookie", body = SignedInView),
        (status = 401, description = "E-mail and password do not match", body = ErrorBody),
    )
)]
async fn auth_login(State(hub): State<App>, origin: RequestOrigin, Json(form): Json<LoginForm>) -> Result<Response> {
    let signed_in = sign_in::sign_in(&hub, origin, &form.email, &form.password).await?;
    signed_in_answer(&hub, signed_in)
}

/// End the session that this request came with
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "auth_logout", tag = "auth",
    responses((status = 204, description = "Signed out"))
)]
async fn auth_logout(State(hub): State<App>, person: Person) -> Result<Response> {
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
}

/// Who am I, and what may I do
#[utoipa::path(
    get, path = "/v1/auth/session", operation_id = "auth_session", tag = "auth",
    responses((status = 200, description = "The session of this request", body = CurrentSession))
)]
async fn auth_session(State(hub): State<App>, person: Person) -> Result<Json<CurrentSession>> {
    let workspaces = {
        let mut database = hub.db.read().await?;
        workspaces::of_user(&mut database.conn(), person.user.id).await?
    };
    let Person { actor, user, session } = person;
    let signed_in = SignedInView::new(user, workspaces, actor.workspace_id, &actor.rights);
    Ok(Json(CurrentSession { signed_in, expires_at: session.ends_at() }))
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
    person: Person,
    Json(patch): Json<SessionPatch>,
) -> Result<StatusCode> {
    account::enter_workspace(&hub, &person, patch.workspace_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// My sessions, newest first
#[utoipa::path(
    get, path = "/v1/account/sessions", operation_id = "account_sessions_list", tag = "account",
    params(PageQuery),
    responses((status = 200, description = "Sessions that are still good", body = Page<SessionView>))
)]
async fn account_sessions_list(
    State(hub): State<App>,
    person: Person,
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
async fn account_sessions_revoke(State(hub): State<App>, person: Person, Path(id): Path<String>) -> Result<Response> {
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
    current_password: Password,
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
    person: Person,
    Json(form): Json<PasswordForm>,
) -> Result<StatusCode> {
    account::change_password(&hub, &person, &form.current_password, &form.new_password).await?;
    Ok(StatusCode::NO_CONTENT)
}
