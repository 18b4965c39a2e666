//! Pages of the list of servers. Everybody who looks at a fleet asks for the same few again and again, so a page is
//! kept until a server in the database changes, and its text until one of its servers was heard of.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use protocol::WorkspaceId;
use serde::Serialize;
use utoipa::ToSchema;

use super::list::{After, Filter, PageRequest, Sort, Totals};
use super::model::Server;
use super::store;
use super::view::ServerView;
use crate::access::verbs::ServersRead;
use crate::access::{Reach, Visible};
use crate::clock::Timestamp;
use crate::db::{Memo, Table};
use crate::error::{Error, Result};
use crate::http::page::{self, Cursor, Limit};
use crate::hub::Hub;
use crate::metrics::{self, Live};

/// Pages that are kept; one of 50 servers takes some 100 KiB.
const KEPT: usize = 32;

/// Pages that somebody looked at just now.
#[derive(Debug)]
pub(super) struct Pages(Memo<Asked, Arc<KnownPage>>);

impl Default for Pages {
    fn default() -> Self {
        Self(Memo::new(&[Table::Servers, Table::ServerLabels], KEPT))
    }
}

/// Everything that a page depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    workspace_id: WorkspaceId,
    reach: Reach,
    filter: Filter,
    sort: Sort,
    cursor: Option<Cursor>,
    limit: Limit,
}

/// A page of servers as the database has them.
#[derive(Debug)]
pub(super) struct KnownPage {
    servers: Vec<Server>,
    next_cursor: Option<Cursor>,
    totals: Totals,
    text: Mutex<Option<Text>>,
}

/// A page as it was answered last.
#[derive(Debug)]
struct Text {
    moving: Moving,
    json: Bytes,
}

/// What the hub knows of the servers beside the database.
#[derive(Debug, PartialEq)]
struct Moving {
    heard_at: Vec<Option<Timestamp>>,
    live: Vec<Option<Live>>,
}

/// A page of servers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerList {
    /// The servers.
    data: Vec<ServerView>,
    /// What to send as `cursor` for the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<Cursor>,
    /// How many servers there are of each status; the filter counts, its `status` does not.
    totals: Totals,
}

/// Lists servers of the caller's workspace that the caller may see.
///
/// # Errors
/// 400 when the cursor is not one of this list.
pub(super) async fn list(
    hub: &Hub,
    visible: Visible<ServersRead>,
    filter: Filter,
    sort: Sort,
    cursor: Option<Cursor>,
    limit: Limit,
) -> Result<Arc<KnownPage>> {
    let workspace_id = visible.actor.workspace_id;
    let asked = Asked { workspace_id, reach: visible.reach, filter, sort, cursor, limit };
    let memo = &hub.servers.pages.0;
    let version = memo.version(&hub.db);
    if let Some(page) = memo.recall(&asked, version) {
        return Ok(page);
    }
    let page = Arc::new(read(hub, &asked).await?);
    memo.keep(asked, Arc::clone(&page), version);
    Ok(page)
}

async fn read(hub: &Hub, asked: &Asked) -> Result<KnownPage> {
    let Asked { workspace_id, reach, filter, sort, cursor, limit } = asked;
    let after = sort.after(cursor.as_ref())?;
    let mut session = hub.db.read().await?;
    let request =
        PageRequest { workspace_id: *workspace_id, filter, reach, sort: *sort, after, rows: limit.with_next() };
    let rows = store::page::page(&mut session.conn(), request).await?;
    let totals = store::page::totals(&mut session.conn(), *workspace_id, filter, reach).await?;
    let (rows, next_cursor) = page::cut(rows, *limit, |row| After {
        sort: sort.name().to_owned(),
        rank: row.rank,
        name_key: row.name_key.clone(),
        id: row.server.id.to_string(),
    })?;
    let servers = rows.into_iter().map(|row| row.server).collect();
    Ok(KnownPage { servers, next_cursor, totals, text: Mutex::default() })
}

impl KnownPage {
    /// The page as the API shows it now.
    pub(super) fn json(&self, hub: &Hub) -> Result<Bytes> {
        let moving = self.moving(hub);
        let kept = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = kept.as_ref().filter(|text| text.moving == moving) {
            return Ok(text.json.clone());
        }
        drop(kept);
        let json = written(&self.list(|server| ServerView::new(hub, server)))?;
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = Some(Text { moving, json: json.clone() });
        Ok(json)
    }

    /// The same with the last half hour of each server.
    pub(super) fn json_with_spark(&self, hub: &Hub) -> Result<Bytes> {
        written(&self.list(|server| ServerView::new(hub, server).with_spark(hub)))
    }

    fn moving(&self, hub: &Hub) -> Moving {
        let ids = || self.servers.iter().map(|server| server.id);
        Moving { heard_at: hub.gateway.heard_at_each(ids()), live: metrics::live_each(hub, ids()) }
    }

    fn list(&self, show: impl Fn(&Server) -> ServerView) -> ServerList {
        let data = self.servers.iter().map(show).collect();
        ServerList { data, next_cursor: self.next_cursor.clone(), totals: self.totals }
    }
}

fn written(list: &ServerList) -> Result<Bytes> {
    Ok(serde_json::to_vec(list).map_err(Error::internal)?.into())
}
