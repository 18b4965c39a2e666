//! What of a record is hashed, and how. Forms are never changed: what was hashed once must be checkable for ever.
//!
//! Form 1 hashes all of a record with the hash before it. Form 2 makes two steps of it, so that parts can be left out:
//!
//! - `sealed`: SHA-256 over a salt of the record's own and everything that may be personal (names, address, user agent,
//!   details). A redaction removes the values **and** the salt; the digest stays, and nobody can try out what it was of.
//! - the digest of the record: SHA-256 over the rest and `sealed`. An export shows it in place of records of other
//!   workspaces: the chain can be followed over them, and says nothing of them.
//! - the link: SHA-256 over the hash before and the digest.

use protocol::{Hex, WorkspaceId};
use serde::Serialize;

use super::model::{Entry, Outcome};
use crate::secret::sha256;

/// The form of new records.
pub(super) const NEWEST: i64 = 2;
/// What stands in `details` of a redacted record.
pub(super) const NO_DETAILS: &str = "{}";

const SEALED_PREFIX: &[u8] = b"roadstead-audit-sealed-v2\0";
const LINK_PREFIX: &[u8] = b"roadstead-audit-link-v2\0";

/// What form 1 hashes: these fields in this order, as JSON without spaces.
#[derive(Serialize)]
struct Whole<'a> {
    position: i64,
    id: &'a str,
    workspace_id: WorkspaceId,
    at_ms: i64,
    actor: [&'a str; 3],
    action: &'a str,
    subject: [&'a str; 3],
    #[serde(skip_serializing_if = "Option::is_none")]
    server_id: Option<&'a str>,
    result: Outcome,
    ip: &'a str,
    user_agent: &'a str,
    request_id: &'a str,
    details: &'a str,
}

/// What form 2 hashes.
#[derive(Serialize)]
struct Lasting<'a> {
    form: i64,
    position: i64,
    id: &'a str,
    workspace_id: WorkspaceId,
    at_ms: i64,
    actor: [&'a str; 2],
    action: &'a str,
    subject: [&'a str; 2],
    server_id: Option<&'a str>,
    result: Outcome,
    request_id: &'a str,
    sealed: &'a str,
}

/// What a redaction removes.
#[derive(Serialize)]
struct Removable<'a> {
    actor_name: &'a str,
    subject_name: &'a str,
    ip: &'a str,
    user_agent: &'a str,
    details: &'a str,
}

impl Entry {
    /// Seals what may have to be removed some day, under a fresh salt. For new records.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn seal(&mut self, salt: [u8; 32]) -> serde_json::Result<()> {
        let salt = Hex(salt);
        self.sealed = Some(self.sealed_under(&salt)?);
        self.salt = Some(salt.to_string());
        Ok(())
    }

    /// Takes away what may be personal, and the means to guess it.
    pub(super) fn blank(&mut self) {
        for text in [&mut self.actor_name, &mut self.subject_name, &mut self.ip, &mut self.user_agent] {
            text.clear();
        }
        NO_DETAILS.clone_into(&mut self.details);
        self.salt = None;
    }

    /// Whether the record was redacted: its seal cannot be opened any more.
    pub(super) fn is_redacted(&self) -> bool {
        self.form >= NEWEST && self.salt.is_none()
    }

    /// The link of the chain: the hash of this record at `position` and of all before it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn link(&self, prev_hash: &str, position: i64) -> serde_json::Result<String> {
        match self.digest(position)? {
            Some(digest) => Ok(link(prev_hash, &digest)),
            None => {
                let input = [prev_hash.as_bytes(), &serde_json::to_vec(&self.whole(position))?].concat();
                Ok(sha256(&input).to_string())
            }
        }
    }

    /// The digest that form 2 links; none in form 1.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn digest(&self, position: i64) -> serde_json::Result<Option<String>> {
        if self.form < NEWEST {
            return Ok(None);
        }
        let lasting = Lasting {
            form: self.form,
            position,
            id: &self.id,
            workspace_id: self.workspace_id,
            at_ms: self.at.as_ms(),
            actor: [&self.actor_type, &self.actor_id],
            action: &self.action,
            subject: [&self.subject_type, &self.subject_id],
            server_id: self.server_id.as_deref(),
            result: self.result,
            request_id: &self.request_id,
            sealed: self.sealed.as_deref().unwrap_or_default(),
        };
        Ok(Some(sha256(&serde_json::to_vec(&lasting)?).to_string()))
    }

    /// Whether what may be removed is what was sealed, or is gone altogether.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn keeps_its_seal(&self) -> serde_json::Result<bool> {
        if self.form < NEWEST {
            return Ok(self.salt.is_none() && self.sealed.is_none());
        }
        let Some(salt) = &self.salt else {
            let gone = [&self.actor_name, &self.subject_name, &self.ip, &self.user_agent];
            return Ok(self.sealed.is_some() && gone.iter().all(|text| text.is_empty()) && self.details == NO_DETAILS);
        };
        let Ok(salt) = salt.parse::<Hex<32>>() else { return Ok(false) };
        Ok(self.sealed.as_ref() == Some(&self.sealed_under(&salt)?))
    }

    fn sealed_under(&self, salt: &Hex<32>) -> serde_json::Result<String> {
        let removable = Removable {
            actor_name: &self.actor_name,
            subject_name: &self.subject_name,
            ip: &self.ip,
            user_agent: &self.user_agent,
            details: &self.details,
        };
        let input = [SEALED_PREFIX, salt.as_bytes(), &serde_json::to_vec(&removable)?].concat();
        Ok(sha256(&input).to_string())
    }

    fn whole(&self, position: i64) -> Whole<'_> {
        Whole {
            position,
            id: &self.id,
            workspace_id: self.workspace_id,
            at_ms: self.at.as_ms(),
            actor: [&self.actor_type, &self.actor_id, &self.actor_name],
            action: &self.action,
            subject: [&self.subject_type, &self.subject_id, &self.subject_name],
            server_id: self.server_id.as_deref(),
            result: self.result,
            ip: &self.ip,
            user_agent: &self.user_agent,
            request_id: &self.request_id,
            details: &self.details,
        }
    }
}

