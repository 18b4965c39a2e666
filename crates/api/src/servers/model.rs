//! A server as the hub keeps it, and what may be said about one.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::policy::{Rules, Tier};
use protocol::{Hex, ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::facts::{AgentFacts, Facts, HostFacts, PolicyFacts};
use super::store;
use crate::access::{Node, Place, Resource};
use crate::clock::Timestamp;
use crate::db::{Conn, IdText, JsonText};
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::secret::TokenDigest;

/// Longest name, characters.
const MAX_NAME: usize = 80;
/// Most labels of one server.
const MAX_LABELS: usize = 32;
/// Longest key and longest value of a label, characters.
const MAX_LABEL_PART: usize = 63;

/// One VPS with an agent.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Server {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: ServerId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub workspace_id: WorkspaceId,
    /// The project that it is in.
    pub project_id: Option<IdText<ProjectId>>,
    /// Name to show.
    pub name: String,
    /// Labels to find it by.
    pub labels: JsonText<Labels>,
    /// What the hub last announced.
    pub status: Status,
    /// When it was enrolled.
    pub registered_at: Timestamp,
    /// Last sign of life that was written down, at most some seconds old; `None` before the first connection.
    pub last_seen_at: Option<Timestamp>,
    /// When its agent token was revoked.
    pub revoked_at: Option<Timestamp>,
    /// What the machine is, from the last hello.
    pub host: Option<JsonText<HostFacts>>,
    /// Which agent runs there, from the last hello.
    pub agent: Option<JsonText<AgentFacts>>,
    /// What the host's policy allows, from the last hello.
    pub policy: Option<JsonText<PolicyFacts>>,
    /// The host's clock less the hub's at the last hello, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// What the hub forbids itself there; `None` when it never forbade anything.
    pub restrictions: Option<JsonText<Rules>>,
    /// Counts the changes of `restrictions`.
    pub restrictions_seq: i64,
    /// When the agent token was issued; `None`: at the registration.
    pub token_issued_at: Option<Timestamp>,
    /// Since when another token waits to take its place.
    pub next_token_at: Option<Timestamp>,
    /// Grows with each change that somebody made.
    pub version: i64,
}

impl Server {
    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { project_id: self.project_id.map(|id| id.0), server_id: Some(self.id) }
    }

    /// Whether the host asks for an operator's signature on jobs of this tier, as far as the hub knows.
    #[must_use]
    pub fn requires_signature(&self, tier: Tier) -> bool {
        let policy = self.policy.as_ref();
        policy.is_some_and(|policy| policy.0.require_operator_signature.iter().any(|name| name == tier.name()))
    }

    /// Whether the host has taken what the hub forbids itself.
    #[must_use]
    pub fn restrictions_in_force(&self) -> bool {
        let taken = self.policy.as_ref().map_or(0, |policy| policy.0.hub_seq);
        u64::try_from(self.restrictions_seq).is_ok_and(|wanted| wanted <= taken)
    }

    /// What the last hello said, when there was one.
    pub(super) fn facts(&self) -> Option<Facts> {
        let (host, agent, policy) = (self.host.as_ref()?, self.agent.as_ref()?, self.policy.as_ref()?);
        Some(Facts { host: host.0.clone(), agent: agent.0.clone(), policy: policy.0.clone() })
    }
}

impl Resource for Server {
    const WORD: &'static str = "server";
    const READ: Node = Node::ServersRead;
    type Id = ServerId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: ServerId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Self::place(self)) }.boxed()
    }
}

/// Whether a server can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = ServerStatus)]
pub enum Status {
    /// Connected and heard of within the deadline.
    Online,
    /// The connection is gone and the deadline has not passed yet.
    Suspect,
    /// Not heard of within the deadline.
    Offline,
    /// Enrolled, never connected.
    Pending,
    /// Its agent token is revoked; it cannot come back by itself.
    Revoked,
}

impl Status {
    /// Every status, in the order that `sort=status` shows them.
    pub const ALL: [Self; 5] = [Self::Online, Self::Suspect, Self::Offline, Self::Pending, Self::Revoked];

    /// The name in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Suspect => "suspect",
            Self::Offline => "offline",
            Self::Pending => "pending",
            Self::Revoked => "revoked",
        }
    }
}

