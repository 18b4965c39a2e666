//! `agent-soak`: what an agent has grown by after many beats and many jobs, beside itself a minute after its start.
//!
//! An agent beats every 500 ms at most, whatever a hub asks for: 100 000 beats take 14 hours. So a run is an hour long
//! unless `ROADSTEAD_SOAK_BEATS` says how many beats it shall have; the report says how many there were.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use support::agent::Agent;
use support::api::Api;
use support::hub::{Hub, HubOptions};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};

use crate::Scale;
use crate::footprint::{anonymous_mib, pss_mib};
use crate::report::Report;

/// What the promise is about.
const PROMISED_BEATS: u64 = 100_000;
/// The fastest that an agent does.
const BEAT: Duration = Duration::from_millis(500);
/// How long a watch lasts, and how often it is renewed.
const WATCH_S: u32 = 120;
const WATCH_AGAIN: Duration = Duration::from_secs(60);
const SAMPLES: usize = 15;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Jobs that are asked for at once: the hub gives a server four at a time.
const AT_ONCE: usize = 4;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Plan {
    beats: u64,
    jobs: u64,
    settle: Duration,
}

impl Plan {
    fn of(scale: Scale) -> anyhow::Result<Self> {
        if scale == Scale::Quick {
            return Ok(Self { beats: 60, jobs: 40, settle: Duration::from_secs(3) });
        }
        let beats = std::env::var("ROADSTEAD_SOAK_BEATS").unwrap_or_else(|_| "7200".to_owned());
        let beats = beats.parse().with_context(|| format!("ROADSTEAD_SOAK_BEATS is {beats}, and no number"))?;
        Ok(Self { beats, jobs: 10_000, settle: Duration::from_secs(60) })
    }
}

/// What the hub has seen of the agent.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    beats: u64,
    jobs: u64,
}

/// Takes half a second a beat: an hour unless told.
///
/// # Errors
/// When a part cannot be started, a job fails, or the agent goes away.
pub async fn run(scale: Scale) -> anyhow::Result<Report> {
    let plan = Plan::of(scale)?;
    let hub = Hub::start_with(HubOptions::without_rate_limit()).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let pid = agent.process().pid().as_raw();
    let seen = watch::Sender::new(Seen::default());
    let work = async {
        // What a first job brings for good, such as a worker kept warm, is there before and after.
        order(&owner, agent.server_id(), 1).await?;
        sleep(plan.settle).await;
        let early = Footprint::of(pid).await?;
        order(&owner, agent.server_id(), plan.jobs - 1).await?;
        // Beats come at their own pace: nothing to be ordered.
        let patience = (plan.settle + BEAT * u32::try_from(plan.beats)?) * 2 + Duration::from_secs(600);
        let mut news = seen.subscribe();
        let all = |seen: &Seen| seen.beats >= plan.beats && seen.jobs >= plan.jobs;
        let reached = timeout(patience, news.wait_for(all)).await.map(|seen| seen.map(|seen| *seen));
        let reached = reached.with_context(|| format!("{:?} of {plan:?} after {patience:?}", *seen.borrow()))??;
        sleep(plan.settle).await;
        anyhow::Ok((reached, early, Footprint::of(pid).await?))
    };
    let (reached, early, late) = tokio::select! {
        measured = work => measured?,
        broken = count(&owner, agent.server_id(), &seen) => bail!("{:#}", broken.err().context("the events ended")?),
        broken = keep_watching(&owner, agent.server_id()) => bail!("{:#}", broken.err().context("the watch ended")?),
    };
    let mut report = Report::default();
    let Seen { beats, jobs } = reached;
    let after = format!("after {beats} beats and {jobs} jobs, MiB");
    report.compare(&format!("PSS {after}"), &late.pss, "itself after its start", &early.pss, "≤ 1.10");
    report.compare(&format!("… anonymous {after}"), &late.anonymous, "itself after its start", &early.anonymous, "–");
    report.note(format!("Its start: {} s after the first job, at a beat of {BEAT:?}.", plan.settle.as_secs()));
    if beats < PROMISED_BEATS {
        report.note(format!(
            "The promise is about {PROMISED_BEATS} beats, and this run had {beats}: it says nothing about the rest. \
             `ROADSTEAD_SOAK_BEATS={PROMISED_BEATS}` runs all of them in 14 hours."
        ));
    }
    Ok(report)
}

/// Memory of the relay, some seconds long.
#[derive(Debug, Default)]
struct Footprint {
    pss: Vec<f64>,
    anonymous: Vec<f64>,
}

impl Footprint {
    async fn of(pid: i32) -> anyhow::Result<Self> {
        let mut footprint = Self::default();
        let mut ticks = interval(SAMPLE_EVERY);
        for _ in 0..SAMPLES {
            ticks.tick().await;
            footprint.pss.push(pss_mib(pid)?);
            footprint.anonymous.push(anonymous_mib(pid)?);
        }
        Ok(footprint)
    }
}

async fn order(owner: &Api, server_id: &str, jobs: u64) -> anyhow::Result<()> {
    let body = json!({ "server_id": server_id, "kind": "exec", "args": { "command": "true" } });
    let posts = stream::iter(0..jobs).map(|_| async {
        let job = owner.post("/v1/jobs", &body).await?;
        ensure!(job.status == 201, "a job: {}", job.text);
        Ok(())
    });
    posts.buffer_unordered(AT_ONCE).try_collect().await
}

/// Counts beats and ends of jobs as a browser sees them. Beats that come while the stream is opened again are missed.
async fn count(owner: &Api, server_id: &str, seen: &watch::Sender<Seen>) -> anyhow::Result<()> {
    let mut last_id: Option<String> = None;
    let mut ended = HashSet::new();
    loop {
        let mut events = owner.events("/v1/events", last_id.as_deref()).await;
        // Three missed beats are a lost agent; the limit leaves room for a machine that swaps.
        while let Some(event) = events.next(Duration::from_secs(60)).await {
            last_id = event.id.or(last_id);
            let subject = event.data["subject"]["id"].as_str().unwrap_or_default();
            match event.kind.as_str() {
                "server.live" if subject == server_id => seen.send_modify(|seen| seen.beats += 1),
                "job.state" => {
                    let state = event.data["data"]["state"].as_str().unwrap_or_default();
                    ensure!(matches!(state, "sent" | "running" | "succeeded"), "{}", event.data);
                    if state == "succeeded" && ended.insert(subject.to_owned()) {
                        seen.send_modify(|seen| seen.jobs += 1);
                    }
                }
                "reset" => bail!("events were missed"),
                _ => {}
            }
        }
    }
}

/// Asks for the fastest beat, again and again.
async fn keep_watching(owner: &Api, server_id: &str) -> anyhow::Result<()> {
    let body = json!({ "interval_ms": u64::try_from(BEAT.as_millis())?, "ttl_s": WATCH_S });
    let mut ticks = interval(WATCH_AGAIN);
    loop {
        ticks.tick().await;
        let answer = owner.post(&format!("/v1/servers/{server_id}/watch"), &body).await?;
        ensure!(answer.status == 204, "watch: {}", answer.text);
    }
}
