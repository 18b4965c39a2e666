//! Batches through the router on one side and agents on the other.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use protocol::job::{CmdBody, EndState};
use protocol::{Message, ServerId};
use serde_json::{Value, json};

use crate::job_batches;
use crate::jobs;
use crate::jobs::tests::support::{Agent, World, add_server, worlds};
use crate::random::{Random, SeededRandom};
use crate::sql;

/// Servers with their agents, and how often each ran a job.
struct Fleet {
    world: World,
    agents: Vec<Agent>,
    runs: BTreeMap<ServerId, u32>,
    /// Exit codes of servers that do not succeed.
    exit_codes: BTreeMap<ServerId, i32>,
}

impl Fleet {
    async fn new(world: World, size: usize) -> Self {
        let mut agents = Vec::new();
        for number in 0..size {
            let mut agent = Agent::new(&world);
            agent.identity = add_server(&world.hub, world.server.workspace_id, &format!("host-{number}")).await;
            agent.connect(&world.hub).await;
            agents.push(agent);
        }
        Self { world, agents, runs: BTreeMap::new(), exit_codes: BTreeMap::new() }
    }

    fn id(&self, number: usize) -> ServerId {
        self.agents[number].identity.server_id
    }

    fn fails(&mut self, number: usize) {
        self.exit_codes.insert(self.id(number), 1);
    }

    async fn create(&self, strategy: Value) -> String {
        let ids: Vec<_> = self.agents.iter().map(|agent| agent.identity.server_id).collect();
        let body = json!({
            "selector": { "server_ids": ids }, "kind": "exec", "args": { "command": "true" }, "strategy": strategy,
        });
        let answer = self.world.owner.post("/v1/job-batches", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn batch(&self, id: &str) -> Value {
        self.world.owner.get(&format!("/v1/job-batches/{id}")).await.json()
    }

    async fn post(&self, id: &str, action: &str) -> StatusCode {
        self.world.owner.post(&format!("/v1/job-batches/{id}/{action}"), json!({})).await.status
    }

    async fn servers(&self, id: &str, query: &str) -> Vec<String> {
        let page = self.world.owner.get(&format!("/v1/job-batches/{id}/servers?{query}")).await.json();
        let name = |place: &Value| place["server_name"].as_str().unwrap().to_owned();
        page["data"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(name).collect()
    }

    async fn reconcile(&self) {
        job_batches::reconcile(&self.world.hub).await.unwrap();
        jobs::reconcile(&self.world.hub).await.unwrap();
        job_batches::reconcile(&self.world.hub).await.unwrap();
    }

    /// Agents run what came, until nothing comes any more. How many jobs ran.
    async fn play(&mut self) -> usize {
        let mut ran = 0;
        loop {
            self.reconcile().await;
            let mut progress = false;
            for agent in &mut self.agents {
                for message in agent.drain() {
                    let Message::Cmd(cmd) = message else { continue };
                    let order: CmdBody = serde_json::from_str(&cmd.signed.body).unwrap();
                    agent.accept(&self.world.hub, order.job_id).await;
                    *self.runs.entry(order.server_id).or_default() += 1;
                    let exit_code = self.exit_codes.get(&order.server_id).copied().unwrap_or(0);
                    let state = if exit_code == 0 { EndState::Succeeded } else { EndState::Failed };
                    agent.end(&self.world.hub, order.job_id, state, Some(exit_code)).await;
                    ran += 1;
                    progress = true;
                }
            }
            if !progress {
                return ran;
            }
        }
    }
}

fn counts(batch: &Value) -> [i64; 4] {
    ["waiting", "active", "succeeded", "failed"].map(|name| batch["counts"][name].as_i64().unwrap())
}

#[tokio::test]
async fn waves_follow_each_other_and_no_server_is_hit_twice() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 6).await;
        let id = fleet.create(json!({ "canary": 1, "batch_size": 3 })).await;
        let begun = fleet.batch(&id).await;
        assert_eq!((begun["waves"].as_i64(), begun["state"].as_str()), (Some(3), Some("running")));
        fleet.reconcile().await;
        assert_eq!(counts(&fleet.batch(&id).await), [5, 1, 0, 0], "the canary goes alone");
        assert_eq!(fleet.servers(&id, "state=active").await, ["host-0"]);
        fleet.play().await;
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("succeeded"), [0, 0, 6, 0]), "{batch}");
        assert!(batch["finished_at"].is_string());
        assert_eq!(fleet.runs.len(), 6);
        assert!(fleet.runs.values().all(|runs| *runs == 1), "{:?}", fleet.runs);
        let jobs = fleet.world.owner.get(&format!("/v1/jobs?batch_id={id}")).await.json();
        assert_eq!(jobs["data"].as_array().unwrap().len(), 6);
        assert_eq!(jobs["data"][0]["batch_id"].as_str(), Some(id.as_str()));
        let matrix = fleet.world.owner.get(&format!("/v1/job-batches/{id}/servers")).await.json();
        let waves: Vec<_> = matrix["data"].as_array().unwrap().iter().map(|place| place["wave"].as_i64()).collect();
        assert_eq!(waves, [0, 1, 1, 1, 2, 2].map(Some));
        assert_eq!(matrix["data"][0]["job"]["exit_code"], 0);
    }
}

