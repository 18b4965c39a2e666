//! What is dangerous asks again; what is not, does not; keys are never asked.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{App, login_with};
use crate::access::{Fresh, Node, Verb, verbs};
use crate::testing::{Client, OWNER_PASSWORD, TestHub};

const FRESH_FOR: Duration = Duration::from_mins(10);

/// Requests that give or take power, with bodies that would be refused for another reason.
const DANGEROUS: [(&str, &str); 13] = [
    ("POST", "/v1/team/invites"),
    ("POST", "/v1/team/roles"),
    ("POST", "/v1/team/transfer"),
    ("POST", "/v1/api-keys"),
    ("PATCH", "/v1/workspace"),
    ("DELETE", "/v1/team/members/{member}"),
    ("PUT", "/v1/team/members/{member}/grants"),
    ("DELETE", "/v1/api-keys/{key}"),
    ("POST", "/v1/api-keys/{key}/rotate"),
    ("DELETE", "/v1/servers/{server}"),
    ("POST", "/v1/servers/{server}/revoke"),
    ("PUT", "/v1/servers/{server}/restrictions"),
    ("DELETE", "/v1/team/invites/{invite}"),
];

struct Things {
    member: String,
    key: String,
    server: String,
    invite: String,
    token: String,
}

async fn furnish(hub: &TestHub, owner: &Client) -> Things {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let session = owner.get("/v1/auth/session").await.json();
    let workspace = text(&session["workspace_id"]).parse().unwrap();
    let server = crate::jobs::tests::support::add_server(&hub.hub, workspace, "one").await.server_id.to_string();
    let scope = json!({ "type": "workspace" });
    let form = json!({ "name": "k", "permissions": ["workspace.manage", "servers.read"], "scope": scope });
    let key = owner.post("/v1/api-keys", form).await.json();
    let form = json!({ "email": "new@example.org", "granted": { "role": "viewer" }, "scope": scope });
    let invite = owner.post("/v1/team/invites", form).await.json();
    let member = hub.member(owner, "mia@example.org", json!({ "role": "viewer" }), scope).await;
    let member = text(&member.get("/v1/auth/session").await.json()["user"]["id"]);
    Things { member, key: text(&key["id"]), server, invite: text(&invite["id"]), token: text(&key["token"]) }
}

async fn ask(client: &Client, things: &Things, (method, path): (&str, &str)) -> crate::testing::Answer {
    let path = path.replace("{member}", &things.member).replace("{key}", &things.key);
    let path = path.replace("{server}", &things.server).replace("{invite}", &things.invite);
    client.send(method.parse::<Method>().unwrap(), &path, Some(json!([]))).await
}

#[tokio::test]
async fn what_is_dangerous_asks_again_after_ten_minutes() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let things = furnish(&hub, &owner).await;
        hub.clock.advance(FRESH_FOR);
        for route in DANGEROUS {
            let answer = ask(&owner, &things, route).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::FORBIDDEN, "step_up_required"),
                "{route:?}"
            );
        }
        // Reading and what is not dangerous goes on.
        for path in ["/v1/servers", "/v1/team/members", "/v1/audit", "/v1/workspace", "/v1/api-keys"] {
            assert_eq!(owner.get(path).await.status, StatusCode::OK, "{path}");
        }
        let renamed = owner.patch(&format!("/v1/servers/{}", things.server), json!({ "name": "two" })).await;
        assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text());
        // A key has no password to say.
        let key = hub.anonymous().with_header("authorization", &format!("Bearer {}", things.token));
        assert_eq!(key.patch("/v1/workspace", json!({ "name": "Den" })).await.status, StatusCode::OK);

        let session = owner.get("/v1/auth/session").await.json();
        assert_eq!(session["verified_until"], "2026-01-01T00:10:00.000Z");
        let wrong = owner.post("/v1/auth/step-up", json!({ "password": "a wrong guess" })).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(ask(&owner, &things, DANGEROUS[0]).await.code(), "step_up_required");
        let done = owner.post("/v1/auth/step-up", json!({ "password": OWNER_PASSWORD })).await;
        assert_eq!(done.json(), json!({ "verified_until": "2026-01-01T00:21:00.000Z" }));
        for route in &DANGEROUS[..5] {
            assert_ne!(ask(&owner, &things, *route).await.code(), "step_up_required", "{route:?}");
        }
        hub.clock.advance(FRESH_FOR.checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!(owner.patch("/v1/workspace", json!({ "name": "Home" })).await.status, StatusCode::OK);
        hub.clock.advance(Duration::from_millis(1));
        assert_eq!(owner.patch("/v1/workspace", json!({ "name": "Den" })).await.code(), "step_up_required");
    }
}

#[tokio::test]
async fn one_session_does_not_speak_for_another() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let other = hub.anonymous();
    super::login(&other, crate::testing::OWNER_EMAIL, OWNER_PASSWORD).await;
    hub.clock.advance(FRESH_FOR);
    other.step_up().await;
    assert_eq!(owner.patch("/v1/workspace", json!({ "name": "Den" })).await.code(), "step_up_required");
    assert_eq!(other.patch("/v1/workspace", json!({ "name": "Den" })).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_may_not_do_it_is_not_asked_for_a_password() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let scope = json!({ "type": "workspace" });
    let viewer = hub.member(&owner, "mia@example.org", json!({ "role": "viewer" }), scope).await;
    hub.clock.advance(FRESH_FOR);
    assert_eq!(viewer.patch("/v1/workspace", json!({ "name": "Mine" })).await.code(), "forbidden");
}

#[tokio::test]
async fn an_account_with_codes_is_asked_for_one() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let app = App::enrolled(&hub, &owner).await;
        hub.clock.advance(FRESH_FOR);
        let step_up = async |code: Value| {
            owner.post("/v1/auth/step-up", json!({ "password": OWNER_PASSWORD, "totp": code })).await
        };
        assert_eq!(step_up(Value::Null).await.code(), "totp_required");
        let code = app.code(&hub);
        assert_eq!(login_with(&hub.anonymous(), &code).await.status, StatusCode::OK);
        assert_eq!(step_up(json!(code)).await.status, StatusCode::UNPROCESSABLE_ENTITY, "used by the sign-in");
        assert_eq!(owner.patch("/v1/workspace", json!({ "name": "Den" })).await.code(), "step_up_required");
        super::support::next_minute(&hub);
        assert_eq!(step_up(json!(app.code(&hub))).await.status, StatusCode::OK);
        assert_eq!(owner.patch("/v1/workspace", json!({ "name": "Den" })).await.status, StatusCode::OK);
    }
}

#[test]
fn reading_is_never_dangerous_and_a_deed_can_be_though_its_node_is_not() {
    for node in Node::ALL.iter().filter(|node| node.as_str().ends_with(".read")) {
        assert!(!node.is_dangerous(), "{}", node.as_str());
    }
    let fresh = |node: Node, demanded: bool| (node, demanded);
    assert_eq!(fresh(verbs::ServersManage::NODE, verbs::ServersManage::FRESH), (Node::ServersManage, false));
    assert_eq!(
        fresh(Fresh::<verbs::ServersManage>::NODE, Fresh::<verbs::ServersManage>::FRESH),
        (Node::ServersManage, true)
    );
}
