//! Who sent a request.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::model::User;
use super::session::{IDLE, Session, TOUCH_AFTER, token_of};
use super::{factors, store};
use crate::access::{self, Actor, Principal, RequestOrigin, Rights};
use crate::api_keys;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, Memo};
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::secret::TokenDigest;

/// Somebody signed in, where a key is nobody.
#[derive(Debug)]
pub struct Person {
    /// As whom they act.
    pub actor: Actor,
    /// Who they are.
    pub user: User,
    pub(super) session: Session,
}

/// Somebody signed in, for what concerns their own account: also when the workspace requires a second factor that they
/// do not have yet. A key is nobody: it cannot change who it belongs to.
#[derive(Debug)]
pub struct Oneself(pub Person);

impl FromRequestParts<App> for Person {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        let Oneself(person) = Oneself::from_request_parts(parts, hub).await?;
        demand_enrolled(hub, &person.actor).await?;
        Ok(person)
    }
}

impl FromRequestParts<App> for Oneself {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        if api_keys::bearer(&parts.headers).is_some() {
            return Err(Error::new(
                crate::error::ErrorCode::Forbidden,
                "this concerns a person's own account; sign in to do it, a key cannot",
            ));
        }
        person(hub, parts).await.map(Self)
    }
}

/// On whose behalf this request comes.
///
/// # Errors
/// 401 when neither a valid session nor a valid key came with it, 400 when both did, 403 when the workspace requires a
/// second factor that the person, or the key's maker, does not have.
pub async fn authenticate(hub: &Hub, parts: &Parts) -> Result<Actor> {
    let has_session = token_of(&parts.headers, &hub.config.public_url).is_some();
    let actor = match api_keys::bearer(&parts.headers) {
        Some(_) if has_session => {
            return Err(Error::bad_request("the request comes with a session cookie and with a key; send one of them"));
        }
        Some(key) => api_keys::authenticate(hub, RequestOrigin::of(parts), key).await?,
        None => person(hub, parts).await?.actor,
    };
    demand_enrolled(hub, &actor).await?;
    Ok(actor)
}

/// A workspace that requires one-time codes lets nobody act in it without, and nobody's keys.
async fn demand_enrolled(hub: &Hub, actor: &Actor) -> Result<()> {
    let Some(user) = actor.user_id().filter(|_| actor.rights.held().is_empty()) else { return Ok(()) };
    let mut database = hub.db.read().await?;
    if factors::must_enroll(&mut database.conn(), actor.workspace_id, user, &actor.rights).await? {
        return Err(factors::enrollment_required());
    }
    Ok(())
}

/// Whether what an actor came with is still good and still holds the same rights: for streams that outlive the request.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_still_good(hub: &Hub, actor: &Actor) -> Result<bool> {
    let Some(user_id) = actor.user_id() else { return Ok(true) };
    let now = hub.now();
    let mut database = hub.db.read().await?;
    let is_there = match &actor.principal {
        Principal::User { session_id, .. } => {
            let workspace =
                store::workspace_of_session(&mut database.conn(), *session_id, now, now.minus(IDLE)).await?;
            workspace == Some(actor.workspace_id)
        }
        Principal::ApiKey { token, .. } => api_keys::is_good(&mut database.conn(), token.clone(), now).await?,
        Principal::Agent { .. } | Principal::Anonymous | Principal::System => true,
    };
    let rights = access::rights_of(&mut database.conn(), actor.workspace_id, user_id).await?;
    Ok(is_there && rights.held() == actor.rights.held())
}

/// What an actor holds now: nothing once what they came with is not good any more.
///
/// # Errors
/// When the database cannot be read.
pub async fn rights_now(conn: &mut Conn<'_>, actor: &Actor, now: Timestamp) -> Result<Rights> {
    match &actor.principal {
        Principal::User { id, session_id, .. } => {
            let workspace = store::workspace_of_session(conn, *session_id, now, now.minus(IDLE)).await?;
            if workspace == Some(actor.workspace_id) {
                Ok(access::rights_of(conn, actor.workspace_id, *id).await?)
            } else {
                Ok(Rights::none())
            }
        }
        Principal::ApiKey { id, .. } => api_keys::rights(conn, *id, now).await,
        Principal::Agent { .. } | Principal::Anonymous | Principal::System => Ok(actor.rights.clone()),
    }
}

