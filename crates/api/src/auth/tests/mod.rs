//! Promises of setup, sign-in and sessions, through the API on each engine.

mod account;
mod at_once;
mod device;
mod email_change;
mod guessing;
mod oidc;
mod passkeys;
mod provider;
mod reset;
mod step_up;
mod support;
mod totp;

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

const DAY: Duration = Duration::from_secs(86_400);

async fn login(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/v1/auth/login", json!({ "email": email, "password": password })).await
}

fn setup_form(code: &str) -> Value {
    json!({ "code": code, "email": "ann@example.com", "name": "Ann", "password": OWNER_PASSWORD, "workspace": "Home" })
}

async fn actions(owner: &Client) -> Vec<(String, String)> {
    let records = owner.get("/v1/audit").await.json();
    let text = |record: &Value, field: &str| record[field].as_str().unwrap().to_owned();
    records["data"].as_array().unwrap().iter().map(|record| (text(record, "action"), text(record, "result"))).collect()
}

#[tokio::test]
async fn set_up_makes_the_first_owner_once() {
    for hub in TestHub::each_engine().await {
        let client = hub.anonymous();
        assert_eq!(client.get("/v1/setup").await.json(), json!({ "needs_setup": true }));
        let code = prepare_setup(&hub.hub).await.unwrap().unwrap().reveal();

        let answer = client.post("/v1/setup", setup_form(&code.to_lowercase())).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let done = answer.json();
        assert_eq!((&done["user"]["email"], &done["workspace"]["name"]), (&json!("ann@example.com"), &json!("Home")));

        // Signed in at once, with everything an owner may do.
        let session = client.get("/v1/auth/session").await;
        assert_eq!(session.status, StatusCode::OK);
        let session = session.json();
        assert_eq!(session["user"], done["user"]);
        assert_eq!(session["workspaces"], json!([done["workspace"]]));
        assert!(session["permissions"].as_array().unwrap().contains(&json!("servers.exec")));
        assert_eq!(session["expires_at"], "2026-01-08T00:00:00.000Z");

        assert_eq!(client.get("/v1/setup").await.json(), json!({ "needs_setup": false }));
        let again = hub.anonymous().post("/v1/setup", setup_form(&code)).await;
        assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "conflict"));
        assert!(prepare_setup(&hub.hub).await.unwrap().is_none());
        assert_eq!(actions(&client).await, [("setup.complete".to_owned(), "ok".to_owned())]);
    }
}

#[tokio::test]
async fn one_of_many_at_once_becomes_the_first_owner() {
    for hub in TestHub::each_engine().await {
        let code = prepare_setup(&hub.hub).await.unwrap().unwrap().reveal();
        let clients: Vec<_> = (0..8).map(|_| hub.anonymous()).collect();
        let attempts = clients.iter().enumerate().map(|(n, client)| {
            let mut form = setup_form(&code);
            form["email"] = json!(format!("ann{n}@example.com"));
            async move { client.post("/v1/setup", form).await.status }
        });
        let mut statuses = futures_util::future::join_all(attempts).await;
        statuses.sort();
        assert_eq!(statuses[0], StatusCode::CREATED);
        assert!(statuses[1..].iter().all(|status| *status == StatusCode::CONFLICT), "{statuses:?}");
    }
}

