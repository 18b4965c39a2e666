//! What every route needs. This table is written by hand, apart from the code that it judges.

use Node::{
    ApiKeysCreate, ApiKeysManage, AuditRead, AuditRedact, EventsRead, HubManage, JobsCancel, JobsRead, MembersManage,
    MembersRead, ProjectsManage, ProjectsRead, RolesManage, ServersEnroll, ServersExec, ServersManage, ServersRead,
    WorkspaceClose, WorkspaceManage,
};

use crate::access::Node;

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Public,
    /// An agent's token.
    Agent,
    /// Anybody in a session of their own.
    Session,
    /// Something of one's own account, in a session.
    Own,
    /// The node over the whole workspace.
    Workspace(Node),
    /// The node somewhere.
    Somewhere(Node),
    /// The node somewhere; the answer lists what of the kind is within reach.
    List(Kind, Node),
    /// The node over this resource.
    On(Kind, Node),
    /// The node over this resource, or being the person it belongs to.
    OnOrOwn(Kind, Node),
}

/// Kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Server,
    Job,
    Batch,
    InstallToken,
    Project,
    Member,
    Role,
    Invite,
    ApiKey,
    AuditRecord,
}

impl Kind {
    /// What one must hold to know that it is there.
    pub(super) const fn read(self) -> Node {
        match self {
            Self::Server => ServersRead,
            Self::Job | Self::Batch => JobsRead,
            Self::InstallToken => ServersEnroll,
            Self::Project => ProjectsRead,
            Self::Member | Self::Role | Self::Invite => MembersRead,
            Self::ApiKey => ApiKeysManage,
            Self::AuditRecord => AuditRead,
        }
    }
}

