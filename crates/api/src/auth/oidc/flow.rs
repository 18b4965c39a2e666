//! What must be remembered while somebody is at the provider: in their browser, sealed, for ten minutes.
//!
//! The cookie is `Lax` and not `Strict` as the session's is: the way back from the provider is a navigation that another
//! site begins. It opens nothing by itself: a code of the provider must come with it.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};
use protocol::UserId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::ids::{IdentityId, SessionId};
use crate::secret::Secret;

const FLOW: Jar =
    Jar { name: "roadstead_oidc", purpose: "oidc/flow", life: Duration::from_secs(600), same_site: SameSite::Lax };
const PENDING: Jar = Jar {
    name: "roadstead_oidc_pending",
    purpose: "oidc/pending",
    life: Duration::from_secs(300),
    same_site: SameSite::Strict,
};

/// Somebody on the way to a provider and back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Flow {
    pub(super) provider: String,
    pub(super) state: String,
    pub(super) nonce: String,
    /// Proves that the code is for this browser's flow (PKCE).
    pub(super) verifier: String,
    /// A path of the dashboard.
    pub(super) return_to: String,
    /// In milliseconds.
    pub(super) began: i64,
    pub(super) purpose: Purpose,
}

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    SignIn,
    /// Making what the provider says the identity of somebody who is signed in.
    Link(UserId, SessionId),
    /// Proving again whose a session is.
    StepUp(UserId, SessionId),
}

impl Purpose {
    /// Whether the provider must ask the person, however recently they signed in there.
    pub(super) const fn wants_fresh(self) -> bool {
        matches!(self, Self::StepUp(..))
    }
}

/// Somebody whom the provider knows, and who has a second factor of ours yet to show.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::auth) struct Pending {
    pub(in crate::auth) user: UserId,
    pub(in crate::auth) identity: IdentityId,
    /// Proving again whose this session is; `None`: signing in.
    pub(in crate::auth) session: Option<SessionId>,
    began: i64,
}

impl Flow {
    pub(super) fn new(hub: &Hub, provider: &str, return_to: &str, purpose: Purpose) -> Self {
        let text = || protocol::hex::encode(&hub.random.bytes::<32>());
        Self {
            provider: provider.to_owned(),
            state: text(),
            nonce: text(),
            verifier: text(),
            return_to: local(return_to).unwrap_or("/").to_owned(),
            began: hub.now().as_ms(),
            purpose,
        }
    }

    pub(super) fn set_cookie(&self, hub: &Hub) -> Result<HeaderValue> {
        FLOW.set(hub, self)
    }

    /// The flow of this browser, unless it took too long.
    pub(super) fn of(hub: &Hub, headers: &HeaderMap) -> Option<Self> {
        FLOW.get::<Self>(hub, headers).filter(|flow| FLOW.is_alive(hub, flow.began))
    }

    pub(super) fn clear_cookie(hub: &Hub) -> Result<HeaderValue> {
        FLOW.header(hub, "", Duration::ZERO)
    }
}

impl Pending {
    pub(super) fn new(hub: &Hub, user: UserId, identity: IdentityId, session: Option<SessionId>) -> Self {
        Self { user, identity, session, began: hub.now().as_ms() }
    }

    pub(super) fn set_cookie(&self, hub: &Hub) -> Result<HeaderValue> {
        PENDING.set(hub, self)
    }

    /// Who waits in this browser, unless they took too long.
    pub(in crate::auth) fn of(hub: &Hub, headers: &HeaderMap) -> Option<Self> {
        PENDING.get::<Self>(hub, headers).filter(|pending| PENDING.is_alive(hub, pending.began))
    }

    pub(in crate::auth) fn clear_cookie(hub: &Hub) -> Result<HeaderValue> {
        PENDING.header(hub, "", Duration::ZERO)
    }
}

/// A path of the dashboard: nobody is sent to another site.
pub(super) fn local(path: &str) -> Option<&str> {
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'\'' | b'<' | b'>' | b'#' | b';');
    let is_local = path.starts_with('/') && !path.starts_with("//") && path.len() <= 512 && path.bytes().all(is_plain);
    is_local.then_some(path)
}

/// A cookie of its own.
struct Jar {
    name: &'static str,
    purpose: &'static str,
    life: Duration,
    same_site: SameSite,
}

impl Jar {
    fn is_alive(&self, hub: &Hub, began: i64) -> bool {
        let (began, now) = (Timestamp::from_ms(began), hub.now());
        began <= now && now.since(began) < self.life
    }

    /// Browsers take `__Host-` cookies over https only; plain http is for loopback.
    fn cookie_name(&self, hub: &Hub) -> String {
        let prefix = if hub.config.public_url.is_secure() { "__Host-" } else { "" };
        format!("{prefix}{}", self.name)
    }

    fn set(&self, hub: &Hub, value: &impl Serialize) -> Result<HeaderValue> {
        let text = Secret::new(serde_json::to_string(value).map_err(Error::internal)?);
        let sealed = hub.sealing.seal(hub.random.as_ref(), self.purpose, &text);
        let sealed = sealed.map_err(|error| Error::internal(error.to_string()))?;
        self.header(hub, &sealed, self.life)
    }

    fn get<T: DeserializeOwned>(&self, hub: &Hub, headers: &HeaderMap) -> Option<T> {
        let name = self.cookie_name(hub);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then_some(value)
        });
        let sealed = values.next()?;
        let text = hub.sealing.unseal(self.purpose, sealed).ok()?;
        serde_json::from_str(text.reveal()).ok()
    }

    fn header(&self, hub: &Hub, value: &str, life: Duration) -> Result<HeaderValue> {
        let age = cookie::time::Duration::seconds(i64::try_from(life.as_secs()).unwrap_or_default());
        let cookie = Cookie::build((self.cookie_name(hub), value))
            .path("/")
            .http_only(true)
            .same_site(self.same_site)
            .secure(hub.config.public_url.is_secure())
            .max_age(age)
            .build();
        HeaderValue::from_str(&cookie.to_string()).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for good in ["/", "/servers/1?tab=jobs", "/account"] {
            assert_eq!(local(good), Some(good));
        }
        let long = format!("/{}", "a".repeat(512));
        for bad in
            ["", "servers", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/a\nb", "/\"", &long]
        {
            assert_eq!(local(bad), None, "{bad}");
        }
    }
}
