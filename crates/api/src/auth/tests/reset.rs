//! Promises of mailed links and of notices about an account.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::support::{App, login_with};
use crate::auth::reset_link::WORKING;
use crate::mail::tests::{Catcher, Received, deliver};
use crate::testing::{Answer, Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

const NEW_PASSWORD: &str = "another horse battery";

/// Asks for a link; the mail that arrived.
async fn ask(hub: &TestHub, catcher: &Catcher, email: &str) -> Vec<Received> {
    let answer = hub.anonymous().post("/v1/auth/password-reset", json!({ "email": email })).await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::ACCEPTED, "{}"));
    settled(hub).await;
    deliver(hub).await;
    catcher.take().into_iter().filter(|mail| mail.subject().contains("new password")).collect()
}

/// Waits until every request was seen to.
async fn settled(hub: &TestHub) {
    let all = u32::try_from(WORKING).unwrap();
    drop(hub.hub.auth.resetting.acquire_many(all).await.unwrap());
}

fn token(mail: &Received) -> String {
    mail.link().split_once('#').unwrap().1.to_owned()
}

async fn complete(hub: &TestHub, token: &str, totp: Option<&str>) -> Answer {
    let mut form = json!({ "token": token, "password": NEW_PASSWORD });
    if let Some(totp) = totp {
        form["totp"] = json!(totp);
    }
    hub.anonymous().post("/v1/auth/password-reset/complete", form).await
}

async fn login(hub: &TestHub, password: &str) -> StatusCode {
    let form = json!({ "email": OWNER_EMAIL, "password": password });
    hub.anonymous().post("/v1/auth/login", form).await.status
}

fn subjects(catcher: &Catcher) -> Vec<String> {
    catcher.take().iter().map(Received::subject).collect()
}

#[tokio::test]
async fn a_mailed_link_works_once_and_ends_every_session() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let mails = ask(&hub, &catcher, "OWNER@example.com").await;
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, [OWNER_EMAIL]);
        assert!(mails[0].link().starts_with("http://127.0.0.1:8080/reset-password#rspr_"), "{}", mails[0].text);
        let token = token(&mails[0]);
        let short = json!({ "token": token, "password": "short" });
        let refused = hub.anonymous().post("/v1/auth/password-reset/complete", short).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);

        let done = complete(&hub, &token, None).await;
        assert_eq!((done.status, done.text().as_str()), (StatusCode::OK, "{}"));
        assert_eq!(owner.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED, "sessions end");
        assert_eq!(complete(&hub, &token, None).await.status, StatusCode::GONE, "it works once");
        assert_eq!(login(&hub, OWNER_PASSWORD).await, StatusCode::UNAUTHORIZED);
        assert_eq!(login(&hub, NEW_PASSWORD).await, StatusCode::OK);
        deliver(&hub).await;
        assert_eq!(subjects(&catcher), ["Your Roadstead password was changed"]);
        hub.clock.advance(Duration::from_mins(1));
        let owner = hub.anonymous();
        let form = json!({ "email": OWNER_EMAIL, "password": NEW_PASSWORD });
        owner.post("/v1/auth/login", form).await;
        let records = owner.get("/v1/audit?action=account.password").await.json();
        assert_eq!(records["data"][0]["details"]["by"], "mailed link");
        assert_eq!(records["data"][0]["actor"]["type"], "anonymous");
        assert!(!owner.get("/v1/audit").await.text().contains("rspr_"));
    }
}

#[tokio::test]
async fn nobody_learns_which_accounts_are_there() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        hub.owner().await;
        assert_eq!(ask(&hub, &catcher, "nobody@example.com").await.len(), 0);
        assert_eq!(ask(&hub, &catcher, OWNER_EMAIL).await.len(), 1);
        // The same number of requests is refused for both, with the same words.
        let mut refusals = Vec::new();
        for email in ["nobody2@example.com", OWNER_EMAIL] {
            hub.clock.advance(Duration::from_hours(3));
            let mut statuses = Vec::new();
            for _ in 0..12 {
                let answer = hub.anonymous().post("/v1/auth/password-reset", json!({ "email": email })).await;
                statuses.push((answer.status, answer.text()));
            }
            settled(&hub).await;
            refusals.push(statuses);
        }
        assert_eq!(refusals[0], refusals[1]);
        assert_eq!(refusals[0].last().unwrap().0, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refusals[0].iter().filter(|(status, _)| *status == StatusCode::ACCEPTED).count(), 10);
        deliver(&hub).await;
        assert_eq!(catcher.take().len(), 3, "nobody's mailbox is flooded");
    }
}