#[tokio::test]
async fn a_batch_halts_exactly_at_its_threshold_and_forgives_when_it_is_resumed() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 7).await;
        for number in [1, 2, 4, 5] {
            fleet.fails(number);
        }
        let id = fleet.create(json!({ "batch_size": 1, "max_failures": 1 })).await;
        assert_eq!(fleet.play().await, 3, "the second failure is one too many");
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("halted"), [4, 0, 1, 2]), "{batch}");
        assert_eq!(batch["halt"]["failures"], 2);
        assert_eq!(fleet.play().await, 0);
        assert_eq!(fleet.post(&id, "pause").await, StatusCode::CONFLICT);

        assert_eq!(fleet.post(&id, "resume").await, StatusCode::ACCEPTED);
        assert_eq!(fleet.play().await, 3);
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("halted"), [1, 0, 2, 4]), "{batch}");
        assert_eq!(fleet.servers(&id, "state=failed").await, ["host-1", "host-2", "host-4", "host-5"]);
        assert_eq!(fleet.servers(&id, "state=waiting").await, ["host-6"]);
        assert_eq!(fleet.servers(&id, "state=succeeded&limit=1").await, ["host-0"]);

        fleet.post(&id, "resume").await;
        fleet.play().await;
        assert_eq!(fleet.batch(&id).await["state"], "failed", "all have ended, not all well");
        assert!(fleet.runs.values().all(|runs| *runs == 1), "{:?}", fleet.runs);
        for action in ["pause", "resume", "cancel"] {
            assert_eq!(fleet.post(&id, action).await, StatusCode::CONFLICT, "{action}");
        }
    }
}

#[tokio::test]
async fn what_was_not_sent_when_a_batch_halts_does_not_run_later() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 3).await;
        fleet.fails(0);
        let hub = fleet.world.hub.clone();
        fleet.agents[2].disconnect(&hub).await;
        let id = fleet.create(json!({})).await;
        assert_eq!(fleet.play().await, 2, "one wave of all that are there");
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("halted"), [1, 0, 1, 1]), "{batch}");
        let listed = hub_jobs(&fleet, 2).await;
        assert_eq!(listed["data"][0]["state"], "cancelled");
        assert_eq!(listed["data"][0]["error"]["code"], "batch_halted");
        fleet.agents[2].connect(&hub).await;
        assert_eq!(fleet.play().await, 0, "its order was taken back");
        fleet.post(&id, "resume").await;
        assert_eq!(fleet.play().await, 1);
        assert_eq!(fleet.runs[&fleet.id(2)], 1);
        assert_eq!(fleet.batch(&id).await["state"], "failed");
    }
}

async fn hub_jobs(fleet: &Fleet, number: usize) -> Value {
    fleet.world.owner.get(&format!("/v1/jobs?server_id={}", fleet.id(number))).await.json()
}

