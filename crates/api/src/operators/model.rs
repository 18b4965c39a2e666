//! A registered key, and whose it is.

use protocol::{OperatorKeyId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// A public key that a person signs jobs with.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct OperatorKey {
    #[sqlx(try_from = "String")]
    pub(super) id: OperatorKeyId,
    #[sqlx(try_from = "String")]
    pub(super) user_id: UserId,
    pub(super) name: String,
    pub(super) public_key: String,
    pub(super) fingerprint: String,
    pub(super) created_at: Timestamp,
}

/// Whose key a signature was made with.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Signer {
    /// The person.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// Their name.
    pub user_name: String,
    /// What they call the key.
    pub key_name: String,
}

/// A registered key as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatorKey)]
pub(super) struct KeyView {
    #[schema(value_type = String, format = Uuid)]
    id: OperatorKeyId,
    /// What its owner calls it; the key's comment unless told.
    name: String,
    /// As `ssh-keygen -l` prints it.
    #[schema(example = "SHA256:uNiVztksCsDhcc0u9e8BrpLWgq5WNeBrYy9Wl3BYWE4")]
    fingerprint: String,
    /// The line for `operators` in a host's policy.
    public_key: String,
    created_at: Timestamp,
}

impl From<OperatorKey> for KeyView {
    fn from(key: OperatorKey) -> Self {
        let OperatorKey { id, name, fingerprint, public_key, created_at, .. } = key;
        Self { id, name, fingerprint, public_key, created_at }
    }
}
