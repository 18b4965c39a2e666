//! Built-in roles as sets of nodes.

use super::node::Node;

/// What a member may do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Everything; every workspace has at least one.
    Owner,
    /// Nothing.
    Nobody,
}

impl Role {
    /// Whether the role holds the node. Deny by default.
    #[must_use]
    pub const fn allows(self, _node: Node) -> bool {
        match self {
            Self::Owner => true,
            Self::Nobody => false,
        }
    }

    /// Names of all nodes the role holds, for the session's answer.
    #[must_use]
    pub fn permissions(self) -> Vec<&'static str> {
        Node::ALL.iter().filter(|node| self.allows(**node)).map(|node| node.as_str()).collect()
    }
}
