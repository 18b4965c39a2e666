//! Letting somebody in whom a provider knows.

use axum::http::HeaderValue;
use protocol::UserId;
use serde_json::{Value, json};

use super::Stopped;
use super::flow::Pending;
use super::page::Refusal;
use super::provider::Claimed;
use crate::access::{Actor, Principal, RequestOrigin, Rights};
use crate::audit::{Outcome, Subject};
use crate::auth::factors::{self, Factor};
use crate::auth::model::{Email, PersonName, User};
use crate::auth::session;
use crate::auth::sign_in::{self, Basis, Entry};
use crate::auth::store::{self, IdentityRow};
use crate::clock::Timestamp;
use crate::config::OidcProvider;
use crate::db::{Conn, DbError};
use crate::error::{ErrorCode, Result};
use crate::hub::{Hub, Unit};
use crate::ids::SessionId;
use crate::team::{self, Mapped};
use crate::workspaces;

/// Longest text of a provider that is shown to people.
const HINT_LEN: usize = 80;
/// When somebody proved who they are whose provider does not say: long enough ago that it is fresh for nothing.
const NEVER: Timestamp = Timestamp::from_ms(0);

/// Signs in, with what the groups give and take; the cookies of it.
pub(super) async fn sign_in(
    hub: &Hub,
    origin: RequestOrigin,
    provider: &OidcProvider,
    claimed: Claimed,
) -> Result<Vec<HeaderValue>, Stopped> {
    let mut unit = hub.begin().await?;
    let mapped = mapped(&mut unit.conn(), provider, &claimed).await?;
    let known = store::identity(&mut unit.conn(), provider.issuer.clone(), claimed.subject.clone()).await?;
    let (user, identity) = match known {
        Some(identity) => {
            let account = store::account(&mut unit.conn(), identity.user_id).await?;
            let user = account.ok_or(Refusal::UnknownAccount)?.user;
            store::use_identity(&mut unit.conn(), identity.id, provider, hint(&claimed), hub.now()).await?;
            (user, identity)
        }
        None if mapped.is_empty() => {
            tracing::info!(provider = provider.id, "somebody whom nobody invited came from an identity provider");
            return Err(Refusal::UnknownAccount.into());
        }
        None => make(hub, &mut unit, provider, &claimed).await?,
    };
    let source = source(provider);
    let by = (&Principal::Anonymous, &origin);
    let changed = team::set_mapped(hub, &mut unit, by, (user.id, &user.name), &source, mapped).await?;
    let has_own = factors::has_own(&mut unit.conn(), user.id).await?;
    // What was given and taken holds, whether they get in or not.
    unit.commit().await?;
    if changed {
        hub.http.recheck_streams();
    }
    if has_own && !provider.both_factors {
        return Err(Stopped::SecondFactor(Pending::new(hub, user.id, identity.id, None)));
    }
    let mut unit = hub.begin().await?;
    // Coming back from there proves nothing new: it may have asked the person weeks ago.
    let verified_at = claimed.auth_time.unwrap_or(NEVER);
    let basis = Basis::Identity(identity.id);
    let entry = Entry { user, basis, workspace: None, verified_at, details: details(&provider.id, None) };
    let opened = sign_in::open(hub, &mut unit, origin, entry).await;
    let signed_in = opened.map_err(|error| match error.code() {
        // A member of nothing.
        ErrorCode::Forbidden => Stopped::Refused(Refusal::UnknownAccount),
        _ => Stopped::Error(error),
    })?;
    unit.commit().await?;
    Ok(vec![session::set_cookie(&signed_in.token, &hub.config.public_url)?])
}

