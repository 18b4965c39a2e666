//! What people do with their own account, and what the command line does for them.

use axum::http::StatusCode;
use serde_json::json;

use super::support::{App, login_with};
use super::{actions, disable_totp, login, random_password, reset_password};
use crate::auth::factors::Given;
use crate::auth::model::Email;
use crate::auth::sign_in::{self, Basis, Credentials, Entry};
use crate::testing::{OWNER_EMAIL, OWNER_PASSWORD, TestHub};

#[tokio::test]
async fn people_are_called_what_they_like() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let renamed = owner.patch("/v1/account", json!({ "name": " Olga O. " })).await;
        assert_eq!((renamed.status, &renamed.json()["name"]), (StatusCode::OK, &json!("Olga O.")));
        assert_eq!(owner.get("/v1/auth/session").await.json()["user"], renamed.json());
        assert_eq!(owner.patch("/v1/account", json!({})).await.json(), renamed.json());
        assert_eq!(
            owner.patch("/v1/account", json!({ "name": "a\nb" })).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        assert_eq!(actions(&owner).await.iter().filter(|(action, _)| action == "account.update").count(), 1);
    }
}

#[tokio::test]
async fn a_new_address_needs_the_password_and_ends_the_other_sessions() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let _stranger = hub.stranger().await;
        let other = hub.anonymous();
        login(&other, OWNER_EMAIL, OWNER_PASSWORD).await;
        let change = async |email: &str, password: &str| {
            owner.post("/v1/account/email", json!({ "email": email, "password": password })).await
        };
        assert_eq!(change("olga@example.net", "a wrong guess").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let look_alike = change("оlga@example.net", OWNER_PASSWORD).await;
        assert!(look_alike.json()["error"]["details"]["fields"]["email"].is_array(), "{}", look_alike.text());
        let taken = change("Stranger@Example.org", OWNER_PASSWORD).await;
        assert_eq!(taken.status, StatusCode::CONFLICT);
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::OK);

        let changed = change("Olga@example.net", OWNER_PASSWORD).await;
        assert_eq!((changed.status, &changed.json()["email"]), (StatusCode::OK, &json!("Olga@example.net")));
        assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(owner.get("/v1/auth/session").await.json()["user"]["email"], "Olga@example.net");
        assert_eq!(login(&other, OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(login(&other, "olga@EXAMPLE.net", OWNER_PASSWORD).await.status, StatusCode::OK);
        assert!(actions(&owner).await.contains(&("account.email".to_owned(), "ok".to_owned())));
    }
}

#[tokio::test]
async fn all_other_sessions_end_at_once() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let others = [hub.anonymous(), hub.anonymous()];
        for other in &others {
            login(other, OWNER_EMAIL, OWNER_PASSWORD).await;
        }
        assert_eq!(owner.delete("/v1/account/sessions").await.status, StatusCode::NO_CONTENT);
        for other in &others {
            assert_eq!(other.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        }
        for still in [&owner, &stranger] {
            assert_eq!(still.get("/v1/auth/session").await.status, StatusCode::OK);
        }
        assert_eq!(actions(&owner).await[0].0, "session.revoke_others");
    }
}

#[tokio::test]
async fn the_command_line_helps_who_forgot_a_password_or_lost_an_app() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        let email = |text: &str| Email::try_from(text.to_owned()).unwrap();
        let password = random_password(hub.hub.random.as_ref());
        let new = password.clone().try_into().unwrap();
        let (user, ended) = reset_password(&hub.hub, &email("OWNER@example.com"), &new).await.unwrap();
        assert_eq!((user.email.as_str(), ended), (OWNER_EMAIL, 1));
        assert_eq!(owner.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(login_with(&owner, &app.code(&hub)).await.code(), "invalid_credentials");
        let without = login(&owner, OWNER_EMAIL, &password).await;
        assert_eq!(without.code(), "totp_required", "another password is no way around codes");

        let (_, were_on) = disable_totp(&hub.hub, &email(OWNER_EMAIL)).await.unwrap();
        assert!(were_on && !disable_totp(&hub.hub, &email(OWNER_EMAIL)).await.unwrap().1);
        assert_eq!(login(&owner, OWNER_EMAIL, &password).await.status, StatusCode::OK);
        let records = owner.get("/v1/audit?limit=5").await;
        let seen: Vec<_> = records.json()["data"].as_array().unwrap()[1..=2]
            .iter()
            .map(|record| (record["action"].clone(), record["actor"]["type"].clone()))
            .collect();
        let system = json!("system");
        assert!(seen.contains(&(json!("totp.disable"), system)), "{seen:?}");
        assert!(!records.text().contains(&password), "the password is not recorded");
        let unknown = reset_password(&hub.hub, &email("nobody@example.com"), &new).await.unwrap_err();
        assert_eq!(unknown.code().as_str(), "not_found");
    }
}

#[tokio::test]
async fn a_sign_in_that_overlaps_a_change_of_what_it_came_with_opens_nothing() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let (email, password) = (Email::try_from(OWNER_EMAIL.to_owned()).unwrap(), OWNER_PASSWORD.to_owned());
        let password = password.try_into().unwrap();
        let origin = crate::access::RequestOrigin::default();
        let credentials = Credentials { email: &email, password: &password, given: Given::default() };
        let (account, _) = sign_in::check(&hub.hub, &origin, credentials).await.unwrap();
        let (nobody, no_one) = (hub.hub.ids.identity(), hub.hub.ids.passkey());
        let enter = async |basis: Basis| {
            let (user, verified_at) = (account.user.clone(), hub.hub.now());
            let entry = Entry { user, basis, workspace: None, verified_at, details: json!({}) };
            let mut unit = hub.hub.begin().await.unwrap();
            let opened = sign_in::open(&hub.hub, &mut unit, origin.clone(), entry).await;
            opened.map(drop).map_err(|error| error.code().as_str())
        };
        let matched = || Basis::Password(account.password_hash.clone());
        assert_eq!(enter(matched()).await, Ok(()));
        for gone in [Basis::Identity(nobody), Basis::Passkey(no_one)] {
            assert_eq!(enter(gone).await, Err("invalid_credentials"));
        }
        let form = json!({ "current_password": OWNER_PASSWORD, "new_password": "a much better one" });
        assert_eq!(owner.post("/v1/account/password", form).await.status, StatusCode::NO_CONTENT);
        assert_eq!(enter(matched()).await, Err("invalid_credentials"));
    }
}
