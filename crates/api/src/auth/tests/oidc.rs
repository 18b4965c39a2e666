//! Signing in through identity providers: who gets in, as whom, with what, and which lies are believed: none.

mod letters;
mod lies;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::login;
use super::provider::{Provider, begin, goes_to, sign_in};
use super::support::{App, next_minute};
use crate::access::Role;
use crate::config::{Config, GroupMapping, OidcProvider};
use crate::testing::{Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

const UNKNOWN: &str = "/sign-in#error=oidc_unknown_account&return_to=%2Fservers";

fn mapping(group: &str, workspace: &str, role: Role) -> GroupMapping {
    GroupMapping { group: group.to_owned(), workspace: workspace.to_owned(), role }
}

/// Hubs with the provider `company`, whose group `ops` gives a role.
async fn hubs(provider: &Arc<Provider>, change: impl Fn(&mut OidcProvider)) -> Vec<TestHub> {
    let configure = |config: &mut Config| {
        let mut settings = provider.settings("company");
        settings.mappings = vec![mapping("ops", "Home", Role::Operator), mapping("boss", "Home", Role::Admin)];
        change(&mut settings);
        config.oidc.push(settings);
    };
    TestHub::each_engine_with(configure).await
}

fn in_group(provider: &Provider, groups: &Value) {
    provider.change(|script| script.claims["groups"] = groups.clone());
}

async fn roles(client: &Client) -> Vec<String> {
    let session = client.get("/v1/auth/session").await.json();
    let permissions = session["permissions"].as_array().unwrap().clone();
    permissions.iter().map(|node| node.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_group_lets_somebody_in_and_gives_and_takes_roles() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        provider.change(|script| script.claims["sub"] = json!("ann"));
        let owner = hub.owner().await;
        let methods = owner.get("/v1/auth/methods").await.json();
        assert_eq!(methods["providers"], json!([{ "id": "company", "name": "Company" }]));
        let client = hub.anonymous();
        in_group(&provider, &json!(["others"]));
        assert_eq!(sign_in(&client, &provider).await, UNKNOWN);
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);

        in_group(&provider, &json!(["ops", "others"]));
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        let session = client.get("/v1/auth/session").await.json();
        assert_eq!((&session["user"]["email"], &session["user"]["name"]), (&json!("ann@example.net"), &json!("Ann")));
        assert!(roles(&client).await.contains(&"servers.exec".to_owned()));
        let account = client.get("/v1/account").await.json();
        assert_eq!((&account["has_password"], &account["has_passkeys"]), (&json!(false), &json!(false)));
        let id = session["user"]["id"].as_str().unwrap().to_owned();
        let member = owner.get(&format!("/v1/team/members/{id}")).await.json();
        assert_eq!(member["grants"][0]["source"], "oidc/company");
        assert_eq!(member["grants"].as_array().unwrap().len(), 1);

        // Another role of another group; what people granted stays.
        let grants = json!({ "grants": [
            { "granted": { "role": "operator" }, "scope": { "type": "workspace" } },
            { "granted": { "permissions": ["audit.read"] }, "scope": { "type": "workspace" } },
        ] });
        owner.step_up().await;
        let put = owner.put(&format!("/v1/team/members/{id}/grants"), grants).await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.text());
        next_minute(&hub);
        in_group(&provider, &json!("boss"));
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        let held = roles(&client).await;
        assert!(held.contains(&"members.manage".to_owned()) && !held.contains(&"hub.manage".to_owned()), "{held:?}");
        in_group(&provider, &json!([]));
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        assert_eq!(roles(&client).await, ["audit.read"]);

        // With the last grant goes the membership, and the sessions with it.
        let put = owner.put(&format!("/v1/team/members/{id}/grants"), json!({ "grants": [] })).await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.text());
        next_minute(&hub);
        in_group(&provider, &json!(["ops"]));
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        in_group(&provider, &json!([]));
        assert_eq!(sign_in(&hub.anonymous(), &provider).await, UNKNOWN);
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        let records = owner.get("/v1/audit?action=member.map").await.json();
        let last = &records["data"][0]["details"];
        assert_eq!((&last["taken"], &last["membership_ended"]), (&json!(["operator"]), &json!(true)));
    }
}