#[tokio::test]
async fn a_mailbox_alone_opens_no_account_with_one_time_codes() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        let mails = ask(&hub, &catcher, OWNER_EMAIL).await;
        let token = token(&mails[0]);
        assert_eq!(complete(&hub, &token, None).await.code(), "totp_required");
        let wrong = complete(&hub, &token, Some(&app.wrong_code(&hub))).await;
        assert_eq!(wrong.code(), "invalid_credentials");
        assert_eq!(login(&hub, NEW_PASSWORD).await, StatusCode::UNAUTHORIZED);
        let done = complete(&hub, &token, Some(&app.code(&hub))).await;
        assert_eq!(done.status, StatusCode::OK, "the link still works: {}", done.text());
        hub.clock.advance(Duration::from_mins(1));
        assert_eq!(login(&hub, NEW_PASSWORD).await, StatusCode::UNAUTHORIZED, "signing in asks for a code as before");
        let form = json!({ "email": OWNER_EMAIL, "password": NEW_PASSWORD, "totp": app.code(&hub) });
        assert_eq!(hub.anonymous().post("/v1/auth/login", form).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn guesses_at_codes_with_a_stolen_link_are_counted() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| catcher.configure(config)).await;
    let owner = hub.owner().await;
    let app = App::enrolled(&hub, &owner).await;
    let token = token(&ask(&hub, &catcher, OWNER_EMAIL).await[0]);
    let mut last = StatusCode::OK;
    for _ in 0..12 {
        last = complete(&hub, &token, Some(&app.wrong_code(&hub))).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_link_ends_after_half_an_hour_and_others_with_the_first_that_is_used() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        hub.owner().await;
        let late = token(&ask(&hub, &catcher, OWNER_EMAIL).await[0]);
        hub.clock.advance(Duration::from_mins(30));
        assert_eq!(complete(&hub, &late, None).await.status, StatusCode::GONE);
        let first = token(&ask(&hub, &catcher, OWNER_EMAIL).await[0]);
        let second = token(&ask(&hub, &catcher, OWNER_EMAIL).await[0]);
        assert_eq!(complete(&hub, &second, None).await.status, StatusCode::OK);
        assert_eq!(complete(&hub, &first, None).await.status, StatusCode::GONE);
        for bad in ["", "rspr_", "rsv_x", &"x".repeat(100_000), "rspr_\r\n"] {
            assert_eq!(complete(&hub, bad, None).await.status, StatusCode::GONE, "{bad:.20}");
            hub.clock.advance(Duration::from_mins(1));
        }
        let left = crate::auth::sweep(&hub.hub).await;
        assert!(left.is_ok());
    }
}

/// A link that was mailed before something changed.
async fn ends(hub: &TestHub, token: &str, password: &str, after: &str) {
    hub.clock.advance(Duration::from_mins(1));
    let answer = complete(hub, token, None).await;
    assert_eq!(answer.status, StatusCode::GONE, "after {after}: {}", answer.text());
    assert_eq!(login(hub, NEW_PASSWORD).await, StatusCode::UNAUTHORIZED, "after {after}");
    let form = json!({ "email": OWNER_EMAIL, "password": password });
    let status = hub.anonymous().post("/v1/auth/login", form).await.status;
    assert_eq!(status, StatusCode::OK, "after {after}");
}

#[tokio::test]
async fn a_link_ends_with_the_password_that_it_was_asked_for() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let mailed = async || token(&ask(&hub, &catcher, OWNER_EMAIL).await[0]);
        let email = crate::auth::Email::try_from(OWNER_EMAIL.to_owned()).unwrap();

        let link = mailed().await;
        let own = "my own horse battery";
        let form = json!({ "current_password": OWNER_PASSWORD, "new_password": own });
        assert_eq!(owner.post("/v1/account/password", form).await.status, StatusCode::NO_CONTENT);
        ends(&hub, &link, own, "a change of the password").await;

        let link = mailed().await;
        let set = OWNER_PASSWORD.to_owned().try_into().unwrap();
        crate::auth::reset_password(&hub.hub, &email, &set).await.unwrap();
        ends(&hub, &link, OWNER_PASSWORD, "another password by the command line").await;

        login_owner(&hub, &owner).await;
        App::enrolled(&hub, &owner).await;
        let link = mailed().await;
        crate::auth::disable_totp(&hub.hub, &email).await.unwrap();
        ends(&hub, &link, OWNER_PASSWORD, "one-time codes were turned off").await;

        let link = mailed().await;
        crate::auth::remove_passkeys(&hub.hub, &email).await.unwrap();
        ends(&hub, &link, OWNER_PASSWORD, "passkeys were removed").await;
    }
}

#[tokio::test]
async fn a_link_ends_with_the_address_that_it_was_mailed_to() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let link = token(&ask(&hub, &catcher, OWNER_EMAIL).await[0]);
        for email in ["olga@example.net", OWNER_EMAIL] {
            super::email_change::changed(&hub, &catcher, &owner, email).await;
        }
        ends(&hub, &link, OWNER_PASSWORD, "a change of the address").await;
    }
}

