//! `agent-idle`: an idle agent over wss at a 5 s beat, beside the floor and node_exporter in the same minute.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use support::agent::Agent;
use support::hub::{Hub, HubOptions, free_port};
use support::process::Process;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, interval_at};

use crate::footprint::{cpu_ms, pss_mib, threads};
use crate::report::Report;

const SETTLE: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(60);
const WINDOWS: usize = 5;

/// Takes about seven minutes.
///
/// # Errors
/// When a part cannot be started or ends.
pub async fn run() -> anyhow::Result<Report> {
    let args = vec!["--heartbeat-interval-s".to_owned(), "5".to_owned()];
    let hub = Hub::start_with(HubOptions { args, ..HubOptions::default() }).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;

    let floors = crate::floors()?;
    let mut floor = floors.command();
    floor.args(["heartbeat", "--interval-ms", "5000"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut floor = floor.spawn().context("the floor")?;
    let mut lines = BufReader::new(floor.stdout.take().context("its output")?).lines();
    let floor_pid: i32 = lines.next_line().await?.context("its agent's pid")?.parse()?;

    let port = free_port();
    let dir = tempfile::tempdir()?;
    let listen = [format!("--web.listen-address=127.0.0.1:{port}")];
    let exporter = Process::start(
        "/usr/bin/prometheus-node-exporter".as_ref(),
        &listen,
        &[],
        &dir.path().join("node_exporter.log"),
    );
    let scrape = tokio::spawn(async move {
        let api = support::api::Api::new(&format!("http://127.0.0.1:{port}"), &format!("127.0.0.1:{port}"));
        let mut ticks = tokio::time::interval(Duration::from_secs(15));
        loop {
            ticks.tick().await;
            // The first scrapes may find it starting.
            let _ = api.get("/metrics").await;
        }
    });

    let pids = [agent.process().pid().as_raw(), floor_pid, exporter.pid().as_raw()];
    let mut ticks = interval_at(Instant::now() + SETTLE, WINDOW);
    ticks.tick().await;
    let mut memory = [const { Vec::new() }; 3];
    let mut cpu = [const { Vec::new() }; 3];
    for _ in 0..WINDOWS {
        let before = pids.map(cpu_ms);
        ticks.tick().await;
        for (index, (pid, before)) in pids.into_iter().zip(before).enumerate() {
            memory[index].push(pss_mib(pid)?);
            cpu[index].push(cpu_ms(pid)? - before?);
        }
    }
    scrape.abort();

    let mut report = Report::default();
    let [our_memory, floor_memory, exporter_memory] = &memory;
    let [our_cpu, floor_cpu, exporter_cpu] = &cpu;
    report.compare("PSS, MiB", our_memory, "floor heartbeat", floor_memory, "≤ 2.0");
    report.compare("PSS, MiB", our_memory, "node_exporter", exporter_memory, "–");
    report.compare("CPU, ms a minute", our_cpu, "floor heartbeat", floor_cpu, "≤ 3.0");
    report.compare("CPU, ms a minute", our_cpu, "node_exporter, scraped every 15 s", exporter_cpu, "≤ 0.33");
    let size = std::fs::metadata(support::agent::binary())?.len();
    let threads = threads(agent.process().pid().as_raw())?;
    report.note(format!("Agent binary {:.2} MiB (≤ 8), {threads} threads (≤ 3).", size as f64 / f64::from(1 << 20)));
    Ok(report)
}