#[tokio::test]
async fn an_address_is_nobody() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        in_group(&provider, &json!(["boss"]));
        provider.change(|script| script.claims["email"] = json!("Owner@Example.com"));
        let client = hub.anonymous();
        assert_eq!(sign_in(&client, &provider).await, "/sign-in#error=oidc_address_taken&return_to=%2Fservers");
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(owner.get("/v1/account/identities").await.json()["data"], json!([]));
        for (email, verified) in [("new@example.net", false), ("оlga@example.net", true)] {
            provider.change(|script| {
                script.claims["email"] = json!(email);
                script.claims["email_verified"] = json!(verified);
            });
            assert_eq!(sign_in(&client, &provider).await, UNKNOWN, "{email}");
        }
        provider.change(|script| script.claims["email_verified"] = json!(true));
    }
}

#[tokio::test]
async fn an_account_is_linked_by_whoever_is_signed_in_and_unlinked_again() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        hub.clock.advance(Duration::from_mins(10));
        let link = async || owner.post("/v1/account/identities/company/link", json!({})).await;
        assert_eq!(link().await.code(), "step_up_required");
        owner.step_up().await;
        let begun = link().await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.text());
        let back = provider.agree(begun.json()["location"].as_str().unwrap());
        assert_eq!(goes_to(&owner.get(&back).await), "/account");
        let list = owner.get("/v1/account/identities").await.json();
        assert_eq!(list["data"][0]["provider"], json!({ "id": "company", "name": "Company" }));
        assert_eq!(list["data"][0]["subject_hint"], "ann@example.net");
        let client = hub.anonymous();
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        assert_eq!(client.get("/v1/auth/session").await.json()["user"]["email"], OWNER_EMAIL);
        let records = owner.get("/v1/audit?action=auth.login").await.json();
        assert_eq!(records["data"][0]["details"], json!({ "by": "identity", "provider": "company" }));

        // One person of the provider is one account here.
        let stranger = hub.stranger().await;
        let begun = stranger.post("/v1/account/identities/company/link", json!({})).await.json();
        let back = provider.agree(begun["location"].as_str().unwrap());
        assert_eq!(goes_to(&stranger.get(&back).await), "/account#error=oidc_identity_taken");

        let id = list["data"][0]["id"].as_str().unwrap();
        let path = format!("/v1/account/identities/{id}");
        assert_eq!(stranger.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
        next_minute(&hub);
        assert_eq!(sign_in(&hub.anonymous(), &provider).await, UNKNOWN);
        assert_eq!(owner.post("/v1/account/identities/nobody/link", json!({})).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_second_factor_of_ours_is_asked_for_after_the_provider() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        let begun = owner.post("/v1/account/identities/company/link", json!({})).await.json();
        owner.get(&provider.agree(begun["location"].as_str().unwrap())).await;
        let app = App::enrolled(&hub, &owner).await;
        let client = hub.anonymous();
        assert_eq!(sign_in(&client, &provider).await, "/sign-in#error=oidc_second_factor&return_to=%2Fservers");
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::UNAUTHORIZED);
        let complete =
            async |client: &Client, totp: Value| client.post("/v1/auth/oidc/complete", json!({ "totp": totp })).await;
        let asked = complete(&client, Value::Null).await;
        assert_eq!(asked.code(), "totp_required");
        assert_eq!(asked.json()["error"]["details"]["methods"], json!(["totp", "recovery"]));
        assert_eq!(complete(&client, json!(app.wrong_code(&hub))).await.code(), "invalid_credentials");
        let elsewhere = complete(&hub.anonymous(), json!(app.code(&hub))).await;
        assert_eq!(elsewhere.status, StatusCode::GONE, "another browser waits for nothing");
        let done = complete(&client, json!(app.code(&hub))).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
        assert_eq!(client.get("/v1/auth/session").await.json()["user"]["email"], OWNER_EMAIL);
        next_minute(&hub);
        assert_eq!(complete(&client, json!(app.code(&hub))).await.status, StatusCode::GONE, "once");
        let late = hub.anonymous();
        sign_in(&late, &provider).await;
        hub.clock.advance(Duration::from_mins(5));
        assert_eq!(complete(&late, json!(app.code(&hub))).await.status, StatusCode::GONE);
    }
}