#[tokio::test]
async fn a_pause_between_waves_is_kept() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 2).await;
        let id = fleet.create(json!({ "batch_size": 1, "pause_s": 60 })).await;
        assert_eq!(fleet.play().await, 1);
        assert!(fleet.batch(&id).await["next_wave_at"].is_string());
        fleet.world.test.clock.advance(Duration::from_secs(59));
        assert_eq!(fleet.play().await, 0);
        fleet.world.test.clock.advance(Duration::from_secs(1));
        assert_eq!(fleet.play().await, 1);
        assert_eq!(fleet.batch(&id).await["state"], "succeeded");
    }
}

#[tokio::test]
async fn a_paused_batch_begins_nothing_and_a_cancelled_one_ends_what_runs() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 3).await;
        let id = fleet.create(json!({ "batch_size": 1 })).await;
        fleet.reconcile().await;
        assert_eq!(fleet.post(&id, "pause").await, StatusCode::ACCEPTED);
        assert_eq!(fleet.play().await, 1, "what was sent already goes on");
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("paused"), [2, 0, 1, 0]), "{batch}");
        assert!(batch["halt"]["message"].as_str().unwrap().contains("paused by"));
        fleet.post(&id, "resume").await;
        fleet.reconcile().await;
        let hub = fleet.world.hub.clone();
        let order = fleet.agents[1].order().await;
        fleet.agents[1].accept(&hub, order.job_id).await;
        assert_eq!(fleet.post(&id, "cancel").await, StatusCode::ACCEPTED);
        fleet.agents[1].drain();
        assert_eq!(fleet.agents[1].cancelled, [order.job_id]);
        fleet.agents[1].end(&hub, order.job_id, EndState::Cancelled, None).await;
        assert_eq!(fleet.play().await, 0);
        assert_eq!(fleet.batch(&id).await["state"], "cancelled");
    }
}

#[tokio::test]
async fn a_hub_that_is_killed_at_any_moment_hits_no_server_twice() {
    for mut world in worlds().await {
        for seed in 0..12 {
            eprintln!("seed {seed}");
            let random: &dyn Random = &SeededRandom::new(seed);
            let below = |bound: u64| u64::from_be_bytes(random.bytes()) % bound;
            let mut fleet = Fleet::new(world, 5).await;
            let id = fleet.create(json!({ "canary": 1, "batch_size": 2, "max_failures": 5 })).await;
            for _ in 0..60 {
                match below(4) {
                    0 => {
                        fleet.world.restart();
                        let hub = fleet.world.hub.clone();
                        for agent in &mut fleet.agents {
                            agent.connect(&hub).await;
                        }
                    }
                    1 => job_batches::reconcile(&fleet.world.hub).await.unwrap(),
                    2 => jobs::reconcile(&fleet.world.hub).await.unwrap(),
                    _ => {
                        fleet.play().await;
                    }
                }
            }
            fleet.play().await;
            let batch = fleet.batch(&id).await;
            assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("succeeded"), [0, 0, 5, 0]), "{batch}");
            assert!(fleet.runs.values().all(|runs| *runs == 1), "{:?}", fleet.runs);
            world = fleet.world;
        }
    }
}

