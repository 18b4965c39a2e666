//! An install token, and how the API shows one.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::{ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;
use crate::access::Resource;
use crate::audit;
use crate::clock::Timestamp;
use crate::db::{Conn, JsonText};
use crate::error::Result;
use crate::servers::Labels;

/// A token that admits one agent, once. The token itself is not kept, only its digest.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct InstallToken {
    /// Its id; it says nothing about the token.
    #[sqlx(try_from = "String")]
    pub id: TokenId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub workspace_id: WorkspaceId,
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

/// Names an install token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenId(pub Uuid);

impl std::str::FromStr for TokenId {
    type Err = protocol::ids::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The same rule as for every id: one spelling.
        text.parse::<ServerId>().map(|id| Self(id.uuid()))
    }
}

impl TryFrom<String> for TokenId {
    type Error = protocol::ids::IdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Resource for InstallToken {
    const WORD: &'static str = "install token";
    type Id = TokenId;

    fn load<'c>(conn: &'c mut Conn<'_>, workspace_id: WorkspaceId, id: TokenId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, workspace_id, id).await?) }.boxed()
    }
}

impl InstallToken {
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
