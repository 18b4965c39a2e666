//! A server as the API shows it.

use std::collections::BTreeMap;

use protocol::ServerId;
use serde::Serialize;
use utoipa::ToSchema;

use super::facts::{AgentFacts, HostFacts, PolicyFacts, PolicyRules};
use super::model::{Server, Status};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::events::{Change, ChangeSubject};
use crate::hub::Hub;
use crate::ids::ProjectId;
use crate::metrics::{self, Detail, Live, Spark};

/// A server.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Server)]
pub struct ServerView {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: ServerId,
    /// Name to show.
    pub name: String,
    /// The project it belongs to.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub project_id: Option<ProjectId>,
    /// Labels to find it by.
    pub labels: BTreeMap<String, String>,
    /// Whether it can be reached.
    pub status: Status,
    /// Whether alarms and jobs are held back on purpose.
    pub maintenance: bool,
    /// Last sign of life; null before the first connection.
    #[schema(required)]
    pub last_seen_at: Option<Timestamp>,
    /// When it was enrolled.
    pub registered_at: Timestamp,
    /// The agent that runs there; null before the first connection.
    #[schema(required)]
    pub agent: Option<AgentFacts>,
    /// The machine; null before the first connection.
    #[schema(required)]
    pub host: Option<HostFacts>,
    /// The newest sample; null while there is none.
    #[schema(required)]
    pub live: Option<Live>,
    /// What the host's own policy allows; null before the first connection.
    #[schema(required)]
    pub policy: Option<PolicyFacts>,
    /// What the hub forbids itself there, beyond the host's own policy; null when it never forbade anything.
    #[schema(required)]
    pub restrictions: Option<Restrictions>,
    /// The agent's credential.
    pub token: TokenFacts,
    /// Grows with each change that somebody made; `If-Match` compares it.
    pub version: i64,
    /// The last half hour, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark: Option<Spark>,
}

/// What the hub forbids itself on a server.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ServerRestrictions)]
pub struct Restrictions {
    /// The rules.
    pub rules: PolicyRules,
    /// Counts their changes.
    pub seq: i64,
    /// The host has written them down and obeys; false until it has heard of them.
    pub in_force: bool,
}

/// The agent's credential; the token itself is nowhere.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AgentToken)]
pub struct TokenFacts {
    /// When it was issued.
    pub issued_at: Timestamp,
    /// A newer one was sent and the agent has not used it yet; null when there is none.
    #[schema(required)]
    pub rotation: Option<TokenRotation>,
}

/// A token that waits to take the place of the present one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AgentTokenRotation)]
pub struct TokenRotation {
    /// When it was sent.
    pub started_at: Timestamp,
}

/// A server with its newest sample in full.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServerDetail {
    /// The server.
    #[serde(flatten)]
    pub server: ServerView,
    /// The newest sample.
    #[serde(flatten)]
    pub detail: Detail,
    /// The host's clock less the hub's when it connected, milliseconds; null before the first connection.
    #[schema(required)]
    pub clock_offset_ms: Option<i64>,
}

impl ServerDetail {
    /// What the hub knows of a server right now.
    #[must_use]
    pub fn new(hub: &Hub, server: &Server) -> Self {
        let detail = metrics::detail(hub, server.id);
        Self { server: ServerView::new(hub, server), detail, clock_offset_ms: server.clock_offset_ms }
    }
}

impl ServerView {
    /// What the hub knows of a server right now.
    #[must_use]
    pub fn new(hub: &Hub, server: &Server) -> Self {
        let heard_at = hub.gateway.heard_at(server.id);
        Self {
            id: server.id,
            name: server.name.clone(),
            project_id: server.place().project_id,
            labels: server.labels.as_map().clone(),
            status: server.status,
            maintenance: false,
            last_seen_at: server.last_seen_at.max(heard_at),
            registered_at: server.registered_at,
            agent: server.agent.as_ref().map(|agent| agent.0.clone()),
            host: server.host.as_ref().map(|host| host.0.clone()),
            live: metrics::live(hub, server.id),
            policy: server.policy.as_ref().map(|policy| policy.0.clone()),
            restrictions: server.restrictions.as_ref().map(|rules| Restrictions {
                rules: PolicyRules::from(&rules.0),
                seq: server.restrictions_seq,
                in_force: server.restrictions_in_force(),
            }),
            token: TokenFacts {
                issued_at: server.token_issued_at.unwrap_or(server.registered_at),
                rotation: server.next_token_at.map(|started_at| TokenRotation { started_at }),
            },
            version: server.version,
            spark: None,
        }
    }

    /// With the last half hour.
    #[must_use]
    pub fn with_spark(mut self, hub: &Hub) -> Self {
        self.spark = Some(metrics::spark(hub, self.id));
        self
    }
}

/// A change of a server, with the server as it is now.
pub(super) fn change(hub: &Hub, kind: &'static str, server: &Server) -> Result<Change> {
    Ok(Change {
        workspace_id: server.workspace_id,
        kind,
        subject: ChangeSubject::server(server.id).at(server.place()),
        data: serde_json::to_value(ServerView::new(hub, server)).map_err(Error::internal)?,
    })
}
