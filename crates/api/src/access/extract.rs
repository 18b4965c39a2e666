//! The extractors that turn a path id into an authorised resource, and a list into what its caller may see of it.

use std::marker::PhantomData;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use futures_util::future::BoxFuture;
use protocol::{UserId, WorkspaceId};
use serde_json::json;

use super::actor::{Actor, Principal};
use super::installation::is_at_home;
use super::node::{Node, Verb};
use super::scope::{Place, Reach};
use crate::audit::{self, Subject};
use crate::auth;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::hub::{App, Hub};

/// Something that belongs to a workspace and can be named by an id in a path.
pub trait Resource: Sized + Send + Sync + 'static {
    /// The word for messages: "server".
    const WORD: &'static str;
    /// Name of the path parameter.
    const PARAM: &'static str = "id";
    /// What one must hold to learn that it is there; without it, it is not found.
    const READ: Node;
    /// Its id.
    type Id: FromStr + ToString + Send + 'static;

    /// Loads it, whosever it is; `workspace` is the caller's, for what has a name only within one.
    fn load<'c>(conn: &'c mut Conn<'_>, workspace: WorkspaceId, id: Self::Id) -> BoxFuture<'c, Result<Option<Self>>>;

    /// Whose it is.
    fn workspace_id(&self) -> WorkspaceId;

    /// Where in its workspace it lies.
    fn place<'c>(&'c self, conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>>;

    /// Who may use it whatever they hold, in a session of their own: what is part of a person's account.
    fn owner(&self) -> Option<UserId> {
        None
    }
}

/// A resource that the caller may use as `V` says. Only this module makes one.
#[derive(Debug)]
pub struct Authorized<R, V> {
    /// On whose behalf.
    pub actor: Actor,
    /// The resource.
    pub resource: R,
    verb: PhantomData<V>,
}

/// The caller's workspace as a resource: for what concerns the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
}

/// The hub itself: whoever runs it is who holds the node in its first workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation;

/// What of a kind of thing the caller may use as `V` says: for lists, and for making things whose place comes in the
/// body. Only this module makes one.
#[derive(Debug)]
pub struct Visible<V> {
    /// On whose behalf.
    pub actor: Actor,
    /// Which of them.
    pub reach: Reach,
    verb: PhantomData<V>,
}

/// What the authoriser keeps: nothing, but for the test of the tests.
#[derive(Debug, Default)]
pub struct State {
    /// Everything is allowed: whoever tests refusals must notice.
    #[cfg(test)]
    pub lax: std::sync::atomic::AtomicBool,
}