pub(super) const TABLE: &[(&str, Needs)] = &[
    ("DELETE /v1/account/identities/{id}", Needs::Own),
    ("DELETE /v1/account/operator-keys/{id}", Needs::Own),
    ("DELETE /v1/account/passkeys/{id}", Needs::Own),
    ("DELETE /v1/account/sessions", Needs::Session),
    ("DELETE /v1/account/sessions/{id}", Needs::Own),
    ("DELETE /v1/account/totp", Needs::Session),
    ("DELETE /v1/api-keys/{id}", Needs::OnOrOwn(Kind::ApiKey, ApiKeysManage)),
    ("DELETE /v1/projects/{id}", Needs::On(Kind::Project, ProjectsManage)),
    ("DELETE /v1/servers/install-tokens/{id}", Needs::On(Kind::InstallToken, ServersEnroll)),
    ("DELETE /v1/servers/{id}", Needs::On(Kind::Server, ServersManage)),
    ("DELETE /v1/team/invites/{id}", Needs::On(Kind::Invite, MembersManage)),
    ("DELETE /v1/team/members/{id}", Needs::OnOrOwn(Kind::Member, MembersManage)),
    ("DELETE /v1/team/roles/{id}", Needs::On(Kind::Role, RolesManage)),
    ("GET /healthz", Needs::Public),
    ("GET /install.sh", Needs::Public),
    ("GET /metrics", Needs::Public),
    ("GET /readyz", Needs::Public),
    ("GET /v1/account", Needs::Session),
    ("GET /v1/account/identities", Needs::Session),
    ("GET /v1/account/operator-keys", Needs::Session),
    ("GET /v1/account/passkeys", Needs::Session),
    ("GET /v1/account/sessions", Needs::Session),
    ("GET /v1/agent", Needs::Agent),
    ("GET /v1/agent/binary/{target}", Needs::Public),
    ("GET /v1/api-keys", Needs::Session),
    ("GET /v1/account/totp", Needs::Session),
    ("GET /v1/audit", Needs::Somewhere(AuditRead)),
    ("GET /v1/audit/export", Needs::Workspace(AuditRead)),
    ("GET /v1/audit/verify", Needs::Workspace(AuditRead)),
    ("GET /v1/auth/methods", Needs::Public),
    ("GET /v1/auth/oidc/{provider}/callback", Needs::Public),
    ("GET /v1/auth/oidc/{provider}/start", Needs::Public),
    ("GET /v1/auth/session", Needs::Session),
    ("GET /v1/events", Needs::Somewhere(EventsRead)),
    ("GET /v1/job-batches", Needs::List(Kind::Batch, JobsRead)),
    ("GET /v1/job-batches/{id}", Needs::On(Kind::Batch, JobsRead)),
    ("GET /v1/job-batches/{id}/servers", Needs::On(Kind::Batch, JobsRead)),
    ("GET /v1/jobs", Needs::List(Kind::Job, JobsRead)),
    ("GET /v1/jobs/{id}", Needs::On(Kind::Job, JobsRead)),
    ("GET /v1/jobs/{id}/log", Needs::On(Kind::Job, JobsRead)),
    ("GET /v1/jobs/{id}/log/search", Needs::On(Kind::Job, JobsRead)),
    ("GET /v1/jobs/{id}/signing", Needs::On(Kind::Job, JobsRead)),
    ("GET /v1/openapi.json", Needs::Public),
    ("GET /v1/plan", Needs::Session),
    ("GET /v1/projects", Needs::List(Kind::Project, ProjectsRead)),
    ("GET /v1/projects/{id}", Needs::On(Kind::Project, ProjectsRead)),
    ("GET /v1/servers", Needs::List(Kind::Server, ServersRead)),
    ("GET /v1/servers/install-tokens", Needs::List(Kind::InstallToken, ServersEnroll)),
    ("GET /v1/servers/install-tokens/{id}", Needs::On(Kind::InstallToken, ServersEnroll)),
    ("GET /v1/servers/{id}", Needs::On(Kind::Server, ServersRead)),
    ("GET /v1/servers/{id}/metrics", Needs::On(Kind::Server, ServersRead)),
    ("GET /v1/setup", Needs::Public),
    ("GET /v1/team/invites", Needs::Workspace(MembersRead)),
    ("GET /v1/team/members", Needs::Workspace(MembersRead)),
    ("GET /v1/team/members/{id}", Needs::OnOrOwn(Kind::Member, MembersRead)),
    ("GET /v1/team/permissions", Needs::Session),
    ("GET /v1/team/roles", Needs::Workspace(MembersRead)),
    ("GET /v1/team/roles/{id}", Needs::On(Kind::Role, MembersRead)),
    ("GET /v1/workspaces", Needs::Workspace(HubManage)),
    ("GET /v1/workspace", Needs::Session),
    ("PATCH /v1/account", Needs::Session),
    ("PATCH /v1/account/passkeys/{id}", Needs::Own),
    ("PATCH /v1/auth/session", Needs::Session),
    ("PATCH /v1/projects/{id}", Needs::On(Kind::Project, ProjectsManage)),
    ("PATCH /v1/servers/{id}", Needs::On(Kind::Server, ServersManage)),
    ("PATCH /v1/team/roles/{id}", Needs::On(Kind::Role, RolesManage)),
    ("PATCH /v1/workspace", Needs::Workspace(WorkspaceManage)),
    ("POST /v1/account/email", Needs::Session),
    ("POST /v1/account/identities/{provider}/link", Needs::Session),
    ("POST /v1/account/operator-keys", Needs::Session),
    ("POST /v1/account/passkeys", Needs::Session),
    ("POST /v1/account/passkeys/begin", Needs::Session),
    ("POST /v1/account/password", Needs::Session),
    ("POST /v1/account/totp", Needs::Session),
    ("POST /v1/account/totp/confirm", Needs::Session),
    ("POST /v1/account/totp/recovery-codes", Needs::Session),
    ("POST /v1/agent/register", Needs::Public),
    ("POST /v1/api-keys", Needs::Somewhere(ApiKeysCreate)),
    ("POST /v1/api-keys/{id}/rotate", Needs::OnOrOwn(Kind::ApiKey, ApiKeysManage)),
    ("POST /v1/audit/{id}/redact", Needs::On(Kind::AuditRecord, AuditRedact)),
    ("POST /v1/auth/login", Needs::Public),
    ("POST /v1/auth/logout", Needs::Session),
    ("POST /v1/auth/oidc/complete", Needs::Public),
    ("POST /v1/auth/passkey", Needs::Public),
    ("POST /v1/auth/passkey/begin", Needs::Public),
    ("POST /v1/auth/step-up", Needs::Session),
    ("POST /v1/auth/step-up/begin", Needs::Session),
    ("POST /v1/invites/accept", Needs::Public),
    ("POST /v1/invites/look-up", Needs::Public),
    ("POST /v1/job-batches", Needs::Somewhere(ServersExec)),
    ("POST /v1/job-batches/{id}/cancel", Needs::On(Kind::Batch, JobsCancel)),
    ("POST /v1/job-batches/{id}/pause", Needs::On(Kind::Batch, ServersExec)),
    ("POST /v1/job-batches/{id}/resume", Needs::On(Kind::Batch, ServersExec)),
    ("POST /v1/jobs", Needs::Somewhere(ServersExec)),
    ("POST /v1/jobs/{id}/cancel", Needs::On(Kind::Job, JobsCancel)),
    ("POST /v1/jobs/{id}/retry", Needs::On(Kind::Job, ServersExec)),
    ("POST /v1/jobs/{id}/signatures", Needs::On(Kind::Job, ServersExec)),
    ("POST /v1/projects", Needs::Workspace(ProjectsManage)),
    ("POST /v1/servers/install-tokens", Needs::Somewhere(ServersEnroll)),
    ("POST /v1/servers/{id}/revoke", Needs::On(Kind::Server, ServersManage)),
    ("POST /v1/servers/{id}/rotate-token", Needs::On(Kind::Server, ServersManage)),
    ("POST /v1/servers/{id}/watch", Needs::On(Kind::Server, ServersRead)),
    ("POST /v1/setup", Needs::Public),
    ("POST /v1/team/invites", Needs::Workspace(MembersManage)),
    ("POST /v1/team/roles", Needs::Workspace(RolesManage)),
    ("POST /v1/team/transfer", Needs::Workspace(WorkspaceClose)),
    ("PUT /v1/servers/{id}/restrictions", Needs::On(Kind::Server, ServersManage)),
    ("PUT /v1/workspaces/{id}/plan", Needs::Workspace(HubManage)),
    ("PUT /v1/team/members/{id}/grants", Needs::On(Kind::Member, MembersManage)),
];
