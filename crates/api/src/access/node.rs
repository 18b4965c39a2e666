//! Every permission node, once: its name in grants and the type that handlers demand.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// A permission that a type stands for.
pub trait Verb: Send + Sync + 'static {
    /// The node it needs.
    const NODE: Node;
    /// Whether a session must have proved a short while ago whose it is.
    const FRESH: bool = Self::NODE.is_dangerous();
}

/// As `V`, and dangerous whatever its node: for some deeds of a node that has harmless ones as well.
#[derive(Debug, Clone, Copy)]
pub struct Fresh<V>(std::marker::PhantomData<V>);

impl<V: Verb> Verb for Fresh<V> {
    const NODE: Node = V::NODE;
    const FRESH: bool = true;
}

/// As `V`, and harmless whatever its node: for looking at what only those may see who may change it.
#[derive(Debug, Clone, Copy)]
pub struct Look<V>(std::marker::PhantomData<V>);

impl<V: Verb> Verb for Look<V> {
    const NODE: Node = V::NODE;
    const FRESH: bool = false;
}

macro_rules! nodes {
    ($(#[doc = $doc:literal] $variant:ident = $name:literal,)*) => {
        /// A permission node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Node {
            $(#[doc = $doc] $variant,)*
        }

        impl Node {
            /// Every node.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// `area.verb`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it allows, for people who grant it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc.trim_ascii_start(),)* }
            }
        }

        /// One type per node, for `Authorized<Resource, Verb>`.
        pub mod verbs {
            use super::{Node, Verb};
            $(
                #[doc = $doc]
                #[derive(Debug, Clone, Copy)]
                pub struct $variant;

                impl Verb for $variant {
                    const NODE: Node = Node::$variant;
                }
            )*
        }
    };
}

nodes! {
    /// See servers, their metrics and facts.
    ServersRead = "servers.read",
    /// Add servers: make install tokens.
    ServersEnroll = "servers.enroll",
    /// Rename, label, restrict, revoke and remove servers.
    ServersManage = "servers.manage",
    /// Run commands on servers, as good as root there.
    ServersExec = "servers.exec",
    /// See jobs and their logs.
    JobsRead = "jobs.read",
    /// End jobs.
    JobsCancel = "jobs.cancel",
    /// See projects.
    ProjectsRead = "projects.read",
    /// Make, rename and remove projects, and move servers between them.
    ProjectsManage = "projects.manage",
    /// Follow what changes.
    EventsRead = "events.read",
    /// See who is a member, with their rights.
    MembersRead = "members.read",
    /// Invite and remove members, and grant what one holds oneself.
    MembersManage = "members.manage",
    /// Make and change roles of the workspace's own, out of what one holds oneself.
    RolesManage = "roles.manage",
    /// Make API keys that hold no more than their maker.
    ApiKeysCreate = "api-keys.create",
    /// See and revoke everybody's API keys.
    ApiKeysManage = "api-keys.manage",
    /// Read the audit log.
    AuditRead = "audit.read",
    /// Remove personal data from records of the audit log.
    AuditRedact = "audit.redact",
    /// Have the hub call URLs when something happens (saying what and where needs audit.read too), and see whom it told.
    WebhooksManage = "webhooks.manage",
    /// Rename the workspace and change its rules.
    WorkspaceManage = "workspace.manage",
    /// Hand the workspace to another owner, or close it.
    WorkspaceClose = "workspace.close",
    /// Run the hub: plans of all its workspaces. Counts in the hub's first workspace only.
    HubManage = "hub.manage",
}

impl Node {
    /// Whether what it allows gives or takes power, so that a session that somebody left open is not enough for it.
    #[must_use]
    pub const fn is_dangerous(self) -> bool {
        match self {
            Self::MembersManage
            | Self::RolesManage
            | Self::ApiKeysCreate
            | Self::ApiKeysManage
            | Self::AuditRedact
            | Self::WebhooksManage
            | Self::WorkspaceManage
            | Self::WorkspaceClose => true,
            Self::ServersRead
            | Self::ServersEnroll
            | Self::ServersManage
            | Self::ServersExec
            | Self::JobsRead
            | Self::JobsCancel
            | Self::ProjectsRead
            | Self::ProjectsManage
            | Self::EventsRead
            | Self::MembersRead
            | Self::AuditRead
            | Self::HubManage => false,
        }
    }

    /// The node with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|node| node.as_str() == name)
    }
}

/// Several nodes. Written as a list of names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, ToSchema)]
#[serde(try_from = "Vec<String>")]
#[schema(value_type = Vec<String>)]
pub struct NodeSet(u64);

impl NodeSet {
    /// Every node.
    pub const ALL: Self = Self::of(Node::ALL);

    /// These nodes.
    #[must_use]
    pub const fn of(nodes: &[Node]) -> Self {
        let mut bits = 0;
        let mut rest = nodes;
        while let [node, others @ ..] = rest {
            bits |= 1 << *node as u32;
            rest = others;
        }
        Self(bits)
    }

    /// The nodes with these names; names that this version does not know are left out.
    #[must_use]
    pub fn known(names: &[String]) -> Self {
        Self::of(&names.iter().filter_map(|name| Node::named(name)).collect::<Vec<_>>())
    }

    /// Whether `node` is one of them.
    #[must_use]
    pub const fn contains(self, node: Node) -> bool {
        self.0 & (1 << node as u32) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Node> {
        Node::ALL.iter().copied().filter(move |node| self.contains(*node))
    }

    /// Their names.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Node::as_str).collect()
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Serialize for NodeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl TryFrom<Vec<String>> for NodeSet {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        match names.iter().find(|name| Node::named(name).is_none()) {
            Some(unknown) => Err(format!("holds the unknown permission {unknown:?}")),
            None => Ok(Self::known(&names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sets_of_names() {
        let some = NodeSet::of(&[Node::ServersExec, Node::ServersRead]);
        assert_eq!(some.names(), ["servers.read", "servers.exec"]);
        assert!(some.contains(Node::ServersExec) && !some.contains(Node::JobsRead));
        assert_eq!(some.and(NodeSet::ALL), NodeSet::ALL);
        assert_eq!(NodeSet::ALL.without(some).common(some), NodeSet::default());
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(serde_json::from_str::<NodeSet>(&text).unwrap(), some);
        assert!(serde_json::from_str::<NodeSet>("[\"servers.read\",\"servers.fly\"]").is_err());
        assert_eq!(NodeSet::known(&["servers.fly".to_owned()]), NodeSet::default());
        assert!(Node::ALL.len() < 64 && NodeSet::ALL.iter().count() == Node::ALL.len());
    }

    #[test]
    fn every_node_says_what_it_allows() {
        for node in Node::ALL {
            assert!(node.meaning().ends_with('.') && !node.meaning().starts_with(' '), "{}", node.as_str());
        }
    }
}