#[tokio::test]
async fn a_provider_that_asks_both_factors_is_enough() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |settings| settings.both_factors = true).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        let _app = App::enrolled(&hub, &owner).await;
        owner.step_up_with_code(&hub, &_app).await;
        let required = owner.patch("/v1/workspace", json!({ "require_totp": true })).await;
        assert_eq!(required.status, StatusCode::OK, "{}", required.text());
        in_group(&provider, &json!(["ops"]));
        let client = hub.anonymous();
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        assert_eq!(client.get("/v1/servers").await.status, StatusCode::OK);
        assert_eq!(client.get("/v1/auth/session").await.json()["totp_enrollment_required"], false);
    }
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        owner.step_up_with_code(&hub, &app).await;
        owner.patch("/v1/workspace", json!({ "require_totp": true })).await;
        in_group(&provider, &json!(["ops"]));
        let client = hub.anonymous();
        assert_eq!(sign_in(&client, &provider).await, "/servers");
        assert_eq!(client.get("/v1/servers").await.code(), "totp_enrollment_required", "one that does not is not");
    }
}

impl Client {
    async fn step_up_with_code(&self, hub: &TestHub, app: &App) {
        let form = json!({ "password": OWNER_PASSWORD, "totp": app.code(hub) });
        let done = self.post("/v1/auth/step-up", form).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
        next_minute(hub);
    }
}

#[tokio::test]
async fn an_account_without_a_password_proves_at_the_provider_whose_it_is() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        provider.change(|script| script.auth_time = Some(hub.hub.now().as_s()));
        let _owner = hub.owner().await;
        in_group(&provider, &json!(["ops"]));
        let client = hub.anonymous();
        sign_in(&client, &provider).await;
        provider.change(|script| script.auth_time = None);
        assert_eq!(login(&hub.anonymous(), "ann@example.net", "anything at all").await.code(), "invalid_credentials");
        let id = client.get("/v1/account/identities").await.json()["data"][0]["id"].as_str().unwrap().to_owned();
        let only = client.delete(&format!("/v1/account/identities/{id}")).await;
        assert_eq!(only.status, StatusCode::CONFLICT, "{}", only.text());
        hub.clock.advance(Duration::from_mins(10));
        let start_totp = async || client.post("/v1/account/totp", json!({})).await;
        assert_eq!(start_totp().await.code(), "step_up_required");
        let password = client.post("/v1/auth/step-up", json!({ "password": "anything at all" })).await;
        assert!(password.text().contains("identity provider"), "{}", password.text());

        let step_up = async || {
            let asked = begin(&client, "/v1/auth/oidc/company/start?step_up=true&return_to=/account").await;
            assert!(asked.contains("prompt=login") && asked.contains("max_age=0"), "{asked}");
            goes_to(&client.get(&provider.agree(&asked)).await)
        };
        assert_eq!(step_up().await, "/account#error=oidc_failed", "it does not say when they signed in");
        provider.change(|script| script.auth_time = Some(hub.hub.now().as_s() - 61));
        assert_eq!(step_up().await, "/account#error=oidc_failed", "too long ago");
        provider.change(|script| (script.auth_time, script.claims["sub"]) = (Some(hub.hub.now().as_s()), json!("bob")));
        assert_eq!(step_up().await, "/account#error=oidc_unknown_account", "somebody else");
        assert_eq!(start_totp().await.code(), "step_up_required");
        provider.change(|script| script.claims["sub"] = json!("ann"));
        assert_eq!(step_up().await, "/account");
        let started = start_totp().await;
        assert_eq!(started.status, StatusCode::CREATED, "{}", started.text());
        let secret = started.json()["secret"].as_str().unwrap().to_owned();
        let code = crate::auth::totp_code_at(&secret, hub.hub.now());
        let confirmed = client.post("/v1/account/totp/confirm", json!({ "code": code })).await;
        assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());

        // From now on the provider is one factor of two.
        hub.clock.advance(Duration::from_mins(10));
        provider.change(|script| script.auth_time = Some(hub.hub.now().as_s()));
        assert_eq!(step_up().await, "/account#error=oidc_second_factor");
        let code = crate::auth::totp_code_at(&secret, hub.hub.now());
        let other = hub.anonymous();
        assert_eq!(other.post("/v1/auth/step-up", json!({ "totp": code })).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(client.post("/v1/auth/step-up", json!({})).await.code(), "totp_required");
        let done = client.post("/v1/auth/step-up", json!({ "totp": code })).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());

        // A password of its own, for once.
        let form = json!({ "new_password": "another long password" });
        let set = client.send(Method::POST, "/v1/account/password", Some(form)).await;
        assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.text());
        assert_eq!(client.get("/v1/account").await.json()["has_password"], true);
    }
}

