//! Operators: people who sign jobs with an SSH key of their own, for hosts that ask for more than the hub's word.
//!
//! The hub keeps public halves only. It looks at signatures so that a wrong one is refused where it is given; what
//! counts is the host's own look, by the keys that its policy file lists.

mod key;
mod model;
mod routes;
mod signature;
mod store;
#[cfg(test)]
mod tests;

use protocol::{OperatorKeyId, WorkspaceId};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;

pub use model::Signer;
pub use signature::Signature;

use crate::audit::{Outcome, Subject};
use crate::auth::Person;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::{App, Hub};
use key::PublicKey;
use model::{KeyView, OperatorKey};

/// Keys that one person can register.
const MAX_KEYS: i64 = 20;

/// The routes of this slice.
pub fn routes() -> OpenApiRouter<App> {
    routes::routes()
}

/// The member of a workspace whose key has this fingerprint; `None` when nobody there registered it.
///
/// # Errors
/// When the database cannot be read.
pub async fn signer(conn: &mut Conn<'_>, workspace_id: WorkspaceId, fingerprint: &str) -> Result<Option<Signer>> {
    Ok(store::signer(conn, workspace_id, fingerprint).await?)
}

/// A page of a person's keys, newest first.
async fn list(hub: &Hub, person: &Person, page: PageQuery) -> Result<Page<KeyView>> {
    let before = page.cursor.as_ref().map(|cursor| cursor.key::<String>()).transpose()?;
    let mut session = hub.db.read().await?;
    let keys = store::list(&mut session.conn(), person.user.id, before, page.limit.with_next()).await?;
    let (keys, next_cursor) = cut(keys, page.limit, |key| key.id.to_string())?;
    Ok(Page { data: keys.into_iter().map(KeyView::from).collect(), next_cursor })
}

/// Registers a person's key.
async fn add(hub: &Hub, person: &Person, public_key: &str, name: Option<&str>) -> Result<OperatorKey> {
    let public = PublicKey::parse(public_key).map_err(|problem| Error::invalid_field("public_key", problem))?;
    let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(public.comment());
    if name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(Error::invalid_field("name", "must have at most 80 characters on one line"));
    }
    let key = OperatorKey {
        id: hub.ids.operator_key(),
        user_id: person.user.id,
        name: if name.is_empty() { "ssh-ed25519".to_owned() } else { name.to_owned() },
        public_key: public.line(),
        fingerprint: public.fingerprint(),
        created_at: hub.now(),
    };
    let mut unit = hub.begin().await?;
    if store::count(&mut unit.conn(), person.user.id).await? >= MAX_KEYS {
        return Err(Error::conflict(format!("{MAX_KEYS} keys are registered already; remove one first")));
    }
    if !store::insert(&mut unit.conn(), &key).await? {
        return Err(Error::conflict("this key is registered already"));
    }
    let details = json!({ "fingerprint": key.fingerprint });
    unit.audit(&person.actor, "operator_key.create", subject(&key), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(key)
}

/// Removes a person's key: signatures by it are not taken any more. Those that were given stay.
async fn remove(hub: &Hub, person: &Person, id: OperatorKeyId) -> Result<()> {
    let mut unit = hub.begin().await?;
    let Some(key) = store::delete(&mut unit.conn(), person.user.id, id).await? else {
        return Err(Error::not_found("operator key"));
    };
    let details = json!({ "fingerprint": key.fingerprint });
    unit.audit(&person.actor, "operator_key.delete", subject(&key), Outcome::Ok, details).await?;
    unit.commit().await
}

fn subject(key: &OperatorKey) -> Subject {
    Subject::new("operator_key", &key.id, key.name.as_str())
}
