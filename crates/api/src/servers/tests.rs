//! Servers through the API, and presence through the hub.

use std::time::Duration;

use protocol::heartbeat::{Cpu, Heartbeat};
use protocol::{ServerId, WorkspaceId};
use serde_json::{Value, json};

use super::sweep;
use crate::gateway::scripted::{Enrolled, ScriptedAgent, enroll, listen};
use crate::hub::App;
use crate::metrics;
use crate::testing::{Client, TestHub};

struct World {
    test: TestHub,
    owner: Client,
    workspace_id: WorkspaceId,
}

impl World {
    async fn new(test: TestHub) -> Self {
        let owner = test.owner().await;
        let session = owner.get("/v1/auth/session").await.json();
        let workspace_id = session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap();
        Self { test, owner, workspace_id }
    }

    async fn add(&self, name: &str) -> Enrolled {
        enroll(&self.test.hub, self.workspace_id, name).await
    }

    async fn shown(&self, id: ServerId) -> Value {
        self.owner.get(&format!("/v1/servers/{id}")).await.json()
    }

    async fn names(&self, query: &str) -> Vec<String> {
        let answer = self.owner.get(&format!("/v1/servers?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        names(&answer.json())
    }

    /// Lets time pass as a hub that looks every second sees it.
    async fn pass(&self, hub: &App, seconds: u64) {
        for _ in 0..seconds {
            self.test.clock.advance(Duration::from_secs(1));
            sweep(hub).await.unwrap();
        }
    }
}

fn names(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect()
}

/// Pages of the list are kept in memory; nobody may notice.
#[tokio::test]
async fn a_page_shows_every_change_at_once() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        let server = world.add("web").await;
        let first = async || world.owner.get("/v1/servers").await.json()["data"][0].clone();
        assert_eq!((first().await["status"].clone(), first().await["live"].clone()), (json!("pending"), Value::Null));

        let address = listen(hub).await;
        let _agent = ScriptedAgent::connect(hub, address, &server).await;
        sweep(hub).await.unwrap();
        assert_eq!(first().await["status"], "online");
        let link = hub.gateway.link(server.server_id).unwrap();
        for percent in [10.0, 20.0] {
            world.test.clock.advance(Duration::from_secs(30));
            let cpu = Cpu { percent, ..Cpu::default() };
            metrics::agent::heartbeat(hub, &link, Heartbeat { cpu, ..Heartbeat::default() });
            assert_eq!(first().await["live"]["cpu_percent"], percent);
        }

        let path = format!("/v1/servers/{}", server.server_id);
        assert_eq!(world.owner.patch(&path, json!({ "name": "db" })).await.status, 200);
        assert_eq!(first().await["name"], "db");
        assert_eq!(world.owner.patch(&path, json!({ "labels": { "env": "prod" } })).await.status, 200);
        assert_eq!(world.names("label=env:prod").await, ["db"]);
        assert_eq!(world.owner.patch(&path, json!({ "labels": {} })).await.status, 200);
        assert_eq!(world.names("label=env:prod").await, <[&str; 0]>::default());
        assert_eq!(world.owner.delete(&path).await.status, 204);
        assert_eq!(first().await, Value::Null);
    }
}

#[tokio::test]
async fn presence_follows_the_connection() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        let server = world.add("web").await;
        let status = async || world.shown(server.server_id).await["status"].clone();
        assert_eq!(status().await, "pending");
        world.pass(hub, 60).await;
        assert_eq!(status().await, "pending", "nobody was promised yet");

        let mut changes = hub.bus.subscribe();
        let address = listen(hub).await;
        let agent = ScriptedAgent::connect(hub, address, &server).await;
        sweep(hub).await.unwrap();
        assert_eq!(status().await, "online");
        agent.leave().await;
        hub.tasks.shut_down().await;
        sweep(hub).await.unwrap();
        assert_eq!(status().await, "suspect");
        world.pass(hub, 29).await;
        assert_eq!(status().await, "suspect");
        world.pass(hub, 1).await;
        assert_eq!(status().await, "offline");

        let mut announced = Vec::new();
        while let Ok(change) = changes.try_recv() {
            if change.change.kind == "server.status" {
                assert!(change.id.is_some(), "a status is replayed to who was away");
                announced.push(change.change.data["status"].clone());
            }
        }
        assert_eq!(announced, ["online", "suspect", "offline"]);
    }
}

#[tokio::test]
async fn after_a_restart_nobody_is_given_up_before_the_deadline() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        let (lost, back) = (world.add("lost").await, world.add("back").await);
        let address = listen(hub).await;
        let _agents =
            (ScriptedAgent::connect(hub, address, &lost).await, ScriptedAgent::connect(hub, address, &back).await);
        sweep(hub).await.unwrap();
        assert_eq!(world.names("status=online").await.len(), 2);

        // Killed: nobody said goodbye, and it takes an hour to start again.
        let restarted = world.test.restarted();
        world.test.clock.advance(Duration::from_secs(3600));
        sweep(&restarted).await.unwrap();
        assert_eq!(world.names("status=suspect").await.len(), 2);
        let address = listen(&restarted).await;
        let _agent = ScriptedAgent::connect(&restarted, address, &back).await;
        world.pass(&restarted, 29).await;
        assert_eq!(world.names("status=online").await, ["back"]);
        assert_eq!(world.names("status=suspect").await, ["lost"]);
        world.pass(&restarted, 1).await;
        assert_eq!(world.names("status=offline").await, ["back", "lost"], "a silent socket is as good as none");
    }
}

