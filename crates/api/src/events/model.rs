//! What a change is, before and after it is recorded, and how the stream shows it.

use std::fmt;

use protocol::{ServerId, WorkspaceId};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Node, Place};
use crate::clock::Timestamp;

/// Something that changed, before it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// `<area>.<what>`, e.g. `job.state`.
    pub kind: &'static str,
    /// The thing that changed.
    pub subject: ChangeSubject,
    /// What the API would show of it.
    pub data: Value,
}

/// The thing that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSubject {
    /// `server`, `job`, …
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Where it lies. The project may be left out for what is on a server.
    pub place: Place,
}

impl ChangeSubject {
    /// What concerns the workspace as a whole.
    pub fn new(kind: &'static str, id: &impl ToString) -> Self {
        Self { kind, id: id.to_string(), place: Place::WORKSPACE }
    }

    /// A server.
    #[must_use]
    pub fn server(id: ServerId) -> Self {
        Self::new("server", &id).at(Place { project_id: None, server_id: Some(id) })
    }

    /// The same, there.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

/// What one must hold to see changes of such a subject.
pub(super) fn needed(subject_kind: &str) -> Node {
    match subject_kind {
        "server" => Node::ServersRead,
        "job" | "job_batch" => Node::JobsRead,
        "install_token" => Node::ServersEnroll,
        // What is not named here is for those who run the workspace.
        _ => Node::WorkspaceManage,
    }
}

/// A change that was committed, or a live value.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number in the workspace; `None` for live values, which are never replayed.
    pub id: Option<Position>,
    /// When.
    pub at: Timestamp,
    /// The change.
    pub change: Change,
}

/// The number of a change in its workspace: 1, 2, 3, without holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct Position(i64);

impl Position {
    /// The position with this number; 0 is before the first change.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The position after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// From a `Last-Event-ID`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= 0).map(Self)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What `data:` of an event holds. `event:` repeats `type`, `id:` repeats `id`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StreamEvent {
    /// To resume after it; null for live values.
    #[schema(required, value_type = Option<String>)]
    pub id: Option<Position>,
    /// When.
    pub at: Timestamp,
    /// `<area>.<what>`, e.g. `job.state`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The thing that changed.
    pub subject: StreamSubject,
    /// What the API shows of it.
    #[schema(value_type = Object)]
    pub data: Value,
    /// Where it lies.
    #[serde(skip)]
    pub place: Place,
}

/// The thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct StreamSubject {
    /// `server`, `job`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

impl From<&Recorded> for StreamEvent {
    fn from(recorded: &Recorded) -> Self {
        let Recorded { id, at, change } = recorded;
        let subject = StreamSubject { kind: change.subject.kind.to_owned(), id: change.subject.id.clone() };
        let place = change.subject.place;
        Self { id: *id, at: *at, kind: change.kind.to_owned(), subject, data: change.data.clone(), place }
    }
}

/// `data:` of the events `hello` and `reset`.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct StreamStart {
    /// Where the stream goes on from.
    #[schema(value_type = String)]
    pub(super) id: Position,
}
