//! Which people of providers are the same as an account: linking, and taking it back.

use std::collections::BTreeSet;

use axum::http::HeaderValue;
use protocol::UserId;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::flow::{Flow, Purpose};
use super::page::Refusal;
use super::provider::{self, Claimed};
use super::{Stopped, admit, find};
use crate::access::{Principal, RequestOrigin};
use crate::audit::{Outcome, Subject};
use crate::auth::caller::Person;
use crate::auth::confirm::demand_fresh;
use crate::auth::factors;
use crate::auth::store::{self, IdentityRow};
use crate::clock::Timestamp;
use crate::config::OidcProvider;
use crate::db::{Conn, DbError};
use crate::error::{Error, Result};
use crate::hub::{Hub, Unit};
use crate::ids::{IdentityId, SessionId};
use crate::mail::{self, Notice, Recipient};
use crate::team;

/// Identities that somebody has at most.
const PER_USER: usize = 20;
/// Where the dashboard shows them.
const ACCOUNT: &str = "/account";

/// Somebody as a provider knows them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
pub(in crate::auth) struct IdentityView {
    #[schema(value_type = uuid::Uuid)]
    id: IdentityId,
    provider: ProviderView,
    /// An address or a name, as the provider wrote it.
    subject_hint: String,
    created_at: Timestamp,
    last_used_at: Timestamp,
}

/// An identity provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IdentityProvider)]
pub(in crate::auth) struct ProviderView {
    id: String,
    /// What its button says; its id when it is not in the settings any more.
    name: String,
}

impl ProviderView {
    /// All that are in the settings.
    pub(in crate::auth) fn all(hub: &Hub) -> Vec<Self> {
        hub.config.oidc.iter().map(|one| Self { id: one.id.clone(), name: one.name.clone() }).collect()
    }

    fn of(hub: &Hub, identity: &IdentityRow) -> Self {
        let provider = hub.config.oidc.iter().find(|provider| provider.issuer == identity.issuer);
        let (id, name) =
            provider.map_or((&identity.provider, &identity.provider), |provider| (&provider.id, &provider.name));
        Self { id: id.clone(), name: name.clone() }
    }
}

