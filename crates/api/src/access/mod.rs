//! Who may do what: a handler never gets an id, it gets a resource that its caller is already allowed to use.
//!
//! `Authorized<Server, ServersExec>` is an extractor: it authenticates the caller, loads the server of the path inside
//! the caller's workspace and checks the permission. Forgetting the check does not compile, because services take the
//! value. Where the id comes in a body, [`authorize`] does the same.

mod actor;
mod extract;
mod node;
mod role;
#[cfg(test)]
mod tests;

pub use actor::{Actor, Principal, RequestOrigin};
pub use extract::{Authorized, Resource, Workspace, authorize};
pub use node::{Node, Verb, verbs};
pub use role::Role;
