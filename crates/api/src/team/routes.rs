//! `/v1/team` and what somebody does with an invitation.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use protocol::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::invites::{self, Acceptance, Made, Offer};
use super::model::{CustomRole, Invite, InviteView, Member, MemberView, NewInvite, RoleName, RoleView, Wanted};
use super::{members, roles as custom_roles};
use crate::access::verbs::{MembersManage, MembersRead, RolesManage, WorkspaceClose};
use crate::access::{Authorized, Node, NodeSet, RequestOrigin, Role, Workspace};
use crate::auth::{self, OneTimeCode, PasskeyAnswer, Password, Person, PersonName, Proof};
use crate::error::Result;
use crate::http::etag::{IfMatch, of_version};
use crate::http::extract::{Json, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::{ErrorBody, Unrepeatable};
use crate::hub::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(members_list))
        .routes(routes!(members_get, members_delete))
        .routes(routes!(members_grants))
        .routes(routes!(transfer))
        .routes(routes!(permissions))
        .routes(routes!(roles_list, roles_create))
        .routes(routes!(roles_get, roles_update, roles_delete))
        .routes(routes!(invites_list, invites_create))
        .routes(routes!(invites_delete))
        .routes(routes!(invite_look_up))
        .routes(routes!(invite_accept))
}

/// Members, longest first
#[utoipa::path(
    get, path = "/v1/team/members", operation_id = "members_list", tag = "team", params(PageQuery),
    responses((status = 200, description = "A page of members", body = Page<MemberView>))
)]
async fn members_list(
    State(hub): State<App>,
    workspace: Authorized<Workspace, MembersRead>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<MemberView>>> {
    Ok(Json(members::list(&hub, workspace, page).await?))
}

/// Look at a member and what they hold
#[utoipa::path(
    get, path = "/v1/team/members/{id}", operation_id = "members_get", tag = "team",
    params(("id" = uuid::Uuid, Path, description = "The person")),
    responses((status = 200, description = "The member", body = MemberView))
)]
async fn members_get(State(hub): State<App>, member: Authorized<Member, MembersRead>) -> Result<Json<MemberView>> {
    Ok(Json(members::get(&hub, member).await?))
}

/// End a membership, or leave
///
/// Keys and invitations that the member made end with it. Everybody may leave but the last owner.
#[utoipa::path(
    delete, path = "/v1/team/members/{id}", operation_id = "members_delete", tag = "team",
    params(("id" = uuid::Uuid, Path, description = "The person")),
    responses((status = 204, description = "No member any more"))
)]
async fn members_delete(State(hub): State<App>, member: Authorized<Member, MembersManage>) -> Result<StatusCode> {
    members::remove(&hub, member).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
struct GrantsForm {
    /// All that the member will hold.
    grants: Vec<Wanted>,
}

/// Grant other things to a member
///
/// Takes the place of everything that was granted. You can only give or take what you hold there yourself.
#[utoipa::path(
    put, path = "/v1/team/members/{id}/grants", operation_id = "members_grants_set", tag = "team",
    request_body = GrantsForm, params(("id" = uuid::Uuid, Path, description = "The person")),
    responses((status = 200, description = "The member", body = MemberView))
)]
async fn members_grants(
    State(hub): State<App>,
    member: Authorized<Member, MembersManage>,
    Json(form): Json<GrantsForm>,
) -> Result<Json<MemberView>> {
    Ok(Json(members::set_grants(&hub, member, form.grants).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct TransferForm {
    /// The member who will own the workspace.
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    /// Of whoever hands it on; without one, the session must be proved fresh.
    password: Option<Password>,
}

/// Hand the workspace to another member
///
/// They become its owner, and you an admin.
#[utoipa::path(
    post, path = "/v1/team/transfer", operation_id = "workspace_transfer", tag = "team", request_body = TransferForm,
    responses((status = 204, description = "Handed on"))
)]
async fn transfer(
    State(hub): State<App>,
    workspace: Authorized<Workspace, WorkspaceClose>,
    person: Person,
    Json(form): Json<TransferForm>,
) -> Result<StatusCode> {
    auth::confirm_password(&hub, &person, form.password.as_ref(), "password").await?;
    members::transfer(&hub, workspace, form.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What can be granted
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grantable)]
struct Grantable {
    permissions: Vec<PermissionView>,
    /// Built-in roles, widest first.
    roles: Vec<BuiltInView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permission)]