#[tokio::test]
async fn coming_back_from_a_provider_is_no_fresh_proof_unless_it_asked_just_now() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        let _owner = hub.owner().await;
        in_group(&provider, &json!(["ops"]));
        let now = hub.hub.now().as_s();
        for (auth_time, is_fresh) in
            [(None, false), (Some(now - 600), false), (Some(now + 3600), false), (Some(0), false), (Some(now), true)]
        {
            provider.change(|script| script.auth_time = auth_time);
            let client = hub.anonymous();
            assert_eq!(sign_in(&client, &provider).await, "/servers");
            // A hub without a name has no passkeys: it gets as far as that.
            let key = client.post("/v1/account/passkeys/begin", json!({})).await;
            assert_eq!(key.code() != "step_up_required", is_fresh, "{auth_time:?}: {}", key.text());
            let totp = client.post("/v1/account/totp", json!({})).await;
            assert_eq!(totp.code() != "step_up_required", is_fresh, "{auth_time:?}: {}", totp.text());
        }
    }
}

/// The owner with an identity of the provider and the role of its group `boss` beside their own, in two windows of time.
async fn linked(hub: &TestHub, owner: &Client, provider: &Provider) -> String {
    owner.step_up().await;
    let begun = owner.post("/v1/account/identities/company/link", json!({})).await.json();
    assert_eq!(goes_to(&owner.get(&provider.agree(begun["location"].as_str().unwrap())).await), "/account");
    next_minute(hub);
    let list = owner.get("/v1/account/identities").await.json();
    list["data"][0]["id"].as_str().unwrap().to_owned()
}

async fn sources(owner: &Client, id: &str) -> Vec<Value> {
    let member = owner.get(&format!("/v1/team/members/{id}")).await.json();
    member["grants"].as_array().unwrap().iter().map(|grant| grant["source"].clone()).collect()
}

#[tokio::test]
async fn what_groups_gave_goes_with_the_identity_and_with_the_provider() {
    let provider = Provider::start().await;
    for hub in hubs(&provider, |_| {}).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        let ann =
            hub.member(&owner, "ann@example.org", json!({ "role": "viewer" }), json!({ "type": "workspace" })).await;
        let id = ann.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let identity = linked(&hub, &ann, &provider).await;
        in_group(&provider, &json!(["boss"]));
        assert_eq!(sign_in(&hub.anonymous(), &provider).await, "/servers");
        assert_eq!(sources(&owner, &id).await, [Value::Null, json!("oidc/company")]);
        next_minute(&hub);
        crate::auth::sweep(&hub.hub).await.unwrap();
        assert_eq!(sources(&owner, &id).await.len(), 2, "what is given still stays");

        ann.step_up().await;
        let path = format!("/v1/account/identities/{identity}");
        assert_eq!(ann.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(sources(&owner, &id).await, [Value::Null]);
        assert!(!roles(&ann).await.contains(&"members.manage".to_owned()), "at once");
        let record = owner.get("/v1/audit?action=member.map").await.json()["data"][0].clone();
        assert_eq!((&record["details"]["taken"], &record["actor"]["id"]), (&json!(["admin"]), &json!(id)), "{record}");

        linked(&hub, &ann, &provider).await;
        assert_eq!(sign_in(&hub.anonymous(), &provider).await, "/servers");
        assert_eq!(sources(&owner, &id).await.len(), 2);
        let mut other = provider.settings("company");
        other.issuer = "https://id.example.net".to_owned();
        for (kept, settings) in [("none", Vec::new()), ("another one under its name", vec![other])] {
            let restarted = hub.restarted_with_providers(settings);
            crate::auth::sweep(&restarted).await.unwrap();
            assert_eq!(sources(&owner.at(restarted), &id).await, [Value::Null], "{kept}");
            next_minute(&hub);
            assert_eq!(sign_in(&hub.anonymous(), &provider).await, "/servers");
        }
    }
}
