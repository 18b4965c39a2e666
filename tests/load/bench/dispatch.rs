//! `dispatch`: `POST /v1/jobs` of `true` until its exit code is stored and seen on the event stream, beside the floor of
//! the same promises, warm ssh and cold ssh.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use support::agent::Agent;
use support::api::Api;
use support::hub::Hub;
use support::sse::EventStream;

use crate::report::{Report, median};
use crate::ssh::Ssh;

const BLOCKS: usize = 5;
const PER_BLOCK: usize = 60;
const WARM_UP: usize = 10;
const COLD_PER_BLOCK: usize = 5;

/// Takes about two minutes.
///
/// # Errors
/// When a part cannot be started or a job fails.
pub async fn run() -> anyhow::Result<Report> {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let mut events = owner.events("/v1/events", None).await;
    let ssh = Ssh::start().await?;
    let floors = crate::floors()?;

    let (mut ours, mut floor, mut warm, mut cold) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        let mut block = Vec::new();
        for _ in 0..PER_BLOCK + WARM_UP {
            block.push(one_job(&owner, &mut events, agent.server_id()).await?);
        }
        ours.push(median(&block[WARM_UP..]));

        let mut command = floors.command();
        let count = PER_BLOCK + WARM_UP;
        let output = command.args(["dispatch", "--n", &count.to_string()]).output().await?;
        let times: Vec<f64> = String::from_utf8(output.stdout)?.lines().map(str::parse).collect::<Result<_, _>>()?;
        ensure!(times.len() == count, "the floor stopped early");
        floor.push(median(&times[WARM_UP..]) / 1e3);

        let mut block = Vec::new();
        for _ in 0..PER_BLOCK {
            let start = Instant::now();
            ssh.warm("true").await?;
            block.push(start.elapsed().as_secs_f64() * 1e3);
        }
        warm.push(median(&block));

        let mut block = Vec::new();
        for _ in 0..COLD_PER_BLOCK {
            let start = Instant::now();
            ssh.cold("true").await?;
            block.push(start.elapsed().as_secs_f64() * 1e3);
        }
        cold.push(median(&block));
    }
    let mut report = Report::default();
    report.compare("p50, ms", &ours, "floor (fsync, spawn, wss)", &floor, "≤ 1.3");
    report.compare("p50, ms", &ours, "ssh, warm master", &warm, "≤ 0.25");
    report.compare("p50, ms", &ours, "ssh, cold", &cold, "≤ 0.0125");
    report.note("Workers forked by the agent (no systemd on the measuring machine).".to_owned());
    Ok(report)
}

/// Milliseconds from the request to the end on the event stream.
async fn one_job(api: &Api, events: &mut EventStream, server_id: &str) -> anyhow::Result<f64> {
    let body = json!({ "server_id": server_id, "kind": "exec", "args": { "argv": ["/bin/true"] } });
    let start = Instant::now();
    let job = api.post("/v1/jobs", &body).await?.expect(201);
    let id = job["id"].as_str().context("an id")?.to_owned();
    let end = events
        .find(Duration::from_secs(10), |event| {
            event.kind == "job.state" && event.data["subject"]["id"] == id && event.data["data"]["exit_code"] == 0
        })
        .await;
    ensure!(end.data["data"]["state"] == "succeeded", "{}", end.data);
    Ok(start.elapsed().as_secs_f64() * 1e3)
}
