//! A webhook that the hub calls, its patterns and its secret.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::{UserId, WorkspaceId};
use ring::hmac;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store;
use crate::access::{Node, Place, Resource};
use crate::clock::Timestamp;
use crate::db::{Conn, JsonText};
use crate::deliveries::DeliveryState;
use crate::error::Result;
use crate::ids::WebhookId;
use crate::line::one_line;
use crate::outbound::{BadUrl, Reach, Target};
use crate::random::Random;
use crate::secret::Secret;

const SECRET_PREFIX: &str = "whsec_";
/// Patterns of one webhook.
const MAX_EVENTS: usize = 50;
const MAX_PATTERN: usize = 64;

/// A webhook as it is stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Webhook {
    #[sqlx(try_from = "String")]
    pub(super) id: WebhookId,
    #[sqlx(try_from = "String")]
    pub(super) workspace_id: WorkspaceId,
    pub(super) name: WebhookName,
    pub(super) url: String,
    pub(super) events: JsonText<Events>,
    pub(super) enabled: bool,
    pub(super) allow_private: bool,
    pub(super) sealed_secret: String,
    pub(super) sealed_old_secret: Option<String>,
    pub(super) old_secret_until: Option<Timestamp>,
    pub(super) created_at: Timestamp,
    #[sqlx(try_from = "String")]
    pub(super) created_by: UserId,
    pub(super) failing_since: Option<Timestamp>,
    pub(super) disabled_reason: Option<String>,
    pub(super) missed: i64,
    pub(super) version: i64,
}

impl Webhook {
    /// Where it leads, as far as its maker may reach.
    pub(super) fn target(&self) -> Result<Target, BadUrl> {
        Target::parse(&self.url, reach(self.allow_private))
    }
}

/// How far a webhook may go.
pub(super) const fn reach(allow_private: bool) -> Reach {
    if allow_private { Reach::Private } else { Reach::Public }
}

impl Resource for Webhook {
    const WORD: &'static str = "webhook";
    const READ: Node = Node::WebhooksManage;
    type Id = WebhookId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: WebhookId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place::WORKSPACE) }.boxed()
    }
}

/// One line of 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 80)]
#[sqlx(transparent)]
pub(super) struct WebhookName(String);

impl WebhookName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WebhookName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_line(&text, 80).map(Self)
    }
}

/// Which actions of the audit log are told: `*`, `area.*` or `area.verb`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Vec<String>")]
#[schema(value_type = Vec<String>, min_items = 1, max_items = 50)]
pub(super) struct Events(Vec<String>);

impl Events {
    /// Whether an action is among patterns that were taken once, whatever is taken today.
    pub(super) fn hold(patterns: &[String], action: &str) -> bool {
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => action.starts_with(start),
            None => action == pattern,
        })
    }
}

impl TryFrom<Vec<String>> for Events {
    type Error = String;

    fn try_from(patterns: Vec<String>) -> Result<Self, String> {
        if patterns.is_empty() || patterns.len() > MAX_EVENTS {
            return Err(format!("must hold from 1 to {MAX_EVENTS} patterns"));
        }
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_pattern = |pattern: &str| match pattern.split_once('.') {
            None => pattern == "*",
            Some((area, verb)) => pattern.len() <= MAX_PATTERN && is_word(area) && (verb == "*" || is_word(verb)),
        };
        match patterns.iter().find(|pattern| !is_pattern(pattern)) {
            Some(_) => Err("must be patterns such as member.*, auth.login or *".to_owned()),
            None => Ok(Self(patterns)),
        }
    }
}

/// What signs: `whsec_` and 32 bytes in base 64, as the Standard Webhooks specification says.
#[derive(Debug, Clone)]
pub(super) struct SigningSecret(Secret);

