//! Sessions: a random token in a cookie, of which the database holds the digest.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};
use protocol::UserId;
use protocol::enroll::Token;

use crate::clock::Timestamp;
use crate::config::PublicUrl;
use crate::error::{Error, Result};
use crate::ids::SessionId;

/// Without a request for this long, a session ends.
pub(super) const IDLE: Duration = Duration::from_secs(7 * 86_400);
/// However busy, a session ends after this long.
pub(super) const ABSOLUTE: Duration = Duration::from_secs(30 * 86_400);
/// `last_seen_at` is written at most this often.
pub(super) const TOUCH_AFTER: Duration = Duration::from_secs(60);
/// Sessions one person can have; the oldest makes room.
pub(super) const PER_USER: i64 = 100;

pub(super) const TOKEN_PREFIX: &str = "rss_";
const COOKIE: &str = "roadstead_session";
const HOST_COOKIE: &str = "__Host-roadstead_session";

/// Somebody signed in.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Session {
    #[sqlx(try_from = "String")]
    pub(super) id: SessionId,
    #[sqlx(try_from = "String")]
    pub(super) user_id: UserId,
    pub(super) created_at: Timestamp,
    pub(super) last_seen_at: Timestamp,
    /// The absolute end.
    pub(super) expires_at: Timestamp,
    /// When its owner last proved that it is theirs.
    pub(super) verified_at: Timestamp,
    pub(super) ip: String,
    pub(super) user_agent: String,
}

impl Session {
    /// When it ends if no request comes any more.
    pub(super) fn ends_at(&self) -> Timestamp {
        self.expires_at.min(self.last_seen_at.plus(IDLE))
    }

    pub(super) fn is_good(&self, now: Timestamp) -> bool {
        now < self.ends_at()
    }
}

/// The session token that came with a request.
pub(super) fn token_of(headers: &HeaderMap, public_url: &PublicUrl) -> Option<Token> {
    let name = cookie_name(public_url);
    let pairs =
        headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name);
    values.find_map(|(_, value)| Token::parse(TOKEN_PREFIX, value))
}

/// Hands a token to the browser.
pub(super) fn set_cookie(token: &Token, public_url: &PublicUrl) -> Result<HeaderValue> {
    let age = cookie::time::Duration::seconds(i64::try_from(ABSOLUTE.as_secs()).unwrap_or(i64::MAX));
    cookie_header(token.reveal(), age, public_url)
}

/// Takes the token from the browser.
pub(super) fn clear_cookie(public_url: &PublicUrl) -> Result<HeaderValue> {
    cookie_header("", cookie::time::Duration::ZERO, public_url)
}

fn cookie_header(value: &str, age: cookie::time::Duration, public_url: &PublicUrl) -> Result<HeaderValue> {
    let cookie = Cookie::build((cookie_name(public_url), value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(public_url.is_secure())
        .max_age(age)
        .build();
    HeaderValue::from_str(&cookie.to_string()).map_err(Error::internal)
}

/// Browsers take `__Host-` cookies over https only; plain http is for loopback.
fn cookie_name(public_url: &PublicUrl) -> &'static str {
    if public_url.is_secure() { HOST_COOKIE } else { COOKIE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;
    use crate::secret::new_token;

    #[test]
    fn cookies_carry_every_flag_and_come_back() {
        let token = new_token(TOKEN_PREFIX, &SeededRandom::new(1));
        let hub = PublicUrl::parse("https://hub.example.com").unwrap();
        let local = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let secret = token.reveal();

        let cookie = set_cookie(&token, &hub).unwrap();
        let expected =
            format!("__Host-roadstead_session={secret}; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=2592000");
        assert_eq!(cookie.to_str().unwrap(), expected);
        let cookie = set_cookie(&token, &local).unwrap();
        let expected = format!("roadstead_session={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000");
        assert_eq!(cookie.to_str().unwrap(), expected);
        assert!(clear_cookie(&hub).unwrap().to_str().unwrap().ends_with("Max-Age=0"));

        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "theme=dark; __Host-roadstead_session=stale".parse().unwrap());
        headers.append(header::COOKIE, format!("a=b; __Host-roadstead_session={secret}").parse().unwrap());
        assert_eq!(token_of(&headers, &hub), Some(token));
        assert_eq!(token_of(&headers, &local), None);
    }
}
