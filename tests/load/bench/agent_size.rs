//! `agent-size`: the agent's file as it is shipped, and the most threads that it has at work.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use support::agent::Agent;
use support::hub::{Hub, HubOptions};
use tokio::time::interval;

use crate::Scale;
use crate::footprint::{linkage, threads};
use crate::report::Report;

/// How often threads are counted while jobs run.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Takes half a minute.
///
/// # Errors
/// When the agent's file cannot be read, or a part cannot be started.
pub async fn run(scale: Scale) -> anyhow::Result<Report> {
    let path = support::agent::binary();
    let file = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let linkage = linkage(&file)?;
    let jobs = match scale {
        Scale::Full => 200,
        Scale::Quick => 5,
    };
    let hub = Hub::start_with(HubOptions::without_rate_limit()).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let pid = agent.process().pid().as_raw();
    let work = async {
        for _ in 0..jobs {
            let job = owner.exec(agent.server_id(), "seq 1000").await;
            let id = job["id"].as_str().context("an id")?;
            let job = owner.job_end(id, Duration::from_secs(30)).await;
            ensure!(job["state"] == "succeeded", "{job}");
        }
        anyhow::Ok(())
    };
    let mut work = std::pin::pin!(work);
    let mut most = threads(pid)?;
    let mut looks = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            worked = &mut work => break worked?,
            _ = looks.tick() => most = most.max(threads(pid)?),
        }
    }
    let mut report = Report::default();
    report.figure("Agent binary, MiB", &[file.len() as f64 / f64::from(1 << 20)], "≤ 8");
    report.figure("Threads, most while jobs run", &[most as f64], "≤ 3");
    let is = |so: bool| if so { "" } else { "not " };
    report.note(format!(
        "The file, for this machine's architecture, is {}static and {}stripped. Threads are the relay's, counted every {} ms \
         over {jobs} jobs.",
        is(linkage.is_static),
        is(linkage.is_stripped),
        LOOK_EVERY.as_millis()
    ));
    Ok(report)
}
