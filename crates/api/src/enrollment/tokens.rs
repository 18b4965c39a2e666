//! Making and withdrawing install tokens.

use std::time::Duration;

use protocol::enroll::INSTALL_TOKEN_PREFIX;
use serde_json::json;

use super::model::{InstallToken, MintedToken, NewInstallToken};
use super::{installer, store};
use crate::access::verbs::ServersEnroll;
use crate::access::{Actor, Authorized, Visible, authorize, in_workspace};
use crate::audit::Outcome;
use crate::db::{IdText, JsonText};
use crate::error::{Error, Result};
use crate::http::page::{Page, PageQuery, cut};
use crate::hub::Hub;
use crate::plans::{self, Quota};
use crate::projects::Project;
use crate::secret::{TokenDigest, new_token};
use crate::servers::{Labels, Name, Server};

const DEFAULT_TTL_S: u32 = 3_600;
const MIN_TTL_S: u32 = 60;
const MAX_TTL_S: u32 = 86_400;

/// Makes an install token and the line to paste.
pub(super) async fn mint(hub: &Hub, visible: Visible<ServersEnroll>, wanted: NewInstallToken) -> Result<MintedToken> {
    let ttl_s = wanted.ttl_s.unwrap_or(DEFAULT_TTL_S);
    if !(MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s) {
        return Err(Error::invalid_field("ttl_s", format!("must be from {MIN_TTL_S} to {MAX_TTL_S}")));
    }
    let name = wanted.name.map(|name| Name::parse("name", &name)).transpose()?;
    let labels = Labels::parse("labels", wanted.labels)?;
    let actor = visible.actor;
    let (project_id, server_id) = match (wanted.server_id, wanted.project_id) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid_field("project_id", "must not be given for a server that is there already"));
        }
        (Some(id), None) => {
            let server = server_to_reconnect(hub, &actor, &id).await?;
            (server.place().project_id, Some(server.id))
        }
        (None, Some(id)) => {
            (Some(authorize::<Project, ServersEnroll>(hub, actor.clone(), id).await?.resource.id), None)
        }
        (None, None) => {
            in_workspace::<ServersEnroll>(hub, actor.clone()).await?;
            (None, None)
        }
    };

    let secret = new_token(INSTALL_TOKEN_PREFIX, &*hub.random);
    let now = hub.now();
    let token = InstallToken {
        id: hub.ids.install_token(),
        workspace_id: actor.workspace_id,
        project_id: project_id.map(IdText),
        created_by: actor.user_id().map(|id| id.to_string()),
        name: name.map(|name| name.as_str().to_owned()),
        labels: JsonText(labels),
        server_id: server_id.map(|id| id.to_string()),
        created_at: now,
        expires_at: now.plus(Duration::from_secs(ttl_s.into())),
        used_at: None,
        nonce_digest: None,
        registered_server_id: None,
    };
    let mut unit = hub.begin().await?;
    if token.server_id.is_none() {
        plans::demand_room(&mut unit.conn(), token.workspace_id, Quota::Servers).await?;
    }
    store::insert(&mut unit.conn(), &token, TokenDigest::of(secret.reveal())).await?;
    let details = json!({ "ttl_s": ttl_s, "server_id": token.server_id, "project_id": project_id });
    unit.audit(&actor, "install_token.create", token.subject(), Outcome::Ok, details).await?;
    unit.commit().await?;
    Ok(MintedToken {
        id: token.id.to_string(),
        command: installer::line(hub, &secret),
        token: secret.reveal().to_owned(),
        expires_at: token.expires_at,
        hub_fingerprint: hub.keys.fingerprint().to_string(),
    })
}

/// The tokens that the caller may use, newest first.
pub(super) async fn list(hub: &Hub, visible: &Visible<ServersEnroll>, page: PageQuery) -> Result<Page<InstallToken>> {
    let before = page.cursor.map(|cursor| cursor.key::<String>()).transpose()?;
    let before = before
        .map(|id| id.parse())
        .transpose()
        .map_err(|_| Error::bad_request("the cursor is not one of this list"))?;
    let mut session = hub.db.read().await?;
    let rows = store::list(&mut session.conn(), visible, before, page.limit).await?;
    let (data, next_cursor) = cut(rows, page.limit, |token| token.id.to_string())?;
    Ok(Page { data, next_cursor })
}

/// Makes a token useless before anybody used it.
pub(super) async fn withdraw(hub: &Hub, token: Authorized<InstallToken, ServersEnroll>) -> Result<()> {
    let Authorized { actor, resource, .. } = token;
    let mut unit = hub.begin().await?;
    if store::delete_unused(&mut unit.conn(), resource.id).await? == 0 {
        return Err(Error::conflict("the install token was used already; remove the server that it made instead"));
    }
    unit.audit(&actor, "install_token.delete", resource.subject(), Outcome::Ok, json!({})).await?;
    unit.commit().await
}

async fn server_to_reconnect(hub: &Hub, actor: &Actor, id: &str) -> Result<Server> {
    let id = id.parse().map_err(|_| Error::invalid_field("server_id", "must be the id of a server"))?;
    let server = authorize::<Server, ServersEnroll>(hub, actor.clone(), id).await?;
    Ok(server.resource)
}
