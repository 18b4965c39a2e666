//! Guessing: what is remembered beyond a restart, whom it keeps out, and what it costs.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use super::support::{App as AuthenticatorApp, next_minute};
use super::{OneTimeCode, attempts, login, sweep};
use crate::access::RequestOrigin;
use crate::auth::factors::Given;
use crate::auth::model::{Email, Password};
use crate::auth::sign_in::{self, Credentials};
use crate::error::ErrorCode;
use crate::hub::App;
use crate::testing::{OWNER_EMAIL, OWNER_PASSWORD, TestHub};

/// Tries to sign in as the owner from some address.
async fn attempt(hub: &App, ip: &str, password: &str) -> Result<(), ErrorCode> {
    attempt_with(hub, ip, password, None).await
}

async fn attempt_with(hub: &App, ip: &str, password: &str, code: Option<String>) -> Result<(), ErrorCode> {
    let code = code.map(|code| OneTimeCode::try_from(code).unwrap());
    let origin = RequestOrigin { ip: ip.to_owned(), ..RequestOrigin::default() };
    let email = Email::try_from(OWNER_EMAIL.to_owned()).unwrap();
    let password = Password::try_from(password.to_owned()).unwrap();
    let credentials =
        Credentials { email: &email, password: &password, given: Given { totp: code.as_ref(), passkey: None } };
    sign_in::sign_in(hub, origin, credentials).await.map(drop).map_err(|error| error.code())
}

#[tokio::test]
async fn a_restart_does_not_forget_who_guesses() {
    for hub in TestHub::each_engine().await {
        let _owner = hub.owner().await;
        next_minute(&hub);
        for n in 0..11 {
            let refused = attempt(&hub.hub, &format!("192.0.2.{n}"), "a wrong guess").await;
            let due = if n < 10 { ErrorCode::InvalidCredentials } else { ErrorCode::RateLimited };
            assert_eq!(refused, Err(due));
        }
        attempts::write(&hub.hub).await.unwrap();
        let again = hub.restarted();
        let elsewhere = "198.51.100.1";
        assert_eq!(attempt(&again, elsewhere, OWNER_PASSWORD).await, Err(ErrorCode::RateLimited));
        // The hub that runs on and the one that was started again agree about the end.
        next_minute(&hub);
        assert_eq!(attempt(&again, elsewhere, "a wrong guess").await, Err(ErrorCode::InvalidCredentials));
        assert_eq!(
            attempt(&again, elsewhere, OWNER_PASSWORD).await,
            Err(ErrorCode::RateLimited),
            "for two minutes now"
        );
        attempts::write(&again).await.unwrap();
        hub.clock.advance(Duration::from_secs(119));
        assert_eq!(attempt(&hub.restarted(), elsewhere, OWNER_PASSWORD).await, Err(ErrorCode::RateLimited));
        hub.clock.advance(Duration::from_secs(1));
        let last = hub.restarted();
        assert_eq!(attempt(&last, elsewhere, OWNER_PASSWORD).await, Ok(()));
        // A right one is forgiven, in the database too.
        attempts::write(&last).await.unwrap();
        for _ in 0..5 {
            assert_eq!(attempt(&hub.restarted(), "203.0.113.5", OWNER_PASSWORD).await, Ok(()));
        }
        hub.clock.advance(Duration::from_hours(3));
        sweep(&hub.restarted()).await.unwrap();
        let mut session = hub.hub.db.read().await.unwrap();
        let left = super::store::attempts(&mut session.conn(), crate::clock::Timestamp::from_ms(0), 10).await.unwrap();
        assert_eq!(left, [], "what is long past is not kept");
    }
}

#[tokio::test]
async fn strangers_who_guess_do_not_keep_the_owner_out() {
    for hub in TestHub::each_engine().await {
        // Signed in from there before.
        let _owner = hub.owner().await;
        next_minute(&hub);
        let (home, elsewhere) = ("127.0.0.1", "198.51.100.1");
        for n in 0..20 {
            let _ = attempt(&hub.hub, &format!("192.0.2.{n}"), "a wrong guess").await;
        }
        assert_eq!(attempt(&hub.hub, elsewhere, OWNER_PASSWORD).await, Err(ErrorCode::RateLimited));
        assert_eq!(attempt(&hub.hub, home, OWNER_PASSWORD).await, Ok(()));
        // That is no way to guess for ever: the address and its own count of the account have their limits.
        next_minute(&hub);
        for _ in 0..10 {
            assert_eq!(attempt(&hub.hub, home, "a wrong guess").await, Err(ErrorCode::InvalidCredentials));
        }
        assert_eq!(attempt(&hub.hub, home, OWNER_PASSWORD).await, Err(ErrorCode::RateLimited));
        // Nobody is kept out for longer than an hour, however much was guessed.
        for _ in 0..20 {
            let _ = attempt(&hub.hub, elsewhere, "a wrong guess").await;
        }
        hub.clock.advance(Duration::from_hours(1));
        assert_eq!(attempt(&hub.hub, home, OWNER_PASSWORD).await, Ok(()));
        assert_eq!(attempt(&hub.hub, elsewhere, OWNER_PASSWORD).await, Ok(()));
    }
}

