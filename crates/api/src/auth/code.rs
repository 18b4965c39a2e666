//! The second thing that somebody signing in types: a code of their authenticator app, or a recovery code.

use std::fmt;

use protocol::UserId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::typed;
use crate::random::Random;
use crate::secret::{Secret, TokenDigest};

/// Digits of an app's code.
const APP_DIGITS: usize = 6;
/// 80 bits: nobody finds one by its digest.
const RECOVERY_DIGITS: usize = 16;
/// Recovery codes that somebody has at most.
pub(super) const RECOVERY_CODES: usize = 10;

/// A one-time code as somebody sends it: of any shape, but bounded. Never printed.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64)]
pub struct OneTimeCode(Secret);

impl OneTimeCode {
    const MAX_BYTES: usize = 64;

    /// What it looks like; `None` for what cannot be a code.
    pub(super) fn read(&self) -> Option<Kind> {
        let text = self.0.reveal();
        let digits: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
        if digits.len() == APP_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Some(Kind::App(digits));
        }
        typed::read(text, RECOVERY_DIGITS).map(|code| Kind::Recovery(RecoveryCode(code)))
    }
}

impl TryFrom<String> for OneTimeCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.len() {
            0 => Err("must not be empty".to_owned()),
            1..=Self::MAX_BYTES => Ok(Self(Secret::new(text))),
            _ => Err(format!("must not be longer than {} bytes", Self::MAX_BYTES)),
        }
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(…)")
    }
}

/// What a code is of.
pub(super) enum Kind {
    /// An authenticator app: six digits.
    App(String),
    /// The list that was shown once.
    Recovery(RecoveryCode),
}

/// Lets somebody in once whose authenticator app is lost.
pub(super) struct RecoveryCode(String);

impl RecoveryCode {
    pub(super) fn new(random: &dyn Random) -> Self {
        Self(typed::of_bytes(random.bytes::<RECOVERY_DIGITS>()))
    }

    /// What is stored of it. A plain digest, and not one under the hub's sealing key: the codes must work when that is
    /// lost.
    pub(super) fn digest(&self, user: UserId) -> TokenDigest {
        TokenDigest::of(&format!("recovery code/{user}/{}", self.0))
    }

    /// The code for people to write down.
    pub(super) fn reveal(&self) -> String {
        typed::grouped(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    fn read(text: &str) -> Option<Kind> {
        OneTimeCode::try_from(text.to_owned()).unwrap().read()
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for typed in ["123456", "123 456", " 123-456 "] {
            assert!(matches!(read(typed), Some(Kind::App(digits)) if digits == "123456"), "{typed}");
        }
        let user = UserId::new(uuid::Uuid::from_u128(1));
        let code = RecoveryCode::new(&SeededRandom::new(1));
        assert_eq!(code.reveal().len(), 19);
        for typed in [code.reveal(), code.reveal().to_lowercase(), code.reveal().replace('-', " ")] {
            let Some(Kind::Recovery(read)) = read(&typed) else { panic!("{typed}") };
            assert_eq!(read.digest(user), code.digest(user));
        }
        assert_ne!(code.digest(user), code.digest(UserId::new(uuid::Uuid::from_u128(2))));
        for bad in ["12345", "1234567", "١٢٣٤٥٦", "x", "0123-4567-89AB-CDE"] {
            assert!(read(bad).is_none(), "{bad}");
        }
        assert!(OneTimeCode::try_from("1".repeat(65)).is_err() && OneTimeCode::try_from(String::new()).is_err());
        assert!(!format!("{:?}", OneTimeCode::try_from("123456".to_owned()).unwrap()).contains('1'));
    }
}
