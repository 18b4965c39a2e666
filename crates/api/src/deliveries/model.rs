//! A message on its way out, and what became of it.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::{UserId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::store;
use crate::access::{Node, Place, Resource};
use crate::clock::Timestamp;
use crate::db::{Conn, JsonText};
use crate::error::Result;
use crate::ids::{DeliveryId, WebhookId};
use crate::secret::Secret;
use crate::workspaces;

/// Which way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryChannel)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Channel {
    /// HTTP, to somebody's URL.
    Webhook,
    /// SMTP, to somebody's address.
    Mail,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeliveryState)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DeliveryState {
    /// It will be tried, or tried again.
    Waiting,
    /// The other side took it.
    Delivered,
    /// It is not tried any more.
    Failed,
}

/// A message to be told, in the transaction of what it tells of.
#[derive(Debug)]
pub struct NewDelivery {
    /// Whose it is; none: whoever runs the hub.
    pub workspace_id: Option<WorkspaceId>,
    /// Whose account it is about, where that is counted.
    pub person: Option<UserId>,
    /// Which way out.
    pub channel: Channel,
    /// For webhooks.
    pub webhook_id: Option<WebhookId>,
    /// As it is shown: a host, a masked address.
    pub recipient: String,
    /// What kind of thing it tells of.
    pub event: String,
    /// What it is about, for people.
    pub subject: String,
    /// What is sent.
    pub payload: Payload,
}

/// What is sent.
#[derive(Debug)]
pub enum Payload {
    /// JSON that its owner may read.
    Clear(String),
    /// It may hold a secret.
    Sealed(Secret),
}

/// A message to be sent now.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Due {
    /// Its id, the same with every attempt.
    #[sqlx(try_from = "String")]
    pub id: DeliveryId,
    /// Which way out.
    pub channel: Channel,
    /// What may be busy.
    pub destination: String,
    /// For webhooks.
    pub webhook_id: Option<String>,
    /// What kind of thing it tells of.
    pub event: String,
    /// What is sent, sealed for mail.
    pub payload: Option<String>,
    /// Attempts since it was put into the queue.
    pub attempts: i64,
    /// The newest of them.
    pub attempts_made: JsonText<Vec<Attempt>>,
    /// When it was put there.
    pub waiting_since: Timestamp,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What now.
    pub verdict: Verdict,
    /// What the other side said, as a number of its protocol.
    pub status: Option<u16>,
    /// Why it was not taken.
    pub error: Option<String>,
    /// How the answer began.
    pub excerpt: Option<String>,
}

/// What now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It arrived.
    Done,
    /// Later, and not before so many seconds.
    Again {
        /// The other side's wish.
        after_s: u64,
    },
    /// Never: it will not be taken.
    Never,
}

impl Tried {
    /// Something went wrong that time may mend.
    #[must_use]
    pub fn again(error: impl Into<String>) -> Self {
        Self { verdict: Verdict::Again { after_s: 0 }, status: None, error: Some(error.into()), excerpt: None }
    }

    /// Something is wrong that time does not mend.
    #[must_use]
    pub fn never(error: impl Into<String>) -> Self {
        Self { verdict: Verdict::Never, status: None, error: Some(error.into()), excerpt: None }
    }
}

/// An attempt as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// What the other side said, as a number of its protocol.
    #[schema(required)]
    pub status: Option<u16>,
    /// Why it was not taken.
    #[schema(required)]
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// How the answer began, to the webhook's maker only.
    #[schema(required)]
    pub response_excerpt: Option<String>,
}

/// A delivery as a resource.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) row: Row,
    /// The workspace that it is looked at in.
    pub(super) home: WorkspaceId,
}

/// A delivery as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Row {
    #[sqlx(try_from = "String")]
    pub(super) id: DeliveryId,
    pub(super) workspace_id: Option<String>,
    pub(super) channel: Channel,
    pub(super) webhook_id: Option<String>,
    pub(super) webhook_name: Option<String>,
    pub(super) webhook_maker: Option<String>,
    /// Whether its webhook may reach addresses that only the hub can.
    pub(super) allow_private: Option<bool>,
    pub(super) recipient: String,
    pub(super) event: String,
    pub(super) subject: String,
    pub(super) payload: Option<String>,
    pub(super) state: DeliveryState,
    pub(super) attempts: i64,
    pub(super) attempts_made: JsonText<Vec<Attempt>>,
    pub(super) next_attempt_at: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
}

