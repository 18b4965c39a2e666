//! Built-in roles as sets of nodes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::node::{Node, NodeSet};

/// A role that every workspace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[schema(as = BuiltInRole)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Everything; every workspace has at least one, over the whole of it.
    Owner,
    /// Everything but handing the workspace on, closing it, and running the hub.
    Admin,
    /// Servers and what is on them.
    Operator,
    /// Sees everything that happens and ends what should not.
    Moderator,
    /// Sees servers and jobs.
    Viewer,
    /// Sees what was granted, and nothing that others do with it.
    Customer,
}

impl Role {
    /// Every role, widest first.
    pub const ALL: [Self; 6] =
        [Self::Owner, Self::Admin, Self::Operator, Self::Moderator, Self::Viewer, Self::Customer];

    /// What it holds. Deny by default.
    #[must_use]
    pub const fn nodes(self) -> NodeSet {
        match self {
            Self::Owner => NodeSet::ALL,
            Self::Admin => NodeSet::ALL.without(NodeSet::of(&[Node::WorkspaceClose, Node::HubManage])),
            Self::Operator => NodeSet::of(&[
                Node::ServersRead,
                Node::ServersEnroll,
                Node::ServersManage,
                Node::ServersExec,
                Node::JobsRead,
                Node::JobsCancel,
                Node::ProjectsRead,
                Node::EventsRead,
                Node::ApiKeysCreate,
            ]),
            Self::Moderator => NodeSet::of(&[
                Node::ServersRead,
                Node::JobsRead,
                Node::JobsCancel,
                Node::ProjectsRead,
                Node::EventsRead,
                Node::MembersRead,
                Node::AuditRead,
                Node::ApiKeysCreate,
            ]),
            Self::Viewer => NodeSet::of(&[
                Node::ServersRead,
                Node::JobsRead,
                Node::ProjectsRead,
                Node::EventsRead,
                Node::ApiKeysCreate,
            ]),
            Self::Customer => NodeSet::of(&[Node::ServersRead, Node::EventsRead]),
        }
    }

    /// The word in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Moderator => "moderator",
            Self::Viewer => "viewer",
            Self::Customer => "customer",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// What it is for, for people who grant it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Owner => "Everything, closing the workspace included",
            Self::Admin => "Everything but handing the workspace on and closing it",
            Self::Operator => "Servers and what is on them",
            Self::Moderator => "Sees everything that happens and ends what should not",
            Self::Viewer => "Sees servers and jobs, changes nothing",
            Self::Customer => "Sees what was granted and nothing else",
        }
    }
}
