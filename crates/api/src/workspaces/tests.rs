//! Promises of workspaces.
