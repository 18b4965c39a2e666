//! Signing in through an identity provider (OpenID Connect): the code flow with PKCE, state and nonce.
//!
//! Somebody is who the provider says by issuer and subject, never by an address: whoever can make a provider say an
//! address must not become its owner here. Groups of the provider may give roles; the rest is as for everybody.

mod admit;
mod flow;
mod identities;
mod page;
mod provider;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use protocol::UserId;
use serde_json::json;

use self::flow::{Flow, Purpose, local};
use self::page::Refusal;
use super::account::own;
use super::caller::Person;
use super::factors::{self, Factor, Given};
use super::model::Email;
use super::passkeys;
use super::session::IDLE;
use super::sign_in::{self, Basis, Entry, SignedIn};
use super::{attempts, store};
use crate::access::RequestOrigin;
use crate::audit::Outcome;
use crate::config::OidcProvider;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::Hub;
use crate::ids::SessionId;

pub(super) use flow::Pending;
pub(super) use identities::{IdentityView, ProviderView, begin_link, list, take_what_is_given_no_more, unlink};
pub(super) use provider::Providers;

/// What comes back from a provider.
#[derive(Debug, Default)]
pub(super) struct Returned {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) error: Option<String>,
    /// Which provider says so (RFC 9207).
    pub(super) issuer: Option<String>,
}

impl Returned {
    /// Reads the query of a callback; what the hub does not know is passed over, since providers add to it.
    pub(super) fn read(query: &str) -> Self {
        let mut returned = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let field = match &*name {
                "code" => &mut returned.code,
                "state" => &mut returned.state,
                "error" => &mut returned.error,
                "iss" => &mut returned.issuer,
                _ => continue,
            };
            field.get_or_insert_with(|| value.into_owned());
        }
        returned
    }
}

/// The provider with this name.
///
/// # Errors
/// 404.
pub(super) fn find<'h>(hub: &'h Hub, id: &str) -> Result<&'h OidcProvider> {
    hub.config.oidc.iter().find(|provider| provider.id == id).ok_or_else(|| Error::not_found("identity provider"))
}

/// Sends somebody to the provider; `person`: to prove again whose session it is.
pub(super) async fn start(hub: &Hub, id: &str, return_to: Option<&str>, person: Option<&Person>) -> Result<Response> {
    let provider = find(hub, id)?;
    let return_to = return_to.unwrap_or("/");
    local(return_to).ok_or_else(|| Error::bad_request("return_to must be a path of this hub, such as /servers"))?;
    let purpose = person.map_or(Purpose::SignIn, |person| Purpose::StepUp(person.user.id, person.session.id));
    let flow = Flow::new(hub, id, return_to, purpose);
    match provider::sign_in_url(hub, provider, &flow).await {
        Ok(url) => page::redirect(&url, flow.set_cookie(hub)?),
        Err(error) => {
            tracing::warn!(provider = id, %error, "somebody could not be sent to an identity provider");
            Ok(page::refusal(&flow, Refusal::Failed, Vec::new()))
        }
    }
}

/// Somebody comes back from the provider. Whatever happened, the answer is a page that goes on: the session's cookie
/// is not sent with a navigation that the provider began.
pub(super) async fn callback(
    hub: &Hub,
    origin: RequestOrigin,
    id: &str,
    headers: &HeaderMap,
    returned: Returned,
) -> Result<Response> {
    find(hub, id)?;
    attempts::admit_address(hub, &origin).await?;
    let used_up = Flow::clear_cookie(hub)?;
    let Some(flow) = Flow::of(hub, headers) else { return Ok(page::lost(used_up)) };
    match settle(hub, origin, id, &flow, returned).await {
        Ok(mut cookies) => {
            cookies.push(used_up);
            Ok(page::forward(&flow.return_to, cookies))
        }
        Err(Stopped::Refused(refusal)) => Ok(page::refusal(&flow, refusal, vec![used_up])),
        Err(Stopped::SecondFactor(pending)) => {
            let cookies = vec![used_up, pending.set_cookie(hub)?];
            Ok(page::refusal(&flow, Refusal::SecondFactor, cookies))
        }
        Err(Stopped::Error(error)) => Err(error),
    }
}

