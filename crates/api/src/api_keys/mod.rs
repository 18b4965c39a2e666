//! Keys that scripts sign in with: `rsk_…`, shown once. A key holds those of its permissions that its maker holds, within
//! its scope, and ends with its maker's membership.

mod model;
mod routes;
mod store;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use protocol::enroll::Token;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

use crate::access::verbs::{ApiKeysCreate, ApiKeysManage};
use crate::access::{self, Actor, Authorized, Held, Node, Principal, RequestOrigin, Rights, Visible};
use crate::audit::{self, Outcome, Subject};
use crate::auth::{self, Person};
use crate::clock::Timestamp;
use crate::db::{Conn, Memo};
use crate::error::{Error, ErrorCode, Result};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::{App, Hub};
use crate::ids::ApiKeyId;
use crate::mail::{self, Notice, Recipient};
use crate::projects;
use crate::secret::{TokenDigest, new_token};
use crate::workspaces;
use model::{ApiKey, KeyMade, KeyView, NewKey};

const TOKEN_PREFIX: &str = "rsk_";
/// Keys of one member.
const MAX: i64 = 100;
/// Longest life of a key that has an end.
const MAX_TTL: Duration = Duration::from_hours(10 * 365 * 24);

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// What came as `Authorization: Bearer …`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    // The word's case does not matter (RFC 9110, section 11.1).
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// On whose behalf a key acts.
///
/// # Errors
/// 401 when there is no such key or its time is over; 403 when it may not be used from there.
pub async fn authenticate(hub: &Hub, origin: RequestOrigin, bearer: &str) -> Result<Actor> {
    let unknown = || Error::new(ErrorCode::Unauthenticated, "the API key is unknown, revoked or has expired");
    let token = Token::parse(TOKEN_PREFIX, bearer).ok_or_else(unknown)?;
    let now = hub.now();
    let token = TokenDigest::of(token.reveal());
    let known = known(hub, &token).await?.filter(|known| known.key.is_good(now)).ok_or_else(unknown)?;
    let Known { key, rights } = Known::clone(&known);
    let principal = Principal::ApiKey { id: key.id, name: key.name.as_str().to_owned(), user_id: key.user_id, token };
    let actor = Actor { principal, workspace_id: key.workspace_id, rights, origin };
    if !key.admits(actor.origin.ip.parse::<IpAddr>().ok()) {
        return refuse_address(hub, &actor, &key).await;
    }
    if auth::is_due(now, key.last_used_at) {
        let (id, ip) = (key.id, actor.origin.ip.clone());
        hub.auth.touching.note(hub, id.uuid(), move |conn| Box::pin(store::note_use(conn, id, now, ip)));
    }
    Ok(actor)
}

/// Keys that are kept in memory.
const KNOWN_KEYS: usize = 1_024;

/// Keys that requests came with just now.
#[derive(Debug)]
pub struct State(Memo<TokenDigest, Arc<Known>>);

impl Default for State {
    fn default() -> Self {
        Self(Memo::new(access::TABLES, KNOWN_KEYS))
    }
}

/// A key and what may be done with it.
#[derive(Debug, Clone)]
struct Known {
    key: ApiKey,
    rights: Rights,
}

/// The key with this token. Not whether it is still good, which is a matter of time.
async fn known(hub: &Hub, token: &TokenDigest) -> Result<Option<Arc<Known>>> {
    let memo = &hub.api_keys.0;
    let version = memo.version(&hub.db);
    if let Some(known) = memo.recall(token, version) {
        return Ok(Some(known));
    }
    let mut database = hub.db.read().await?;
    let Some(key) = store::by_token(&mut database.conn(), token.clone()).await? else { return Ok(None) };
    let rights = rights_of(&mut database.conn(), &key).await?;
    drop(database);
    let known = Arc::new(Known { key, rights });
    memo.keep(token.clone(), Arc::clone(&known), version);
    Ok(Some(known))
}

async fn refuse_address(hub: &Hub, actor: &Actor, key: &ApiKey) -> Result<Actor> {
    let details = json!({ "reason": "address not allowed" });
    audit::record_refusal(hub, actor, "api_key.use", subject(key), details).await?;
    Err(Error::new(ErrorCode::Forbidden, "this API key may not be used from this address"))
}

