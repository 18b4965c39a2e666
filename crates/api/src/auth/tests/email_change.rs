//! Promises of another address to sign in with: nobody has one that they do not read.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{actions, login};
use crate::mail::tests::{Catcher, Received, deliver};
use crate::testing::{Answer, Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

const NEW: &str = "olga@example.net";

async fn ask(client: &Client, email: &str) -> Answer {
    client.post("/v1/account/email", json!({ "email": email, "password": OWNER_PASSWORD })).await
}

async fn complete(hub: &TestHub, token: &str) -> Answer {
    hub.anonymous().post("/v1/auth/email-change/complete", json!({ "token": token })).await
}

/// What arrived: to whom, about what.
async fn told(hub: &TestHub, catcher: &Catcher) -> Vec<(String, Received)> {
    deliver(hub).await;
    let mut mails: Vec<_> = catcher.take().into_iter().map(|mail| (mail.to.concat(), mail)).collect();
    mails.sort_by(|one, other| one.0.cmp(&other.0));
    mails
}

/// Asks for an address; what the link to it holds.
async fn asked(hub: &TestHub, catcher: &Catcher, client: &Client, email: &str) -> String {
    let answer = ask(client, email).await;
    assert_eq!((answer.status, answer.json()), (StatusCode::ACCEPTED, json!({ "pending": email })));
    let mails = told(hub, catcher).await;
    let link = mails.iter().find(|(to, mail)| to == email && mail.text.contains("/change-email#")).unwrap();
    link.1.link().split_once('#').unwrap().1.to_owned()
}

/// Has somebody sign in with another address.
pub(super) async fn changed(hub: &TestHub, catcher: &Catcher, client: &Client, email: &str) {
    hub.clock.advance(Duration::from_mins(1));
    let token = asked(hub, catcher, client, email).await;
    let done = complete(hub, &token).await;
    assert_eq!((done.status, done.text().as_str()), (StatusCode::OK, "{}"));
}

async fn address(client: &Client) -> Value {
    client.get("/v1/account").await.json()["email"].clone()
}

#[tokio::test]
async fn an_address_counts_once_its_link_was_opened_and_the_old_one_is_told_twice() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let other = hub.anonymous();
        login(&other, OWNER_EMAIL, OWNER_PASSWORD).await;
        assert_eq!(ask(&owner, NEW).await.status, StatusCode::ACCEPTED);
        let mails = told(&hub, &catcher).await;
        assert_eq!(mails.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), [NEW, OWNER_EMAIL]);
        let (link, notice) = (&mails[0].1, &mails[1].1);
        assert!(link.link().starts_with("http://127.0.0.1:8080/change-email#rsec_"), "{}", link.text);
        assert!(!link.text.contains("Olga") && !link.text.contains(OWNER_EMAIL), "strangers learn nothing");
        assert!(notice.text.contains(NEW) && !notice.text.contains("rsec_"), "{}", notice.text);
        assert_eq!(address(&owner).await, OWNER_EMAIL);
        assert_eq!(login(&hub.anonymous(), NEW, OWNER_PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        let forgotten = hub.anonymous().post("/v1/auth/password-reset", json!({ "email": NEW })).await;
        assert_eq!(forgotten.status, StatusCode::ACCEPTED);
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::OK);

        let token = link.link().split_once('#').unwrap().1.to_owned();
        assert_eq!(complete(&hub, &token).await.status, StatusCode::OK);
        assert_eq!(complete(&hub, &token).await.status, StatusCode::GONE, "it works once");
        assert_eq!(address(&owner).await, NEW, "the session that asked goes on");
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        let mails = told(&hub, &catcher).await;
        assert_eq!(mails.iter().map(|(to, _)| to.as_str()).collect::<Vec<_>>(), [NEW, OWNER_EMAIL]);
        assert!(mails.iter().all(|(_, mail)| mail.subject().contains("has another e-mail address")), "{mails:?}");
        hub.clock.advance(Duration::from_mins(1));
        assert_eq!(login(&hub.anonymous(), NEW, OWNER_PASSWORD).await.status, StatusCode::OK);
        let seen = actions(&owner).await;
        for action in ["account.email_request", "account.email"] {
            assert!(seen.contains(&(action.to_owned(), "ok".to_owned())), "{seen:?}");
        }
        assert!(!owner.get("/v1/audit").await.text().contains("rsec_"));
    }
}

#[tokio::test]
async fn a_link_to_an_address_ends_with_time_another_request_and_another_password() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let late = asked(&hub, &catcher, &owner, NEW).await;
        hub.clock.advance(Duration::from_mins(30));
        assert_eq!(complete(&hub, &late).await.status, StatusCode::GONE);
        let first = asked(&hub, &catcher, &owner, NEW).await;
        let second = asked(&hub, &catcher, &owner, "olga@example.org").await;
        assert_eq!(complete(&hub, &first).await.status, StatusCode::GONE, "one works at a time");
        let form = json!({ "current_password": OWNER_PASSWORD, "new_password": OWNER_PASSWORD });
        assert_eq!(owner.post("/v1/account/password", form).await.status, StatusCode::NO_CONTENT);
        assert_eq!(complete(&hub, &second).await.status, StatusCode::GONE);
        hub.clock.advance(Duration::from_mins(1));
        for bad in ["", "rsec_", "rspr_x", &"x".repeat(100_000)] {
            assert_eq!(complete(&hub, bad).await.status, StatusCode::GONE, "{bad:.20}");
        }
        assert_eq!(address(&owner).await, OWNER_EMAIL);
    }
}

#[tokio::test]
async fn an_address_that_another_account_got_meanwhile_stays_theirs() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let owner = hub.owner().await;
        let taken = ask(&owner, "stranger@example.org").await;
        assert_eq!(taken.status, StatusCode::ACCEPTED);
        let mails = told(&hub, &catcher).await;
        let token = mails[1].1.link().split_once('#').unwrap().1.to_owned();
        let _stranger = hub.stranger().await;
        assert_eq!(complete(&hub, &token).await.status, StatusCode::CONFLICT);
        assert_eq!(ask(&owner, "Stranger@example.org").await.status, StatusCode::CONFLICT);
        assert_eq!(address(&owner).await, OWNER_EMAIL);
    }
}

#[tokio::test]
async fn nobody_writes_to_many_strangers_by_asking_for_their_addresses() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| catcher.configure(config)).await;
    let owner = hub.owner().await;
    let mut written = 0;
    for n in 0..30 {
        hub.clock.advance(Duration::from_mins(1));
        let answer = ask(&owner, &format!("p{n}@example.org")).await;
        written += u32::from(answer.status == StatusCode::ACCEPTED);
        assert!(answer.status == StatusCode::ACCEPTED || answer.code() == "rate_limited", "{}", answer.text());
    }
    assert_eq!(written, 25, "each is two letters of fifty");
}
