//! On whose behalf something happens.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use protocol::{ServerId, UserId, WorkspaceId};

use super::node::Node;
use super::rights::Rights;
use super::scope::Place;
use crate::clock::Timestamp;
use crate::ids::{ApiKeyId, SessionId};
use crate::secret::TokenDigest;

/// Who acts, in which workspace, from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Who.
    pub principal: Principal,
    /// The workspace that everything the actor reaches belongs to.
    pub workspace_id: WorkspaceId,
    /// What the actor may do there.
    pub rights: Rights,
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
        session_id: SessionId,
        /// When they last proved in it that they are who they are.
        verified_at: Timestamp,
    },
    /// A script with a key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// The key's name.
        name: String,
        /// Who made the key: its rights end with theirs.
        user_id: UserId,
        /// Digest of the token it came with: a key that was rotated has another.
        token: TokenDigest,
    },
    /// An agent, on its own behalf.
    Agent {
        /// Its server.
        id: ServerId,
        /// The server's name.
        name: String,
    },
    /// Somebody who is not signed in.
    Anonymous,
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

impl RequestOrigin {
    /// Of a request that came through the HTTP layer, which puts it there.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestOrigin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

impl Actor {
    /// The hub itself, in one workspace.
    #[must_use]
    pub fn system(workspace_id: WorkspaceId) -> Self {
        Self {
            principal: Principal::System,
            workspace_id,
            rights: Rights::everything(),
            origin: RequestOrigin::default(),
        }
    }

    /// Somebody who is not signed in; the workspace is the one that should know of it.
    #[must_use]
    pub fn anonymous(workspace_id: WorkspaceId, origin: RequestOrigin) -> Self {
        Self { principal: Principal::Anonymous, workspace_id, rights: Rights::none(), origin }
    }

    /// An agent, on its own behalf; it may do nothing through the API.
    #[must_use]
    pub fn agent(workspace_id: WorkspaceId, id: ServerId, name: String, origin: RequestOrigin) -> Self {
        Self { principal: Principal::Agent { id, name }, workspace_id, rights: Rights::none(), origin }
    }

    /// Whether the actor may do this in the whole of its workspace.
    #[must_use]
    pub fn may(&self, node: Node) -> bool {
        self.rights.allow(node, Place::WORKSPACE)
    }

    /// The person behind it.
    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match self.principal {
            Principal::User { id, .. } | Principal::ApiKey { user_id: id, .. } => Some(id),
            Principal::Agent { .. } | Principal::Anonymous | Principal::System => None,
        }
    }

    /// `user`, `api_key`, `agent`, `anonymous` or `system`, for records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.principal {
            Principal::User { .. } => "user",
            Principal::ApiKey { .. } => "api_key",
            Principal::Agent { .. } => "agent",
            Principal::Anonymous => "anonymous",
            Principal::System => "system",
        }
    }

    /// Id for records; empty for the hub itself and for strangers.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.principal {
            Principal::User { id, .. } => id.to_string(),
            Principal::ApiKey { id, .. } => id.to_string(),
            Principal::Agent { id, .. } => id.to_string(),
            Principal::Anonymous | Principal::System => String::new(),
        }
    }

    /// Name for records.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.principal {
            Principal::User { name, .. } | Principal::ApiKey { name, .. } | Principal::Agent { name, .. } => name,
            Principal::Anonymous => "",
            Principal::System => "hub",
        }
    }
}
