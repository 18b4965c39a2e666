//! `log`: 200 MB of 100-byte lines from a job to a follower, stored; beside 64 KiB TLS frames with zstd -1 of the same
//! bytes, and beside ssh, which stores nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
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

/// One transfer: lines a second in millions, processor seconds a million lines.
#[derive(Debug)]
pub struct Transfer {
    /// Lines a second, in millions.
    pub rate: f64,
    hub_cpu: f64,
    agent_cpu: f64,
    /// Followers that opened the stream and have read nothing.
    pub stalled: Vec<Follower>,
}

/// Somebody who follows a job's log; gone when dropped.
#[derive(Debug)]
pub struct Follower(reqwest::Response);

/// A file of 100-byte lines.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    count: u32,
}

/// Takes about two minutes.
///
/// # Errors
/// When a part cannot be started or a line is lost.
pub async fn run() -> anyhow::Result<Report> {
    let dir = tempfile::tempdir()?;
    let file = Lines::write(&dir.path().join("log.txt"), LINES)?;
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let ssh = Ssh::start().await?;
    let floors = crate::floors()?;

    let (mut ours, mut floor, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BLOCKS {
        ours.push(file.transfer(&hub, &owner, &agent, 0).await?);
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

impl Lines {
    /// Writes lines with quotes in them, so that JSON escaping is paid for where it is used.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(path: &Path, count: u32) -> anyhow::Result<Self> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for number in 0..count {
            let line = format!(
                "{number:07} \"GET /index.html HTTP/1.1\" 200 {:05} agent=\"bench\" id={:08x}",
                number % 65_521,
                number ^ 0x5bd1_e995
            );
            writeln!(file, "{line:.<99}")?;
        }
        file.flush()?;
        Ok(Self { path: path.to_owned(), count })
    }

    /// From a job to a follower, stored, while `stalled` others read nothing.
    ///
    /// # Errors
    /// When the job fails or a line is lost.
    pub async fn transfer(&self, hub: &Hub, api: &Api, agent: &Agent, stalled: usize) -> anyhow::Result<Transfer> {
        let pids = [hub.process().pid().as_raw(), agent.process().pid().as_raw()];
        let [hub_before, agent_before] = pids.map(cpu_with_children_ms);
        let start = Instant::now();
        let job = api.exec(agent.server_id(), &format!("exec cat {}", self.path.display())).await;
        let id = job["id"].as_str().context("an id")?;
        let mut idle = Vec::new();
        for _ in 0..stalled {
            idle.push(Follower::open(api, id).await?);
        }
        self.read_by(Follower::open(api, id).await?).await?;
        let wall = start.elapsed().as_secs_f64();
        let [hub_after, agent_after] = pids.map(cpu_with_children_ms);
        Ok(Transfer {
            rate: self.millions() / wall,
            hub_cpu: (hub_after? - hub_before?) / 1e3 / self.millions(),
            agent_cpu: (agent_after? - agent_before?) / 1e3 / self.millions(),
            stalled: idle,
        })
    }

    /// Reads the log of a job that writes these lines, to its end.
    ///
    /// # Errors
    /// When the job failed, the stream breaks off or a line is lost.
    pub async fn read_by(&self, follower: Follower) -> anyhow::Result<()> {
        let Follower(mut response) = follower;
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
        let tail = String::from_utf8_lossy(&tail).into_owned();
        ensure!(tail.contains("\"succeeded\""), "the job went wrong: {tail}");
        ensure!(lines >= usize::try_from(self.count)?, "{lines} of {} lines arrived", self.count);
        Ok(())
    }

    fn millions(&self) -> f64 {
        f64::from(self.count) / 1e6
    }
}

impl Follower {
    async fn open(api: &Api, job_id: &str) -> anyhow::Result<Self> {
        let request = api.request(Method::GET, &format!("/v1/jobs/{job_id}/log?follow=true"));
        let request = request.header(ACCEPT, "text/event-stream").timeout(Duration::from_secs(300));
        Ok(Self(request.send().await?.error_for_status()?))
    }
}

async fn frames(floors: &Floors, file: &Lines) -> anyhow::Result<Transfer> {
    let output = floors.command().arg("stream").arg("--file").arg(&file.path).output().await?;
    let result: Value = serde_json::from_slice(&output.stdout).context("the floor's result")?;
    let number = |name: &str| result[name].as_f64().with_context(|| name.to_owned());
    ensure!(result["lines"] == file.count, "{result}");
    Ok(Transfer {
        rate: file.millions() / number("wall_s")?,
        hub_cpu: number("hub_cpu_s")? / file.millions(),
        agent_cpu: number("agent_cpu_s")? / file.millions(),
        stalled: Vec::new(),
    })
}

async fn over_ssh(ssh: &Ssh, file: &Lines) -> anyhow::Result<Transfer> {
    let server = ssh.server.pid().as_raw();
    let before = cpu_with_children_ms(server)?;
    let start = Instant::now();
    let client_ms = ssh.cat(&file.path.display().to_string()).await?;
    let wall = start.elapsed().as_secs_f64();
    Ok(Transfer {
        rate: file.millions() / wall,
        hub_cpu: client_ms / 1e3 / file.millions(),
        agent_cpu: (cpu_with_children_ms(server)? - before) / 1e3 / file.millions(),
        stalled: Vec::new(),
    })
}