/// Sessions that are kept in memory: more than people look at a hub at once.
const KNOWN_SESSIONS: usize = 1_024;

/// A session, whose it is, and what they may do.
#[derive(Debug, Clone)]
struct Known {
    caller: store::Caller,
    rights: Rights,
}

/// Sessions that requests came with just now.
#[derive(Debug)]
pub(super) struct KnownSessions(Memo<TokenDigest, Arc<Known>>);

impl Default for KnownSessions {
    fn default() -> Self {
        Self(Memo::new(access::TABLES, KNOWN_SESSIONS))
    }
}

/// Whose session has this token. Not whether it is still good, which is a matter of time.
async fn known(hub: &Hub, token: TokenDigest) -> Result<Option<Arc<Known>>> {
    let memo = &hub.auth.known.0;
    let version = memo.version(&hub.db);
    if let Some(known) = memo.recall(&token, version) {
        return Ok(Some(known));
    }
    let mut database = hub.db.read().await?;
    let Some(caller) = store::caller(&mut database.conn(), token.clone()).await? else { return Ok(None) };
    let rights = access::rights_of(&mut database.conn(), caller.workspace_id, caller.session.user_id).await?;
    drop(database);
    let known = Arc::new(Known { caller, rights });
    memo.keep(token, Arc::clone(&known), version);
    Ok(Some(known))
}

/// Who is signed in.
pub(super) async fn person(hub: &Hub, parts: &Parts) -> Result<Person> {
    let token = token_of(&parts.headers, &hub.config.public_url).ok_or_else(Error::unauthenticated)?;
    let known = known(hub, TokenDigest::of(token.reveal())).await?.ok_or_else(Error::unauthenticated)?;
    let Known { caller: store::Caller { session, email, name, workspace_id }, rights } = Known::clone(&known);
    let (id, now) = (session.id, hub.now());
    if !session.is_good(now) {
        return Err(Error::unauthenticated());
    }
    if is_due(now, Some(session.last_seen_at)) {
        hub.auth.touching.note(hub, id.uuid(), move |conn| Box::pin(store::touch_session(conn, id, now)));
    }
    let (user_id, verified_at) = (session.user_id, session.verified_at);
    let principal = Principal::User { id: user_id, name: name.clone(), session_id: session.id, verified_at };
    let origin = RequestOrigin::of(parts);
    let user = User { id: session.user_id, email, name };
    Ok(Person { actor: Actor { principal, workspace_id, rights, origin }, user, session })
}

/// Writes when a session or key was last used, beside the request: reading must not wait for the writer.
#[derive(Debug, Default, Clone)]
pub struct Touching(Arc<Mutex<HashSet<Uuid>>>);

impl Touching {
    /// Whether nothing is being written.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes, unless that is under way for this one.
    pub fn note(
        &self,
        hub: &Hub,
        id: Uuid,
        write: impl for<'c> FnOnce(&'c mut Conn<'_>) -> BoxFuture<'c, Result<(), DbError>> + Send + 'static,
    ) {
        if hub.tasks.is_stopping() || !self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        let (db, touching) = (hub.db.clone(), Arc::clone(&self.0));
        hub.tasks.spawn(async move {
            let written = async {
                let mut tx = db.write().await?;
                write(&mut tx.conn()).await?;
                tx.commit().await
            };
            if let Err(error) = written.await {
                tracing::warn!(%error, "could not note that a session or key was used; a session may end early");
            }
            touching.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }
}

/// Whether a use is worth writing down after the last one that was.
#[must_use]
pub fn is_due(now: Timestamp, last: Option<Timestamp>) -> bool {
    last.is_none_or(|last| now.since(last) >= TOUCH_AFTER)
}
