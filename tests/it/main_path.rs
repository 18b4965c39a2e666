//! The main job: from nothing to a command's output, arriving line by line.

use std::time::Duration;

use serde_json::json;
use support::agent::Agent;
use support::hub::{Hub, HubOptions};
use support::wait;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_server_comes_online_and_a_command_runs() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut events = owner.events("/v1/events", None).await;
    let agent = Agent::online(&hub, &owner).await;
    let id = agent.server_id();

    events.find(SOON, |event| event.kind == "server.status" && event.data["data"]["status"] == "online").await;
    let server = wait::until("live metrics", SOON, async || {
        let server = owner.get(&format!("/v1/servers/{id}")).await.unwrap().expect(200);
        if server["live"]["memory_percent"].as_f64().is_some_and(|percent| percent > 0.0) {
            Ok(server)
        } else {
            Err(server)
        }
    })
    .await;
    assert!(server["host"]["cpus"].as_u64().unwrap() >= 1);
    assert!(!server["filesystems"].as_array().unwrap().is_empty() || server["filesystems"].is_array());

    let job = owner.exec(id, "for i in 1 2 3; do echo line $i; done; echo oops >&2; exit 7").await;
    let job_id = job["id"].as_str().unwrap();
    let mut follow = owner.events(&format!("/v1/jobs/{job_id}/log?follow=true"), None).await;
    let mut out = String::new();
    let mut err = String::new();
    let end = loop {
        let event = follow.next(SOON).await.expect("the stream ends with `end`");
        let text = event.data["text"].as_str().unwrap_or_default();
        match (event.kind.as_str(), event.data["stream"].as_str()) {
            ("log", Some("out")) => out += text,
            ("log", Some("err")) => err += text,
            ("end", _) => break event.data,
            _ => {}
        }
    };
    assert_eq!(out, "line 1\nline 2\nline 3\n");
    assert_eq!(err, "oops\n");
    assert_eq!(end["state"], "failed");
    assert_eq!(end["exit_code"], 7);
    assert!(end["duration_ms"].as_u64().is_some(), "{end}");
    assert_eq!(end["log"]["truncated"], false);

    let audit = owner.get("/v1/audit?limit=200").await.unwrap().expect(200);
    let actions: Vec<_> =
        audit["data"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["install_token.use", "job.create", "auth.login"] {
        assert!(actions.contains(&action), "{action} is missing in {actions:?}");
    }
}

#[tokio::test]
async fn argv_stdin_environment_directory_and_user_reach_the_process() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let body = json!({
        "server_id": agent.server_id(),
        "kind": "exec",
        "args": {
            "argv": ["/bin/sh", "-c", "id -un; pwd; echo \"$GREETING\"; cat"],
            "cwd": "/usr",
            "env": { "GREETING": "it's $HOME; `id`" },
            "user": "nobody",
            "stdin": "from stdin",
        },
    });
    let job = owner.post("/v1/jobs", &body).await.unwrap().expect(201);
    let id = job["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, SOON).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, "nobody\n/usr\nit's $HOME; `id`\nfrom stdin");
}

#[tokio::test]
async fn a_job_for_an_offline_server_waits_for_it() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::registered(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "echo at last").await;
    assert_eq!(job["state"], "queued");
    agent.start();
    let id = job["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, Duration::from_secs(30)).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, "at last\n");
}

#[tokio::test]
async fn the_same_holds_on_postgresql() {
    let Ok(server) = std::env::var("ROADSTEAD_TEST_POSTGRES") else { return };
    let (base, _) = server.rsplit_once('/').unwrap();
    let name = format!("e2e_{}", std::process::id());
    let create = format!("create database {name} template template0 encoding 'UTF8' locale 'C.UTF-8'");
    let args = [server.as_str(), "-v", "ON_ERROR_STOP=1", "-c", &create];
    let (status, output) = support::process::run("psql".as_ref(), &args, "").await;
    assert!(status.success(), "{output}");

    let options = HubOptions { database: Some(format!("{base}/{name}")), ..HubOptions::default() };
    let mut hub = Hub::start_with(options).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "seq 1 20000; sleep 1; echo end").await;
    let id = job["id"].as_str().unwrap();
    owner.job_in(id, &["running"], SOON).await;
    hub.kill_9().await;
    hub.start_again().await;
    assert_eq!(owner.job_end(id, Duration::from_secs(40)).await["state"], "succeeded");
    let expected: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(owner.log_text(id).await, expected + "end\n");
}
