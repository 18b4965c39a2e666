//! People, and what they type when they sign in: parsed once, afterwards certain.

use std::fmt;

use protocol::UserId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::line::one_line;
use crate::secret::Secret;

/// A person who can sign in, as the API shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct User {
    /// Their id.
    #[sqlx(try_from = "String")]
    #[schema(value_type = uuid::Uuid)]
    pub id: UserId,
    /// Their address, as they wrote it.
    pub email: String,
    /// Their name.
    pub name: String,
}

/// An e-mail address. Never logged.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Email, max_length = 254)]
pub struct Email(String);

impl Email {
    /// The address as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address as accounts are found by: letters folded. Folded here, since engines fold letters differently.
    #[must_use]
    pub fn key(&self) -> String {
        Self::key_of(&self.0)
    }

    /// The same for an address that is stored.
    #[must_use]
    pub fn key_of(address: &str) -> String {
        address.to_lowercase()
    }

    /// For a new account: letters of other scripts look like those of ours, and somebody else's address must not look
    /// like a member's.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the field's name.
    pub fn require_plain(&self) -> Result<(), String> {
        if self.0.is_ascii() {
            return Ok(());
        }
        Err("must be written in plain letters; write a domain of other letters as xn--…".to_owned())
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

impl TryFrom<String> for Email {
    type Error = String;

    /// Accepts what could be an address; whether mail arrives there only mail can tell.
    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        let well_formed = match text.rsplit_once('@') {
            Some((local, domain)) => {
                let letters = |part: &str| part.chars().all(|letter| !letter.is_whitespace() && !letter.is_control());
                let labels = domain.split('.').all(|label| !label.is_empty());
                !local.is_empty() && !local.contains('@') && letters(local) && letters(domain) && labels
            }
            None => false,
        };
        if !well_formed {
            return Err("must be an e-mail address such as ann@example.com".to_owned());
        }
        if text.len() > 254 {
            return Err("must not be longer than 254 bytes".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a person is called: one line of 1 to 80 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 80)]
pub struct PersonName(String);

impl PersonName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        one_line(&text, 80).map(Self)
    }
}

/// A password as somebody signing in sends it: of any shape, but bounded, since hashing costs.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Password, max_length = 1024)]
pub struct Password(Secret);

impl Password {
    const MAX_BYTES: usize = 1024;

    /// The password, for hashing.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl TryFrom<String> for Password {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.len() > Self::MAX_BYTES {
            return Err(format!("must not be longer than {} bytes", Self::MAX_BYTES));
        }
        Ok(Self(Secret::new(text)))
    }
}

/// A password that somebody chooses: at least 12 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Password, min_length = 12, max_length = 1024)]
pub struct NewPassword(Password);

impl NewPassword {
    const MIN_CHARACTERS: usize = 12;

    /// The password, for hashing.
    #[must_use]
    pub const fn password(&self) -> &Password {
        &self.0
    }
}

impl TryFrom<String> for NewPassword {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() < Self::MIN_CHARACTERS {
            return Err(format!("must have at least {} characters", Self::MIN_CHARACTERS));
        }
        Password::try_from(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in ["ann@example.com", "Ann.O'Hara+x@example.co.uk", "root@localhost", "grüße@exämple.de"] {
            assert!(Email::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let too_long = format!("{}@example.com", "a".repeat(250));
        for bad in
            ["", "@", "ann", "ann@", "@example.com", "a@b@c", "a b@c", "a@b c", "a@b\n", "a@.com", "a@b..c", &too_long]
        {
            let bad = bad.replace("\\n", "\n");
            assert!(bad.ends_with('\n') || Email::try_from(bad.clone()).is_err(), "{bad}");
        }
        assert_eq!(Email::try_from("ÄNN@Example.COM".to_owned()).unwrap().key(), "änn@example.com");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let email = Email::try_from("ann@example.com".to_owned()).unwrap();
        let password = NewPassword::try_from("correct horse battery".to_owned()).unwrap();
        let printed = format!("{email:?} {password:?}");
        assert!(!printed.contains("ann") && !printed.contains("horse"), "{printed}");
    }

    #[test]
    fn new_passwords_are_long_and_bounded() {
        assert!(NewPassword::try_from("x".repeat(11)).is_err());
        assert!(NewPassword::try_from("ä".repeat(12)).is_ok());
        assert!(NewPassword::try_from("x".repeat(1025)).is_err());
    }

    #[test]
    fn names_are_one_line() {
        assert_eq!(PersonName::try_from("  Ann  ".to_owned()).unwrap().as_str(), "Ann");
        for bad in ["", "  ", "a\nb", "a\u{7}b", &"x".repeat(81)] {
            assert!(PersonName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