/// Why somebody does not get on at once.
enum Stopped {
    Refused(Refusal),
    SecondFactor(Pending),
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::db::DbError> for Stopped {
    fn from(error: crate::db::DbError) -> Self {
        Self::Error(error.into())
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Does what the flow was for; the cookies that come of it.
async fn settle(
    hub: &Hub,
    origin: RequestOrigin,
    id: &str,
    flow: &Flow,
    returned: Returned,
) -> Result<Vec<HeaderValue>, Stopped> {
    let provider = find(hub, id)?;
    let is_ours = flow.provider == id && returned.state.as_deref() == Some(flow.state.as_str());
    let is_theirs = returned.issuer.as_ref().is_none_or(|issuer| *issuer == provider.issuer);
    if !is_ours || !is_theirs {
        tracing::warn!(provider = id, client = origin.ip, "an answer of an identity provider belongs to no question");
        return Err(Refusal::Failed.into());
    }
    let code = match (returned.error, returned.code) {
        (Some(error), _) => {
            tracing::info!(provider = id, error = ?error.chars().take(80).collect::<String>(), "sign-in was denied");
            return Err(Refusal::Denied.into());
        }
        (None, Some(code)) => code,
        (None, None) => return Err(Refusal::Failed.into()),
    };
    let claimed = provider::claimed(hub, provider, flow, code).await.map_err(|error| {
        tracing::warn!(provider = id, client = origin.ip, %error, "what an identity provider says is not believed");
        Refusal::Failed
    })?;
    match flow.purpose {
        Purpose::SignIn => admit::sign_in(hub, origin, provider, claimed).await,
        Purpose::Link(user, session) => {
            demand_session(hub, session).await?;
            identities::link(hub, origin, provider, (user, session), claimed).await?;
            Ok(Vec::new())
        }
        Purpose::StepUp(user, session) => {
            demand_session(hub, session).await?;
            step_up(hub, &origin, provider, (user, session), &claimed.subject).await?;
            Ok(Vec::new())
        }
    }
}

/// The session that began it must still be good.
async fn demand_session(hub: &Hub, session: SessionId) -> Result<(), Stopped> {
    let now = hub.now();
    let mut database = hub.db.read().await?;
    let acting = store::workspace_of_session(&mut database.conn(), session, now, now.minus(IDLE)).await?;
    if acting.is_some() { Ok(()) } else { Err(Refusal::Expired.into()) }
}

async fn step_up(
    hub: &Hub,
    origin: &RequestOrigin,
    provider: &OidcProvider,
    (user, session): (UserId, SessionId),
    subject: &str,
) -> Result<(), Stopped> {
    let identity = {
        let mut database = hub.db.read().await?;
        store::identity(&mut database.conn(), provider.issuer.clone(), subject.to_owned()).await?
    };
    let identity = identity.filter(|identity| identity.user_id == user).ok_or(Refusal::UnknownAccount)?;
    let is_enough = provider.both_factors || {
        let mut database = hub.db.read().await?;
        !factors::has_own(&mut database.conn(), user).await?
    };
    if !is_enough {
        return Err(Stopped::SecondFactor(Pending::new(hub, user, identity.id, Some(session))));
    }
    let mut unit = hub.begin().await?;
    store::verify_session(&mut unit.conn(), session, hub.now()).await?;
    let details = json!({ "factor": "identity", "provider": provider.id });
    admit::record(&mut unit, origin, (user, session), "auth.step_up", details).await?;
    unit.commit().await?;
    Ok(())
}

/// Signs somebody in whom the provider knows, and who shows their second factor now.
pub(super) async fn complete(
    hub: &Hub,
    origin: RequestOrigin,
    headers: &HeaderMap,
    given: Given<'_>,
) -> Result<SignedIn> {
    let expired = || Error::new(ErrorCode::Gone, "this sign-in took too long; begin again at the provider");
    let pending = Pending::of(hub, headers).filter(|pending| pending.session.is_none()).ok_or_else(expired)?;
    let identity = {
        let mut database = hub.db.read().await?;
        store::identity_by_id(&mut database.conn(), pending.identity).await?
    };
    let identity = identity.filter(|identity| identity.user_id == pending.user).ok_or_else(expired)?;
    let account = {
        let mut database = hub.db.read().await?;
        store::account(&mut database.conn(), pending.user).await?
    };
    let user = account.ok_or_else(expired)?.user;
    let attempt = attempts::admit(hub, &origin, &Email::key_of(&user.email)).await?;
    let purpose = passkeys::Purpose::SecondFactor(user.id);
    match factors::demand(hub, &origin, user.id, purpose, given).await? {
        Ok(factor) => {
            attempt.forgive(hub);
            let mut unit = hub.begin().await?;
            let details = admit::details(&identity.provider, Some(factor));
            let basis = Basis::Identity(identity.id);
            let entry = Entry { user, basis, workspace: None, verified_at: hub.now(), details };
            let signed_in = sign_in::open(hub, &mut unit, origin, entry).await?;
            unit.commit().await?;
            Ok(signed_in)
        }
        Err(wrong) => {
            sign_in::record_failure(hub, origin, Some(user), wrong.reason).await?;
            Err(wrong.into_refusal())
        }
    }
}

/// Proves that a session is its owner's who came back from the provider a moment ago, and shows their second factor now.
pub(super) async fn finish_step_up(
    hub: &Hub,
    person: &Person,
    pending: &Pending,
    given: Given<'_>,
) -> Result<Option<Factor>> {
    if pending.user != person.user.id || pending.session != Some(person.session.id) {
        return Ok(None);
    }
    let (user, origin) = (&person.user, &person.actor.origin);
    let attempt = attempts::admit(hub, origin, &Email::key_of(&user.email)).await?;
    let purpose = passkeys::Purpose::StepUp(user.id, person.session.id);
    match factors::demand(hub, origin, user.id, purpose, given).await? {
        Ok(factor) => {
            attempt.forgive(hub);
            Ok(Some(factor))
        }
        Err(wrong) => {
            let mut unit = hub.begin().await?;
            let details = json!({ "reason": wrong.reason });
            unit.audit(&person.actor, "auth.step_up", own(person), Outcome::Failed, details).await?;
            unit.commit().await?;
            Err(wrong.into_field())
        }
    }
}
