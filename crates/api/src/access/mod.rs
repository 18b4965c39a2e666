//! Who may do what: a handler never gets an id, it gets a resource that its caller is already allowed to use.
//!
//! `Authorized<Server, ServersExec>` is an extractor: it authenticates the caller, loads the server of the path and checks
//! workspace, place and permission. Forgetting the check does not compile, because services take the value. Where the id
//! comes in a body, [`authorize`] does the same. `Visible<ServersRead>` is its counterpart for lists: it holds the
//! [`Reach`] that the query is narrowed to.

mod actor;
mod extract;
mod installation;
mod node;
mod rights;
mod role;
mod scope;
mod standing;
mod store;
#[cfg(test)]
mod tests;

pub use actor::{Actor, Principal, RequestOrigin};
pub use extract::{
    Authorized, Installation, Resource, State, Visible, Workspace, authorize, in_workspace, refreshed, still,
};
pub use installation::{runs_hub, runs_hub_from_anywhere};
pub use node::{Fresh, Look, Node, NodeSet, Verb, verbs};
pub use rights::{Held, Rights};
pub use role::Role;
pub use scope::{Columns, Place, Reach, Scope};
pub use standing::Standing;

use protocol::{UserId, WorkspaceId};

use crate::db::{Conn, DbError, Table};

/// The tables that say who comes with a token, and what they may do.
pub const TABLES: &[Table] = &[
    Table::ApiKeys,
    Table::Grants,
    Table::Identities,
    Table::Members,
    Table::Passkeys,
    Table::Roles,
    Table::Sessions,
    Table::Totp,
    Table::Users,
    Table::Workspaces,
];

/// What somebody holds in a workspace; nothing when they are no member, or lack a second factor that it requires.
///
/// # Errors
/// When the database cannot be read.
pub async fn rights_of(conn: &mut Conn<'_>, workspace: WorkspaceId, user: UserId) -> Result<Rights, DbError> {
    Ok(Rights::new(store::held(conn, workspace, user).await?))
}

/// Makes changes to who may do what in a workspace wait for each other: what one of them reads after this stays true
/// until it is committed, so that two owners cannot remove each other at once.
///
/// # Errors
/// When the database cannot be written.
pub async fn hold(conn: &mut Conn<'_>, workspace: WorkspaceId) -> Result<(), DbError> {
    store::hold(conn, workspace).await
}
