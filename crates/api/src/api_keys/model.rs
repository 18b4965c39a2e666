//! A key, as it is kept and as the API shows it.

use std::net::IpAddr;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store;
use crate::access::{Node, NodeSet, Place, Resource, Scope};
use crate::clock::Timestamp;
use crate::config::Cidr;
use crate::db::{Conn, JsonText};
use crate::error::{Error, Result};
use crate::ids::ApiKeyId;
use crate::line::one_line;

/// Networks of one key.
const MAX_NETWORKS: usize = 32;

/// A key without its secret, of which only the digest is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ApiKey {
    #[sqlx(try_from = "String")]
    pub(super) id: ApiKeyId,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    #[sqlx(try_from = "String")]
    pub(super) user_id: UserId,
    pub(super) name: KeyName,
    nodes: JsonText<Vec<String>>,
    project_id: Option<String>,
    server_id: Option<String>,
    networks: JsonText<Vec<String>>,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) last_used_at: Option<Timestamp>,
    pub(super) last_used_ip: Option<String>,
}

impl ApiKey {
    pub(super) fn nodes(&self) -> NodeSet {
        NodeSet::known(&self.nodes.0)
    }

    pub(super) fn scope(&self) -> Option<Scope> {
        Scope::stored(self.project_id.as_deref(), self.server_id.as_deref())
    }

    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it may be used from there. A network that cannot be read admits nobody.
    pub(super) fn admits(&self, address: Option<IpAddr>) -> bool {
        let networks = &self.networks.0;
        let within = |network: &String| match (network.parse::<Cidr>(), address) {
            (Ok(network), Some(address)) => network.contains(address),
            _ => false,
        };
        networks.is_empty() || networks.iter().any(within)
    }
}

impl Resource for ApiKey {
    const WORD: &'static str = "API key";
    const READ: Node = Node::ApiKeysManage;
    type Id = ApiKeyId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: ApiKeyId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }

    fn owner(&self) -> Option<UserId> {
        Some(self.user_id)
    }
}

/// One line of 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 80)]
#[sqlx(transparent)]
pub(super) struct KeyName(String);

impl KeyName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_line(&text, 80).map(Self)
    }
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApiKeyForm)]
pub(super) struct NewKey {
    /// What it is for.
    pub(super) name: KeyName,
    /// What it may do; nothing that its maker may not.
    pub(super) permissions: NodeSet,
    /// Where.
    pub(super) scope: Scope,
    /// How long it works, seconds; without end unless told.
    pub(super) ttl_s: Option<u32>,
    /// Networks that it may be used from, such as `203.0.113.0/24`; from anywhere when there are none.
    #[serde(default)]
    networks: Vec<String>,
}

impl NewKey {
    /// The networks, each in its one form.
    pub(super) fn networks(&self) -> Result<Vec<String>> {
        if self.networks.len() > MAX_NETWORKS {
            return Err(Error::invalid_field("networks", format!("must not be more than {MAX_NETWORKS}")));
        }
        let read = |text: &String| text.parse::<Cidr>().map(|network| network.to_string());
        let networks = self.networks.iter().map(read).collect::<Result<Vec<_>, _>>();
        networks.map_err(|problem| Error::invalid_field("networks", format!("are wrong: {problem}")))
    }
}

/// A key in lists.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Listed {
    #[sqlx(flatten)]
    pub(super) key: ApiKey,
    pub(super) user_name: String,
}

/// A key as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct KeyView {
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: ApiKeyId,
    name: KeyName,
    /// Who made it.
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    user_name: String,
    /// What it may do, as far as its maker may.
    permissions: NodeSet,
    /// Where.
    scope: Scope,
    /// Networks that it may be used from; empty: any.
    networks: Vec<String>,
    created_at: Timestamp,
    /// Null: it has no end.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// To the minute.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    #[schema(required)]
    last_used_ip: Option<String>,
}

impl KeyView {
    /// `None` when its scope cannot be read.
    pub(super) fn of(listed: Listed) -> Option<Self> {
        let Listed { key, user_name } = listed;
        let (permissions, scope) = (key.nodes(), key.scope()?);
        let ApiKey { id, name, user_id, networks, created_at, expires_at, last_used_at, last_used_ip, .. } = key;
        let networks = networks.0;
        Some(Self {
            id,
            name,
            user_id,
            user_name,
            permissions,
            scope,
            networks,
            created_at,
            expires_at,
            last_used_at,
            last_used_ip,
        })
    }
}

/// A key with its secret, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyCreated)]
pub(super) struct KeyMade {
    #[serde(flatten)]
    pub(super) key: KeyView,
    /// To be sent as `Authorization: Bearer …`.
    pub(super) token: String,
}
