//! Promises of workspaces and their rules.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};

use crate::auth::totp_code_at;
use crate::testing::{Client, OWNER_PASSWORD, TestHub};

async fn enroll(hub: &TestHub, client: &Client) -> String {
    let started = client.post("/v1/account/totp", json!({ "password": OWNER_PASSWORD })).await.json();
    let secret = started["secret"].as_str().unwrap().to_owned();
    let code = totp_code_at(&secret, hub.hub.now());
    let confirmed = client.post("/v1/account/totp/confirm", json!({ "code": code })).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.text());
    secret
}

#[tokio::test]
async fn a_workspace_is_renamed_by_those_who_may() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let scope = json!({ "type": "workspace" });
        let viewer = hub.member(&owner, "mia@example.org", json!({ "role": "viewer" }), scope).await;
        let seen = viewer.get("/v1/workspace").await;
        assert_eq!((&seen.json()["name"], &seen.json()["require_totp"]), (&json!("Home"), &json!(false)));
        assert_eq!((seen.header("etag").as_str(), &seen.json()["version"]), ("\"1\"", &json!(1)));
        assert_eq!(viewer.patch("/v1/workspace", json!({ "name": "Mine" })).await.code(), "forbidden");

        let renamed = owner.patch("/v1/workspace", json!({ "name": "Den" })).await;
        assert_eq!((&renamed.json()["name"], renamed.header("etag").as_str()), (&json!("Den"), "\"2\""));
        let stale = owner.with_header("if-match", "\"1\"").patch("/v1/workspace", json!({ "name": "Lair" })).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        let nothing = owner.patch("/v1/workspace", json!({ "name": "Den" })).await;
        assert_eq!(nothing.json()["version"], 2, "nothing was changed");
        let records = owner.get("/v1/audit?action=workspace.update").await.json();
        assert_eq!(records["data"].as_array().unwrap().len(), 1);
        assert_eq!(records["data"][0]["details"], json!({ "name": { "from": "Home", "to": "Den" } }));
    }
}

/// Every route but a person's own account, and what is open to everybody.
async fn refused(client: &Client, has_session: bool) -> Vec<String> {
    let document = serde_json::to_value(crate::http::openapi()).unwrap();
    let mut wrong = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(verb) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            let open = operation["security"] == json!([{}]) || path == "/v1/agent";
            let own = path.starts_with("/v1/account") || path.starts_with("/v1/auth/");
            if open
                || !["get", "post", "put", "patch", "delete"].contains(&method.as_str())
                || path == "/v1/auth/logout"
            {
                continue;
            }
            let filled = path.replace("{id}", "01890000-0000-7000-8000-000000000000");
            let request = Request::builder().method(verb).uri(filled).header(header::CONTENT_TYPE, "application/json");
            let body = if matches!(method.as_str(), "get" | "delete") { Body::empty() } else { Body::from("[]") };
            let answer = client.send_raw(request, body).await;
            let status = answer.status;
            let code = if status.is_success() { String::new() } else { answer.collected().await.code() };
            // Routes that take a person say first that a key is none.
            let is_nobody = !has_session && code == "forbidden";
            let is_refused = code == "totp_enrollment_required";
            let right = if own && has_session { !is_refused } else { is_refused || is_nobody };
            if !right {
                wrong.push(format!("{method} {path}: {status} {code}"));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn a_workspace_that_requires_codes_lets_nobody_act_without() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let scope = json!({ "type": "workspace" });
        let admin = hub.member(&owner, "mia@example.org", json!({ "role": "admin" }), scope.clone()).await;
        let form = json!({ "name": "k", "permissions": ["servers.read", "members.read"], "scope": scope });
        let key = admin.post("/v1/api-keys", form).await.json();
        let key = format!("Bearer {}", key["token"].as_str().unwrap());
        let key = hub.anonymous().with_header("authorization", &key);
        assert_eq!(key.get("/v1/servers").await.status, StatusCode::OK);

        let require = async |required: bool| owner.patch("/v1/workspace", json!({ "require_totp": required })).await;
        let early = require(true).await;
        assert_eq!(early.status, StatusCode::CONFLICT, "whoever requires them has them: {}", early.text());
        enroll(&hub, &owner).await;
        let required = require(true).await;
        assert_eq!((required.status, &required.json()["require_totp"]), (StatusCode::OK, &json!(true)));

        assert_eq!(refused(&admin, true).await, [""; 0]);
        assert_eq!(refused(&key, false).await, [""; 0]);
        let session = admin.get("/v1/auth/session").await.json();
        let fields = (&session["totp_enrollment_required"], &session["permissions"]);
        assert_eq!(fields, (&json!(true), &json!([])), "what is shown is what may be done");
        assert_eq!(owner.get("/v1/servers").await.status, StatusCode::OK);
        let signed_in = hub.anonymous();
        let form = json!({ "email": "mia@example.org", "password": OWNER_PASSWORD });
        let answer = signed_in.post("/v1/auth/login", form).await;
        assert_eq!((answer.status, &answer.json()["totp_enrollment_required"]), (StatusCode::OK, &json!(true)));

        hub.clock.advance(std::time::Duration::from_mins(1));
        enroll(&hub, &admin).await;
        for client in [&admin, &signed_in, &key] {
            assert_eq!(client.get("/v1/servers").await.status, StatusCode::OK);
        }
        assert_eq!(admin.get("/v1/auth/session").await.json()["totp_enrollment_required"], Value::Bool(false));
        assert_eq!(require(false).await.json()["require_totp"], false);
    }
}

#[tokio::test]
async fn a_rule_of_one_workspace_is_none_of_another() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let stranger = hub.stranger().await;
    enroll(&hub, &owner).await;
    assert_eq!(owner.patch("/v1/workspace", json!({ "require_totp": true })).await.status, StatusCode::OK);
    assert_eq!(stranger.get("/v1/servers").await.status, StatusCode::OK);
    assert_eq!(stranger.get("/v1/workspace").await.json()["require_totp"], false);
}
