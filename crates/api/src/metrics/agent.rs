//! What arrives from agents: heartbeats.

use protocol::ServerId;
use protocol::heartbeat::Heartbeat;

use crate::events::{self, Change, ChangeSubject};
use crate::gateway::AgentLink;
use crate::hub::Hub;

/// Takes a sample: shows it to whoever looks, keeps it for history.
pub fn heartbeat(hub: &Hub, link: &AgentLink, beat: Heartbeat) {
    let now = hub.now();
    let (live, closed) = hub.metrics.rings().entry(link.server_id).or_default().take(beat, now);
    if let Some(minute) = closed {
        hub.metrics.push(link.server_id, minute);
    }
    match serde_json::to_value(live) {
        Ok(data) => events::announce_live(
            hub,
            Change {
                workspace_id: link.workspace_id,
                kind: "server.live",
                subject: ChangeSubject::server(link.server_id),
                data,
            },
        ),
        Err(error) => tracing::error!(server.id = %link.server_id, %error, "sample cannot be written as JSON"),
    }
}

/// The connection is gone.
pub fn disconnected(hub: &Hub, server: ServerId) {
    if let Some(ring) = hub.metrics.rings().get_mut(&server) {
        ring.disconnect();
    }
}