/// Makes an account without a password.
async fn make(
    hub: &Hub,
    unit: &mut Unit<'_>,
    provider: &OidcProvider,
    claimed: &Claimed,
) -> Result<(User, IdentityRow), Stopped> {
    let email = claimed.email.clone().and_then(|email| Email::try_from(email).ok());
    let Some(email) = email.filter(|email| email.require_plain().is_ok()) else {
        tracing::warn!(
            provider = provider.id,
            "somebody new came from an identity provider without an address that fits"
        );
        return Err(Refusal::UnknownAccount.into());
    };
    if store::account_by_email(&mut unit.conn(), email.key()).await?.is_some() {
        return Err(Refusal::AddressTaken.into());
    }
    let name = claimed.name.clone().unwrap_or_else(|| email.as_str().split('@').next().unwrap_or_default().to_owned());
    let name = shortened(&name);
    let name = PersonName::try_from(name).map_or_else(|_| "Somebody".to_owned(), |name| name.as_str().to_owned());
    let user = User { id: hub.ids.user(), email: email.as_str().to_owned(), name };
    let inserted = store::insert_user(&mut unit.conn(), &user, email.key(), String::new(), hub.now()).await;
    match inserted {
        Ok(()) => {}
        Err(DbError::UniqueViolation(_)) => return Err(Refusal::AddressTaken.into()),
        Err(error) => return Err(error.into()),
    }
    let identity = new_identity(hub, provider, user.id, claimed);
    store::insert_identity(&mut unit.conn(), identity.clone()).await?;
    Ok((user, identity))
}

/// Somebody as the provider knows them, from now on.
pub(super) fn new_identity(hub: &Hub, provider: &OidcProvider, user: UserId, claimed: &Claimed) -> IdentityRow {
    IdentityRow {
        id: hub.ids.identity(),
        user_id: user,
        provider: provider.id.clone(),
        issuer: provider.issuer.clone(),
        subject: claimed.subject.clone(),
        hint: hint(claimed),
        both_factors: provider.both_factors,
        created_at: hub.now(),
        last_used_at: hub.now(),
    }
}

fn hint(claimed: &Claimed) -> String {
    shortened(claimed.email.as_ref().or(claimed.name.as_ref()).unwrap_or(&claimed.subject))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(HINT_LEN).collect()
}

/// What grants by a provider's groups are marked with.
pub(super) fn source(provider: &OidcProvider) -> String {
    format!("oidc/{}", provider.id)
}

/// What the person's groups give. A workspace that is not there gives nothing.
async fn mapped(conn: &mut Conn<'_>, provider: &OidcProvider, claimed: &Claimed) -> Result<Vec<Mapped>> {
    let mut mapped = Vec::new();
    for mapping in provider.mappings.iter().filter(|mapping| claimed.groups.contains(&mapping.group)) {
        match workspaces::named(conn, &mapping.workspace).await? {
            Some(workspace) => mapped.push(Mapped { workspace, role: mapping.role }),
            None => tracing::warn!(
                provider = provider.id,
                workspace = mapping.workspace,
                "a group is mapped to a workspace that is not there"
            ),
        }
    }
    Ok(mapped)
}

/// For the record of a sign-in.
pub(super) fn details(provider: &str, factor: Option<Factor>) -> Value {
    let mut details = factor.map_or_else(|| json!({}), Factor::details);
    if let Some(details) = details.as_object_mut() {
        details.insert("by".to_owned(), json!("identity"));
        details.insert("provider".to_owned(), json!(provider));
    }
    details
}

/// Records what somebody did who came back from a provider, and whose session began it, where they are a member.
pub(super) async fn record(
    unit: &mut Unit<'_>,
    origin: &RequestOrigin,
    (user, session_id): (UserId, SessionId),
    action: &'static str,
    details: Value,
) -> Result<()> {
    let account = store::account(&mut unit.conn(), user).await?;
    let name = account.map(|account| account.user.name).unwrap_or_default();
    // What was proven when does not matter to a record.
    let verified_at = Timestamp::from_ms(0);
    let principal = Principal::User { id: user, name: name.clone(), session_id, verified_at };
    for workspace in workspaces::of_user(&mut unit.conn(), user).await? {
        let (principal, origin) = (principal.clone(), origin.clone());
        let actor = Actor { principal, workspace_id: workspace.id, rights: Rights::none(), origin };
        unit.audit(&actor, action, Subject::new("user", &user, name.as_str()), Outcome::Ok, details.clone()).await?;
    }
    Ok(())
}