/// A server that registers; its labels and name were chosen with the install token or come from the host.
#[derive(Debug, Clone)]
pub struct NewServer {
    /// Whose it will be.
    pub workspace_id: WorkspaceId,
    /// Name to show.
    pub name: Name,
    /// Labels to find it by.
    pub labels: Labels,
    /// The project that it will be in.
    pub project_id: Option<ProjectId>,
    /// Digest of the agent token that it was given.
    pub token: TokenDigest,
    /// Digest of the machine id, to recognise a machine that enrols twice.
    pub machine_id_hash: Hex<32>,
}

/// A server's name: 1 to 80 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Takes a name as somebody typed it; `field` is its name in the request.
    ///
    /// # Errors
    /// 422 when it is empty, too long or holds control characters.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        let name = text.trim();
        if name.is_empty() {
            return Err(Error::invalid_field(field, "must not be empty"));
        }
        if name.chars().count() > MAX_NAME {
            return Err(Error::invalid_field(field, format!("must not be longer than {MAX_NAME} characters")));
        }
        if name.chars().any(char::is_control) {
            return Err(Error::invalid_field(field, "must not contain control characters"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The nearest name to a host name, whatever the host claims to be called.
    #[must_use]
    pub fn from_hostname(hostname: &str) -> Self {
        let name: String = hostname.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
        Self(if name.trim().is_empty() { "server".to_owned() } else { name.trim().to_owned() })
    }

    /// A name that was checked when it was stored.
    pub(super) fn stored(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What sorting and searching compare.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Labels: `key:value` pairs to find servers by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Takes labels as somebody typed them; `field` is their name in the request.
    ///
    /// # Errors
    /// 422 when there are too many, or a key or value is not acceptable.
    pub fn parse(field: &str, labels: BTreeMap<String, String>) -> Result<Self> {
        if labels.len() > MAX_LABELS {
            return Err(Error::invalid_field(field, format!("must not be more than {MAX_LABELS}")));
        }
        for (key, value) in &labels {
            if !is_label_key(key) {
                let problem = format!(
                    "must have keys of 1 to {MAX_LABEL_PART} lower-case letters, digits, dots, dashes, slashes or \
                     underscores"
                );
                return Err(Error::invalid_field(field, problem));
            }
            if value.chars().count() > MAX_LABEL_PART || value.chars().any(char::is_control) {
                let problem = format!("must have values of at most {MAX_LABEL_PART} characters on one line");
                return Err(Error::invalid_field(field, problem));
            }
        }
        Ok(Self(labels))
    }

    /// The pairs.
    #[must_use]
    pub const fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Each as `key:value`, as filters name them.
    pub fn pairs(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(key, value)| format!("{key}:{value}"))
    }
}

fn is_label_key(key: &str) -> bool {
    let allowed = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '.' | '-' | '_' | '/')
    };
    !key.is_empty() && key.len() <= MAX_LABEL_PART && key.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line() {
        assert_eq!(Name::parse("name", " web 1 ").unwrap().as_str(), "web 1");
        for bad in ["", "  ", "a\nb", "a\0b", &"x".repeat(81)] {
            assert_eq!(Name::parse("name", bad).unwrap_err().code().status(), 422, "{bad:?}");
        }
        assert_eq!(Name::from_hostname("\0\n").as_str(), "server");
        assert_eq!(Name::from_hostname(&"h".repeat(300)).as_str().len(), 80);
    }

    #[test]
    fn labels_have_plain_keys() {
        let labels = |key: &str, value: &str| Labels::parse("labels", [(key.to_owned(), value.to_owned())].into());
        assert_eq!(labels("env", "prod").unwrap().pairs().collect::<Vec<_>>(), ["env:prod"]);
        for (key, value) in [("", "a"), ("Env", "a"), ("a:b", "c"), ("a", "b\nc"), ("a", "\0"), ("a", &"x".repeat(64))]
        {
            assert!(labels(key, value).is_err(), "{key:?} {value:?}");
        }
        let many = (0..33).map(|index| (format!("k{index}"), String::new())).collect();
        assert!(Labels::parse("labels", many).is_err());
    }

    #[test]
    fn status_names_match_serde() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}