#[tokio::test]
async fn last_seen_is_written_in_batches_and_shown_live() {
    let world = World::new(TestHub::sqlite().await).await;
    let hub = &world.test.hub;
    let server = world.add("web").await;
    let address = listen(hub).await;
    let mut agent = ScriptedAgent::connect(hub, address, &server).await;
    sweep(hub).await.unwrap();
    let connected = world.shown(server.server_id).await["last_seen_at"].clone();
    world.test.clock.advance(Duration::from_secs(5));
    agent.settle().await;
    assert_ne!(world.shown(server.server_id).await["last_seen_at"], connected, "live from memory");
    let restarted = world.test.restarted();
    let stored = world.owner.at(App::clone(&restarted)).get(&format!("/v1/servers/{}", server.server_id)).await.json();
    assert_eq!(stored["last_seen_at"], connected, "not written yet");
    world.pass(hub, 5).await;
    let stored = world.owner.at(restarted).get(&format!("/v1/servers/{}", server.server_id)).await.json();
    assert_ne!(stored["last_seen_at"], connected);
}

#[tokio::test]
async fn lists_are_filtered_sorted_and_paged() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let mut ids = Vec::new();
        for name in ["delta", "Alpha", "charlie", "Bravo", "echo"] {
            ids.push(world.add(name).await.server_id);
            world.test.clock.advance(Duration::from_secs(1));
        }
        for (id, labels) in [(ids[0], json!({ "env": "prod" })), (ids[1], json!({ "env": "prod", "tier": "db" }))] {
            let answer = world.owner.patch(&format!("/v1/servers/{id}"), json!({ "labels": labels })).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        world.owner.post(&format!("/v1/servers/{}/revoke", ids[4]), json!({})).await;

        assert_eq!(world.names("").await, ["Alpha", "Bravo", "charlie", "delta", "echo"]);
        assert_eq!(world.names("sort=-name").await, ["echo", "delta", "charlie", "Bravo", "Alpha"]);
        assert_eq!(world.names("sort=status").await, ["Alpha", "Bravo", "charlie", "delta", "echo"]);
        assert_eq!(world.names("status=revoked").await, ["echo"]);
        assert_eq!(world.names("status=revoked,pending&limit=1").await, ["Alpha"]);
        assert_eq!(world.names("label=env:prod").await, ["Alpha", "delta"]);
        assert_eq!(world.names("label=env:prod&label=tier:db").await, ["Alpha"]);
        assert_eq!(world.names("label=env:test").await, Vec::<String>::new());
        assert_eq!(world.names("q=RAV").await, ["Bravo"]);
        assert_eq!(world.names("q=%25").await, Vec::<String>::new(), "no wildcards");

        for sort in ["name", "-name", "status", "last_seen_at", "-last_seen_at"] {
            let whole = world.names(&format!("sort={sort}")).await;
            let mut paged = Vec::new();
            let mut cursor = String::new();
            loop {
                let list = world.owner.get(&format!("/v1/servers?sort={sort}&limit=2{cursor}")).await.json();
                paged.extend(names(&list));
                match list["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(paged, whole, "{sort}");
        }

        let list = world.owner.get("/v1/servers?status=revoked&q=e").await.json();
        assert_eq!(list["totals"], json!({ "online": 0, "suspect": 0, "offline": 0, "pending": 2, "revoked": 1 }));
        let list = world.owner.get("/v1/servers?limit=1").await.json();
        assert_eq!(list["totals"]["pending"], 4);
    }
}

#[tokio::test]
async fn bad_list_queries_are_answered() {
    let world = World::new(TestHub::sqlite().await).await;
    for name in ["a", "b"] {
        world.add(name).await;
    }
    let list = world.owner.get("/v1/servers?limit=1").await.json();
    let cursor = list["next_cursor"].as_str().unwrap();
    for query in [
        "limit=0".to_owned(),
        "limit=201".to_owned(),
        "status=asleep".to_owned(),
        "sort=size".to_owned(),
        "label=env".to_owned(),
        "include=all".to_owned(),
        "cursor=nonsense".to_owned(),
        "page=2".to_owned(),
        format!("q={}", "x".repeat(101)),
        format!("sort=-name&cursor={cursor}"),
        (0..9).map(|n| format!("label=k{n}:v")).collect::<Vec<_>>().join("&"),
    ] {
        let answer = world.owner.get(&format!("/v1/servers?{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "bad_request"), "{query}");
    }
}

#[tokio::test]
async fn changes_compare_versions_and_are_audited() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let server = world.add("web").await;
        let path = format!("/v1/servers/{}", server.server_id);
        let shown = world.owner.get(&path).await;
        assert_eq!(shown.header("etag"), "\"1\"");
        let first = world.owner.with_header("if-match", "\"1\"");
        let answer = first.patch(&path, json!({ "name": " db ", "labels": { "env": "prod" } })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let changed = answer.json();
        assert_eq!((&changed["name"], &changed["version"]), (&json!("db"), &json!(2)));
        assert_eq!(answer.header("etag"), "\"2\"");
        let stale = first.patch(&path, json!({ "name": "late" })).await;
        assert_eq!((stale.status.as_u16(), stale.code().as_str()), (412, "precondition_failed"));
        assert_eq!(
            world.owner.patch(&path, json!({ "labels": {} })).await.json()["name"],
            "db",
            "what is not given stays"
        );

        for (body, field) in [
            (json!({ "name": "" }), "name"),
            (json!({ "name": "a\nb" }), "name"),
            (json!({ "name": "x".repeat(81) }), "name"),
            (json!({ "name": 7 }), "name"),
            (json!({ "labels": { "Env": "x" } }), "labels"),
            (json!({ "labels": ["a"] }), "labels"),
            (json!({ "status": "online" }), "status"),
        ] {
            let answer = world.owner.patch(&path, body.clone()).await;
            assert_eq!(answer.status, 422, "{body}");
            assert!(answer.json()["error"]["details"]["fields"][field].is_array(), "{body}: {}", answer.text());
        }
        let audit = world.owner.get("/v1/audit?action=server.update").await.json();
        assert_eq!(audit["data"].as_array().unwrap().len(), 2);
        assert_eq!(audit["data"][1]["details"]["name"], json!({ "from": "web", "to": "db" }));
    }
}

#[tokio::test]
async fn a_revoked_server_can_be_enrolled_again() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        let server = world.add("web").await;
        let revoke = format!("/v1/servers/{}/revoke", server.server_id);
        for _ in 0..2 {
            let answer = world.owner.post(&revoke, json!({})).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("revoked")));
        }
        let audit = world.owner.get("/v1/audit?action=server.revoke").await.json();
        assert_eq!(audit["data"].as_array().unwrap().len(), 1, "twice changes nothing");
        let digest = crate::secret::TokenDigest::of(server.token.reveal());
        let mut unit = hub.begin().await.unwrap();
        super::set_agent_token(&mut unit.conn(), server.server_id, digest, hub.now()).await.unwrap();
        unit.audit(
            &crate::access::Actor::system(world.workspace_id),
            "server.enroll",
            crate::audit::Subject::server(server.server_id, "web"),
            crate::audit::Outcome::Ok,
            json!({}),
        )
        .await
        .unwrap();
        unit.commit().await.unwrap();
        assert_eq!(world.shown(server.server_id).await["status"], "pending");
        let address = listen(hub).await;
        let _agent = ScriptedAgent::connect(hub, address, &server).await;
        sweep(hub).await.unwrap();
        assert_eq!(world.shown(server.server_id).await["status"], "online");
    }
}

