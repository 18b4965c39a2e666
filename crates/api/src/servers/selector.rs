//! Several servers at once, named by those who want something of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol::{ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::{Filter, PageRequest, Sort};
use super::model::{Labels, Server, Status};
use super::store;
use crate::access::{Place, Reach};
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::ids::ProjectId;

/// Servers that one selector can mean.
const MAX_SERVERS: usize = 10_000;

/// Which servers are meant. There is no empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ServerSelector)]
pub enum Selector {
    /// These, in this order.
    #[schema(value_type = Vec<String>)]
    ServerIds(Vec<ServerId>),
    /// Every one that has all of these labels.
    Labels(BTreeMap<String, String>),
    /// Every one of the workspace.
    All(bool),
}

/// A server that a selector means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The server.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// The project that it is in.
    pub project_id: Option<ProjectId>,
}

impl Selected {
    /// Where it lies.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place { project_id: self.project_id, server_id: Some(self.id) }
    }
}

/// The servers that a selector means now, of those within `reach`. Revoked ones cannot be named and are left out otherwise.
///
/// # Errors
/// 422 when it means none, too many, or one that cannot do anything.
pub async fn select(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    reach: &Reach,
    selector: &Selector,
) -> Result<Vec<Selected>> {
    let chosen = match selector {
        Selector::ServerIds(ids) => by_ids(conn, workspace_id, reach, ids).await?,
        Selector::Labels(labels) => {
            let labels = Labels::parse("selector.labels", labels.clone())?;
            matching(conn, workspace_id, reach, labels.pairs().collect()).await?
        }
        Selector::All(_) => matching(conn, workspace_id, reach, Vec::new()).await?,
    };
    if chosen.is_empty() {
        return Err(Error::invalid_field("selector", "matches no server"));
    }
    if chosen.len() > MAX_SERVERS {
        return Err(Error::invalid_field("selector", format!("must not mean more than {MAX_SERVERS} servers")));
    }
    Ok(chosen)
}

async fn matching(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    reach: &Reach,
    labels: Vec<String>,
) -> Result<Vec<Selected>> {
    let usable = Status::ALL.into_iter().filter(|status| *status != Status::Revoked).collect();
    let filter = Filter::parse(usable, labels, None)
        .map_err(|error| Error::invalid_field("selector.labels", error.message().to_owned()))?;
    let rows = i64::try_from(MAX_SERVERS + 1).unwrap_or(i64::MAX);
    let request = PageRequest { workspace_id, filter: &filter, reach, sort: Sort::Name, after: None, rows };
    let rows = store::page::page(conn, request).await?;
    let selected = |server: Server| {
        let project_id = server.place().project_id;
        Selected { id: server.id, name: server.name, project_id }
    };
    Ok(rows.into_iter().map(|row| selected(row.server)).collect())
}

async fn by_ids(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    reach: &Reach,
    ids: &[ServerId],
) -> Result<Vec<Selected>> {
    if ids.len() > MAX_SERVERS {
        return Err(Error::invalid_field(
            "selector.server_ids",
            format!("must not name more than {MAX_SERVERS} servers"),
        ));
    }
    let known = store::names(conn, workspace_id, ids).await?;
    // What is out of reach is not there.
    let known = known.into_iter().filter(|(server, _)| reach.covers(server.place()));
    let mut known: HashMap<ServerId, (Selected, bool)> = known.map(|found| (found.0.id, found)).collect();
    let mut chosen = Vec::with_capacity(ids.len());
    let mut seen = HashSet::with_capacity(ids.len());
    for id in ids {
        // Named twice is meant once.
        if !seen.insert(*id) {
            continue;
        }
        match known.remove(id) {
            Some((server, false)) => chosen.push(server),
            Some((Selected { name, .. }, true)) => {
                return Err(Error::invalid_field(
                    "selector.server_ids",
                    format!("names {name:?}, which is revoked and takes no jobs; enrol it again first"),
                ));
            }
            None => {
                return Err(Error::invalid_field(
                    "selector.server_ids",
                    format!("names {id}, and there is no such server"),
                ));
            }
        }
    }
    Ok(chosen)
}
