//! Promises of projects.

use axum::http::StatusCode;
use protocol::WorkspaceId;
use serde_json::{Value, json};

use crate::jobs::tests::support::add_server;
use crate::testing::{Client, TestHub};

async fn workspace_of(client: &Client) -> WorkspaceId {
    client.get("/v1/auth/session").await.json()["workspace_id"].as_str().unwrap().parse().unwrap()
}

async fn project(client: &Client, name: &str) -> String {
    let made = client.post("/v1/projects", json!({ "name": name })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

fn scope(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}

#[tokio::test]
async fn a_project_is_made_renamed_and_removed_and_its_servers_stay() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let shop = project(&owner, "Shop").await;
        let twice = owner.post("/v1/projects", json!({ "name": "SHOP" })).await;
        assert_eq!(twice.status, StatusCode::CONFLICT, "{}", twice.text());
        let server = add_server(&hub.hub, workspace_of(&owner).await, "web").await.server_id;
        let path = format!("/v1/servers/{server}");
        let moved = owner.patch(&path, json!({ "project_id": shop })).await.json();
        assert_eq!((&moved["project_id"], &moved["name"]), (&json!(shop), &json!("web")));
        let listed = owner.get("/v1/projects").await.json();
        assert_eq!((&listed["data"][0]["servers"], listed["data"].as_array().unwrap().len()), (&json!(1), 1));
        let in_project = owner.get(&format!("/v1/servers?project_id={shop}")).await.json();
        assert_eq!((&in_project["data"][0]["name"], &in_project["totals"]["pending"]), (&json!("web"), &json!(1)));
        let other = project(&owner, "Other").await;
        let elsewhere = owner.get(&format!("/v1/servers?project_id={other}")).await.json();
        assert_eq!((&elsewhere["data"], &elsewhere["totals"]["pending"]), (&json!([]), &json!(0)));

        let path_of_project = format!("/v1/projects/{shop}");
        let stale = owner.with_header("if-match", "\"7\"").patch(&path_of_project, json!({ "name": "Store" })).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        let renamed = owner.with_header("if-match", "\"1\"").patch(&path_of_project, json!({ "name": "Store" })).await;
        assert_eq!((renamed.status, renamed.header("etag").as_str()), (StatusCode::OK, "\"2\""));

        // A patch that says nothing of the project leaves it; null takes the server out.
        let same = owner.patch(&path, json!({ "name": "web-1" })).await.json();
        assert_eq!(same["project_id"], json!(shop));
        let none = owner.patch(&path, json!({ "project_id": null })).await.json();
        assert_eq!(none["project_id"], Value::Null);
        owner.patch(&path, json!({ "project_id": shop })).await;
        assert_eq!(owner.delete(&path_of_project).await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.get(&path).await.json()["project_id"], Value::Null);
        assert_eq!(owner.get(&path_of_project).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_server_is_moved_by_those_who_manage_both_ends() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let (mine, other) = (project(&owner, "Mine").await, project(&owner, "Other").await);
    let server = add_server(&hub.hub, workspace_of(&owner).await, "web").await.server_id;
    let path = format!("/v1/servers/{server}");
    owner.patch(&path, json!({ "project_id": mine })).await;
    let admin = hub.member(&owner, "ann@example.org", json!({ "role": "admin" }), scope("project", &mine)).await;
    for target in [json!(other), Value::Null] {
        let refused = admin.patch(&path, json!({ "project_id": target })).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{target}");
        assert!(refused.text().contains("projects.manage"), "{}", refused.text());
    }
    assert_eq!(admin.get(&path).await.json()["project_id"], json!(mine), "a refused move changes nothing");
    assert_eq!(admin.patch(&path, json!({ "name": "renamed" })).await.status, StatusCode::OK);
    owner.patch(&path, json!({ "project_id": other })).await;
    assert_eq!(admin.get(&path).await.status, StatusCode::NOT_FOUND, "out of reach at once");
}

#[tokio::test]
async fn a_token_of_a_project_makes_servers_of_that_project() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let mine = project(&owner, "Mine").await;
    let operator = hub.member(&owner, "ann@example.org", json!({ "role": "operator" }), scope("project", &mine)).await;
    assert_eq!(operator.post("/v1/servers/install-tokens", json!({})).await.status, StatusCode::FORBIDDEN);
    let minted = operator.post("/v1/servers/install-tokens", json!({ "project_id": mine })).await;
    assert_eq!(minted.status, StatusCode::CREATED, "{}", minted.text());
    let body = json!({
        "token": minted.json()["token"], "nonce": "00".repeat(32), "hostname": "web", "os": "linux", "arch": "x86_64",
        "machine_id_hash": "11".repeat(32), "agent_version": "0.1.0",
    });
    let registered = hub.anonymous().post("/v1/agent/register", body).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{}", registered.text());
    let server = operator.get(&format!("/v1/servers/{}", registered.json()["server_id"].as_str().unwrap())).await;
    assert_eq!(server.json()["project_id"], json!(mine), "{}", server.text());
}