impl State {
    #[cfg(test)]
    fn is_lax(&self) -> bool {
        self.lax.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the same call as in tests")]
    const fn is_lax(&self) -> bool {
        false
    }
}

/// Authorises the use of a resource whose id came in a body.
///
/// # Errors
/// 404 when there is no such resource in the actor's workspace, or the actor may not know of it; 403 when the actor may,
/// and may not do this with it.
pub async fn authorize<R: Resource, V: Verb>(hub: &Hub, actor: Actor, id: R::Id) -> Result<Authorized<R, V>> {
    let id_text = id.to_string();
    let mut session = hub.db.read().await?;
    let resource = R::load(&mut session.conn(), actor.workspace_id, id).await?;
    let lax = hub.access.is_lax();
    let resource = resource.filter(|resource| lax || resource.workspace_id() == actor.workspace_id);
    let resource = resource.ok_or_else(|| Error::not_found(R::WORD))?;
    // Most hold their rights over the whole workspace.
    let place = if actor.may(V::NODE) { Place::WORKSPACE } else { resource.place(&mut session.conn()).await? };
    drop(session);
    let is_own = matches!(actor.principal, Principal::User { id, .. } if resource.owner() == Some(id));
    if lax || is_own || actor.rights.allow(V::NODE, place) {
        demand_fresh::<V>(hub, &actor)?;
        return Ok(Authorized { actor, resource, verb: PhantomData });
    }
    let refusal = if actor.rights.allow(R::READ, place) { refusal(V::NODE) } else { Error::not_found(R::WORD) };
    record(hub, &actor, V::NODE, Subject::new("resource", &id_text, R::WORD)).await?;
    Err(refusal)
}

/// Authorises what concerns the whole of the actor's workspace.
///
/// # Errors
/// 403.
pub async fn in_workspace<V: Verb>(hub: &Hub, actor: Actor) -> Result<Authorized<Workspace, V>> {
    let resource = Workspace { id: actor.workspace_id };
    if !hub.access.is_lax() && !actor.may(V::NODE) {
        record(hub, &actor, V::NODE, Subject::new("workspace", &actor.workspace_id, "")).await?;
        return Err(refusal(V::NODE));
    }
    demand_fresh::<V>(hub, &actor)?;
    Ok(Authorized { actor, resource, verb: PhantomData })
}

/// What the actor may use as `V` says.
///
/// # Errors
/// 403 when that is nothing.
async fn visible<V: Verb>(hub: &Hub, actor: Actor) -> Result<Visible<V>> {
    if hub.access.is_lax() {
        return Ok(Visible { actor, reach: Reach::everything(), verb: PhantomData });
    }
    if !actor.rights.anywhere().contains(V::NODE) {
        record(hub, &actor, V::NODE, Subject::new("workspace", &actor.workspace_id, "")).await?;
        return Err(refusal(V::NODE));
    }
    demand_fresh::<V>(hub, &actor)?;
    let reach = actor.rights.reach(V::NODE);
    Ok(Visible { actor, reach, verb: PhantomData })
}

/// The actor with what they hold now. What they held when their request was let in may have been taken from them since,
/// so a change to who may do what asks again in its own transaction, once that keeps other such changes away.
///
/// # Errors
/// When the database cannot be read.
pub async fn refreshed(hub: &Hub, conn: &mut Conn<'_>, actor: &Actor) -> Result<Actor> {
    if hub.access.is_lax() {
        return Ok(actor.clone());
    }
    Ok(Actor { rights: auth::rights_now(conn, actor, hub.now()).await?, ..actor.clone() })
}

/// As [`refreshed`], for what concerns the whole of the actor's workspace.
///
/// # Errors
/// 403 when the actor may not do that any more.
pub async fn still<V: Verb>(hub: &Hub, conn: &mut Conn<'_>, actor: &Actor) -> Result<Actor> {
    let actor = refreshed(hub, conn, actor).await?;
    if hub.access.is_lax() || actor.may(V::NODE) { Ok(actor) } else { Err(refusal(V::NODE)) }
}

/// What is dangerous asks a session again whose it is; a key has no password to say.
fn demand_fresh<V: Verb>(hub: &Hub, actor: &Actor) -> Result<()> {
    let stale =
        matches!(actor.principal, Principal::User { verified_at, .. } if !auth::is_fresh(verified_at, hub.now()));
    if V::FRESH && stale && !hub.access.is_lax() {
        return Err(auth::step_up_required());
    }
    Ok(())
}

fn refusal(node: Node) -> Error {
    Error::forbidden(node.as_str())
}

/// Refusals are recorded: somebody tries what they were not given.
async fn record(hub: &Hub, actor: &Actor, node: Node, subject: Subject) -> Result<()> {
    audit::record_refusal(hub, actor, "access.deny", subject, json!({ "permission": node.as_str() })).await
}

impl<R: Resource, V: Verb> FromRequestParts<App> for Authorized<R, V> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        let actor = auth::authenticate(hub, parts).await?;
        let params = RawPathParams::from_request_parts(parts, hub).await.map_err(Error::internal)?;
        let id = params.iter().find(|(name, _)| *name == R::PARAM).map(|(_, value)| value);
        // A malformed id names nothing.
        let id = id.and_then(|id| id.parse().ok()).ok_or_else(|| Error::not_found(R::WORD))?;
        authorize(hub, actor, id).await
    }
}

impl<V: Verb> FromRequestParts<App> for Authorized<Workspace, V> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        in_workspace(hub, auth::authenticate(hub, parts).await?).await
    }
}

impl<V: Verb> FromRequestParts<App> for Authorized<Installation, V> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        let Authorized { actor, .. } = in_workspace::<V>(hub, auth::authenticate(hub, parts).await?).await?;
        let is_at_home = is_at_home(&mut hub.db.read().await?.conn(), &actor).await?;
        if !hub.access.is_lax() && !is_at_home {
            record(hub, &actor, V::NODE, Subject::new("hub", &"", "")).await?;
            return Err(Error::forbidden(V::NODE.as_str()));
        }
        Ok(Self { actor, resource: Installation, verb: PhantomData })
    }
}

impl<V: Verb> FromRequestParts<App> for Visible<V> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        visible(hub, auth::authenticate(hub, parts).await?).await
    }
}
