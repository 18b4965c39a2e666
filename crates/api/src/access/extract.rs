//! The extractor that turns a path id into an authorised resource.

use std::marker::PhantomData;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use futures_util::future::BoxFuture;
use protocol::WorkspaceId;
use serde_json::json;

use super::actor::Actor;
use super::node::{Node, Verb};
use crate::audit::{Outcome, Subject};
use crate::auth;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::hub::{App, Hub};

/// Something that belongs to a workspace and can be named by an id in a path.
pub trait Resource: Sized + Send + 'static {
    /// The word for messages: "server".
    const WORD: &'static str;
    /// Name of the path parameter.
    const PARAM: &'static str = "id";
    /// Its id.
    type Id: FromStr + Send + 'static;

    /// Loads it inside the workspace; `None` when there is none or it is another tenant's.
    fn load<'c>(conn: &'c mut Conn<'_>, workspace_id: WorkspaceId, id: Self::Id)
    -> BoxFuture<'c, Result<Option<Self>>>;
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

/// The caller's workspace as a resource: for lists and for making things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
}

/// Authorises the use of a resource whose id came in a body.
///
/// # Errors
/// 403 when the actor's role lacks the node, 404 when there is no such resource in the actor's workspace.
pub async fn authorize<R: Resource, V: Verb>(hub: &Hub, actor: Actor, id: R::Id) -> Result<Authorized<R, V>> {
    demand(hub, &actor, V::NODE).await?;
    let mut session = hub.db.read().await?;
    let resource = R::load(&mut session.conn(), actor.workspace_id, id).await?;
    let resource = resource.ok_or_else(|| Error::not_found(R::WORD))?;
    Ok(Authorized { actor, resource, verb: PhantomData })
}

/// Refusals are recorded: somebody tries what they were not given.
async fn demand(hub: &Hub, actor: &Actor, node: Node) -> Result<()> {
    if actor.may(node) {
        return Ok(());
    }
    let mut unit = hub.begin().await?;
    let subject = Subject::new("workspace", &actor.workspace_id, "");
    let details = json!({ "permission": node.as_str() });
    unit.audit(actor, "access.deny", subject, Outcome::Denied, details).await?;
    unit.commit().await?;
    Err(Error::forbidden(node.as_str()))
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
        let actor = auth::authenticate(hub, parts).await?;
        demand(hub, &actor, V::NODE).await?;
        let resource = Workspace { id: actor.workspace_id };
        Ok(Self { actor, resource, verb: PhantomData })
    }
}