struct PermissionView {
    /// `area.verb`
    name: &'static str,
    /// What it allows.
    meaning: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BuiltInRoleView)]
struct BuiltInView {
    role: Role,
    /// What it is for.
    meaning: &'static str,
    permissions: NodeSet,
}

/// Permissions and built-in roles, in words
#[utoipa::path(
    get, path = "/v1/team/permissions", operation_id = "permissions_list", tag = "team",
    responses((status = 200, description = "What can be granted", body = Grantable))
)]
async fn permissions(_person: Person) -> Json<Grantable> {
    let permissions = Node::ALL.iter().map(|node| PermissionView { name: node.as_str(), meaning: node.meaning() });
    let roles = Role::ALL.map(|role| BuiltInView { role, meaning: role.meaning(), permissions: role.nodes() });
    Json(Grantable { permissions: permissions.collect(), roles: roles.into() })
}

/// Roles of the workspace's own, by name
#[utoipa::path(
    get, path = "/v1/team/roles", operation_id = "roles_list", tag = "team", params(PageQuery),
    responses((status = 200, description = "A page of roles", body = Page<RoleView>))
)]
async fn roles_list(
    State(hub): State<App>,
    workspace: Authorized<Workspace, MembersRead>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<RoleView>>> {
    Ok(Json(custom_roles::list(&hub, workspace, page).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct RoleForm {
    /// Unique in the workspace, whatever the case of its letters.
    name: RoleName,
    /// What it holds; nothing that you do not hold yourself.
    permissions: NodeSet,
}

/// Make a role
#[utoipa::path(
    post, path = "/v1/team/roles", operation_id = "roles_create", tag = "team", request_body = RoleForm,
    responses((status = 201, description = "The role", body = RoleView))
)]
async fn roles_create(
    State(hub): State<App>,
    workspace: Authorized<Workspace, RolesManage>,
    Json(form): Json<RoleForm>,
) -> Result<Response> {
    let role = custom_roles::create(&hub, workspace, form.name, form.permissions).await?;
    Ok((StatusCode::CREATED, tagged(role)).into_response())
}

/// Look at a role
#[utoipa::path(
    get, path = "/v1/team/roles/{id}", operation_id = "roles_get", tag = "team",
    params(("id" = uuid::Uuid, Path, description = "The role")),
    responses((status = 200, description = "The role", body = RoleView))
)]
async fn roles_get(role: Authorized<CustomRole, MembersRead>) -> Response {
    tagged(role.resource)
}

#[derive(Debug, Deserialize, ToSchema)]
struct RolePatch {
    name: Option<RoleName>,
    permissions: Option<NodeSet>,
}

/// Change a role
///
/// Whoever holds it holds the new permissions at once. You can only add or take what you hold yourself.
#[utoipa::path(
    patch, path = "/v1/team/roles/{id}", operation_id = "roles_update", tag = "team", request_body = RolePatch,
    params(
        ("id" = uuid::Uuid, Path, description = "The role"),
        ("If-Match" = Option<String>, Header, description = "The version that was read, in quotes"),
    ),
    responses((status = 200, description = "The role", body = RoleView))
)]
async fn roles_update(
    State(hub): State<App>,
    role: Authorized<CustomRole, RolesManage>,
    if_match: IfMatch,
    Json(patch): Json<RolePatch>,
) -> Result<Response> {
    Ok(tagged(custom_roles::update(&hub, role, patch.name, patch.permissions, if_match).await?))
}