async fn login_owner(hub: &TestHub, client: &Client) {
    hub.clock.advance(Duration::from_mins(1));
    let form = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD });
    assert_eq!(client.post("/v1/auth/login", form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_was_locked_out_by_strangers_gets_in_again() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| {
        catcher.configure(config);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    hub.owner().await;
    let from = |address: &str| hub.anonymous().with_header("x-forwarded-for", address);
    for n in 0..12 {
        let form = json!({ "email": OWNER_EMAIL, "password": "wrong horse battery" });
        from(&format!("192.0.2.{n}")).post("/v1/auth/login", form).await;
    }
    let here = from("198.51.100.1");
    let form = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD });
    assert_eq!(here.post("/v1/auth/login", form).await.status, StatusCode::TOO_MANY_REQUESTS);
    let asked = here.post("/v1/auth/password-reset", json!({ "email": OWNER_EMAIL })).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "links are counted apart: {}", asked.text());
    settled(&hub).await;
    deliver(&hub).await;
    let token = token(catcher.take().last().unwrap());
    let form = json!({ "token": token, "password": NEW_PASSWORD });
    assert_eq!(here.post("/v1/auth/password-reset/complete", form).await.status, StatusCode::OK);
    let form = json!({ "email": OWNER_EMAIL, "password": NEW_PASSWORD });
    assert_eq!(here.post("/v1/auth/login", form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_hub_without_mail_mails_no_links() {
    let hub = TestHub::sqlite().await;
    hub.owner().await;
    let answer = hub.anonymous().post("/v1/auth/password-reset", json!({ "email": OWNER_EMAIL })).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let mut session = hub.hub.db.read().await.unwrap();
    let text = "select count(*) from deliveries".to_owned();
    let (count,): (i64,) = session.conn().query_built(text).fetch_one().await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn people_are_told_what_happens_to_their_account() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let told = async |what: &str, to: &[&str]| {
            deliver(&hub).await;
            let mails = catcher.take();
            let mut addressees: Vec<_> = mails.iter().flat_map(|mail| mail.to.clone()).collect();
            // Two go out at once.
            addressees.sort();
            assert_eq!(addressees, to, "{what}: {mails:?}");
            for mail in &mails {
                assert!(mail.text.contains(what), "{what}: {}", mail.text);
            }
        };
        let post = async |client: &Client, path: &str, form: Value| {
            hub.clock.advance(Duration::from_mins(1));
            client.step_up().await;
            let answer = client.post(path, form).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.text());
        };
        let form = json!({ "current_password": OWNER_PASSWORD, "new_password": OWNER_PASSWORD });
        post(&owner, "/v1/account/password", form).await;
        told("password was changed", &[OWNER_EMAIL]).await;
        let form = json!({ "name": "ci", "permissions": ["servers.read"], "scope": { "type": "workspace" } });
        post(&owner, "/v1/api-keys", form).await;
        told("API key ci", &[OWNER_EMAIL]).await;
        let form = json!({
            "email": "mia@example.org", "granted": { "role": "viewer" }, "scope": { "type": "workspace" },
        });
        post(&owner, "/v1/team/invites", form).await;
        told("/invite#rsv_", &["mia@example.org"]).await;

        let app = App::enrolled(&hub, &owner).await;
        told("One-time codes are on", &[OWNER_EMAIL]).await;
        let code = app.recovery_codes.first().unwrap();
        assert_eq!(login_with(&hub.anonymous(), code).await.status, StatusCode::OK);
        told("9 recovery codes are left", &[OWNER_EMAIL]).await;
        let form = json!({ "password": OWNER_PASSWORD, "totp": app.code(&hub) });
        let off = owner.send(axum::http::Method::DELETE, "/v1/account/totp", Some(form)).await;
        assert!(off.status.is_success(), "{}", off.text());
        told("One-time codes are off", &[OWNER_EMAIL]).await;
    }
}

#[tokio::test]
async fn a_sign_in_from_a_new_place_is_told_and_one_from_an_old_place_is_not() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| {
        catcher.configure(config);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    hub.owner().await;
    for (address, mails) in
        [("127.0.0.1", 0), ("192.0.2.7", 1), ("192.0.2.7", 0), ("2001:db8::1", 1), ("2001:db8::2", 0)]
    {
        let client = hub.anonymous().with_header("x-forwarded-for", address).with_header("user-agent", "Lynx");
        let form = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD });
        assert_eq!(client.post("/v1/auth/login", form).await.status, StatusCode::OK);
        deliver(&hub).await;
        let received = catcher.take();
        assert_eq!(received.len(), mails, "{address}");
        for mail in received {
            assert!(mail.text.contains(address) && mail.text.contains("Lynx"), "{}", mail.text);
        }
    }
}

#[tokio::test]
async fn a_workspace_mails_two_hundred_invitations_a_day_and_no_more() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| {
        catcher.configure(config);
        config.requests_per_minute = 1_000_000;
    })
    .await;
    let owner = hub.owner().await;
    let mut mailed = 0;
    for n in 0..201 {
        let form = json!({
            "email": format!("p{n}@example.org"), "granted": { "role": "viewer" }, "scope": { "type": "workspace" },
        });
        let made = owner.post("/v1/team/invites", form).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        mailed += u32::from(made.json()["mailed"] == true);
    }
    assert_eq!(mailed, 200);
}