#[tokio::test]
async fn a_stranger_without_the_code_is_not_first() {
    let hub = TestHub::sqlite().await;
    let client = hub.anonymous();
    // Not even before there is a code.
    for code in ["0000-0000-0000", "", "not a code"] {
        let answer = client.post("/v1/setup", setup_form(code)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.json()["error"]["details"]["fields"]["code"].is_array());
    }
    let old = prepare_setup(&hub.hub).await.unwrap().unwrap().reveal();
    let new = prepare_setup(&hub.hub).await.unwrap().unwrap().reveal();
    assert_eq!(client.post("/v1/setup", setup_form(&old)).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    for _ in 0..6 {
        client.post("/v1/setup", setup_form("0000-0000-0000")).await;
    }
    let answer = client.post("/v1/setup", setup_form(&new)).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    hub.clock.advance(Duration::from_secs(60));
    assert_eq!(client.post("/v1/setup", setup_form(&new)).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn bad_forms_name_their_fields() {
    let hub = TestHub::sqlite().await;
    let client = hub.anonymous();
    for (field, value) in [
        ("email", json!("ann")),
        ("email", json!(7)),
        ("name", json!(" ")),
        ("name", json!("a\u{0000}b")),
        ("password", json!("short")),
        ("workspace", json!("x".repeat(81))),
        ("surprise", json!(1)),
    ] {
        let mut form = setup_form("0000-0000-0000");
        form[field] = value;
        let answer = client.post("/v1/setup", form).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"));
        assert!(answer.json()["error"]["details"]["fields"][field].is_array(), "{field}: {}", answer.text());
    }
}

#[tokio::test]
async fn people_sign_in_and_out() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let client = hub.anonymous();
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        let answer = login(&client, "Owner@Example.COM", OWNER_PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["user"]["email"], OWNER_EMAIL);
        let cookie = answer.header("set-cookie");
        assert!(cookie.contains("HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
        let without_expiry = |mut session: Value| {
            let fields = session.as_object_mut().unwrap();
            fields.remove("verified_until")?;
            fields.remove("expires_at").map(|_| session)
        };
        let session = client.get("/v1/auth/session").await.json();
        assert_eq!(without_expiry(session), Some(answer.json()));

        let stolen = client.clone();
        let stolen_cookie = cookie.split(';').next().unwrap().to_owned();
        assert_eq!(client.post("/v1/auth/logout", json!({})).await.status, StatusCode::NO_CONTENT);
        assert_eq!(stolen.with_header("cookie", &stolen_cookie).get("/v1/auth/session").await.status, 401);
        assert_eq!(owner.get("/v1/auth/session").await.status, StatusCode::OK);
        let done: Vec<_> = actions(&owner).await.into_iter().map(|(action, _)| action).collect();
        assert_eq!(done, ["auth.logout", "auth.login", "setup.complete"]);
    }
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_address_look_the_same() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let client = hub.anonymous();
        let wrong_password = login(&client, OWNER_EMAIL, "not the password").await;
        let wrong_address = login(&client, "nobody@example.com", "not the password").await;
        assert_eq!(wrong_password.status, StatusCode::UNAUTHORIZED);
        assert_eq!(wrong_password.code(), "invalid_credentials");
        assert_eq!(wrong_password.text(), wrong_address.text());
        let records = owner.get("/v1/audit?action=auth.login").await.json();
        let reasons: Vec<_> =
            records["data"].as_array().unwrap().iter().map(|record| &record["details"]["reason"]).collect();
        assert_eq!(reasons, ["no such account", "wrong password"]);
        assert_eq!(records["data"][1]["actor"]["type"], "anonymous");
        assert_eq!(records["data"][1]["result"], "failed");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    // Set-up was an attempt too.
    hub.clock.advance(Duration::from_secs(60));
    let client = hub.anonymous();
    for _ in 0..10 {
        assert_eq!(login(&client, OWNER_EMAIL, "a wrong guess").await.status, StatusCode::UNAUTHORIZED);
    }
    // The right password does not help any more, or a guess would show by its answer.
    let refused = login(&client, OWNER_EMAIL, OWNER_PASSWORD).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"));
    assert_eq!((refused.header("retry-after").as_str(), refused.header("ratelimit-remaining").as_str()), ("60", "0"));
    assert_eq!(login(&client, OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    let denied = owner.get("/v1/audit?action=auth.login&limit=1").await.json();
    assert_eq!(
        (&denied["data"][0]["result"], &denied["data"][0]["details"]["reason"]),
        (&json!("denied"), &json!("too many attempts"))
    );
    // Who is in stays in.
    assert_eq!(owner.get("/v1/auth/session").await.status, StatusCode::OK);
    hub.clock.advance(Duration::from_secs(60));
    assert_eq!(login(&client, OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn sessions_end_when_unused_and_at_last_anyway() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let status = async |client: &Client| client.get("/v1/auth/session").await.status;
        for _ in 0..4 {
            hub.clock.advance(6 * DAY);
            assert_eq!(status(&owner).await, StatusCode::OK);
            settle(&hub).await;
        }
        hub.clock.advance(5 * DAY);
        assert_eq!(status(&owner).await, StatusCode::OK, "29 days old and in use");
        settle(&hub).await;
        hub.clock.advance(DAY);
        assert_eq!(status(&owner).await, StatusCode::UNAUTHORIZED, "30 days old");

        let client = hub.anonymous();
        assert_eq!(login(&client, OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::OK);
        hub.clock.advance(7 * DAY);
        assert_eq!(status(&client).await, StatusCode::UNAUTHORIZED, "unused for 7 days");
        assert_eq!(sweep(&hub.hub).await.unwrap(), 2);
    }
}

/// Waits until the uses of sessions are written.
async fn settle(hub: &TestHub) {
    while !hub.hub.auth.touching.is_idle() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_use_is_written_once_a_minute() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let last_seen = async || {
        settle(&hub).await;
        owner.get("/v1/account/sessions").await.json()["data"][0]["last_seen_at"].as_str().unwrap().to_owned()
    };
    hub.clock.advance(Duration::from_secs(59));
    assert_eq!(last_seen().await, "2026-01-01T00:00:00.000Z");
    assert_eq!(last_seen().await, "2026-01-01T00:00:00.000Z");
    hub.clock.advance(Duration::from_secs(1));
    last_seen().await;
    assert_eq!(last_seen().await, "2026-01-01T00:01:00.000Z");
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions_only() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let other = hub.anonymous().with_header("user-agent", "Other/1.0");
        hub.clock.advance(Duration::from_secs(1));
        login(&other, OWNER_EMAIL, OWNER_PASSWORD).await;

        let page = owner.get("/v1/account/sessions").await.json();
        let sessions = page["data"].as_array().unwrap();
        assert_eq!(sessions.len(), 2);
        assert_eq!((&sessions[0]["current"], &sessions[1]["current"]), (&json!(false), &json!(true)));
        assert_eq!((&sessions[0]["user_agent"], &sessions[0]["ip"]), (&json!("Other/1.0"), &json!("127.0.0.1")));
        let path = format!("/v1/account/sessions/{}", sessions[0]["id"].as_str().unwrap());

        let first = owner.get("/v1/account/sessions?limit=1").await.json();
        let next = first["next_cursor"].as_str().unwrap();
        let second = owner.get(&format!("/v1/account/sessions?limit=1&cursor={next}")).await.json();
        assert_eq!(json!([first["data"][0], second["data"][0]]), page["data"]);
        assert_eq!(second["next_cursor"], Value::Null);

        assert_eq!(stranger.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(owner.delete("/v1/account/sessions/nonsense").await.status, StatusCode::NOT_FOUND);
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(actions(&owner).await[0].0, "session.revoke");
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let other = hub.anonymous();
        login(&other, OWNER_EMAIL, OWNER_PASSWORD).await;
        let change = async |current: &str, new: &str| {
            owner.post("/v1/account/password", json!({ "current_password": current, "new_password": new })).await
        };
        let wrong = change("not my password", "a much better one").await;
        assert!(wrong.json()["error"]["details"]["fields"]["current_password"].is_array(), "{}", wrong.text());
        assert_eq!(change(OWNER_PASSWORD, "too short").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::OK);

        assert_eq!(change(OWNER_PASSWORD, "a much better one").await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.get("/v1/auth/session").await.status, StatusCode::OK);
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(login(&other, OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(login(&other, OWNER_EMAIL, "a much better one").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn one_person_has_a_bounded_number_of_sessions() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let mut unit = hub.hub.begin().await.unwrap();
    let account = store::account_by_email(&mut unit.conn(), OWNER_EMAIL.to_owned()).await.unwrap().unwrap();
    for _ in 0..100 {
        let origin = crate::access::RequestOrigin::default();
        sign_in::open_session(&hub.hub, &mut unit.conn(), &account.user, &origin, hub.hub.now()).await.unwrap();
    }
    unit.commit().await.unwrap();
    assert_eq!(owner.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_command_line_adds_owners_beside_a_running_hub() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let workspaces = |session: Value| session["workspaces"][0]["name"].as_str().unwrap().to_owned();
        assert_eq!(workspaces(owner.get("/v1/auth/session").await.json()), "Home");
        assert_eq!(workspaces(stranger.get("/v1/auth/session").await.json()), "Elsewhere");
        let form = NewOwner {
            email: "STRANGER@example.org".to_owned().try_into().unwrap(),
            name: "Sam".to_owned().try_into().unwrap(),
            password: OWNER_PASSWORD.to_owned().try_into().unwrap(),
            workspace: "Third".to_owned().try_into().unwrap(),
        };
        let error = create_owner(&hub.hub, form).await.unwrap_err();
        assert_eq!(error.code().as_str(), "conflict");
    }
}