/// Remove a role that nobody holds
#[utoipa::path(
    delete, path = "/v1/team/roles/{id}", operation_id = "roles_delete", tag = "team",
    params(("id" = uuid::Uuid, Path, description = "The role")),
    responses((status = 204, description = "Removed; 409 while somebody holds it"))
)]
async fn roles_delete(State(hub): State<App>, role: Authorized<CustomRole, RolesManage>) -> Result<StatusCode> {
    custom_roles::remove(&hub, role).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn tagged(role: CustomRole) -> Response {
    ([(header::ETAG, of_version(role.version))], Json(RoleView::from(role))).into_response()
}

/// Invitations that were not accepted yet, newest first
#[utoipa::path(
    get, path = "/v1/team/invites", operation_id = "invites_list", tag = "team", params(PageQuery),
    responses((status = 200, description = "A page of invitations", body = Page<InviteView>))
)]
async fn invites_list(
    State(hub): State<App>,
    workspace: Authorized<Workspace, MembersRead>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<InviteView>>> {
    Ok(Json(invites::list(&hub, workspace, page).await?))
}

/// Invite somebody
///
/// The token is shown once. It works once, for an account with this address, while you hold what you grant.
#[utoipa::path(
    post, path = "/v1/team/invites", operation_id = "invites_create", tag = "team", request_body = NewInvite,
    responses((status = 201, description = "The invitation", body = Made))
)]
async fn invites_create(
    State(hub): State<App>,
    workspace: Authorized<Workspace, MembersManage>,
    Json(new): Json<NewInvite>,
) -> Result<Response> {
    let made = invites::create(&hub, workspace, new).await?;
    let unrepeatable = Extension(Unrepeatable { resource_id: made.invite.id.to_string() });
    Ok((StatusCode::CREATED, unrepeatable, Json(made)).into_response())
}

/// Withdraw an invitation
#[utoipa::path(
    delete, path = "/v1/team/invites/{id}", operation_id = "invites_delete", tag = "team",
    params(("id" = uuid::Uuid, Path, description = "The invitation")),
    responses((status = 204, description = "It lets nobody in any more"))
)]
async fn invites_delete(State(hub): State<App>, invite: Authorized<Invite, MembersManage>) -> Result<StatusCode> {
    invites::withdraw(&hub, invite).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
struct LookUpForm {
    /// What the invitation's link ends with.
    token: String,
}

/// What an invitation is for
///
/// 410: it was used, withdrawn or has expired.
#[utoipa::path(
    post, path = "/v1/invites/look-up", operation_id = "invites_look_up", tag = "auth", security(()),
    request_body = LookUpForm,
    responses(
        (status = 200, description = "What it offers", body = Offer),
        (status = 410, description = "It was used, withdrawn or has expired", body = ErrorBody),
    )
)]
async fn invite_look_up(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(form): Json<LookUpForm>,
) -> Result<Json<Offer>> {
    Ok(Json(invites::look_up(&hub, &origin, &form.token).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct AcceptForm {
    /// What the invitation's link ends with.
    token: String,
    /// Of the account with the invited address; a new account gets it as its password, which needs 12 characters.
    password: Password,
    /// Where the account has one-time codes: that of the app, or a recovery code.
    totp: Option<OneTimeCode>,
    /// Where the account has passkeys: the answer to what 401 `totp_required` asked.
    passkey: Option<PasskeyAnswer>,
    /// What a new account is called.
    name: Option<PersonName>,
}

/// Accept an invitation
///
/// Makes an account where there is none with that address, and signs in.
#[utoipa::path(
    post, path = "/v1/invites/accept", operation_id = "invites_accept", tag = "auth", security(()),
    request_body = AcceptForm,
    responses(
        (status = 200, description = "A member, and signed in; the answer sets the session cookie",
            body = auth::SignedInView),
        (status = 401, description = "The password is not that of the account", body = ErrorBody),
        (status = 410, description = "It was used, withdrawn or has expired", body = ErrorBody),
    )
)]
async fn invite_accept(
    State(hub): State<App>,
    origin: RequestOrigin,
    Json(form): Json<AcceptForm>,
) -> Result<Response> {
    let AcceptForm { token, password, totp, passkey, name } = form;
    let proof = Proof { password, totp, passkey, name };
    let signed_in = invites::accept(&hub, origin, Acceptance { token, proof }).await?;
    auth::signed_in_answer(&hub, signed_in)
}
