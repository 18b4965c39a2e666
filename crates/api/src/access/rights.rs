//! What somebody holds, and the one place where it is decided whether that is enough.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::node::{Node, NodeSet};
use super::scope::{Place, Reach, Scope};
use crate::error::{Error, ErrorCode, Result};

/// Nodes over a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Held {
    /// What may be done.
    pub nodes: NodeSet,
    /// Where.
    pub scope: Scope,
}

/// Everything that somebody holds in one workspace. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    held: Arc<[Held]>,
    /// An API key holds no more than its maker, and no more than this.
    limit: Option<Held>,
}

impl Rights {
    /// The sum of these grants.
    #[must_use]
    pub fn new(held: Vec<Held>) -> Self {
        Self { held: held.into(), limit: None }
    }

    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything, everywhere in the workspace.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(vec![Held { nodes: NodeSet::ALL, scope: Scope::Workspace }])
    }

    /// No more than this of them.
    #[must_use]
    pub fn limited(self, limit: Held) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// What may be done to something that lies there.
    #[must_use]
    pub fn at(&self, place: Place) -> NodeSet {
        let covering = self.held.iter().filter(|held| held.scope.covers(place));
        let nodes = covering.fold(NodeSet::default(), |nodes, held| nodes.and(held.nodes));
        match self.limit {
            Some(limit) if limit.scope.covers(place) => nodes.common(limit.nodes),
            Some(_) => NodeSet::default(),
            None => nodes,
        }
    }

    /// Whether that may be done to something that lies there.
    #[must_use]
    pub fn allow(&self, node: Node, place: Place) -> bool {
        self.at(place).contains(node)
    }

    /// The rule of giving: nobody gives or takes away what they do not hold there themselves.
    ///
    /// # Errors
    /// 403 that names what is missing.
    pub fn demand(&self, nodes: NodeSet, place: Place) -> Result<()> {
        let missing = nodes.without(self.at(place));
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.names();
        let message = format!("you can only give or take what you hold there yourself; you lack {}", names.join(", "));
        Err(Error::new(ErrorCode::Forbidden, message).with_details(json!({ "missing": names })))
    }

    /// What may be done somewhere, if only to one thing.
    #[must_use]
    pub fn anywhere(&self) -> NodeSet {
        let nodes = self.held.iter().fold(NodeSet::default(), |nodes, held| nodes.and(held.nodes));
        self.limit.map_or(nodes, |limit| nodes.common(limit.nodes))
    }

    /// Where that may be done.
    #[must_use]
    pub fn reach(&self, node: Node) -> Reach {
        let may = self.limit.is_none_or(|limit| limit.nodes.contains(node));
        let scopes = self.held.iter().filter(|held| may && held.nodes.contains(node)).map(|held| held.scope);
        Reach::new(scopes.collect(), self.limit.map(|limit| limit.scope))
    }

    /// The grants that they are the sum of, without the limit of a key.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use protocol::ServerId;
    use uuid::Uuid;

    use super::*;
    use crate::access::Role;
    use crate::ids::ProjectId;

    fn place(project: u128, server: u128) -> Place {
        Place {
            project_id: Some(ProjectId::new(Uuid::from_u128(project))),
            server_id: Some(ServerId::new(Uuid::from_u128(server))),
        }
    }

    #[test]
    fn grants_add_up_where_they_meet() {
        let project = Scope::Project(ProjectId::new(Uuid::from_u128(1)));
        let server = Scope::Server(ServerId::new(Uuid::from_u128(7)));
        let rights = Rights::new(vec![
            Held { nodes: Role::Viewer.nodes(), scope: project },
            Held { nodes: NodeSet::of(&[Node::ServersExec]), scope: server },
        ]);
        assert!(rights.allow(Node::ServersRead, place(1, 8)) && !rights.allow(Node::ServersExec, place(1, 8)));
        assert!(rights.allow(Node::ServersExec, place(2, 7)) && !rights.allow(Node::ServersRead, place(2, 7)));
        assert!(rights.allow(Node::ServersExec, place(1, 7)) && rights.allow(Node::ServersRead, place(1, 7)));
        assert_eq!(rights.at(Place::WORKSPACE), NodeSet::default());
        assert!(!rights.reach(Node::ServersRead).covers(place(2, 7)));
        assert!(rights.anywhere().contains(Node::ServersExec) && !rights.anywhere().contains(Node::AuditRead));
    }

    #[test]
    fn a_key_holds_no_more_than_its_maker_and_its_list() {
        let server = Scope::Server(ServerId::new(Uuid::from_u128(7)));
        let wanted = Held { nodes: NodeSet::of(&[Node::ServersExec, Node::ServersRead]), scope: server };
        let maker = Rights::new(vec![Held { nodes: Role::Viewer.nodes(), scope: Scope::Workspace }]);
        let key = maker.limited(wanted);
        assert_eq!(key.at(place(1, 7)).names(), ["servers.read"]);
        assert_eq!(key.at(place(1, 8)), NodeSet::default());
        assert_eq!(key.anywhere().names(), ["servers.read"]);
        assert!(!key.reach(Node::JobsRead).covers(place(1, 7)));
    }

    #[test]
    fn nobody_may_do_anything() {
        for node in Node::ALL {
            assert!(!Rights::none().allow(*node, Place::WORKSPACE) && !Rights::none().allow(*node, place(1, 1)));
            assert!(Rights::everything().allow(*node, Place::WORKSPACE));
        }
    }
}