/// Whether a key can still be used with this token.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_good(conn: &mut Conn<'_>, token: TokenDigest, now: Timestamp) -> Result<bool> {
    Ok(store::by_token(conn, token).await?.is_some_and(|key| key.is_good(now)))
}

/// What a key may do now: nothing once it is revoked or its time is over.
///
/// # Errors
/// When the database cannot be read.
pub async fn rights(conn: &mut Conn<'_>, id: ApiKeyId, now: Timestamp) -> Result<Rights> {
    match store::by_id(conn, id).await?.filter(|key| key.is_good(now)) {
        Some(key) => rights_of(conn, &key).await,
        None => Ok(Rights::none()),
    }
}

async fn rights_of(conn: &mut Conn<'_>, key: &ApiKey) -> Result<Rights> {
    let maker = access::rights_of(conn, key.workspace_id, key.user_id).await?;
    Ok(key.scope().map_or_else(Rights::none, |scope| maker.limited(Held { nodes: key.nodes(), scope })))
}

/// One's own keys; with `api-keys.manage` everybody's.
async fn list(hub: &Hub, person: &Person, page: PageQuery) -> Result<Page<KeyView>> {
    let before = page.cursor.as_ref().map(|cursor| cursor.key::<String>()).transpose()?;
    let owner = (!person.actor.may(Node::ApiKeysManage)).then_some(person.user.id);
    let mut session = hub.db.read().await?;
    let limit = page.limit.with_next();
    let rows = store::list(&mut session.conn(), person.actor.workspace_id, owner, before, limit).await?;
    let (rows, next_cursor) = cut(rows, page.limit, |row| row.key.id.to_string())?;
    Ok(Page { data: rows.into_iter().filter_map(KeyView::of).collect(), next_cursor })
}

/// Makes a key. It must hold no more than its maker; were it to, it would not, but its maker would be wrong about it.
async fn create(hub: &Hub, visible: Visible<ApiKeysCreate>, new: NewKey) -> Result<KeyMade> {
    let (actor, subject) = (visible.actor, Subject::new("api_key", &"", new.name.as_str()));
    let made = make(hub, &actor, new).await;
    audit::noting_refusal(hub, &actor, subject, made).await
}

async fn make(hub: &Hub, actor: &Actor, new: NewKey) -> Result<KeyMade> {
    let Principal::User { id: user_id, .. } = actor.principal else {
        return Err(Error::new(ErrorCode::Forbidden, "only a person who is signed in can make a key"));
    };
    if new.permissions.is_empty() {
        return Err(Error::invalid_field("permissions", "must hold at least one permission"));
    }
    let ttl = new.ttl_s.map(|seconds| Duration::from_secs(seconds.into()));
    if ttl.is_some_and(|ttl| ttl.is_zero() || ttl > MAX_TTL) {
        return Err(Error::invalid_field("ttl_s", format!("must be from 1 to {}", MAX_TTL.as_secs())));
    }
    let networks = new.networks()?;
    let mut unit = hub.begin().await?;
    access::hold(&mut unit.conn(), actor.workspace_id).await?;
    let place = projects::place_of(&mut unit.conn(), actor.workspace_id, new.scope).await?;
    let place = place.ok_or_else(|| Error::invalid_field("scope", "names nothing of this workspace"))?;
    let actor = &access::refreshed(hub, &mut unit.conn(), actor).await?;
    let missing = new.permissions.without(actor.rights.at(place));
    if !missing.is_empty() {
        let names = missing.names();
        let message = format!("a key can only hold what you hold there yourself; you lack {}", names.join(", "));
        return Err(Error::new(ErrorCode::Forbidden, message).with_details(json!({ "missing": names })));
    }
    if store::count(&mut unit.conn(), actor.workspace_id, user_id).await? >= MAX {
        return Err(Error::conflict(format!("you have {MAX} keys; revoke one first")));
    }
    let secret = new_token(TOKEN_PREFIX, hub.random.as_ref());
    let now = hub.now();
    let row = store::NewRow {
        id: hub.ids.api_key(),
        workspace_id: actor.workspace_id,
        user_id,
        name: &new.name,
        token: TokenDigest::of(secret.reveal()),
        permissions: new.permissions,
        scope: new.scope,
        networks,
        created_at: now,
        expires_at: ttl.map(|ttl| now.plus(ttl)),
    };
    let id = row.id;
    store::insert(&mut unit.conn(), row).await?;
    let details =
        json!({ "permissions": new.permissions, "scope": new.scope, "expires_at": ttl.map(|ttl| now.plus(ttl)) });
    unit.audit(actor, "api_key.create", Subject::new("api_key", &id, new.name.as_str()), Outcome::Ok, details).await?;
    if let Some(maker) = auth::person(&mut unit.conn(), user_id).await? {
        let workspace = workspaces::name(&mut unit.conn(), actor.workspace_id).await?;
        let notice = Notice::ApiKeyMade { key: new.name.as_str(), workspace: workspace.as_str(), ip: &actor.origin.ip };
        mail::notify(hub, &mut unit, &Recipient::of(&maker), &notice).await?;
    }
    let made = shown(&mut unit.conn(), id).await?;
    unit.commit().await?;
    Ok(KeyMade { key: made, token: secret.reveal().to_owned() })
}

