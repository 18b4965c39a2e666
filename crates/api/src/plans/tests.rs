//! Promises of plans: what is new is refused at the limit, also when many come at once, and nothing is taken away.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::{Client, TestHub};

async fn set(by: &Client, workspace: &str, limits: Value) -> StatusCode {
    let form = json!({ "name": "Small", "limits": limits });
    by.put(&format!("/v1/workspaces/{workspace}/plan"), form).await.status
}

async fn workspace(client: &Client) -> String {
    client.get("/v1/auth/session").await.json()["workspace_id"].as_str().unwrap().to_owned()
}

fn registration(token: &Value, number: u8) -> Value {
    json!({
        "token": token, "nonce": format!("{number:02x}").repeat(32), "hostname": "web", "os": "linux", "arch": "x86_64",
        "machine_id_hash": "11".repeat(32), "agent_version": "0.1.0",
    })
}

#[tokio::test]
async fn whoever_runs_the_hub_sets_plans_and_nobody_else() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        let (home, elsewhere) = (workspace(&owner).await, workspace(&stranger).await);
        let own = stranger.get("/v1/plan").await.json();
        assert_eq!(
            (&own["name"], &own["limits"]["servers"], &own["version"]),
            (&json!("unlimited"), &Value::Null, &json!(0))
        );
        // An owner of another workspace owns that, not the hub.
        assert_eq!(set(&stranger, &elsewhere, json!({ "servers": 1000 })).await, StatusCode::FORBIDDEN);
        assert_eq!(set(&stranger, &home, json!({ "servers": 0 })).await, StatusCode::FORBIDDEN);
        assert_eq!(stranger.get("/v1/workspaces").await.status, StatusCode::FORBIDDEN);
        let everywhere = json!({ "type": "workspace" });
        let admin = hub.member(&owner, "admin@example.org", json!({ "role": "admin" }), everywhere).await;
        assert_eq!(set(&admin, &elsewhere, json!({ "servers": 1 })).await, StatusCode::FORBIDDEN);

        assert_eq!(set(&owner, &elsewhere, json!({ "servers": 1 })).await, StatusCode::OK);
        let own = stranger.get("/v1/plan").await.json();
        assert_eq!(
            (&own["name"], &own["limits"]["servers"], &own["used"]["members"]),
            (&json!("Small"), &json!(1), &json!(1))
        );
        let all = owner.get("/v1/workspaces").await.json();
        let names = all["data"].as_array().unwrap().iter().map(|tenant| &tenant["name"]).collect::<Vec<_>>();
        assert_eq!(names, ["Home", "Elsewhere"]);
        let told = stranger.get("/v1/audit?action=plan.set").await.json();
        assert_eq!(told["data"][0]["details"]["limits"]["to"]["servers"], 1, "those concerned see it");
        let path = format!("/v1/workspaces/{elsewhere}/plan");
        let stale = owner.with_header("if-match", "\"7\"").put(&path, json!({ "name": "x", "limits": {} })).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        for bad in [json!({ "name": "", "limits": {} }), json!({ "name": "x", "limits": {}, "features": ["No Word"] })]
        {
            assert_eq!(owner.put(&path, bad).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
}

#[tokio::test]
async fn servers_beyond_the_plan_are_refused_and_those_there_stay() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let home = workspace(&owner).await;
        let mut tokens = Vec::new();
        for _ in 0..4 {
            tokens.push(owner.post("/v1/servers/install-tokens", json!({})).await.json()["token"].clone());
        }
        assert_eq!(set(&owner, &home, json!({ "servers": 2 })).await, StatusCode::OK);
        let anybody = hub.anonymous();
        let register = async |number: u8| {
            let body = registration(&tokens[usize::from(number)], number);
            anybody.post("/v1/agent/register", body).await.status
        };
        let (a, b, c) = tokio::join!(register(0), register(1), register(2));
        let admitted = [a, b, c].iter().filter(|status| **status == StatusCode::CREATED).count();
        assert_eq!(admitted, 2, "{a} {b} {c}");
        assert_eq!(owner.get("/v1/servers").await.json()["data"].as_array().unwrap().len(), 2);
        let refused = owner.post("/v1/servers/install-tokens", json!({})).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "quota_exceeded"));
        assert_eq!(refused.json()["error"]["details"], json!({ "limit": 2, "used": 2 }));

        // Less than there is: nothing goes away, and what is there can be connected again.
        assert_eq!(set(&owner, &home, json!({ "servers": 1 })).await, StatusCode::OK);
        let servers = owner.get("/v1/servers").await.json();
        assert_eq!(servers["data"].as_array().unwrap().len(), 2);
        let again = json!({ "server_id": servers["data"][0]["id"] });
        assert_eq!(owner.post("/v1/servers/install-tokens", again).await.status, StatusCode::CREATED);
        // A token that was refused for want of room is good once there is some.
        assert_eq!(set(&owner, &home, json!({})).await, StatusCode::OK);
        assert_eq!(register(3).await, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn members_and_invitations_count_together() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        assert_eq!(set(&owner, &workspace(&owner).await, json!({ "members": 2 })).await, StatusCode::OK);
        let invite =
            |email: &str| json!({ "email": email, "granted": { "role": "viewer" }, "scope": { "type": "workspace" } });
        let made = owner.post("/v1/team/invites", invite("one@example.org")).await;
        assert_eq!(made.status, StatusCode::CREATED);
        let refused = owner.post("/v1/team/invites", invite("two@example.org")).await;
        assert_eq!(refused.code(), "quota_exceeded", "{}", refused.text());
        // The place is theirs: accepting needs no other.
        let accept =
            json!({ "token": made.json()["token"], "name": "One", "password": crate::testing::OWNER_PASSWORD });
        assert_eq!(hub.anonymous().post("/v1/invites/accept", accept).await.status, StatusCode::OK);
        let used = owner.get("/v1/plan").await.json();
        assert_eq!(used["used"]["members"], 2);
    }
}
