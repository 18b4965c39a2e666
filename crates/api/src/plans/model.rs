//! A plan, its limits, and how much of them is used.

use std::collections::BTreeMap;

use protocol::WorkspaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::line::one_line;
use crate::workspaces::WorkspaceName;

/// Features of one plan.
const MAX_FEATURES: usize = 64;

/// What a workspace may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it is called.
    pub name: PlanName,
    /// How much of what.
    pub limits: Limits,
    /// What it may use beyond the ordinary.
    pub features: Features,
    /// Grows with each change; 0 when nobody ever set one.
    pub version: i64,
}

impl Default for Plan {
    fn default() -> Self {
        let name = PlanName("unlimited".to_owned());
        Self { name, limits: Limits::default(), features: Features::default(), version: 0 }
    }
}

/// How much of what; what is not given is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = PlanLimits)]
pub struct Limits {
    /// Servers that are enrolled.
    #[schema(required)]
    pub servers: Option<u32>,
    /// Members, and people who are invited.
    #[schema(required)]
    pub members: Option<u32>,
}

impl Limits {
    /// By name, as a licence says them.
    #[must_use]
    pub fn by_name(self) -> BTreeMap<String, u64> {
        let named = [("servers", self.servers), ("members", self.members)];
        named.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), limit?.into()))).collect()
    }
}

/// One line of 1 to 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 40)]
#[sqlx(transparent)]
pub struct PlanName(String);

impl PlanName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PlanName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_line(&text, 40).map(Self)
    }
}

/// Words for features, such as `white_label`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Vec<String>")]
#[schema(value_type = Vec<String>, max_items = 64)]
pub struct Features(Vec<String>);

impl Features {
    /// One after the other.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Features {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        if words.len() > MAX_FEATURES {
            return Err(format!("must not be more than {MAX_FEATURES}"));
        }
        let is_word = |word: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            !word.is_empty() && word.len() <= 40 && word.bytes().all(plain)
        };
        match words.iter().find(|word| !is_word(word)) {
            Some(_) => Err("must be words of a-z, 0-9 and _, 40 letters at most".to_owned()),
            None => Ok(Self(words)),
        }
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema, sqlx::FromRow)]
#[schema(as = PlanUsed)]
pub(super) struct Used {
    /// Servers that are enrolled.
    pub(super) servers: i64,
    /// Members, and people who are invited.
    pub(super) members: i64,
}

/// A plan as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct PlanView {
    pub(super) name: PlanName,
    pub(super) limits: Limits,
    pub(super) features: Features,
    pub(super) used: Used,
    /// 0 when nobody ever set one.
    pub(super) version: i64,
}

/// A workspace to whoever runs the hub.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Tenant {
    #[sqlx(try_from = "String")]
    pub(super) id: WorkspaceId,
    pub(super) name: WorkspaceName,
    pub(super) created_at: Timestamp,
}

/// A workspace with its plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(super) struct TenantView {
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: WorkspaceId,
    pub(super) name: WorkspaceName,
    pub(super) created_at: Timestamp,
    pub(super) plan: PlanView,
}
