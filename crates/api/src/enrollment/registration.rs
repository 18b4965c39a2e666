//! An agent registers: its install token becomes an agent token.

use protocol::enroll::{AGENT_TOKEN_PREFIX, INSTALL_TOKEN_PREFIX, RegisterRequest, RegisterResponse, Token};
use protocol::session::ByeCode;
use protocol::{ServerId, WorkspaceId};
use serde_json::json;

use super::model::InstallToken;
use super::store;
use crate::access::{Actor, RequestOrigin, Resource as _};
use crate::audit::Outcome;
use crate::error::{Error, ErrorCode, Result};
use crate::events::{Change, ChangeSubject};
use crate::http::Rate;
use crate::hub::{Hub, Unit};
use crate::plans::{self, Quota};
use crate::secret::{TokenDigest, new_token, sha256};
use crate::servers::{self, Name, NewServer, Server};

/// Per address. A fleet behind one address enrols in one go; a token cannot be guessed at any rate.
pub(super) const LIMIT: Rate = Rate { per_minute: 120, burst: 300 };
const MAX_TEXT: usize = 255;

/// Answers a registration by the state of its token.
pub(super) async fn register(hub: &Hub, origin: RequestOrigin, request: RegisterRequest) -> Result<RegisterResponse> {
    check_texts(&request)?;
    if request.hub_fingerprint.is_some_and(|pasted| pasted != hub.keys.fingerprint()) {
        return Err(Error::conflict(format!(
            "the key of this hub has the fingerprint {}, not the pasted one; copy the line again from the dashboard \
             (Servers, Add server)",
            hub.keys.fingerprint()
        )));
    }
    let Some(token) = Token::parse(INSTALL_TOKEN_PREFIX, request.token.reveal()) else {
        return Err(unknown_token());
    };
    let digest = TokenDigest::of(token.reveal());
    let nonce_digest = sha256(request.nonce.as_bytes()).to_string();
    let agent_token = new_token(AGENT_TOKEN_PREFIX, &*hub.random);
    let agent_digest = TokenDigest::of(agent_token.reveal());

    let mut unit = hub.begin().await?;
    let claimed = store::claim(&mut unit.conn(), digest.clone(), nonce_digest.clone(), hub.now()).await?;
    let server_id = match claimed {
        Some(token) => admit(hub, &mut unit, token, agent_digest, &origin, &request).await?,
        None => {
            let known = store::by_digest(&mut unit.conn(), digest).await?;
            answer_again(hub, &mut unit, known, &nonce_digest, agent_digest).await?
        }
    };
    unit.commit().await?;
    // Whoever still holds the server's former token is out.
    hub.gateway.close(server_id, ByeCode::Replaced);
    Ok(RegisterResponse {
        server_id,
        agent_token,
        hub_key: hub.keys.public(),
        hub_key_id: hub.keys.key_id(),
        ws_url: hub.config.public_url.websocket("/v1/agent"),
    })
}

/// The token is fresh: a new server, or a known one that is connected again.
async fn admit(
    hub: &Hub,
    unit: &mut Unit<'_>,
    token: InstallToken,
    agent_digest: TokenDigest,
    origin: &RequestOrigin,
    request: &RegisterRequest,
) -> Result<ServerId> {
    let server = match server_of(token.server_id.as_deref()) {
        Some(id) => reconnect(hub, unit, token.workspace_id, id, agent_digest).await?,
        None => {
            // A refusal leaves the token as it was.
            plans::demand_room(&mut unit.conn(), token.workspace_id, Quota::Servers).await?;
            let chosen = token.name.as_deref().and_then(|name| Name::parse("name", name).ok());
            let new = NewServer {
                workspace_id: token.workspace_id,
                name: chosen.unwrap_or_else(|| Name::from_hostname(&request.hostname)),
                labels: token.labels.0.clone(),
                project_id: token.place().project_id,
                token: agent_digest,
                machine_id_hash: request.machine_id_hash,
            };
            servers::register(hub, unit, new).await?
        }
    };
    store::set_registered(&mut unit.conn(), token.id, server.id).await?;
    let actor = Actor::agent(server.workspace_id, server.id, server.name.clone(), origin.clone());
    let details = json!({ "server_id": server.id, "reconnected": token.server_id.is_some() });
    unit.audit(&actor, "install_token.use", token.subject().on(server.id), Outcome::Ok, details).await?;
    unit.announce(Change {
        workspace_id: server.workspace_id,
        kind: "install_token.used",
        subject: ChangeSubject::new("install_token", &token.id).at(token.place()),
        data: json!({ "server_id": server.id }),
    });
    Ok(server.id)
}

async fn reconnect(
    hub: &Hub,
    unit: &mut Unit<'_>,
    workspace_id: WorkspaceId,
    id: ServerId,
    agent_digest: TokenDigest,
) -> Result<Server> {
    servers::set_agent_token(&mut unit.conn(), id, agent_digest, hub.now()).await?;
    let server = Server::load(&mut unit.conn(), workspace_id, id).await?;
    let server = server.filter(|server| server.workspace_id == workspace_id);
    server.ok_or_else(|| gone("the server of this install token was removed"))
}

/// The token was used. Whoever used it and never got the answer sends the same nonce again, and gets another agent
/// token in place of the lost one, which was not kept; once the agent has connected there is nothing to repeat.
async fn answer_again(
    hub: &Hub,
    unit: &mut Unit<'_>,
    known: Option<InstallToken>,
    nonce_digest: &str,
    agent_digest: TokenDigest,
) -> Result<ServerId> {
    let token = known.ok_or_else(unknown_token)?;
    let Some(used_at) = token.used_at else {
        return Err(gone("the install token has expired"));
    };
    if token.nonce_digest.as_deref() != Some(nonce_digest) {
        return Err(gone("the install token was used already"));
    }
    let server = match server_of(token.registered_server_id.as_deref()) {
        Some(id) => Server::load(&mut unit.conn(), token.workspace_id, id).await?,
        None => None,
    };
    let server = server.ok_or_else(|| gone("the server that registered with this install token was removed"))?;
    let connected = hub.gateway.link(server.id).is_some() || server.last_seen_at.is_some_and(|seen| seen > used_at);
    if connected || server.revoked_at.is_some() {
        return Err(gone("the install token was used already, and its agent has connected"));
    }
    servers::set_agent_token(&mut unit.conn(), server.id, agent_digest, hub.now()).await?;
    Ok(server.id)
}

fn server_of(id: Option<&str>) -> Option<ServerId> {
    id.and_then(|id| id.parse().ok())
}

fn check_texts(request: &RegisterRequest) -> Result<()> {
    let texts = [
        ("hostname", &request.hostname),
        ("os", &request.os),
        ("arch", &request.arch),
        ("agent_version", &request.agent_version),
    ];
    let too_long = texts.into_iter().filter(|(_, text)| text.len() > MAX_TEXT);
    let problems: Vec<_> =
        too_long.map(|(field, _)| (field.to_owned(), format!("must not be longer than {MAX_TEXT} bytes"))).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid_fields(problems)) }
}

fn unknown_token() -> Error {
    let message = "the install token is not one of this hub's; make a new line in the dashboard (Servers, Add server)";
    Error::new(ErrorCode::Unauthenticated, message)
}

fn gone(what: &str) -> Error {
    Error::new(ErrorCode::Gone, format!("{what}; make a new line in the dashboard (Servers, Add server)"))
}
