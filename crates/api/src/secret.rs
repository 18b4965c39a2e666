//! Values that must not be printed, and tokens of which only a digest is stored.

use std::fmt;

use protocol::Hex;
use protocol::enroll::{TOKEN_DIGITS, Token};
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// A secret text from outside, such as a password. It can be used, never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl utoipa::PartialSchema for Secret {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Password)))
            .into()
    }
}

impl utoipa::ToSchema for Secret {}

/// SHA-256 of a token: all that the hub keeps of it. Tokens carry 256 bits, so a plain digest is enough.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, sqlx::Type)]
#[sqlx(transparent)]
#[serde(transparent)]
pub struct TokenDigest(String);

impl TokenDigest {
    /// The digest of a token in clear text.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(protocol::hex::encode(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref()))
    }
}

/// A new token: `prefix` and 32 random bytes in base 62.
#[must_use]
pub fn new_token(prefix: &str, random: &dyn Random) -> Token {
    let text = format!("{prefix}{}", base62(random.bytes()));
    // The digits above are what `parse` accepts, so the fallback of an unusable token is never taken.
    Token::parse(prefix, &text).unwrap_or_else(|| unusable(prefix))
}

#[expect(
    clippy::unreachable,
    reason = "base62 writes exactly what Token::parse accepts; a property test holds it to that"
)]
fn unusable(prefix: &str) -> Token {
    unreachable!("base 62 of 32 bytes after {prefix} is a token")
}

/// 32 bytes as a number in base 62, padded to [`TOKEN_DIGITS`].
fn base62(mut number: [u8; 32]) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = vec![b'0'; TOKEN_DIGITS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let value = remainder << 8 | u16::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        *digit = DIGITS.get(usize::from(remainder)).copied().unwrap_or(b'0');
    }
    digits.into_iter().map(char::from).collect()
}

/// SHA-256 as a fixed value.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hex<32> {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    Hex(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_a_token(number in any::<[u8; 32]>()) {
            let text = format!("rsi_{}", base62(number));
            prop_assert!(Token::parse("rsi_", &text).is_some());
        }
    }

    #[test]
    fn base62_counts() {
        let mut sixty_three = [0; 32];
        sixty_three[31] = 63;
        assert!(base62(sixty_three).ends_with("011"));
        assert!(base62([0xff; 32]).len() == TOKEN_DIGITS);
    }

    #[test]
    fn tokens_differ() {
        let random = SeededRandom::new(1);
        assert_ne!(new_token("rsi_", &random).reveal(), new_token("rsi_", &random).reveal());
    }
}
