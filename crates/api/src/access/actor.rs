//! On whose behalf something happens.

use protocol::{ServerId, UserId, WorkspaceId};
use uuid::Uuid;

use super::node::Node;
use super::role::Role;

/// Who acts, in which workspace, from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Who.
    pub principal: Principal,
    /// The workspace that everything the actor reaches belongs to.
    pub workspace_id: WorkspaceId,
    /// What the actor may do there.
    pub role: Role,
    /// Where the request came from.
    pub origin: RequestOrigin,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person with a session.
    User {
        /// The person.
        id: UserId,
        /// Name to show.
        name: String,
        /// The session the request came with.
        session_id: Uuid,
    },
    /// An agent, on its own behalf.
    Agent {
        /// Its server.
        id: ServerId,
        /// The server's name.
        name: String,
    },
    /// The hub itself or its command line.
    System,
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    /// Client address, as far as the listed proxies can be trusted.
    pub ip: String,
    /// User agent, shortened.
    pub user_agent: String,
    /// Id of the request.
    pub request_id: String,
}

impl Actor {
    /// The hub itself, in one workspace.
    #[must_use]
    pub fn system(workspace_id: WorkspaceId) -> Self {
        Self { principal: Principal::System, workspace_id, role: Role::Owner, origin: RequestOrigin::default() }
    }

    /// An agent, on its own behalf; it may do nothing through the API.
    #[must_use]
    pub fn agent(workspace_id: WorkspaceId, id: ServerId, name: String, origin: RequestOrigin) -> Self {
        Self { principal: Principal::Agent { id, name }, workspace_id, role: Role::Nobody, origin }
    }

    /// Whether the actor may do this in its workspace.
    #[must_use]
    pub fn may(&self, node: Node) -> bool {
        self.role.allows(node)
    }

    /// `user`, `agent` or `system`, for records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.principal {
            Principal::User { .. } => "user",
            Principal::Agent { .. } => "agent",
            Principal::System => "system",
        }
    }

    /// Id for records; empty for the hub itself.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.principal {
            Principal::User { id, .. } => id.to_string(),
            Principal::Agent { id, .. } => id.to_string(),
            Principal::System => String::new(),
        }
    }

    /// Name for records.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.principal {
            Principal::User { name, .. } | Principal::Agent { name, .. } => name,
            Principal::System => "hub",
        }
    }
}
