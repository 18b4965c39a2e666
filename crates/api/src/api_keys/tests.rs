//! Promises of API keys.

use axum::http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

use crate::config::Config;
use crate::testing::{Client, TestHub};

fn everywhere() -> Value {
    json!({ "type": "workspace" })
}

async fn key(by: &Client, form: Value) -> Value {
    let made = by.post("/v1/api-keys", form).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()
}

fn with(hub: &TestHub, key: &Value) -> Client {
    hub.anonymous().with_header("authorization", &format!("Bearer {}", key["token"].as_str().unwrap()))
}

fn reader() -> Value {
    json!({ "name": "deploy", "permissions": ["servers.read", "audit.read"], "scope": everywhere() })
}

#[tokio::test]
async fn a_key_does_what_it_says_and_nothing_else() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let made = key(&owner, reader()).await;
        let script = with(&hub, &made);
        assert_eq!(script.get("/v1/servers").await.status, StatusCode::OK);
        let refused = script.get("/v1/jobs").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text().contains("jobs.read"), "{}", refused.text());
        for path in ["/v1/auth/session", "/v1/account/sessions", "/v1/api-keys"] {
            assert_eq!(script.get(path).await.status, StatusCode::FORBIDDEN, "{path} is a person's");
        }
        let listed = owner.get("/v1/api-keys").await.json();
        assert_eq!(listed["data"][0]["id"], made["id"]);
        assert!(listed["data"][0].get("token").is_none(), "shown once: {listed}");
        let audit = owner.get("/v1/audit?action=access.deny").await.json();
        assert_eq!(audit["data"][0]["actor"]["type"], "api_key");
        assert_eq!(audit["data"][0]["actor"]["name"], "deploy");

        let path = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(script.get("/v1/servers").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_key_that_was_asked_for_before_a_demotion_is_not_made_after_it() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let ann = hub.member(&owner, "ann@example.org", json!({ "role": "admin" }), everywhere()).await;
        let actor = ann.actor().await;
        let id = ann.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let grants = json!({ "grants": [{ "granted": { "role": "viewer" }, "scope": everywhere() }] });
        assert_eq!(owner.put(&format!("/v1/team/members/{id}/grants"), grants).await.status, StatusCode::OK);
        let refused = super::make(&hub.hub, &actor, serde_json::from_value(reader()).unwrap()).await;
        assert_eq!(refused.unwrap_err().code(), crate::error::ErrorCode::Forbidden);
    }
}