#[tokio::test]
async fn an_empty_selector_is_an_error_and_never_everything() {
    for world in worlds().await {
        let fleet = Fleet::new(world, 2).await;
        let unknown = fleet.world.hub.ids.server();
        for (selector, problem) in [
            (json!({}), "all: true"),
            (json!({ "server_ids": [] }), "all: true"),
            (json!({ "labels": {} }), "all: true"),
            (json!({ "all": false }), "all: true"),
            (json!({ "server_ids": null, "labels": null }), "all: true"),
            (json!({ "all": true, "labels": { "env": "prod" } }), "not several"),
            (json!({ "labels": { "env": "prod" } }), "no server"),
            (json!({ "server_ids": [unknown] }), "no such server"),
        ] {
            let body = json!({ "selector": selector, "kind": "exec", "args": { "command": "true" } });
            let answer = fleet.world.owner.post("/v1/job-batches", body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{selector}: {}", answer.text());
            assert!(answer.text().contains(problem), "{selector}: {}", answer.text());
        }
        for strategy in [
            json!({ "batch_size": 0 }),
            json!({ "batch_percent": 101 }),
            json!({ "batch_size": 1, "batch_percent": 1 }),
            json!({ "pause_s": 86_401 }),
            json!({ "max_failures": -1 }),
            json!({ "wave": 1 }),
        ] {
            let body = json!({
                "selector": { "all": true }, "kind": "exec", "args": { "command": "true" }, "strategy": strategy,
            });
            let answer = fleet.world.owner.post("/v1/job-batches", body).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{strategy}: {}", answer.text());
        }
        let none = fleet.world.owner.get("/v1/job-batches").await.json();
        assert_eq!(none["data"].as_array().unwrap().len(), 0, "nothing was made");
        let body = json!({ "selector": { "all": true }, "kind": "exec", "args": { "command": "true" } });
        let all = fleet.world.owner.post("/v1/job-batches", body).await.json();
        assert_eq!(all["counts"]["total"], 3, "two of the fleet and the world's own");
    }
}

#[tokio::test]
async fn whoever_lost_the_right_does_not_go_on_using_it() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 2).await;
        let id = fleet.create(json!({ "batch_size": 1 })).await;
        fleet.reconcile().await;
        let mut tx = fleet.world.hub.db.write().await.unwrap();
        tx.conn().query(sql!("update grants set role = 'nobody'")).execute().await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(fleet.play().await, 1);
        let mut tx = fleet.world.hub.db.write().await.unwrap();
        tx.conn().query(sql!("update grants set role = 'owner'")).execute().await.unwrap();
        tx.commit().await.unwrap();
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("halted"), [1, 0, 1, 0]), "{batch}");
        assert!(batch["halt"]["message"].as_str().unwrap().contains("may not run commands"), "{batch}");
    }
}

#[tokio::test]
async fn a_server_that_is_removed_before_its_wave_counts_as_failed() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 3).await;
        let id = fleet.create(json!({ "batch_size": 1, "max_failures": 1 })).await;
        fleet.reconcile().await;
        let gone = format!("/v1/servers/{}", fleet.id(1));
        assert_eq!(fleet.world.owner.delete(&gone).await.status, StatusCode::NO_CONTENT);
        fleet.play().await;
        let batch = fleet.batch(&id).await;
        assert_eq!((batch["state"].as_str(), counts(&batch)), (Some("failed"), [0, 0, 2, 1]), "{batch}");
    }
}

#[tokio::test]
async fn a_batch_that_was_stopped_a_moment_ago_makes_no_job() {
    for world in worlds().await {
        let fleet = Fleet::new(world, 2).await;
        let hub = &fleet.world.hub;
        let id = fleet.create(json!({})).await;
        let batch_id = id.parse().unwrap();
        for (action, goes_on) in [("", true), ("pause", false), ("resume", true), ("cancel", false)] {
            if !action.is_empty() {
                assert_eq!(fleet.post(&id, action).await, StatusCode::ACCEPTED, "{action}");
            }
            let mut unit = hub.begin().await.unwrap();
            assert_eq!(job_batches::hold(&mut unit.conn(), batch_id).await.unwrap(), goes_on, "{action}");
        }
        fleet.reconcile().await;
        assert_eq!(counts(&fleet.batch(&id).await), [2, 0, 0, 0], "nothing is made for a cancelled batch");
    }
}

#[tokio::test]
async fn batches_that_stand_still_hide_none_behind_them() {
    for world in worlds().await {
        let mut fleet = Fleet::new(world, 1).await;
        for _ in 0..201 {
            fleet.create(json!({})).await;
        }
        let mut unit = fleet.world.hub.begin().await.unwrap();
        unit.conn().query(sql!("update job_batches set state = 'paused'")).execute().await.unwrap();
        unit.commit().await.unwrap();
        let last = fleet.create(json!({})).await;
        assert_eq!(fleet.play().await, 1);
        assert_eq!(fleet.batch(&last).await["state"], "succeeded");
    }
}