impl Resource for Delivery {
    const WORD: &'static str = "delivery";
    const READ: Node = Node::WebhooksManage;
    type Id = DeliveryId;

    fn load<'c>(
        conn: &'c mut Conn<'_>,
        _workspace: WorkspaceId,
        id: DeliveryId,
    ) -> BoxFuture<'c, Result<Option<Self>>> {
        async move {
            let Some(row) = store::by_id(conn, id).await? else { return Ok(None) };
            let home = match row.workspace_id.as_deref().map(str::parse) {
                Some(Ok(workspace)) => Some(workspace),
                Some(Err(_)) => None,
                None => workspaces::home(conn).await?,
            };
            Ok(home.map(|home| Self { row, home }))
        }
        .boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.home
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }
}

/// A delivery in lists.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The receiver of a webhook knows the message by it.
    #[schema(value_type = uuid::Uuid)]
    id: DeliveryId,
    channel: Channel,
    /// Null for mail.
    #[schema(required)]
    webhook: Option<WebhookRef>,
    /// The host of the URL; for mail the address, masked.
    to: String,
    /// What kind of thing it tells of: an action of the audit log, or a kind of mail.
    event: String,
    /// What it is about.
    subject: String,
    state: DeliveryState,
    /// Attempts since it was put into the queue.
    attempts: i64,
    /// Null once it is not tried any more.
    #[schema(required)]
    next_attempt_at: Option<Timestamp>,
    /// Null before the first.
    #[schema(required)]
    last_attempt: Option<LastAttempt>,
    created_at: Timestamp,
    /// Null while it waits.
    #[schema(required)]
    finished_at: Option<Timestamp>,
}

/// Which webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryWebhook)]
struct WebhookRef {
    #[schema(value_type = uuid::Uuid)]
    id: String,
    name: String,
}

/// The newest attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryLastAttempt)]
struct LastAttempt {
    at: Timestamp,
    /// What the other side said, as a number of its protocol.
    #[schema(required)]
    status: Option<u16>,
    /// Why it was not taken.
    #[schema(required)]
    error: Option<String>,
    duration_ms: u64,
}

/// A delivery with what was sent and every attempt that is still known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryDetail)]
pub(super) struct DetailView {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// What was sent; null for mail, and for whoever does not hold `audit.read`.
    #[schema(value_type = Option<Object>, required)]
    payload: Option<Box<RawValue>>,
    /// Oldest first, at most 12.
    attempts_made: Vec<Attempt>,
}

impl From<Row> for DeliveryView {
    fn from(row: Row) -> Self {
        let Row { id, channel, recipient, event, subject, state, attempts, next_attempt_at, .. } = row;
        let last_attempt = row.attempts_made.0.into_iter().last().map(|attempt| {
            let Attempt { at, status, error, duration_ms, .. } = attempt;
            LastAttempt { at, status, error, duration_ms }
        });
        let webhook = row.webhook_id.zip(row.webhook_name).map(|(id, name)| WebhookRef { id, name });
        Self {
            id,
            channel,
            webhook,
            to: recipient,
            event,
            subject,
            state,
            attempts,
            next_attempt_at,
            last_attempt,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

impl DetailView {
    /// `sees_answers`: whether who looks at it may see what its receiver answers.
    pub(super) fn new(row: Row, sees_answers: bool) -> Self {
        let mut attempts_made = row.attempts_made.0.clone();
        if !sees_answers {
            for attempt in &mut attempts_made {
                attempt.response_excerpt = None;
            }
        }
        let payload = match row.channel {
            Channel::Webhook => row.payload.clone().and_then(|text| RawValue::from_string(text).ok()),
            Channel::Mail => None,
        };
        Self { delivery: DeliveryView::from(row), payload, attempts_made }
    }

    /// For whoever may not read what was told.
    pub(super) fn without_payload(self) -> Self {
        Self { payload: None, ..self }
    }
}
