//! What must be refused, and how.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::support::{Agent, World, add_server, id_of, worlds};

async fn refused(world: &World, body: Value, status: u16, field: &str) {
    let answer = world.owner.post("/v1/jobs", body.clone()).await;
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    if status == 422 {
        assert!(!answer.json()["error"]["details"]["fields"][field].is_null(), "{field}: {}", answer.text());
    }
}

#[tokio::test]
async fn orders_that_cannot_be_carried_out_are_refused_by_field() {
    for world in worlds().await {
        let server_id = world.server.server_id;
        let args = |args: Value| json!({ "server_id": server_id, "kind": "exec", "args": args });
        refused(&world, args(json!({ "command": "" })), 422, "args.command").await;
        refused(&world, args(json!({ "command": " \n" })), 422, "args.command").await;
        refused(&world, args(json!({ "command": "a\u{0}b" })), 422, "args.command").await;
        refused(&world, args(json!({ "command": "x".repeat((64 << 10) + 1) })), 422, "args.command").await;
        refused(&world, args(json!({ "command": "a", "argv": ["b"] })), 422, "args.command").await;
        refused(&world, args(json!({ "argv": [] })), 422, "args.argv").await;
        refused(&world, args(json!({})), 422, "args.command").await;
        refused(&world, args(json!({ "command": 7 })), 422, "args").await;
        refused(&world, args(json!({ "command": "a", "shell": "zsh" })), 422, "args").await;
        refused(&world, args(json!("ls")), 422, "args").await;
        refused(&world, json!({ "server_id": server_id, "kind": "exec" }), 422, "args").await;
        refused(&world, json!({ "server_id": server_id, "kind": "reboot", "args": {} }), 422, "kind").await;
        let ls = json!({ "command": "ls" });
        let with = |field: &str, value: Value| {
            let mut body = args(ls.clone());
            body[field] = value;
            body
        };
        refused(&world, with("timeout_s", json!(0)), 422, "timeout_s").await;
        refused(&world, with("timeout_s", json!(604_801)), 422, "timeout_s").await;
        refused(&world, with("timeout_s", json!("10")), 422, "timeout_s").await;
        refused(&world, with("expires_in_s", json!(0)), 422, "expires_in_s").await;
        refused(&world, with("expires_in_s", json!(2_592_001)), 422, "expires_in_s").await;
        refused(&world, with("timeout", json!(1)), 422, "timeout").await;
        refused(&world, with("server_id", json!("web-1")), 422, "server_id").await;
        refused(&world, args(json!({ "command": "\u{1}".repeat(60_000) })), 422, "args").await;
        refused(&world, args(json!({ "command": "x".repeat(1 << 20) })), 413, "").await;
        assert_eq!(world.owner.get("/v1/jobs").await.json()["data"], json!([]));
    }
}

#[tokio::test]
async fn the_longest_command_is_taken_and_arrives_whole() {
    let world = World::new(crate::testing::TestHub::sqlite().await).await;
    let mut agent = Agent::new(&world);
    agent.connect(&world.hub).await;
    let command = "\"\\".repeat(32 << 10);
    let job = world.create(&command).await;
    assert_eq!(job["args"], json!({ "command": command }));
    let order = agent.order().await;
    assert_eq!(serde_json::from_str::<Value>(order.args.get()).unwrap(), json!({ "command": command }));
}

#[tokio::test]
async fn servers_and_jobs_of_others_do_not_exist() {
    for world in worlds().await {
        let stranger = world.test.stranger().await;
        let job = world.create("ls").await;
        let id = id_of(&job);
        let body = json!({ "server_id": world.server.server_id, "kind": "exec", "args": { "command": "ls" } });
        let unknown = json!({ "server_id": world.hub.ids.server(), "kind": "exec", "args": { "command": "ls" } });
        assert_eq!(stranger.post("/v1/jobs", body.clone()).await.status, StatusCode::NOT_FOUND);
        assert_eq!(world.owner.post("/v1/jobs", unknown).await.status, StatusCode::NOT_FOUND);
        for path in ["", "/log", "/log?follow=true"] {
            assert_eq!(stranger.get(&format!("/v1/jobs/{id}{path}")).await.status, StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["cancel", "retry"] {
            let answer = stranger.post(&format!("/v1/jobs/{id}/{path}"), json!({})).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text());
        }
        assert_eq!(stranger.get("/v1/jobs").await.json()["data"], json!([]));
        let anonymous = world.test.anonymous();
        assert_eq!(anonymous.post("/v1/jobs", body).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(anonymous.get(&format!("/v1/jobs/{id}/log")).await.status, StatusCode::UNAUTHORIZED);
        for bad in ["nonsense", "00000000-0000-0000-0000-000000000000", "..%2f..%2fetc"] {
            assert_eq!(world.owner.get(&format!("/v1/jobs/{bad}")).await.status, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn lists_filter_and_page() {
    for world in worlds().await {
        let other = add_server(&world.hub, world.server.workspace_id, "web-2").await;
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(id_of(&world.create(&format!("echo {number}")).await));
        }
        let body = json!({ "server_id": other.server_id, "kind": "exec", "args": { "command": "ls" } });
        let elsewhere = id_of(&world.owner.post("/v1/jobs", body).await.json());
        world.owner.post(&format!("/v1/jobs/{}/cancel", ids[0]), json!({})).await;

        let listed = async |query: &str| {
            let answer = world.owner.get(&format!("/v1/jobs?{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let page = answer.json();
            let ids: Vec<_> = page["data"].as_array().unwrap().iter().map(id_of).collect();
            (ids, page["next_cursor"].as_str().map(str::to_owned))
        };
        let (first, cursor) = listed("limit=4").await;
        assert_eq!(first, [elsewhere, ids[4], ids[3], ids[2]]);
        let (second, end) = listed(&format!("limit=4&cursor={}", cursor.unwrap())).await;
        assert_eq!((second, end), (vec![ids[1], ids[0]], None));
        assert_eq!(listed(&format!("server_id={}", other.server_id)).await.0, [elsewhere]);
        assert_eq!(listed("state=cancelled,running").await.0, [ids[0]]);
        for query in ["state=done", "limit=0", "server_id=x", "cursor=x", "sort=name"] {
            assert_eq!(world.owner.get(&format!("/v1/jobs?{query}")).await.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