/// The link of form 2.
pub(super) fn link(prev_hash: &str, digest: &str) -> String {
    sha256(&[LINK_PREFIX, prev_hash.as_bytes(), digest.as_bytes()].concat()).to_string()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;

    fn entry(form: i64) -> Entry {
        let text = |text: &str| text.to_owned();
        Entry {
            id: Uuid::from_u128(1).to_string(),
            workspace_id: WorkspaceId::new(Uuid::from_u128(2)),
            at: Timestamp::from_ms(3),
            actor_type: text("user"),
            actor_id: text("u"),
            actor_name: text("Ann"),
            action: text("thing.change"),
            subject_type: text("thing"),
            subject_id: text("t"),
            subject_name: text("Thing"),
            server_id: None,
            result: Outcome::Ok,
            ip: text("192.0.2.1"),
            user_agent: text("Test/1.0"),
            request_id: text("r"),
            details: text("{\"a\":1}"),
            position: None,
            prev_hash: None,
            hash: None,
            form,
            salt: None,
            sealed: None,
            redacted_at: None,
        }
    }

    /// Records that hubs in the field have written are hashed like this for ever.
    #[test]
    fn both_forms_are_what_they_were() {
        let zero = "0".repeat(64);
        let first = entry(1).link(&zero, 7).unwrap();
        assert_eq!(first, "793e3a020f4bfaaec77e42ddee634634f423a989dadfc3c3057d72209f77d6ae");
        let mut second = entry(2);
        second.seal([9; 32]).unwrap();
        assert_eq!(second.link(&zero, 7).unwrap(), "f16d09dbab1d4c9f52711a58d058bfed01d5c6e6a44bbada4d9e5b23939e9b1a");
    }

    #[test]
    fn a_redaction_changes_no_link_and_leaves_nothing_to_guess_from() {
        let mut entry = entry(2);
        entry.seal([9; 32]).unwrap();
        let before = entry.link("x", 1).unwrap();
        assert!(entry.keeps_its_seal().unwrap() && !entry.is_redacted());
        entry.blank();
        assert_eq!(entry.link("x", 1).unwrap(), before);
        assert!(entry.keeps_its_seal().unwrap() && entry.is_redacted());
        assert!(!format!("{entry:?}").contains("Ann"));
        // What is redacted holds nothing, not something else.
        entry.actor_name = "Bob".to_owned();
        assert!(!entry.keeps_its_seal().unwrap());
    }
}
