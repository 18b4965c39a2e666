//! `log`: 200 MB of 100-byte lines from a job to a follower, stored; beside 64 KiB TLS frames with zstd -1 of the same
//! bytes, and beside ssh, which stores nothing.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::Value;
use support::agent::Agent;
use support::api::Api;
use support::hub::Hub;

use crate::Floors;
use crate::footprint::cpu_with_children_ms;
use crate::report::Report;
use crate::ssh::Ssh;

const BLOCKS: usize = 5;
const LINES: u32 = 2_000_000;
const MILLION_LINES: f64 = 2.0;

/// One transfer: lines a second in millions, processor seconds a million lines.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    rate: f64,
    hub_cpu: f64,
    agent_cpu: f64,
}

/// Takes about two minutes.
///
/// # Errors
/// When a part cannot be started or a line is lost.
pub async fn run() -> anyhow::Result<Report> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("log.txt");
    write_lines(&file)?;
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let ssh = Ssh::start().await?;
    let floors = crate::floors()?;

    let (mut ours, mut floor, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        ours.push(job(&hub, &owner, &agent, &file).await?);
        floor.push(frames(&floors, &file).await?);
        peer.push(over_ssh(&ssh, &file).await?);
    }
    let each = |transfers: &[Transfer], value: fn(&Transfer) -> f64| transfers.iter().map(value).collect::<Vec<_>>();
    let total = |transfer: &Transfer| transfer.hub_cpu + transfer.agent_cpu;
    let mut report = Report::default();
    let rate = |transfer: &Transfer| transfer.rate;
    report.compare("M lines/s", &each(&ours, rate), "floor", &each(&floor, rate), "≥ 0.5");
    report.compare("CPU s / M lines", &each(&ours, total), "floor", &each(&floor, total), "≤ 1.5");
    report.compare("… hub alone", &each(&ours, |t| t.hub_cpu), "floor", &each(&floor, |t| t.hub_cpu), "–");
    report.compare("… agent alone", &each(&ours, |t| t.agent_cpu), "floor", &each(&floor, |t| t.agent_cpu), "–");
    report.compare("M lines/s", &each(&ours, rate), "ssh aes128-gcm", &each(&peer, rate), "–");
    report.compare("CPU s / M lines", &each(&ours, total), "ssh aes128-gcm", &each(&peer, total), "≤ 1.3");
    Ok(report)
}

/// 100-byte lines with quotes in them, so that JSON escaping is paid for where it is used.
fn write_lines(path: &Path) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for number in 0..LINES {
        let line = format!(
            "{number:07} \"GET /index.html HTTP/1.1\" 200 {:05} agent=\"bench\" id={:08x}",
            number % 65_521,
            number ^ 0x5bd1_e995
        );
        writeln!(file, "{line:.<99}")?;
    }
    Ok(file.flush()?)
}

async fn job(hub: &Hub, api: &Api, agent: &Agent, file: &Path) -> anyhow::Result<Transfer> {
    let pids = [hub.process().pid().as_raw(), agent.process().pid().as_raw()];
    let [hub_before, agent_before] = pids.map(cpu_with_children_ms);
    let start = Instant::now();
    let job = api.exec(agent.server_id(), &format!("exec cat {}", file.display())).await;
    let id = job["id"].as_str().context("an id")?;
    let request = api.request(Method::GET, &format!("/v1/jobs/{id}/log?follow=true"));
    let request = request.header(ACCEPT, "text/event-stream").timeout(Duration::from_secs(120));
    let mut response = request.send().await?;
    // Lines stand as \n escapes inside the events' JSON.
    let (mut lines, mut last) = (0_usize, 0_u8);
    let mut tail = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        for &byte in &chunk {
            lines += usize::from(last == b'\\' && byte == b'n');
            last = byte;
        }
        tail = chunk[chunk.len().saturating_sub(4096)..].to_vec();
    }
    let wall = start.elapsed().as_secs_f64();
    let tail = String::from_utf8_lossy(&tail).into_owned();
    ensure!(tail.contains("\"succeeded\""), "the job went wrong: {tail}");
    ensure!(lines >= usize::try_from(LINES)?, "{lines} of {LINES} lines arrived");
    let [hub_after, agent_after] = pids.map(cpu_with_children_ms);
    Ok(Transfer {
        rate: MILLION_LINES / wall,
        hub_cpu: (hub_after? - hub_before?) / 1e3 / MILLION_LINES,
        agent_cpu: (agent_after? - agent_before?) / 1e3 / MILLION_LINES,
    })
}

async fn frames(floors: &Floors, file: &Path) -> anyhow::Result<Transfer> {
    let output = floors.command().arg("stream").arg("--file").arg(file).output().await?;
    let result: Value = serde_json::from_slice(&output.stdout).context("the floor's result")?;
    let number = |name: &str| result[name].as_f64().with_context(|| name.to_owned());
    ensure!(result["lines"] == LINES, "{result}");
    Ok(Transfer {
        rate: MILLION_LINES / number("wall_s")?,
        hub_cpu: number("hub_cpu_s")? / MILLION_LINES,
        agent_cpu: number("agent_cpu_s")? / MILLION_LINES,
    })
}

async fn over_ssh(ssh: &Ssh, file: &Path) -> anyhow::Result<Transfer> {
    let server = ssh.server.pid().as_raw();
    let before = cpu_with_children_ms(server)?;
    let start = Instant::now();
    let client_ms = ssh.cat(&file.display().to_string()).await?;
    let wall = start.elapsed().as_secs_f64();
    Ok(Transfer {
        rate: MILLION_LINES / wall,
        hub_cpu: client_ms / 1e3 / MILLION_LINES,
        agent_cpu: (cpu_with_children_ms(server)? - before) / 1e3 / MILLION_LINES,
    })
}
