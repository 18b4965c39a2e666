//! One-time codes: none is taken twice, and none stands anywhere in clear.

use std::sync::{Arc, Mutex};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{App, login_with, next_minute, reasons, texts};
use super::{actions, login};
use crate::auth::totp::TotpSecret;
use crate::testing::{Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

async fn disable(client: &Client, code: &str) -> crate::testing::Answer {
    let form = json!({ "password": OWNER_PASSWORD, "totp": code });
    client.send(Method::DELETE, "/v1/account/totp", Some(form)).await
}

#[tokio::test]
async fn codes_are_turned_on_by_one_that_fits() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let off = json!({ "enabled": false, "since": null, "recovery_codes_left": 0 });
        assert_eq!(owner.get("/v1/account/totp").await.json(), off);
        let early = owner.post("/v1/account/totp/confirm", json!({ "code": "123456" })).await;
        assert_eq!(early.status, StatusCode::CONFLICT);
        let wrong = owner.post("/v1/account/totp", json!({ "password": "not my password" })).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);

        let start = async || owner.post("/v1/account/totp", json!({ "password": OWNER_PASSWORD })).await.json();
        let (old, new) = (start().await, start().await);
        let url = new["otpauth_url"].as_str().unwrap();
        assert!(url.contains("owner%40example.com") && url.contains(new["secret"].as_str().unwrap()), "{url}");
        // Nothing asks for codes yet, and the secret that was replaced confirms nothing.
        assert_eq!(login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::OK);
        let code_of = |started: &Value| TotpSecret::code_at(started["secret"].as_str().unwrap(), hub.hub.now());
        let refused = owner.post("/v1/account/totp/confirm", json!({ "code": code_of(&old) })).await;
        assert!(refused.json()["error"]["details"]["fields"]["code"].is_array(), "{}", refused.text());

        let confirmed = owner.post("/v1/account/totp/confirm", json!({ "code": code_of(&new) })).await;
        assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());
        assert_eq!(texts(&confirmed.json()["recovery_codes"]).len(), 10);
        let on = owner.get("/v1/account/totp").await.json();
        assert_eq!(on, json!({ "enabled": true, "since": "2026-01-01T00:00:00.000Z", "recovery_codes_left": 10 }));
        let again = owner.post("/v1/account/totp", json!({ "password": OWNER_PASSWORD })).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "whoever is in cannot put another app in its place");
        // The code that turned them on is used up.
        assert_eq!(login_with(&hub.anonymous(), &code_of(&new)).await.code(), "invalid_credentials");
        assert_eq!(actions(&owner).await[1].0, "totp.enable");
    }
}

#[tokio::test]
async fn only_whoever_knows_the_password_learns_that_a_code_is_needed() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        let client = hub.anonymous();
        let guess = login(&client, OWNER_EMAIL, "a wrong guess").await;
        assert_eq!((guess.status, guess.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
        let form = json!({ "email": OWNER_EMAIL, "password": "a wrong guess", "totp": app.code(&hub) });
        assert_eq!(client.post("/v1/auth/login", form).await.text(), guess.text(), "the code makes no difference");
        let without = login(&client, OWNER_EMAIL, OWNER_PASSWORD).await;
        assert_eq!((without.status, without.code().as_str()), (StatusCode::UNAUTHORIZED, "totp_required"));
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        // The code that came with the wrong password was not used up by it.
        let right = login_with(&client, &app.code(&hub)).await;
        assert_eq!(right.status, StatusCode::OK, "{}", right.text());
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn no_code_is_taken_twice_and_none_that_is_older() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        let earlier = app.code(&hub);
        hub.clock.advance(std::time::Duration::from_secs(30));
        let code = app.code(&hub);
        assert_eq!(login_with(&hub.anonymous(), &code).await.status, StatusCode::OK);
        for replayed in [&code, &earlier] {
            let answer = login_with(&hub.anonymous(), replayed).await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
        }
        let restarted = hub.anonymous().at(hub.restarted());
        assert_eq!(login_with(&restarted, &code).await.code(), "invalid_credentials", "nor after a restart");
        assert_eq!(reasons(&owner).await, ["wrong one-time code"; 3]);
        next_minute(&hub);
        assert_eq!(login_with(&hub.anonymous(), &app.code(&hub)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn of_many_requests_with_one_code_one_gets_in() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        for code in [app.code(&hub), app.recovery_codes[0].clone()] {
            let clients: Vec<_> = (0..4).map(|_| hub.anonymous()).collect();
            let attempts = clients.iter().map(|client| login_with(client, &code));
            let answers = futures_util::future::join_all(attempts).await;
            let inside = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
            let outside = answers.iter().filter(|answer| answer.code() == "invalid_credentials").count();
            assert_eq!((inside, outside), (1, 3));
            next_minute(&hub);
        }
    }
}

#[tokio::test]
async fn a_recovery_code_lets_in_once() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        let typed = app.recovery_codes[3].to_lowercase().replace('-', " ");
        assert_eq!(login_with(&hub.anonymous(), &typed).await.status, StatusCode::OK);
        assert_eq!(login_with(&hub.anonymous(), &app.recovery_codes[3]).await.code(), "invalid_credentials");
        assert_eq!(owner.get("/v1/account/totp").await.json()["recovery_codes_left"], 9);
        let records = owner.get("/v1/audit?action=auth.login").await.json();
        assert_eq!(records["data"][1]["details"], json!({ "factor": "recovery_code" }));

        // Others in their place, for whoever has the app.
        next_minute(&hub);
        let renew = async |code: &str| {
            let form = json!({ "password": OWNER_PASSWORD, "totp": code });
            owner.post("/v1/account/totp/recovery-codes", form).await
        };
        assert_eq!(renew(&app.recovery_codes[4]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let new = renew(&app.code(&hub)).await;
        assert_eq!(new.status, StatusCode::OK, "{}", new.text());
        assert_eq!(login_with(&hub.anonymous(), &app.recovery_codes[4]).await.code(), "invalid_credentials");
        let new = texts(&new.json()["recovery_codes"]);
        assert_eq!((new.len(), login_with(&hub.anonymous(), &new[0]).await.status), (10, StatusCode::OK));
    }
}

#[tokio::test]
async fn wrong_codes_are_counted_as_wrong_passwords_are() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        // Elsewhere, so that the owner's own address keeps its attempts.
        let client = hub.anonymous();
        for _ in 0..10 {
            let answer = login_with(&client, &app.wrong_code(&hub)).await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "invalid_credentials"));
        }
        let refused = login_with(&client, &app.code(&hub)).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "a right password buys no guesses at codes");
        next_minute(&hub);
        assert_eq!(login_with(&client, &app.code(&hub)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn codes_are_turned_off_with_password_and_code() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        let wrong = disable(&owner, &app.wrong_code(&hub)).await;
        assert!(wrong.json()["error"]["details"]["fields"]["totp"].is_array(), "{}", wrong.text());
        let form = json!({ "password": "not my password", "totp": app.code(&hub) });
        let wrong = owner.send(Method::DELETE, "/v1/account/totp", Some(form)).await;
        assert!(wrong.json()["error"]["details"]["fields"]["password"].is_array(), "{}", wrong.text());
        let done = disable(&owner, &app.recovery_codes[0]).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.text());
        assert_eq!(disable(&owner, &app.recovery_codes[1]).await.status, StatusCode::CONFLICT);
        assert_eq!(owner.get("/v1/account/totp").await.json()["enabled"], false);
        assert_eq!(login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_invitation_is_no_way_around_a_code() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let app = App::enrolled(&hub, &stranger).await;
        let scope = json!({ "type": "workspace" });
        let form = json!({ "email": "stranger@example.org", "granted": { "role": "viewer" }, "scope": scope });
        let invite = owner.post("/v1/team/invites", form).await.json();
        let accept = async |totp: Value| {
            let form = json!({ "token": invite["token"], "password": OWNER_PASSWORD, "totp": totp });
            hub.anonymous().post("/v1/invites/accept", form).await
        };
        assert_eq!(accept(Value::Null).await.code(), "totp_required");
        assert_eq!(accept(json!(app.wrong_code(&hub))).await.code(), "invalid_credentials");
        let accepted = accept(json!(app.code(&hub))).await;
        assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.text());
    }
}

