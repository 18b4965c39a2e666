//! Who sent a request.

use std::sync::{Arc, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::model::User;
use super::session::{IDLE, Session, TOUCH_AFTER, token_of};
use super::store;
use crate::access::{Actor, Principal, RequestOrigin};
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::secret::TokenDigest;

/// Somebody signed in, for what concerns their own account.
#[derive(Debug)]
pub struct Person {
    /// As whom they act.
    pub actor: Actor,
    /// Who they are.
    pub user: User,
    pub(super) session: Session,
}

impl FromRequestParts<App> for Person {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        person(hub, parts).await
    }
}

/// On whose behalf this request comes.
///
/// # Errors
/// 401 when no valid session came with it.
pub async fn authenticate(hub: &Hub, parts: &Parts) -> Result<Actor> {
    Ok(person(hub, parts).await?.actor)
}

/// Whether the session that an actor came with is still good: for streams that outlive the request.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_still_good(hub: &Hub, actor: &Actor) -> Result<bool> {
    let Principal::User { session_id, .. } = &actor.principal else { return Ok(true) };
    let now = hub.now();
    let mut database = hub.db.read().await?;
    Ok(store::session_exists(&mut database.conn(), *session_id, now, now.minus(IDLE)).await?)
}

async fn person(hub: &Hub, parts: &Parts) -> Result<Person> {
    let token = token_of(&parts.headers, &hub.config.public_url).ok_or_else(Error::unauthenticated)?;
    let mut database = hub.db.read().await?;
    let caller = store::caller(&mut database.conn(), TokenDigest::of(token.reveal())).await?;
    drop(database);
    let store::Caller { session, email, name, workspace_id, role } = caller.ok_or_else(Error::unauthenticated)?;
    if !session.is_good(hub.now()) {
        return Err(Error::unauthenticated());
    }
    note_use(hub, &session);
    let principal = Principal::User { id: session.user_id, name: name.clone(), session_id: session.id };
    let origin = RequestOrigin::of(parts);
    let user = User { id: session.user_id, email, name };
    Ok(Person { actor: Actor { principal, workspace_id, role, origin }, user, session })
}

/// Writes `last_seen_at` beside the request: reading must not wait for the writer.
fn note_use(hub: &Hub, session: &Session) {
    let now = hub.now();
    if now.since(session.last_seen_at) < TOUCH_AFTER || hub.tasks.is_stopping() {
        return;
    }
    let id = session.id;
    let touching = &hub.auth.touching;
    if !touching.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
        return;
    }
    let db = hub.db.clone();
    let touching = Arc::clone(touching);
    hub.tasks.spawn(async move {
        let written = async {
            let mut tx = db.write().await?;
            store::touch_session(&mut tx.conn(), id, now).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::warn!(%error, "could not note that a session was used; it may end early");
        }
        touching.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    });
}
