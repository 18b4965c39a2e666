//! Which servers a list shows, in which order.

use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Status;
use crate::access::Reach;
use crate::error::{Error, Result};
use crate::http::page::Cursor;
use crate::ids::ProjectId;

/// Most labels in one filter.
pub(super) const MAX_LABELS: usize = 8;
/// Longest text to search for, characters.
const MAX_TEXT: usize = 100;

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// With one of these statuses; none named means any.
    pub(super) statuses: Vec<Status>,
    /// With all of these labels, each `key:value`.
    pub(super) labels: Vec<String>,
    /// With this text in the name or the host name, folded.
    pub(super) text: String,
    /// In this project.
    pub(super) project_id: Option<ProjectId>,
}

impl Filter {
    /// Takes a filter as somebody typed it.
    ///
    /// # Errors
    /// 400 when it holds too much, or a label is none.
    pub fn parse(mut statuses: Vec<Status>, mut labels: Vec<String>, text: Option<&str>) -> Result<Self> {
        statuses.sort_unstable();
        statuses.dedup();
        labels.sort_unstable();
        labels.dedup();
        if labels.len() > MAX_LABELS {
            return Err(Error::bad_request(format!(
                "the query parameter label can be given {MAX_LABELS} times at most"
            )));
        }
        if let Some(label) = labels.iter().find(|label| !label.contains(':')) {
            return Err(Error::bad_request(format!("the query parameter label must be key:value, not {label:?}")));
        }
        let text = text.unwrap_or_default().trim();
        if text.chars().count() > MAX_TEXT {
            return Err(Error::bad_request(format!("the query parameter q takes {MAX_TEXT} characters at most")));
        }
        Ok(Self { statuses, labels, text: text.to_lowercase(), project_id: None })
    }

    /// Whether it lets every server through, whatever its status.
    pub(super) fn is_open(&self) -> bool {
        self.labels.is_empty() && self.text.is_empty() && self.project_id.is_none()
    }

    /// The same in one project only.
    #[must_use]
    pub fn in_project(self, project_id: Option<ProjectId>) -> Self {
        Self { project_id, ..self }
    }

    /// Its project as a statement compares it: empty for any.
    pub(super) fn project(&self) -> String {
        self.project_id.map(|id| id.to_string()).unwrap_or_default()
    }
}

/// In which order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, ToSchema)]
pub enum Sort {
    /// By name.
    #[default]
    #[serde(rename = "name")]
    Name,
    /// By name, backwards.
    #[serde(rename = "-name")]
    NameDescending,
    /// Online first, then by name.
    #[serde(rename = "status")]
    Status,
    /// Longest not heard of first.
    #[serde(rename = "last_seen_at")]
    LastSeen,
    /// Heard of last first.
    #[serde(rename = "-last_seen_at")]
    LastSeenDescending,
}

/// Where a page ends, in the terms of every order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct After {
    pub(super) sort: String,
    pub(super) rank: i64,
    pub(super) name_key: String,
    pub(super) id: String,
}

impl Sort {
    /// Where the page after `cursor` starts.
    pub(super) fn after(self, cursor: Option<&Cursor>) -> Result<Option<After>> {
        let Some(cursor) = cursor else { return Ok(None) };
        let after: After = cursor.key()?;
        if after.sort != self.name() {
            return Err(Error::bad_request("the cursor belongs to another order of the list; start without it"));
        }
        Ok(Some(after))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NameDescending => "-name",
            Self::Status => "status",
            Self::LastSeen => "last_seen_at",
            Self::LastSeenDescending => "-last_seen_at",
        }
    }
}

/// How many servers there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Totals {
    /// Online.
    pub online: i64,
    /// Suspect.
    pub suspect: i64,
    /// Offline.
    pub offline: i64,
    /// Pending.
    pub pending: i64,
    /// Revoked.
    pub revoked: i64,
}

impl Totals {
    pub(super) fn add(&mut self, status: Status, number: i64) {
        let total = match status {
            Status::Online => &mut self.online,
            Status::Suspect => &mut self.suspect,
            Status::Offline => &mut self.offline,
            Status::Pending => &mut self.pending,
            Status::Revoked => &mut self.revoked,
        };
        *total += number;
    }
}

/// A page to read.
pub(super) struct PageRequest<'f> {
    pub(super) workspace_id: WorkspaceId,
    pub(super) filter: &'f Filter,
    pub(super) reach: &'f Reach,
    pub(super) sort: Sort,
    pub(super) after: Option<After>,
    pub(super) rows: i64,
}