#[tokio::test]
async fn a_lost_sealing_key_fails_closed_and_recovery_codes_still_work() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let app = App::enrolled(&hub, &owner).await;
    let client = hub.anonymous().at(hub.restarted_without_sealing_key());
    let answer = login_with(&client, &app.code(&hub)).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text().contains("disable-totp"), "{}", answer.text());
    assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(login_with(&client, &app.recovery_codes[0]).await.status, StatusCode::OK);
}

/// Looks for everything secret that was issued, in every form that people look at: also where an answer is kept for a
/// request that is sent again.
#[tokio::test]
async fn no_secret_of_one_time_codes_stands_in_clear() {
    let log = Log::default();
    let _logging = log.start();
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await.with_header("idempotency-key", "the same");
    let started = owner.post("/v1/account/totp", json!({ "password": OWNER_PASSWORD })).await;
    let secret = started.json()["secret"].as_str().unwrap().to_owned();
    let repeated = owner.post("/v1/account/totp", json!({ "password": OWNER_PASSWORD })).await;
    assert_eq!(repeated.status, StatusCode::CONFLICT, "the secret is not kept: {}", repeated.text());
    let owner = owner.with_header("idempotency-key", "another");
    let code = TotpSecret::code_at(&secret, hub.hub.now());
    let confirmed = owner.post("/v1/account/totp/confirm", json!({ "code": code })).await;
    let recovery_codes = texts(&confirmed.json()["recovery_codes"]);
    next_minute(&hub);
    let owner = owner.with_header("idempotency-key", "a third");
    let form = json!({ "password": OWNER_PASSWORD, "totp": TotpSecret::code_at(&secret, hub.hub.now()) });
    let renewed = owner.post("/v1/account/totp/recovery-codes", form).await;
    let mut secrets = texts(&renewed.json()["recovery_codes"]);
    assert_eq!(login_with(&hub.anonymous(), &secrets[0]).await.status, StatusCode::OK);
    assert_eq!(login_with(&hub.anonymous(), &secrets[0]).await.status, StatusCode::UNAUTHORIZED);
    secrets.extend(recovery_codes);
    secrets.extend(secrets.clone().iter().map(|code| code.replace('-', "")));
    secrets.push(secret);
    assert_eq!(secrets.len(), 41);

    let audit = owner.get("/v1/audit?limit=200").await.text();
    assert!(audit.contains("totp.recovery_codes"), "the search looks at the right thing");
    let stored = hub.backup().bytes();
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(OWNER_EMAIL) && holds("totp.recovery_codes"), "the search looks at the right thing");
    let log = log.text();
    assert!(log.contains("sign-in failed"), "the search looks at the right thing");
    for secret in &secrets {
        assert!(!audit.contains(secret.as_str()) && !holds(secret) && !log.contains(secret.as_str()), "{secret}");
    }
}

/// Everything that is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        tracing::subscriber::set_default(subscriber.with_writer(move || log.clone()).finish())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
