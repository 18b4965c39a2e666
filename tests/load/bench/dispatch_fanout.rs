//! `dispatch-fanout`: one `true` to each of many simulated agents, as one batch and as one request for each, beside
//! bare round trips over as many connections.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use support::api::Api;
use support::hub::{Hub, HubOptions};
use support::wait;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::Scale;
use crate::fleet::Fleet;
use crate::footprint::{process_cpu_ms, raise_open_files};
use crate::report::Report;

const BLOCKS: usize = 5;
/// Requests in flight at once, where every job has its own.
const AT_ONCE: usize = 32;
/// Files that a process has open beside its agents' sockets.
const OTHER_FILES: usize = 1_000;

/// One job to every agent.
#[derive(Debug, Clone, Copy)]
struct Round {
    wall_s: f64,
    /// The hub's processor time, microseconds a job.
    cpu_us: f64,
}

/// Takes about fifteen minutes, half of them to register 10 000 agents and to connect them to the floor.
///
/// # Errors
/// When a part cannot be started or a job fails.
pub async fn run(scale: Scale) -> anyhow::Result<Report> {
    let sizes = match scale {
        Scale::Full => [1_000, 10_000],
        Scale::Quick => [20, 50],
    };
    // Before the hub starts: it inherits the limit.
    let room = raise_open_files()?.saturating_sub(OTHER_FILES);
    let mut options = HubOptions::without_rate_limit();
    options.args.extend(["--heartbeat-interval-s", "3600"].map(str::to_owned));
    let hub = Hub::start_with(options).await;
    let owner = hub.owner().await;
    let mut fleet = Fleet::new(&hub, &owner);
    let floors = crate::floors()?;
    let mut report = Report::default();
    for wanted in sizes {
        let size = wanted.min(room);
        if size < wanted {
            let why = format!("this machine allows a process {} open files", room + OTHER_FILES);
            report.note(format!("{size} agents instead of {wanted}: {why}. {wanted} were not measured."));
        }
        fleet.grow_to(size).await?;
        let mut floor = Floor::start(&floors, size).await?;
        let (mut batches, mut singles, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        // The first block warms up.
        for _ in 0..=BLOCKS {
            batches.push(batch(&hub, &owner, &mut fleet).await?);
            bare.push(floor.round().await?);
            singles.push(one_by_one(&hub, &owner, &mut fleet).await?);
        }
        floor.stop().await?;
        let [batches, singles, bare] = [&batches, &singles, &bare].map(|rounds| &rounds[1..]);
        let each = |rounds: &[Round], value: fn(&Round) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        for (how, ours) in [("one batch", batches), ("a request each", singles)] {
            let wall = |round: &Round| round.wall_s;
            let what = format!("{size} agents, {how}: s");
            report.compare(&what, &each(ours, wall), "floor round trips", &each(bare, wall), "≤ 2");
            let cpu = |round: &Round| round.cpu_us;
            let what = format!("{size} agents, {how}: hub CPU, µs a job");
            report.compare(&what, &each(ours, cpu), "floor round trips", &each(bare, cpu), "ours ≤ 40");
        }
    }
    let taken = "from the request until the last agent was told that its end is stored";
    report.note(format!("Time is {taken}; the hub's CPU includes the batch's own end and pings to idle agents."));
    report.note("Agents are simulated in the measuring process, which shares the machine with the hub.".to_owned());
    Ok(report)
}

/// `POST /v1/job-batches` for every server.
async fn batch(hub: &Hub, owner: &Api, fleet: &mut Fleet) -> anyhow::Result<Round> {
    let body = json!({ "selector": { "all": true }, "kind": "exec", "args": { "command": "true" } });
    let count = fleet.server_ids().len();
    measure(
        hub,
        fleet,
        async || {
            let batch = owner.post("/v1/job-batches", &body).await?;
            ensure!(batch.status == 201, "a batch: {}", batch.text);
            Ok(batch.json())
        },
        async |batch| {
            let id = batch["id"].as_str().unwrap_or_default();
            let batch = wait::until("the batch to end", Duration::from_secs(60), async || {
                let batch =
                    owner.get(&format!("/v1/job-batches/{id}")).await.map_err(|error| json!(format!("{error:#}")))?;
                let batch = batch.expect(200);
                if batch["finished_at"].is_null() { Err(batch) } else { Ok(batch) }
            })
            .await;
            ensure!(batch["state"] == "succeeded" && batch["counts"]["succeeded"] == count, "{batch}");
            Ok(())
        },
    )
    .await
}

/// `POST /v1/jobs` for each server.
async fn one_by_one(hub: &Hub, owner: &Api, fleet: &mut Fleet) -> anyhow::Result<Round> {
    let bodies: Vec<_> = fleet.server_ids().iter().map(|id| job(id)).collect();
    measure(
        hub,
        fleet,
        async || {
            let posts = stream::iter(&bodies).map(|body| async move {
                let job = owner.post("/v1/jobs", body).await?;
                ensure!(job.status == 201, "a job: {}", job.text);
                Ok(())
            });
            posts.buffer_unordered(AT_ONCE).try_collect::<()>().await
        },
        async |()| Ok(()),
    )
    .await
}

fn job(server_id: &str) -> Value {
    json!({ "server_id": server_id, "kind": "exec", "args": { "command": "true" } })
}

/// The time until every agent's job has ended, and what the hub spent on it until it is `settled`.
async fn measure<T>(
    hub: &Hub,
    fleet: &mut Fleet,
    order: impl AsyncFnOnce() -> anyhow::Result<T>,
    settled: impl AsyncFnOnce(T) -> anyhow::Result<()>,
) -> anyhow::Result<Round> {
    let count = fleet.server_ids().len();
    let total = fleet.ended() + count;
    let pid = hub.process().pid().as_raw();
    let before = process_cpu_ms(pid)?;
    let start = Instant::now();
    let ordered = order().await?;
    fleet.until_ended(total).await?;
    let wall_s = start.elapsed().as_secs_f64();
    settled(ordered).await?;
    let cpu_us = (process_cpu_ms(pid)? - before) * 1e3 / count as f64;
    ensure!(fleet.ended() == total, "{} jobs ended where {total} were ordered", fleet.ended());
    Ok(Round { wall_s, cpu_us })
}

/// The floor, its agents connected.
#[derive(Debug)]
struct Floor {
    child: Child,
    rounds: ChildStdin,
    results: Lines<BufReader<ChildStdout>>,
    count: usize,
}

impl Floor {
    async fn start(floors: &crate::Floors, count: usize) -> anyhow::Result<Self> {
        let mut command = floors.command();
        command.args(["fanout", "--n", &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the floor")?;
        let rounds = child.stdin.take().context("its input")?;
        let mut results = BufReader::new(child.stdout.take().context("its output")?).lines();
        ensure!(results.next_line().await?.as_deref() == Some("ready"), "the floor did not start");
        Ok(Self { child, rounds, results, count })
    }

    async fn round(&mut self) -> anyhow::Result<Round> {
        self.rounds.write_all(b"\n").await?;
        let line = self.results.next_line().await?.context("the floor ended")?;
        let result: Value = serde_json::from_str(&line)?;
        let number = |name: &str| result[name].as_f64().with_context(|| name.to_owned());
        Ok(Round { wall_s: number("wall_s")?, cpu_us: number("hub_cpu_s")? * 1e6 / self.count as f64 })
    }

    async fn stop(self) -> anyhow::Result<()> {
        let Self { mut child, rounds, .. } = self;
        drop(rounds);
        let status = child.wait().await?;
        ensure!(status.success(), "the floor ended with {status}");
        Ok(())
    }
}
