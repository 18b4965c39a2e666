//! One order for several servers, in waves, through real agents: it halts where it must, and nobody is hit twice.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::agent::Agent;
use support::api::Api;
use support::gate::Gate;
use support::hub::Hub;
use support::wait;

const SOON: Duration = Duration::from_secs(30);

async fn three_agents(hub: &Hub, owner: &Api) -> [Agent; 3] {
    [Agent::online(hub, owner).await, Agent::online(hub, owner).await, Agent::online(hub, owner).await]
}

/// Which host a command runs on shows in the arguments of its worker, which all of them write to one journal.
fn leaving_a_mark(journal: &Path) -> String {
    format!("me=$(tr '\\0' ' ' </proc/$PPID/cmdline); echo \"$me\" >>{}", journal.display())
}

/// How often each host was hit, in the order of `agents`.
fn hits(journal: &Path, agents: &[Agent]) -> Vec<usize> {
    let journal = std::fs::read_to_string(journal).unwrap_or_default();
    let hit = |agent: &Agent| {
        let state_dir = agent.state_dir().display().to_string();
        journal.lines().filter(|line| line.contains(&state_dir)).count()
    };
    agents.iter().map(hit).collect()
}

async fn begin(owner: &Api, agents: &[Agent], command: &str) -> String {
    let servers: Vec<_> = agents.iter().map(Agent::server_id).collect();
    let body = json!({
        "selector": { "server_ids": servers },
        "kind": "exec",
        "args": { "command": command },
        "strategy": { "canary": 1, "batch_size": 1 },
    });
    let batch = owner.post("/v1/job-batches", &body).await.unwrap().expect(201);
    assert_eq!((&batch["waves"], &batch["counts"]["total"]), (&json!(3), &json!(3)), "{batch:#}");
    batch["id"].as_str().unwrap().to_owned()
}

async fn is_in(owner: &Api, batch: &str, state: &str) -> Value {
    wait::until(&format!("the batch to be {state}"), SOON, async || {
        let batch = owner.get(&format!("/v1/job-batches/{batch}")).await.unwrap().expect(200);
        if batch["state"] == state { Ok(batch) } else { Err(batch) }
    })
    .await
}

async fn states(owner: &Api, batch: &str) -> Vec<Value> {
    let page = owner.get(&format!("/v1/job-batches/{batch}/servers")).await.unwrap().expect(200);
    page["data"].as_array().unwrap().iter().map(|place| place["job"]["state"].clone()).collect()
}

#[tokio::test]
async fn a_batch_halts_at_the_failure_and_goes_on_when_told() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agents = three_agents(&hub, &owner).await;
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let second = agents[1].state_dir().display().to_string();
    let command = format!("{}; case \"$me\" in *{second}*) exit 3;; esac", leaving_a_mark(&journal));

    let batch = begin(&owner, &agents, &command).await;
    let halted = is_in(&owner, &batch, "halted").await;
    assert_eq!((&halted["halt"]["failures"], &halted["counts"]["waiting"]), (&json!(1), &json!(1)), "{halted:#}");
    assert_eq!(states(&owner, &batch).await, [json!("succeeded"), json!("failed"), Value::Null]);
    assert_eq!(hits(&journal, &agents), [1, 1, 0], "nothing is begun beyond the failure");

    owner.post(&format!("/v1/job-batches/{batch}/resume"), &json!({})).await.unwrap().expect(202);
    let ended = is_in(&owner, &batch, "failed").await;
    assert_eq!((&ended["counts"]["succeeded"], &ended["counts"]["failed"]), (&json!(2), &json!(1)), "{ended:#}");
    assert_eq!(hits(&journal, &agents), [1, 1, 1]);
}

#[tokio::test]
async fn a_batch_goes_on_after_the_hub_was_killed_in_its_middle() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let agents = three_agents(&hub, &owner).await;
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let mut gate = Gate::new(&dir.path().join("gate"));
    let command = format!("{}; {}; echo passed", leaving_a_mark(&journal), gate.wait());

    let batch = begin(&owner, &agents, &command).await;
    for wave in 1..=3 {
        // In every wave the hub goes while the host is at work, which ends before the hub is back.
        wait::until("the wave to have begun", SOON, async || {
            let hits = hits(&journal, &agents);
            if hits.iter().sum::<usize>() == wave { Ok(()) } else { Err(hits) }
        })
        .await;
        hub.kill_9().await;
        gate.open();
        hub.start_again().await;
    }
    let ended = is_in(&owner, &batch, "succeeded").await;
    assert_eq!(ended["counts"]["succeeded"], 3, "{ended:#}");
    assert_eq!(hits(&journal, &agents), [1, 1, 1], "each host once");
    let jobs = owner.get(&format!("/v1/jobs?batch_id={batch}")).await.unwrap().expect(200);
    let jobs = jobs["data"].as_array().unwrap();
    assert_eq!(jobs.len(), 3, "{jobs:#?}");
    for job in jobs {
        assert_eq!(owner.log_text(job["id"].as_str().unwrap()).await, "passed\n");
    }
}
