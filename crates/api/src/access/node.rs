//! Every permission node, once: its name in grants and the type that handlers demand.

/// A permission that a type stands for.
pub trait Verb: Send + Sync + 'static {
    /// The node it needs.
    const NODE: Node;
}

macro_rules! nodes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A permission node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Node {
            $($(#[$doc])* $variant,)*
        }

        impl Node {
            /// Every node.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// `area.verb`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// One type per node, for `Authorized<Resource, Verb>`.
        pub mod verbs {
            use super::{Node, Verb};
            $(
                $(#[$doc])*
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
    /// Rename, label, revoke and remove servers.
    ServersManage = "servers.manage",
    /// Run commands on servers, as good as root there.
    ServersExec = "servers.exec",
    /// See jobs and their logs.
    JobsRead = "jobs.read",
    /// End jobs.
    JobsCancel = "jobs.cancel",
    /// Read the audit log.
    AuditRead = "audit.read",
    /// Follow what changes.
    EventsRead = "events.read",
}