/// The person's identities, oldest first.
pub(in crate::auth) async fn list(hub: &Hub, person: &Person) -> Result<Vec<IdentityView>> {
    let mut database = hub.db.read().await?;
    let rows = store::identities(&mut database.conn(), person.user.id).await?;
    let view = |row: IdentityRow| IdentityView {
        id: row.id,
        provider: ProviderView::of(hub, &row),
        subject_hint: row.hint,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Where the person goes to show who they are at the provider, and the cookie that they come back with.
pub(in crate::auth) async fn begin_link(hub: &Hub, person: &Person, id: &str) -> Result<(String, HeaderValue)> {
    demand_fresh(hub, person)?;
    let provider = find(hub, id)?;
    let count = {
        let mut database = hub.db.read().await?;
        store::identities(&mut database.conn(), person.user.id).await?.len()
    };
    demand_room(count)?;
    let flow = Flow::new(hub, id, ACCOUNT, Purpose::Link(person.user.id, person.session.id));
    let url = provider::sign_in_url(hub, provider, &flow).await.map_err(|error| {
        Error::unavailable("the identity provider cannot be reached; try again").caused_by(error.to_string())
    })?;
    Ok((url, flow.set_cookie(hub)?))
}

fn demand_room(count: usize) -> Result<()> {
    if count < PER_USER {
        return Ok(());
    }
    Err(Error::conflict(format!("this account has {PER_USER} identities; take one back first")))
}

/// Makes what the provider says an identity of an account.
pub(super) async fn link(
    hub: &Hub,
    origin: RequestOrigin,
    provider: &OidcProvider,
    (user, session): (UserId, SessionId),
    claimed: Claimed,
) -> Result<(), Stopped> {
    let mut unit = hub.begin().await?;
    let known = store::identity(&mut unit.conn(), provider.issuer.clone(), claimed.subject.clone()).await?;
    match known {
        Some(known) if known.user_id == user => return Ok(()),
        Some(_) => return Err(Refusal::IdentityTaken.into()),
        None => {}
    }
    store::lock_user(&mut unit.conn(), user).await?;
    demand_room(store::identities(&mut unit.conn(), user).await?.len())?;
    let identity = admit::new_identity(hub, provider, user, &claimed);
    match store::insert_identity(&mut unit.conn(), identity.clone()).await {
        Ok(()) => {}
        Err(DbError::UniqueViolation(_)) => return Err(Refusal::IdentityTaken.into()),
        Err(error) => return Err(error.into()),
    }
    let details = json!({ "provider": provider.id });
    admit::record(&mut unit, &origin, (user, session), "identity.link", details).await?;
    if let Some(account) = store::account(&mut unit.conn(), user).await? {
        let notice = Notice::IdentityLinked { provider: &provider.name, identity: &identity.hint };
        mail::notify(hub, &mut unit, &Recipient::of(&account.user), &notice).await?;
    }
    unit.commit().await?;
    Ok(())
}

/// Takes an identity back: the provider opens nothing of this account any more, and what its groups gave is taken.
pub(in crate::auth) async fn unlink(hub: &Hub, person: &Person, id: IdentityId) -> Result<()> {
    demand_fresh(hub, person)?;
    let user = person.user.id;
    let mut unit = hub.begin().await?;
    // Of two ways in that go at once the second sees that it is the last.
    store::lock_user(&mut unit.conn(), user).await?;
    let rows = store::identities(&mut unit.conn(), user).await?;
    let row = rows.into_iter().find(|row| row.id == id).ok_or_else(|| Error::not_found("identity"))?;
    store::delete_identity(&mut unit.conn(), id).await?;
    factors::demand_way_in(&mut unit.conn(), user).await?;
    let subject = Subject::new("identity", &row.id, row.hint.as_str());
    let details = json!({ "provider": row.provider });
    unit.audit(&person.actor, "identity.unlink", subject, Outcome::Ok, details).await?;
    let provider = ProviderView::of(hub, &row);
    let notice = Notice::IdentityUnlinked { provider: &provider.name, identity: &row.hint };
    mail::notify(hub, &mut unit, &Recipient::of(&person.user), &notice).await?;
    let by = (&person.actor.principal, &person.actor.origin);
    take_mapped(hub, &mut unit, by, (user, &person.user.name)).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

/// Takes what groups gave of a provider that knows somebody no longer, or that is in the settings no longer.
async fn take_mapped(
    hub: &Hub,
    unit: &mut Unit<'_>,
    by: (&Principal, &RequestOrigin),
    (user, name): (UserId, &str),
) -> Result<()> {
    for source in team::sources_of(&mut unit.conn(), user).await? {
        if !gives(hub, &mut unit.conn(), user, &source).await? {
            team::set_mapped(hub, unit, by, (user, name), &source, Vec::new()).await?;
        }
    }
    Ok(())
}

/// Whether a source is a provider of the settings that knows somebody.
async fn gives(hub: &Hub, conn: &mut Conn<'_>, user: UserId, source: &str) -> Result<bool> {
    let Some(provider) = hub.config.oidc.iter().find(|provider| admit::source(provider) == source) else {
        return Ok(false);
    };
    let identities = store::identities(conn, user).await?;
    Ok(identities.iter().any(|identity| identity.issuer == provider.issuer))
}

/// Brings what groups of providers gave up to what the settings say now: a provider that was dropped from them, or is
/// another one under the same name, gives nothing any more.
///
/// # Errors
/// When the database cannot be used.
pub(in crate::auth) async fn take_what_is_given_no_more(hub: &Hub) -> Result<()> {
    let mut ended = BTreeSet::new();
    let mut database = hub.db.read().await?;
    for (user, source) in team::mapped_people(&mut database.conn()).await? {
        if !gives(hub, &mut database.conn(), user, &source).await? {
            ended.insert(user);
        }
    }
    drop(database);
    let by = (&Principal::System, &RequestOrigin::default());
    for user in &ended {
        let mut unit = hub.begin().await?;
        let Some(account) = store::account(&mut unit.conn(), *user).await? else { continue };
        take_mapped(hub, &mut unit, by, (*user, &account.user.name)).await?;
        unit.commit().await?;
    }
    if !ended.is_empty() {
        tracing::info!(people = ended.len(), "what groups of dropped identity providers gave was taken");
        hub.http.recheck_streams();
    }
    Ok(())
}
