//! A project and its name.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::store;
use crate::access::{Node, Place, Resource};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::line::one_line;

/// A group of servers inside a workspace.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Project {
    /// Its id.
    #[sqlx(try_from = "String")]
    pub id: ProjectId,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub workspace_id: WorkspaceId,
    /// What people call it.
    pub name: ProjectName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows with each change.
    pub version: i64,
}

impl Resource for Project {
    const WORD: &'static str = "project";
    const READ: Node = Node::ProjectsRead;
    type Id = ProjectId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: ProjectId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async { Ok(Place { project_id: Some(self.id), server_id: None }) }.boxed()
    }
}

/// One line of 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 80)]
#[sqlx(transparent)]
pub struct ProjectName(String);

impl ProjectName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as names are compared: letters folded.
    pub(super) fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for ProjectName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_line(&text, 80).map(Self)
    }
}

/// A project in lists.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Listed {
    #[sqlx(flatten)]
    pub(super) project: Project,
    pub(super) name_key: String,
    pub(super) servers: i64,
}

/// A project as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
pub(super) struct ProjectView {
    #[schema(value_type = uuid::Uuid)]
    id: ProjectId,
    name: ProjectName,
    created_at: Timestamp,
    /// How many servers are in it; null where only the project itself was asked for.
    #[schema(required)]
    servers: Option<i64>,
    version: i64,
}

impl From<Project> for ProjectView {
    fn from(project: Project) -> Self {
        let Project { id, name, created_at, version, .. } = project;
        Self { id, name, created_at, servers: None, version }
    }
}

impl From<Listed> for ProjectView {
    fn from(listed: Listed) -> Self {
        Self { servers: Some(listed.servers), ..Self::from(listed.project) }
    }
}