impl SigningSecret {
    pub(super) fn new(random: &dyn Random) -> Self {
        Self(Secret::new(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(random.bytes::<32>()))))
    }

    pub(super) const fn of(secret: Secret) -> Self {
        Self(secret)
    }

    pub(super) const fn secret(&self) -> &Secret {
        &self.0
    }

    /// `v1,` and the signature of a message; `None` when this is no secret of ours.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> Option<String> {
        let key = BASE64_STANDARD.decode(self.0.reveal().strip_prefix(SECRET_PREFIX)?).ok()?;
        let signed = format!("{id}.{timestamp}.{body}");
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        Some(format!("v1,{}", BASE64_STANDARD.encode(signature)))
    }
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookForm)]
pub(super) struct NewWebhook {
    /// What people call it.
    pub(super) name: WebhookName,
    /// Where to: https, no user name, no address of a private network.
    #[schema(max_length = 2048)]
    pub(super) url: String,
    /// Which actions of the audit log are told: `*`, `area.*` or `area.verb`.
    pub(super) events: Events,
    /// Whether it is called.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) enabled: bool,
    /// Whether it may lead to loopback and private networks, and over plain http. Needs `hub.manage` as well.
    #[serde(default)]
    pub(super) allow_private: bool,
}

const fn yes() -> bool {
    true
}

/// What of a webhook changes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookPatch)]
pub(super) struct Patch {
    pub(super) name: Option<WebhookName>,
    #[schema(max_length = 2048)]
    pub(super) url: Option<String>,
    pub(super) events: Option<Events>,
    /// True after it was disabled begins afresh.
    pub(super) enabled: Option<bool>,
    /// True, and another URL where it is true, need `hub.manage` as well.
    pub(super) allow_private: Option<bool>,
}

/// A webhook as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookView {
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: WebhookId,
    name: WebhookName,
    url: String,
    events: Events,
    enabled: bool,
    allow_private: bool,
    created_at: Timestamp,
    /// Who made it.
    #[schema(value_type = uuid::Uuid)]
    created_by: UserId,
    /// Null when nothing was told yet, or long ago.
    #[schema(required)]
    last_delivery: Option<LastDelivery>,
    /// Why the hub does not call it any more; null when it does, or somebody turned it off.
    #[schema(required)]
    disabled_reason: Option<String>,
    /// Events that were left out because too many waited already.
    missed: i64,
    pub(super) version: i64,
}

/// The newest delivery of a webhook.
#[derive(Debug, Clone, Serialize, ToSchema, sqlx::FromRow)]
#[schema(as = WebhookLastDelivery)]
pub(super) struct LastDelivery {
    state: DeliveryState,
    /// When it was made.
    at: Timestamp,
}

/// A webhook with its secret, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookMade)]
pub(super) struct WebhookMade {
    #[serde(flatten)]
    pub(super) webhook: WebhookView,
    /// What messages are signed with.
    pub(super) secret: String,
}

impl WebhookView {
    pub(super) fn new(webhook: Webhook, last_delivery: Option<LastDelivery>) -> Self {
        let Webhook { id, name, url, enabled, allow_private, created_at, created_by, missed, version, .. } = webhook;
        let (events, disabled_reason) = (webhook.events.0, webhook.disabled_reason);
        Self {
            id,
            name,
            url,
            events,
            enabled,
            allow_private,
            created_at,
            created_by,
            last_delivery,
            disabled_reason,
            missed,
            version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(patterns: &[&str]) -> Result<Events, String> {
        Events::try_from(patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn patterns_hold_what_they_name() {
        for (pattern, action, holds) in [
            ("*", "member.join", true),
            ("member.*", "member.join", true),
            ("member.*", "members.join", false),
            ("member.*", "member", false),
            ("auth.login", "auth.login", true),
            ("auth.login", "auth.login_failed", false),
            ("api_key.create", "api_key.create", true),
        ] {
            assert_eq!(Events::hold(&events(&[pattern]).unwrap().0, action), holds, "{pattern} {action}");
        }
        let long = format!("a.{}", "b".repeat(80));
        for bad in ["", "member", "member.", ".join", "*.join", "mem*", "member.j*", "a.b.c", "A.b", "a.b\r\n", &long] {
            assert!(events(&[bad]).is_err(), "{bad:?}");
        }
        assert!(events(&[]).is_err() && events(&["*"; 51]).is_err());
    }

    /// The vector of the Standard Webhooks specification's reference implementations.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = SigningSecret::of(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()));
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(SigningSecret::of(Secret::new("rubbish".to_owned())).sign("a", 1, "b").is_none());
    }
}
