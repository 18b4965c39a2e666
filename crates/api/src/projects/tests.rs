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

async fn grant(by: &Client, to: &Client, granted: &[(Value, Value)]) {
    let id = to.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
    let grants =
        granted.iter().map(|(granted, scope)| json!({ "granted": granted, "scope": scope })).collect::<Vec<_>>();
    by.step_up().await;
    let put = by.put(&format!("/v1/team/members/{id}/grants"), json!({ "grants": grants })).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text());
}

fn mover() -> (Value, Value) {
    let nodes = ["servers.read", "servers.manage", "projects.read", "projects.manage"];
    (json!({ "permissions": nodes }), json!({ "type": "workspace" }))
}

#[tokio::test]
async fn a_move_gives_and_takes_nothing_that_the_mover_does_not_hold() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let (lab, production) = (project(&owner, "Lab").await, project(&owner, "Production").await);
        let server = add_server(&hub.hub, workspace_of(&owner).await, "web").await.server_id;
        let path = format!("/v1/servers/{server}");
        owner.patch(&path, json!({ "project_id": production })).await;
        let (granted, everywhere) = mover();
        let ann = hub.member(&owner, "ann@example.org", granted, everywhere).await;
        let bob = hub.member(&owner, "bob@example.org", json!({ "role": "viewer" }), scope("project", &lab)).await;
        let operator_of = |id: &str| (json!({ "role": "operator" }), scope("project", id));
        let refused = async |why: &str, to: Value| {
            let refused = ann.patch(&path, json!({ "project_id": to })).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{why}: {}", refused.text());
            let missing = refused.json()["error"]["details"]["missing"].clone();
            assert!(missing.as_array().unwrap().contains(&json!("servers.exec")), "{why}: {missing}");
            assert_eq!(owner.get(&path).await.json()["project_id"], json!(production), "{why}");
        };

        grant(&owner, &ann, &[mover(), operator_of(&lab)]).await;
        refused("they would run commands on it themselves", json!(lab)).await;
        grant(&owner, &ann, &[mover()]).await;
        grant(&owner, &bob, &[operator_of(&lab)]).await;
        refused("somebody else would", json!(lab)).await;
        grant(&owner, &bob, &[operator_of(&production)]).await;
        refused("somebody could no longer", Value::Null).await;
        grant(&owner, &bob, &[(json!({ "role": "customer" }), scope("project", &production))]).await;
        let key = json!({ "name": "ci", "permissions": ["servers.exec"], "scope": scope("project", &lab) });
        let key = owner.post("/v1/api-keys", key).await;
        assert_eq!(key.status, StatusCode::CREATED, "{}", key.text());
        refused("a key would", json!(lab)).await;
        let key = format!("/v1/api-keys/{}", key.json()["id"].as_str().unwrap());
        assert_eq!(owner.delete(&key).await.status, StatusCode::NO_CONTENT);
        let form = json!({
            "email": "new@example.org", "granted": { "role": "operator" }, "scope": scope("project", &lab),
        });
        let invite = owner.post("/v1/team/invites", form).await.json();
        refused("somebody who is invited would", json!(lab)).await;
        owner.delete(&format!("/v1/team/invites/{}", invite["id"].as_str().unwrap())).await;
        let denied = owner.get("/v1/audit?action=access.deny").await.json();
        assert_eq!(denied["data"].as_array().unwrap().len(), 5, "{denied}");

        // What they hold on the server where it lies is theirs to give.
        let only_events = (json!({ "permissions": ["events.read"] }), scope("project", &production));
        grant(&owner, &bob, &[only_events]).await;
        grant(&owner, &ann, &[mover(), (json!({ "role": "viewer" }), scope("project", &production))]).await;
        let moved = ann.patch(&path, json!({ "project_id": lab })).await;
        assert_eq!(moved.status, StatusCode::OK, "{}", moved.text());
    }
}

#[tokio::test]
async fn a_project_is_removed_by_who_holds_what_goes_with_it() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let lab = project(&owner, "Lab").await;
        let server = add_server(&hub.hub, workspace_of(&owner).await, "web").await.server_id;
        let path = format!("/v1/servers/{server}");
        owner.patch(&path, json!({ "project_id": lab })).await;
        let managers = json!({ "permissions": ["projects.read", "projects.manage"] });
        let ann = hub.member(&owner, "ann@example.org", managers, scope("project", &lab)).await;
        let bob = hub.member(&owner, "bob@example.org", json!({ "role": "operator" }), scope("project", &lab)).await;
        bob.step_up().await;
        let key = json!({ "name": "ci", "permissions": ["servers.exec"], "scope": scope("project", &lab) });
        assert_eq!(bob.post("/v1/api-keys", key).await.status, StatusCode::CREATED);
        let token = bob.post("/v1/servers/install-tokens", json!({ "project_id": lab })).await.json();
        let path_of_project = format!("/v1/projects/{lab}");
        ann.step_up().await;
        let refused = ann.delete(&path_of_project).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "it would take the server out of it: {}", refused.text());
        assert!(refused.text().contains("1 servers"), "{}", refused.text());
        owner.patch(&path, json!({ "project_id": null })).await;
        let refused = ann.delete(&path_of_project).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "it would take Bob's rights: {}", refused.text());
        assert!(refused.text().contains("servers.exec"), "{}", refused.text());
        assert_eq!(bob.get(&path_of_project).await.status, StatusCode::OK, "what was refused changed nothing");

        hub.clock.advance(std::time::Duration::from_mins(11));
        assert_eq!(owner.delete(&path_of_project).await.code(), "step_up_required");
        owner.step_up().await;
        assert_eq!(owner.delete(&path_of_project).await.status, StatusCode::NO_CONTENT);
        let record = owner.get("/v1/audit?action=project.delete").await.json()["data"][0]["details"].clone();
        let kinds = record["ended"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect::<Vec<_>>();
        assert_eq!(kinds, ["api_key", "grant", "grant"], "{record}");
        assert_eq!((&record["install_tokens"], &record["ended_in_all"]), (&json!(1), &json!(3)));
        let body = json!({
            "token": token["token"], "nonce": "00".repeat(32), "hostname": "web", "os": "linux", "arch": "x86_64",
            "machine_id_hash": "11".repeat(32), "agent_version": "0.1.0",
        });
        let late = hub.anonymous().post("/v1/agent/register", body).await;
        assert!(late.status.is_client_error(), "its tokens make no servers outside of it: {}", late.text());
    }
}
