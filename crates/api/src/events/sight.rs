//! Which changes one follower may see.

use std::collections::HashMap;

use protocol::{ServerId, WorkspaceId};

use super::model::{StreamEvent, needed};
use crate::access::{Actor, Place, Rights, Scope};
use crate::error::Result;
use crate::hub::App;
use crate::ids::ProjectId;
use crate::projects;

/// Servers whose project is remembered; beyond them the memory starts afresh.
const REMEMBERED: usize = 10_000;

/// The sight of one follower. Its rights are those that it came with: the stream ends when they change.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) workspace_id: WorkspaceId,
    rights: Rights,
    projects: HashMap<ServerId, Option<ProjectId>>,
}

impl Sight {
    pub(super) fn of(actor: &Actor) -> Self {
        Self { workspace_id: actor.workspace_id, rights: actor.rights.clone(), projects: HashMap::new() }
    }

    /// Whether this change may be seen.
    pub(super) async fn covers(&mut self, hub: &App, event: &StreamEvent) -> Result<bool> {
        let node = needed(&event.subject.kind);
        // Nearly everybody.
        if self.rights.allow(node, Place::WORKSPACE) {
            return Ok(true);
        }
        if !self.rights.anywhere().contains(node) {
            return Ok(false);
        }
        let place = self.place(hub, event).await?;
        Ok(self.rights.allow(node, place))
    }

    async fn place(&mut self, hub: &App, event: &StreamEvent) -> Result<Place> {
        let Some(server_id) = event.place.server_id else { return Ok(event.place) };
        if event.kind == "server.updated" {
            // It may have been moved.
            self.projects.remove(&server_id);
        }
        if event.place.project_id.is_some() {
            return Ok(event.place);
        }
        if let Some(project_id) = self.projects.get(&server_id) {
            return Ok(Place { project_id: *project_id, ..event.place });
        }
        let mut session = hub.db.read().await?;
        let place = projects::place_of(&mut session.conn(), self.workspace_id, Scope::Server(server_id)).await?;
        let project_id = place.and_then(|place| place.project_id);
        if self.projects.len() >= REMEMBERED {
            self.projects.clear();
        }
        self.projects.insert(server_id, project_id);
        Ok(Place { project_id, ..event.place })
    }
}
