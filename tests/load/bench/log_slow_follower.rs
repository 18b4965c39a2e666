//! `log-slow-follower`: a browser that follows a log and stops reading: what the hub keeps for it, and whether another
//! follower of the same log is slower for it.

use std::time::Duration;

use support::agent::Agent;
use support::hub::Hub;
use tokio::time::{interval, sleep};

use crate::Scale;
use crate::footprint::pss_mib;
use crate::log::Lines;
use crate::report::{Report, median};

const BLOCKS: usize = 7;
/// Stalled followers at once, to see more exactly what each of them takes.
const CROWD: usize = 32;
/// Time for the hub to give back what only the transfer needed: its allocator does so within a second.
const QUIET: Duration = Duration::from_secs(4);
const SAMPLES: usize = 10;
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Takes about three minutes.
///
/// # Errors
/// When a part cannot be started or a line is lost.
pub async fn run(scale: Scale) -> anyhow::Result<Report> {
    let (lines, blocks) = match scale {
        Scale::Full => (2_000_000, BLOCKS),
        Scale::Quick => (200_000, 2),
    };
    let dir = tempfile::tempdir()?;
    let file = Lines::write(&dir.path().join("log.txt"), lines)?;
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let pid = hub.process().pid().as_raw();

    // Everything that grows once has grown.
    file.transfer(&hub, &owner, &agent, 0).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut alone_peak, mut beside_peak) = (Vec::new(), Vec::new());
    let (mut alone_rest, mut beside_rest, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..blocks {
        let (transfer, peak) = with_peak(pid, file.transfer(&hub, &owner, &agent, 0)).await;
        alone.push(transfer?.rate);
        alone_peak.push(peak);
        let without = settled_mib(pid).await?;
        alone_rest.push(without);

        let (transfer, peak) = with_peak(pid, file.transfer(&hub, &owner, &agent, 1)).await;
        let transfer = transfer?;
        beside.push(transfer.rate);
        beside_peak.push(peak);
        let with = settled_mib(pid).await?;
        beside_rest.push(with);
        kept.push((with - without) * 1024.0);
        // It was slow and nothing worse: everything is there for it.
        for stalled in transfer.stalled {
            file.read_by(stalled).await?;
        }
    }
    // One of them is little beside what an allocator keeps or gives back; many are not.
    let before = settled_mib(pid).await?;
    let crowd = file.transfer(&hub, &owner, &agent, CROWD).await?;
    let each = (settled_mib(pid).await? - before) * 1024.0 / CROWD as f64;
    drop(crowd);

    let mut report = Report::default();
    report.compare("M lines/s of the other follower", &beside, "without the stall", &alone, "≥ 0.98");
    report.figure("Hub PSS kept for the stalled follower, KiB", &kept, "≤ 256");
    report.figure(&format!("… for each of {CROWD} at once, one run"), &[each], "–");
    report.compare("Hub PSS at rest, MiB", &beside_rest, "without the stall", &alone_rest, "–");
    report.compare("Hub PSS, most during the transfer, MiB", &beside_peak, "without the stall", &alone_peak, "–");
    report.note(format!(
        "{lines} lines of 100 bytes a transfer. At rest: {} s after the job's end, the stalled follower still there; then \
         it read everything. What the kernel's socket buffers hold is not part of PSS.",
        QUIET.as_secs()
    ));
    Ok(report)
}

/// The hub's memory once it has come to rest.
async fn settled_mib(pid: i32) -> anyhow::Result<f64> {
    sleep(QUIET).await;
    let mut samples = Vec::new();
    let mut ticks = interval(SAMPLE_EVERY);
    for _ in 0..SAMPLES {
        ticks.tick().await;
        samples.push(pss_mib(pid)?);
    }
    Ok(median(&samples))
}

/// What `work` gives, and the most memory that was seen meanwhile, MiB.
async fn with_peak<T>(pid: i32, work: impl Future<Output = T>) -> (T, f64) {
    let mut peak = f64::NAN;
    let mut ticks = interval(SAMPLE_EVERY);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return (done, peak),
            // A hub that has gone fails the work.
            _ = ticks.tick() => peak = pss_mib(pid).map_or(peak, |now| now.max(peak)),
        }
    }
}
