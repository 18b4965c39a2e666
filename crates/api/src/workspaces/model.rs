//! A workspace and its name.

use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::line::one_line;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
#[schema(as = WorkspaceRef)]
pub struct Workspace {
    /// Its id.
    #[sqlx(try_from = "String")]
    #[schema(value_type = uuid::Uuid)]
    pub id: WorkspaceId,
    /// What people call it.
    pub name: WorkspaceName,
}

/// A tenant with its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
#[schema(as = Workspace)]
pub(super) struct WorkspaceView {
    #[sqlx(try_from = "String")]
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: WorkspaceId,
    /// What people call it.
    pub(super) name: WorkspaceName,
    /// Whether members must have one-time codes on their accounts to act in it.
    pub(super) require_totp: bool,
    pub(super) created_at: Timestamp,
    pub(super) version: i64,
}

/// What of a workspace is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WorkspacePatch)]
pub(super) struct Patch {
    /// What people call it.
    pub(super) name: Option<WorkspaceName>,
    /// Whether members must have one-time codes on their accounts to act in it. Whoever turns this on must have them.
    pub(super) require_totp: Option<bool>,
}

/// One line of 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 80)]
#[sqlx(transparent)]
pub struct WorkspaceName(String);

impl WorkspaceName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for WorkspaceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_line(&text, 80).map(Self)
    }
}
