//! Servers: what they are, whether they can be reached, who may change them.

pub mod agent;
mod facts;
mod model;
mod presence;
mod state;
mod store;
mod task;
mod view;
mod watch;

pub use facts::{AgentFacts, Facts, HostFacts, PolicyFacts, PolicyOrigin};
pub use model::{Labels, Name, NewServer, Server, Status};
pub use state::State;
pub use store::AgentIdentity;
pub use task::{start, sweep};
pub use view::ServerView;

use crate::db::Conn;
use crate::error::{Error, Result};
use crate::hub::{Hub, Unit};
use crate::secret::TokenDigest;
use protocol::ServerId;

/// Adds a server that registers. The caller audits it and commits.
///
/// # Errors
/// When it cannot be written.
pub async fn register(hub: &Hub, unit: &mut Unit<'_>, new: NewServer) -> Result<Server> {
    let id = hub.ids.server();
    let row = store::NewRow {
        id,
        workspace_id: new.workspace_id,
        name: &new.name,
        labels: &new.labels,
        token: new.token,
        machine_id_hash: new.machine_id_hash,
        registered_at: hub.now(),
    };
    store::insert(&mut unit.conn(), row).await?;
    let server = store::by_id(&mut unit.conn(), new.workspace_id, id).await?;
    let server = server.ok_or_else(|| Error::not_found("server"))?;
    unit.announce(view::change(hub, "server.created", &server)?);
    Ok(server)
}

/// Gives a server another agent token, when it enrols again: the one before stops working, and a revoked server may
/// come back. The caller closes the old connection after commit (`hub.gateway.close(id, ByeCode::Replaced)`).
///
/// # Errors
/// 404 when there is no such server, or it cannot be written.
pub async fn set_agent_token(conn: &mut Conn<'_>, id: ServerId, token: TokenDigest) -> Result<()> {
    match store::set_token(conn, id, token).await? {
        0 => Err(Error::not_found("server")),
        _ => Ok(()),
    }
}

/// The server that an agent token belongs to; `None` for an unknown or revoked one.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_agent_token(hub: &Hub, token: TokenDigest) -> Result<Option<AgentIdentity>> {
    let mut session = hub.db.read().await?;
    Ok(store::by_token(&mut session.conn(), token).await?)
}

/// Routes of servers.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<crate::hub::App> {
    utoipa_axum::router::OpenApiRouter::new()
}
