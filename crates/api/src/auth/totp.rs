//! Time-based codes (RFC 6238): the secret that an authenticator app and the hub share, and the step that a code is of.

use std::fmt::Write as _;

use protocol::UserId;
use totp_rs::{Algorithm, Builder, Totp};

use super::model::User;
use crate::clock::Timestamp;
use crate::config::PublicUrl;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::random::Random;
use crate::sealing::Unreadable;
use crate::secret::Secret;

/// What every authenticator app takes: SHA-1, six digits, half a minute.
const STEP_S: u64 = 30;
/// Codes of the step before and the one after are taken too: clocks differ, and people type slowly.
const SKEW: u16 = 1;
/// As long as SHA-1's digest, which RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// A shared secret, in the base 32 that apps take.
#[derive(Debug, Clone)]
pub(super) struct TotpSecret(Secret);

impl TotpSecret {
    pub(super) fn new(random: &dyn Random) -> Self {
        let bytes: totp_rs::Secret = random.bytes::<SECRET_BYTES>().to_vec().into();
        Self(Secret::new(bytes.to_base32()))
    }

    /// Opens what [`TotpSecret::seal`] made for the same person.
    pub(super) fn unseal(hub: &Hub, user: UserId, sealed: &str) -> Result<Self, Unreadable> {
        hub.sealing.unseal(&purpose(user), sealed).map(Self)
    }

    pub(super) fn seal(&self, hub: &Hub, user: UserId) -> Result<String> {
        hub.sealing
            .seal(hub.random.as_ref(), &purpose(user), &self.0)
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// For the one answer that shows it.
    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// What an app reads from a picture. Several hubs are told apart by their host's name.
    pub(super) fn url(&self, user: &User, hub: &PublicUrl) -> String {
        let issuer = escaped(&format!("Roadstead {}", hub.authority()));
        let (account, secret) = (escaped(&user.email), self.reveal());
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_S}"
        )
    }

    /// The step that a code is of; `None` when it is wrong now.
    pub(super) fn step_of(&self, digits: &str, now: Timestamp) -> Option<i64> {
        let now = u64::try_from(now.as_s()).ok()?;
        self.totp()?.check(digits, now).and_then(|step| i64::try_from(step).ok())
    }

    fn totp(&self) -> Option<Totp> {
        let secret = totp_rs::Secret::try_from_base32(self.reveal()).ok()?;
        let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(6).with_skew(SKEW);
        builder.with_step_duration(STEP_S).with_secret(secret).build().ok()
    }

    /// The code of a moment, as an app shows it.
    #[cfg(test)]
    pub(crate) fn code_at(base32: &str, now: Timestamp) -> String {
        let totp = Self(Secret::new(base32.to_owned())).totp().unwrap();
        totp.generate(u64::try_from(now.as_s()).unwrap()).to_string()
    }
}

/// A sealed secret opens for its person only.
fn purpose(user: UserId) -> String {
    format!("totp/{user}")
}

/// Percent-encodes what is not plain in a URL (RFC 3986, section 2.3).
/// As a part of a URL that means nothing but itself (RFC 3986).
pub(super) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    /// The secret of the RFC's examples, "12345678901234567890".
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1000)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // Appendix B of RFC 6238, the last six of its eight digits.
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(TotpSecret::code_at(RFC, at(seconds)), code);
            let secret = TotpSecret(Secret::new(RFC.to_owned()));
            assert_eq!(secret.step_of(code, at(seconds)), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_one_around() {
        let secret = TotpSecret(Secret::new(RFC.to_owned()));
        let code = TotpSecret::code_at(RFC, at(3000));
        for (seconds, step) in [(2969, None), (2970, Some(100)), (3029, Some(100)), (3059, Some(100)), (3060, None)] {
            assert_eq!(secret.step_of(&code, at(seconds)), step, "{seconds}");
        }
        for bad in ["", "1", "abcdef", "1234567", "12345６"] {
            assert_eq!(secret.step_of(bad, at(3000)), None, "{bad}");
        }
    }

    #[test]
    fn apps_can_read_the_url() {
        let hub = PublicUrl::parse("https://hub.example.com").unwrap();
        let id = UserId::new(uuid::Uuid::from_u128(1));
        let user = User { id, email: "ann+x@example.com".to_owned(), name: "Ann".to_owned() };
        let secret = TotpSecret::new(&SeededRandom::new(1));
        assert_eq!(secret.reveal().len(), 32);
        let url = secret.url(&user, &hub);
        let start = "otpauth://totp/Roadstead%20hub.example.com:ann%2Bx%40example.com?secret=";
        assert!(url.starts_with(start) && url.contains("&issuer=Roadstead%20hub.example.com&"), "{url}");
    }
}