#[tokio::test]
async fn a_removed_server_is_gone_and_its_agent_cut_off() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let hub = &world.test.hub;
        let server = world.add("web").await;
        let address = listen(hub).await;
        let agent = ScriptedAgent::connect(hub, address, &server).await;
        let path = format!("/v1/servers/{}", server.server_id);
        assert_eq!(world.owner.delete(&path).await.status, 204);
        assert_eq!(agent.closed().await.code, Some(1008));
        assert_eq!(world.owner.get(&path).await.status, 404);
        assert_eq!(world.owner.delete(&path).await.status, 404);
        world.pass(hub, 60).await;
        assert_eq!(world.names("").await, Vec::<String>::new());
        let audit = world.owner.get("/v1/audit?action=server.delete").await.json();
        assert_eq!(audit["data"][0]["subject"]["name"], "web");
    }
}

#[tokio::test]
async fn strangers_find_nothing() {
    let world = World::new(TestHub::sqlite().await).await;
    let server = world.add("web").await;
    let stranger = world.test.stranger().await;
    let path = format!("/v1/servers/{}", server.server_id);
    assert_eq!(stranger.get(&path).await.status, 404);
    assert_eq!(stranger.patch(&path, json!({ "name": "mine" })).await.status, 404);
    assert_eq!(stranger.delete(&path).await.status, 404);
    assert_eq!(stranger.post(&format!("{path}/revoke"), json!({})).await.status, 404);
    assert_eq!(stranger.post(&format!("{path}/watch"), json!({})).await.status, 404);
    assert_eq!(names(&stranger.get("/v1/servers").await.json()), Vec::<String>::new());
    assert_eq!(world.test.anonymous().get("/v1/servers").await.status, 401);
    assert_eq!(world.owner.get("/v1/servers/nonsense").await.status, 404);
}
