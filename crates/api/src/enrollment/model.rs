//! An install token, and how the API shows one.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store;
use crate::access::{Node, Place, Resource};
use crate::audit;
use crate::clock::Timestamp;
use crate::db::{Conn, IdText, JsonText};
use crate::error::Result;
use crate::ids::{InstallTokenId, ProjectId};
use crate::servers::Labels;

/// A token that admits one agent, once. The token itself is not kept, only its digest.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct InstallToken {
    /// Its id; it says nothing about the token.
    #[sqlx(try_from = "String")]
    pub id: InstallTokenId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub workspace_id: WorkspaceId,
    /// The project that its server will be in, or is in.
    pub project_id: Option<IdText<ProjectId>>,
    /// Who made it; the hub itself has no id.
    pub created_by: Option<String>,
    /// What the server will be called; `None`: as its host is called.
    pub name: Option<String>,
    /// Labels that the server will have.
    pub labels: JsonText<Labels>,
    /// The server that it connects again, if it does not make a new one.
    pub server_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// SHA-256 of the nonce that it was used with.
    pub nonce_digest: Option<String>,
    /// The server that registered with it.
    pub registered_server_id: Option<String>,
}

impl Resource for InstallToken {
    const WORD: &'static str = "install token";
    const READ: Node = Node::ServersEnroll;
    type Id = InstallTokenId;

    fn load<'c>(
        conn: &'c mut Conn<'_>,
        _workspace: WorkspaceId,
        id: InstallTokenId,
    ) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Self::place(self)) }.boxed()
    }
}

impl InstallToken {
    /// Where it lies: where its server will.
    #[must_use]
    pub fn place(&self) -> Place {
        let server_id = self.server_id.as_deref().and_then(|id| id.parse().ok());
        Place { project_id: self.project_id.map(|id| id.0), server_id }
    }

    /// Whether it can still be used.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        match self.used_at {
            Some(_) => TokenStatus::Used,
            None if self.expires_at <= now => TokenStatus::Expired,
            None => TokenStatus::Pending,
        }
    }

    /// What the API shows.
    #[must_use]
    pub fn view(self, now: Timestamp) -> InstallTokenView {
        InstallTokenView {
            id: self.id.to_string(),
            status: self.status(now),
            name: self.name,
            labels: self.labels.0,
            server_id: self.registered_server_id.or(self.server_id),
            created_at: self.created_at,
            expires_at: self.expires_at,
            used_at: self.used_at,
        }
    }

    /// As a subject of audit records.
    pub(super) fn subject(&self) -> audit::Subject {
        audit::Subject::new("install_token", &self.id, self.name.as_deref().unwrap_or_default())
    }
}

/// Whether an install token can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// It waits for its agent.
    Pending,
    /// An agent registered with it.
    Used,
    /// Nobody used it in time.
    Expired,
}

/// An install token, without the token itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = InstallToken)]
pub struct InstallTokenView {
    /// Its id.
    pub id: String,
    /// What the server will be called; null: as its host is called.
    #[schema(required)]
    pub name: Option<String>,
    /// Labels that the server will have.
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: Labels,
    /// Whether it can still be used.
    pub status: TokenStatus,
    /// The server that registered with it, or that it connects again.
    #[schema(required)]
    pub server_id: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was used.
    #[schema(required)]
    pub used_at: Option<Timestamp>,
}

/// What an install token is asked for with.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct NewInstallToken {
    /// What the server will be called; as its host is called, when left out.
    pub(super) name: Option<String>,
    /// Labels that the server will have.
    #[serde(default)]
    #[schema(required = false)]
    pub(super) labels: BTreeMap<String, String>,
    /// How long it works, seconds: 60 to 86400, an hour when left out.
    #[schema(minimum = 60, maximum = 86_400)]
    pub(super) ttl_s: Option<u32>,
    /// Connect this server again instead of making a new one: its agent gets a new token, the old one stops working.
    pub(super) server_id: Option<String>,
    /// The project that a new server will be in.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(super) project_id: Option<ProjectId>,
}

/// An install token, the only time that it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct MintedToken {
    /// Its id, to wait for it.
    pub(super) id: String,
    /// The token.
    pub(super) token: String,
    /// The line to paste into a root shell on the VPS.
    pub(super) command: String,
    /// When it stops working.
    pub(super) expires_at: Timestamp,
    /// SHA-256 of the hub's public key, which the agent checks.
    pub(super) hub_fingerprint: String,
}
