//! Agent tokens are replaced: on demand, and before they grow old.
//!
//! The new token is stored beside the old one and sent over the live connection. The old one dies in the moment in which
//! the agent connects with the new one, never before; until then both are good, and a lost answer strands nobody.

use std::time::Duration;

use protocol::ServerId;
use protocol::enroll::{AGENT_TOKEN_PREFIX, Token};
use protocol::request::{TOKEN_ROTATE, TokenRotate};
use serde_json::json;

use super::model::Server;
use super::{reload, store, subject, view};
use crate::access::verbs::ServersManage;
use crate::access::{Actor, Authorized};
use crate::audit::Outcome;
use crate::background;
use crate::error::{Error, ErrorCode, Result};
use crate::gateway::AgentLink;
use crate::hub::App;
use crate::secret::{TokenDigest, new_token};

/// A token older than this is replaced.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A token that the agent has not used within this time is given up, and another one sent.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3600);
/// How often to look for old tokens.
const EVERY: Duration = Duration::from_secs(60);
/// Tokens that are replaced in one run.
const AT_ONCE: i64 = 20;
/// How long an agent may take to write the token down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts the task that replaces old tokens.
pub(super) fn start(app: &App) {
    background::spawn(
        app,
        "agent_tokens",
        EVERY,
        background::Wake::default(),
        |hub| async move { replace_old(&hub).await },
    );
}

/// Replaces the tokens of connected servers that have grown old.
///
/// # Errors
/// When the database cannot be used.
pub(super) async fn replace_old(app: &App) -> Result<()> {
    let now = app.now();
    let due = {
        let mut session = app.db.read().await?;
        let (old, stuck) = (now.minus(MAX_AGE), now.minus(GIVE_UP_AFTER));
        store::with_old_token(&mut session.conn(), old, stuck, AT_ONCE).await?
    };
    for (workspace_id, server_id) in due {
        if let Some(link) = app.gateway.link(server_id) {
            replace(app, &Actor::system(workspace_id), server_id, link).await?;
        }
    }
    Ok(())
}

/// Replaces a server's token now.
///
/// # Errors
/// 409 `server_offline` when it is not connected: the hub keeps no token that it could send later.
pub(super) async fn rotate(app: &App, server: Authorized<Server, ServersManage>) -> Result<Server> {
    let (actor, server) = (server.actor, server.resource);
    let Some(link) = app.gateway.link(server.id) else {
        let message = "the server is not connected, and a new token can only be sent over its connection; try again when \
                       it is online, or make an install token for it";
        return Err(Error::new(ErrorCode::ServerOffline, message));
    };
    replace(app, &actor, server.id, link).await
}

async fn replace(app: &App, actor: &Actor, server_id: ServerId, link: AgentLink) -> Result<Server> {
    let token = new_token(AGENT_TOKEN_PREFIX, app.random.as_ref());
    let mut unit = app.begin().await?;
    let digest = TokenDigest::of(token.reveal());
    if store::set_next_token(&mut unit.conn(), server_id, digest, app.now()).await? == 0 {
        return Err(Error::conflict("this server is revoked and has no token that could be replaced"));
    }
    let server = store::by_id(&mut unit.conn(), server_id).await?;
    let server = server.ok_or_else(|| Error::not_found("server"))?;
    unit.audit(actor, "server.rotate_token", subject(&server), Outcome::Ok, json!({})).await?;
    let after = reload(&mut unit, &server).await?;
    unit.announce(view::change(app, "server.updated", &after)?);
    unit.commit().await?;
    send(app, link, token);
    Ok(after)
}

/// The agent writes the token down and connects with it; that is what counts, not its answer.
fn send(app: &App, link: AgentLink, token: Token) {
    app.tasks.spawn(async move {
        let params = match serde_json::to_value(TokenRotate { token }) {
            Ok(params) => params,
            Err(error) => return tracing::error!(%error, "a token cannot be written"),
        };
        if let Err(error) = link.request(TOKEN_ROTATE, params, PATIENCE).await {
            tracing::warn!(server.id = %link.server_id, %error, "a new agent token was not taken; the old one stays good");
        }
    });
}
