//! What gives rights over a project, whoever has it: who moves a server into a project, or removes the project, gives it
//! to them or takes it from them.

use protocol::WorkspaceId;
use serde_json::{Value, json};

use super::node::NodeSet;
use super::store;
use crate::db::{Conn, DbError};
use crate::ids::ProjectId;

/// A grant, an invitation or an API key over a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `grant`, `invite` or `api_key`.
    pub(super) kind: String,
    /// Its id.
    pub(super) id: String,
    /// Whose it is: the member's id, the invited address, the key's name.
    pub(super) whose: String,
    /// What it gives there.
    pub(super) nodes: NodeSet,
}

impl Standing {
    /// Everything that stands over a project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn over(conn: &mut Conn<'_>, workspace: WorkspaceId, project: ProjectId) -> Result<Vec<Self>, DbError> {
        store::standing_over(conn, workspace, project).await
    }

    /// What they give together.
    #[must_use]
    pub fn nodes(all: &[Self]) -> NodeSet {
        all.iter().fold(NodeSet::default(), |nodes, one| nodes.and(one.nodes))
    }

    /// For the record of their end.
    #[must_use]
    pub fn shown(all: &[Self]) -> Value {
        let shown = |one: &Self| json!({ "type": one.kind, "id": one.id, "of": one.whose, "permissions": one.nodes });
        all.iter().map(shown).collect()
    }
}