#[tokio::test]
async fn a_key_is_never_wider_than_its_maker_even_later() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let operator = hub.member(&owner, "ann@example.org", json!({ "role": "operator" }), everywhere()).await;
        let wider = operator.post("/v1/api-keys", reader()).await;
        assert_eq!(wider.status, StatusCode::FORBIDDEN);
        assert_eq!(wider.json()["error"]["details"]["missing"], json!(["audit.read"]));

        let form = json!({ "name": "k", "permissions": ["servers.read", "servers.exec"], "scope": everywhere() });
        let script = with(&hub, &key(&operator, form).await);
        let job = json!({ "server_id": hub.hub.ids.server(), "kind": "exec", "args": { "command": "id" } });
        assert_eq!(script.post("/v1/jobs", job.clone()).await.status, StatusCode::NOT_FOUND);
        // The maker becomes a viewer: the key does not run commands any more.
        let id = operator.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let member = format!("/v1/team/members/{id}");
        let viewer = json!({ "grants": [{ "granted": { "role": "viewer" }, "scope": everywhere() }] });
        assert_eq!(owner.put(&format!("{member}/grants"), viewer).await.status, StatusCode::OK);
        assert_eq!(script.post("/v1/jobs", job).await.status, StatusCode::FORBIDDEN);
        assert_eq!(script.get("/v1/servers").await.status, StatusCode::OK);
        // The maker leaves: the key is gone.
        assert_eq!(owner.delete(&member).await.status, StatusCode::NO_CONTENT);
        assert_eq!(script.get("/v1/servers").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_key_ends_when_it_says_so() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let mut form = reader();
    form["ttl_s"] = json!(60);
    let script = with(&hub, &key(&owner, form.clone()).await);
    hub.clock.advance(Duration::from_secs(59));
    assert_eq!(script.get("/v1/servers").await.status, StatusCode::OK);
    hub.clock.advance(Duration::from_secs(1));
    assert_eq!(script.get("/v1/servers").await.status, StatusCode::UNAUTHORIZED);
    form["ttl_s"] = json!(0);
    assert_eq!(owner.post("/v1/api-keys", form).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_key_is_good_from_its_networks_only() {
    let trusted = |config: &mut Config| config.trusted_proxies = vec!["0.0.0.0/0".parse().unwrap()];
    let hub = TestHub::with_config(trusted).await;
    let owner = hub.owner().await;
    let mut form = reader();
    form["networks"] = json!(["203.0.113.0/24", "2001:db8::1"]);
    let made = key(&owner, form.clone()).await;
    assert_eq!(made["networks"], json!(["203.0.113.0/24", "2001:db8::1/128"]));
    // The test's requests come from no address at all, which is in no network.
    let refused = with(&hub, &made).get("/v1/servers").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
    let audit = owner.get("/v1/audit?action=api_key.use").await.json();
    assert_eq!(audit["data"][0]["result"], "denied");
    for bad in [json!(["everywhere"]), json!(["203.0.113.0/33"]), json!(vec!["203.0.113.1"; 33])] {
        form["networks"] = bad;
        assert_eq!(owner.post("/v1/api-keys", form.clone()).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn rotating_a_key_leaves_the_old_token_worthless() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let made = key(&owner, reader()).await;
    let old = with(&hub, &made);
    assert_eq!(old.get("/v1/servers").await.status, StatusCode::OK);
    let path = format!("/v1/api-keys/{}/rotate", made["id"].as_str().unwrap());
    let rotated = owner.post(&path, json!({})).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
    assert_eq!(old.get("/v1/servers").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(with(&hub, &rotated.json()).get("/v1/servers").await.status, StatusCode::OK);
    let admin = hub.member(&owner, "ann@example.org", json!({ "role": "admin" }), everywhere()).await;
    assert_eq!(admin.post(&path, json!({})).await.status, StatusCode::FORBIDDEN, "a key is its maker's");
    let revoke = format!("/v1/api-keys/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.delete(&revoke).await.status, StatusCode::NO_CONTENT, "but an admin can revoke it");
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let made = key(&owner, reader()).await;
    let token = made["token"].as_str().unwrap().to_owned();
    for bad in ["Bearer", "Bearer ", "Bearer rsk_", "Bearer rsk_short", &format!("Bearer {}", &token[..40])] {
        let answer = hub.anonymous().with_header("authorization", bad).get("/v1/servers").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bad}");
    }
    // The scheme's case does not matter, and another scheme is another matter: a proxy's own sign-in.
    let lower = hub.anonymous().with_header("authorization", &format!("bearer {token}"));
    assert_eq!(lower.get("/v1/servers").await.status, StatusCode::OK);
    assert_eq!(owner.with_header("authorization", "Basic YTpi").get("/v1/servers").await.status, StatusCode::OK);
    let both = owner.with_header("authorization", &format!("Bearer {token}")).get("/v1/servers").await;
    assert_eq!((both.status, both.code().as_str()), (StatusCode::BAD_REQUEST, "bad_request"));
    // A key cannot make keys, not even smaller ones.
    let all = json!({ "name": "all", "permissions": ["api-keys.create", "servers.read"], "scope": everywhere() });
    let maker = with(&hub, &key(&owner, all).await);
    assert_eq!(maker.post("/v1/api-keys", reader()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_key_ends_itself_and_no_other() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let viewer = hub.member(&owner, "ann@example.org", json!({ "role": "viewer" }), everywhere()).await;
        let form = json!({ "name": "laptop", "permissions": ["servers.read"], "scope": everywhere() });
        let (made, other) = (key(&viewer, form.clone()).await, key(&viewer, form).await);
        let laptop = with(&hub, &made);
        let by_id = |key: &Value| format!("/v1/api-keys/{}", key["id"].as_str().unwrap());
        let rotated = laptop.post(&format!("{}/rotate", by_id(&made)), json!({})).await;
        assert!(rotated.status.is_client_error(), "a stolen key makes no other: {}", rotated.text());
        assert_eq!(laptop.delete(&by_id(&other)).await.status, StatusCode::NOT_FOUND);
        assert_eq!(laptop.delete("/v1/api-keys/current").await.status, StatusCode::NO_CONTENT);
        assert_eq!(laptop.get("/v1/servers").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(laptop.delete("/v1/api-keys/current").await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(viewer.delete("/v1/api-keys/current").await.status, StatusCode::FORBIDDEN, "a session is no key");
        let left = viewer.get("/v1/api-keys").await.json();
        assert_eq!((&left["data"][0]["id"], left["data"].as_array().unwrap().len()), (&other["id"], 1));
        let record = owner.get("/v1/audit?action=api_key.delete").await.json()["data"][0].clone();
        assert_eq!((&record["actor"]["id"], &record["subject"]["id"]), (&made["id"], &made["id"]), "{record}");
    }
}
