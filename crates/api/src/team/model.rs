//! Members, grants, roles and invitations.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store;
use crate::access::{Node, NodeSet, Place, Resource, Role, Scope};
use crate::auth::Email;
use crate::clock::Timestamp;
use crate::db::{Conn, JsonText};
use crate::error::Result;
use crate::ids::{GrantId, InviteId, RoleId};
use crate::line::one_line;

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Granted {
    /// A built-in role.
    Role(Role),
    /// A role of the workspace's own.
    #[schema(value_type = uuid::Uuid)]
    RoleId(RoleId),
    /// These permissions.
    Permissions(NodeSet),
}

/// One grant to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) id: GrantId,
    pub(super) granted: Granted,
    pub(super) scope: Scope,
}

/// What is granted, and where, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = GrantForm)]
pub(super) struct Wanted {
    /// A built-in role, a role of the workspace's own or a list of permissions.
    pub(super) granted: Granted,
    /// Where it holds.
    pub(super) scope: Scope,
}

/// A grant as it is stored: the columns that say what and where.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct GrantColumns {
    role: Option<String>,
    role_id: Option<String>,
    nodes: Option<JsonText<Vec<String>>>,
    project_id: Option<String>,
    server_id: Option<String>,
}

impl GrantColumns {
    /// `None` when they say something that this version does not know.
    pub(super) fn read(self) -> Option<(Granted, Scope)> {
        let granted = match (self.role, self.role_id, self.nodes) {
            (Some(role), ..) => Granted::Role(Role::named(&role)?),
            (None, Some(id), _) => Granted::RoleId(id.parse().ok()?),
            (None, None, nodes) => Granted::Permissions(NodeSet::known(&nodes?.0)),
        };
        Some((granted, Scope::stored(self.project_id.as_deref(), self.server_id.as_deref())?))
    }
}

impl Granted {
    pub(super) const fn role(self) -> Option<Role> {
        if let Self::Role(role) = self { Some(role) } else { None }
    }

    pub(super) fn role_id(self) -> Option<String> {
        if let Self::RoleId(id) = self { Some(id.to_string()) } else { None }
    }

    pub(super) fn nodes(self) -> Option<JsonText<NodeSet>> {
        if let Self::Permissions(nodes) = self { Some(JsonText(nodes)) } else { None }
    }
}

/// A person in a workspace.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Member {
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    #[sqlx(try_from = "String")]
    pub(super) user_id: UserId,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) joined_at: Timestamp,
}

impl Resource for Member {
    const WORD: &'static str = "member";
    const READ: Node = Node::MembersRead;
    type Id = UserId;

    fn load<'c>(conn: &'c mut Conn<'_>, workspace: WorkspaceId, id: UserId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::member(conn, workspace, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }

    /// One may see oneself, and leave.
    fn owner(&self) -> Option<UserId> {
        Some(self.user_id)
    }
}

/// A member as the API shows them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(super) struct MemberView {
    /// The person's id.
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: UserId,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) joined_at: Timestamp,
    /// What they were granted.
    pub(super) grants: Vec<GrantView>,
    /// What they may do over the whole workspace.
    pub(super) permissions: NodeSet,
}

/// A grant as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub(super) struct GrantView {
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: GrantId,
    pub(super) granted: Granted,
    pub(super) scope: Scope,
    /// Name of the role, or null for a list of permissions.
    #[schema(required)]
    pub(super) role_name: Option<String>,
    /// Name of the project or server; null for the workspace.
    #[schema(required)]
    pub(super) scope_name: Option<String>,
    /// `oidc/…` for what a group of that identity provider gives, and takes at the next sign-in; null: somebody granted it.
    #[schema(required)]
    pub(super) source: Option<String>,
    /// What it comes to.
    pub(super) permissions: NodeSet,
}

/// One line of 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 80)]
#[sqlx(transparent)]
pub(super) struct RoleName(String);

impl RoleName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for RoleName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = one_line(&text, 80)?;
        if Role::ALL.iter().any(|role| role.as_str() == name.to_lowercase()) {
            return Err("is the name of a built-in role".to_owned());
        }
        Ok(Self(name))
    }
}

/// A role of a workspace's own.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct CustomRole {
    #[sqlx(try_from = "String")]
    pub(super) id: RoleId,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    pub(super) name: RoleName,
    nodes: JsonText<Vec<String>>,
    pub(super) created_at: Timestamp,
    pub(super) version: i64,
}

impl CustomRole {
    pub(super) const fn new(id: RoleId, workspace_id: WorkspaceId, name: RoleName, created_at: Timestamp) -> Self {
        Self { id, workspace_id, name, nodes: JsonText(Vec::new()), created_at, version: 1 }
    }

    pub(super) fn nodes(&self) -> NodeSet {
        NodeSet::known(&self.nodes.0)
    }

    pub(super) fn with_nodes(mut self, nodes: NodeSet) -> Self {
        self.nodes = JsonText(nodes.names().into_iter().map(str::to_owned).collect());
        self
    }
}

impl Resource for CustomRole {
    const WORD: &'static str = "role";
    const READ: Node = Node::MembersRead;
    type Id = RoleId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: RoleId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::role(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }
}

/// A role of the workspace's own, as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
pub(super) struct RoleView {
    #[schema(value_type = uuid::Uuid)]
    id: RoleId,
    name: RoleName,
    permissions: NodeSet,
    created_at: Timestamp,
    version: i64,
}

impl From<CustomRole> for RoleView {
    fn from(role: CustomRole) -> Self {
        let permissions = role.nodes();
        let CustomRole { id, name, created_at, version, .. } = role;
        Self { id, name, permissions, created_at, version }
    }
}

/// An invitation that was not accepted yet.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Invite {
    #[sqlx(try_from = "String")]
    pub(super) id: InviteId,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    pub(super) email: String,
    #[sqlx(flatten)]
    pub(super) columns: GrantColumns,
    #[sqlx(try_from = "String")]
    pub(super) invited_by: UserId,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Resource for Invite {
    const WORD: &'static str = "invitation";
    const READ: Node = Node::MembersRead;
    type Id = InviteId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: InviteId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::invite(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }
}

/// An invitation to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = InviteForm)]
pub(super) struct NewInvite {
    /// Who is invited; only an account with this address can accept.
    pub(super) email: Email,
    /// What they will hold: a built-in role, a role of the workspace's own or a list of permissions.
    pub(super) granted: Granted,
    /// Where they will hold it.
    pub(super) scope: Scope,
    /// How long it stands, seconds: 60 to 2 592 000; a week unless told.
    pub(super) ttl_s: Option<u32>,
}

/// An invitation as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invite)]
pub(super) struct InviteView {
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: InviteId,
    pub(super) email: String,
    pub(super) granted: Granted,
    pub(super) scope: Scope,
    /// Who made it.
    #[schema(value_type = uuid::Uuid)]
    pub(super) invited_by: UserId,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    /// Whether its time is over.
    pub(super) expired: bool,
}