/// Another secret for the same key; the old one is worth nothing at once.
async fn rotate(hub: &Hub, key: Authorized<ApiKey, ApiKeysManage>) -> Result<KeyMade> {
    let Authorized { actor, resource: key, .. } = key;
    let is_own = matches!(actor.principal, Principal::User { id, .. } if id == key.user_id);
    if !is_own {
        let refusal = Error::new(ErrorCode::Forbidden, "only who made a key can rotate it; revoke it instead");
        return audit::noting_refusal(hub, &actor, subject(&key), Err(refusal)).await;
    }
    let secret = new_token(TOKEN_PREFIX, hub.random.as_ref());
    let mut unit = hub.begin().await?;
    if !store::set_token(&mut unit.conn(), key.id, TokenDigest::of(secret.reveal())).await? {
        return Err(Error::not_found("API key"));
    }
    unit.audit(&actor, "api_key.rotate", subject(&key), Outcome::Ok, json!({})).await?;
    let made = shown(&mut unit.conn(), key.id).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(KeyMade { key: made, token: secret.reveal().to_owned() })
}

async fn revoke(hub: &Hub, key: Authorized<ApiKey, ApiKeysManage>) -> Result<()> {
    let Authorized { actor, resource: key, .. } = key;
    end(hub, &actor, key.id, subject(&key)).await
}

/// The key that a request came with.
#[derive(Debug)]
struct OwnKey {
    actor: Actor,
    id: ApiKeyId,
}

impl FromRequestParts<App> for OwnKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, hub: &App) -> Result<Self> {
        let actor = auth::authenticate(hub, parts).await?;
        match actor.principal {
            Principal::ApiKey { id, .. } => Ok(Self { actor, id }),
            _ => Err(Error::new(
                ErrorCode::Forbidden,
                "this ends the key that a request comes with, and this one came with none; name the key by its id",
            )),
        }
    }
}

/// A key may end itself, whatever it holds: whoever has it and needs it no more leaves nothing behind.
async fn revoke_own(hub: &Hub, OwnKey { actor, id }: OwnKey) -> Result<()> {
    let subject = Subject::new("api_key", &id, actor.name());
    end(hub, &actor, id, subject).await
}

async fn end(hub: &Hub, actor: &Actor, id: ApiKeyId, subject: Subject) -> Result<()> {
    let mut unit = hub.begin().await?;
    if !store::delete(&mut unit.conn(), id).await? {
        return Err(Error::not_found("API key"));
    }
    unit.audit(actor, "api_key.delete", subject, Outcome::Ok, json!({})).await?;
    unit.commit().await?;
    hub.http.recheck_streams();
    Ok(())
}

async fn shown(conn: &mut Conn<'_>, id: ApiKeyId) -> Result<KeyView> {
    let listed = store::listed(conn, id).await?.ok_or_else(|| Error::not_found("API key"))?;
    KeyView::of(listed).ok_or_else(|| Error::internal("a key whose scope cannot be read"))
}

fn subject(key: &ApiKey) -> Subject {
    Subject::new("api_key", &key.id, key.name.as_str())
}