#[tokio::test]
async fn whoever_has_the_password_cannot_guess_codes_from_everywhere() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = AuthenticatorApp::enrolled(&hub, &owner).await;
        let try_code = async |n: u32, code: Option<String>| {
            attempt_with(&hub.hub, &format!("192.0.2.{n}"), OWNER_PASSWORD, code).await
        };
        for n in 0..5 {
            assert_eq!(try_code(n, Some(app.wrong_code(&hub))).await, Err(ErrorCode::InvalidCredentials));
            assert_eq!(try_code(n, None).await, Err(ErrorCode::TotpRequired), "the password alone forgives nothing");
        }
        assert_eq!(try_code(9, Some(app.code(&hub))).await, Err(ErrorCode::RateLimited));
        next_minute(&hub);
        assert_eq!(try_code(9, Some(app.code(&hub))).await, Ok(()));
        assert_eq!(try_code(10, None).await, Err(ErrorCode::TotpRequired), "both together forgive");
    }
}

#[tokio::test]
async fn a_cookie_that_was_there_before_is_never_taken_over() {
    for hub in TestHub::each_engine().await {
        let _owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let chosen = format!("rss_{}", "0".repeat(43));
        let theirs = {
            let answer = login(&stranger, "stranger@example.org", OWNER_PASSWORD).await;
            answer.header("set-cookie").split(';').next().unwrap().to_owned()
        };
        for planted in [format!("roadstead_session={chosen}"), theirs] {
            let victim = hub.anonymous().with_header("cookie", &planted);
            let answer = login(&victim, OWNER_EMAIL, OWNER_PASSWORD).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let given = answer.header("set-cookie");
            assert!(!given.contains(&planted), "a token of the hub's own");
            let thief = hub.anonymous().with_header("cookie", &planted);
            let seen = thief.get("/v1/auth/session").await;
            assert!(!seen.text().contains(OWNER_EMAIL), "{}", seen.text());
        }
    }
}

#[tokio::test]
async fn a_password_of_a_megabyte_is_refused_without_hashing() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    // With every place of the pool taken, whatever is hashed answers 503.
    let _all = hub.hub.auth.hashing.fill();
    let client = hub.anonymous();
    let long = "x".repeat(1 << 20);
    let answer = login(&client, OWNER_EMAIL, &long).await;
    assert!(matches!(answer.status.as_u16(), 413 | 422), "{}", answer.status);
    let long = &long[..1025];
    assert_eq!(login(&client, OWNER_EMAIL, long).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let forms = [
        ("/v1/auth/step-up", json!({ "password": long })),
        ("/v1/account/totp", json!({ "password": long })),
        ("/v1/account/email", json!({ "password": long, "email": "new@example.org" })),
        ("/v1/account/password", json!({ "current_password": long, "new_password": long })),
    ];
    for (path, form) in forms {
        assert_eq!(owner.post(path, form).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    assert_eq!(login(&client, OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn ten_thousand_sign_ins_start_a_handful_of_hashes() {
    let hub = TestHub::sqlite().await;
    let _owner = hub.owner().await;
    let app = Arc::clone(&hub.hub);
    let attempts = (0..10_000_u32).map(|n| {
        let app = Arc::clone(&app);
        // From everywhere: no address or account is counted more than once.
        async move {
            let origin = RequestOrigin { ip: format!("2001:db8:{n:x}::1"), ..RequestOrigin::default() };
            let email = Email::try_from(format!("nobody{n}@example.org")).unwrap();
            let password = Password::try_from("a wrong guess".to_owned()).unwrap();
            let credentials = Credentials { email: &email, password: &password, given: Given::default() };
            sign_in::sign_in(&app, origin, credentials).await.unwrap_err().code()
        }
    });
    let codes = futures_util::future::join_all(attempts).await;
    let count = |code: ErrorCode| codes.iter().filter(|one| **one == code).count();
    let (looked_at, turned_away) = (count(ErrorCode::InvalidCredentials), count(ErrorCode::Unavailable));
    assert_eq!(looked_at + turned_away, 10_000, "{codes:?}");
    assert_eq!(hub.hub.auth.hashing.most_at_once(), 2, "each takes 19 MiB");
    assert!(looked_at > 0 && turned_away > 0, "{looked_at} {turned_away}");
    assert_eq!(attempt(&hub.hub, "127.0.0.1", OWNER_PASSWORD).await, Ok(()), "and the owner gets in after it");
}
