//! Jobs under faults, with real processes: hub, relay, workers, and a link between them that can be cut.
//!
//! Each run, from a seed, makes a few short jobs and lets one thing go wrong at one point of the protocol:
//!
//! - **What**: the hub, the relay or a worker is killed (`kill -9`); hub or relay are stopped for a while (SIGSTOP), or
//!   workers, while the hub gives their orders again; the link is cut, or stalls without a word.
//! - **When**: before the jobs are made; after so many bytes from the hub or from the agent, which is anywhere from the
//!   middle of an order over its answer, log and end to the last acknowledgement, and the wire stands still at that very
//!   byte while it happens; while every job waits in the middle of its output; when the last one has ended on the host.
//! - **How long**: it is mended at once, or only when everything that runs has ended without whoever is missing.
//!
//! Then the world is made whole, and: every job was executed at most once; its state and exit code are what the command
//! left on the host (`lost` only when its worker was killed); its log is byte for byte what it wrote (a prefix when it is
//! `lost`); it has one end, the same however often one asks, also after another `kill -9` of the hub; and the host knows
//! that the hub has all of it.
//!
//! Inside one TCP connection nothing comes twice or in another order, so a link cannot do that here either. What comes
//! twice is what a caller, the hub or the agent sends again. Messages that are dropped, doubled and reordered one by one
//! are for the simulation in `crates/api/src/jobs/tests/faults`.
//!
//! `ROADSTEAD_TEST_PROCESS_FAULT_SEED=17` repeats the plan of one run (the machine's own timing is never quite the same),
//! `ROADSTEAD_TEST_PROCESS_FAULT_RUNS=10000` makes more of them; for so many use `cargo test -p tests faults`, which has
//! no limit of time.

mod check;
mod host;
mod lane;
mod plan;

use lane::Lane;

/// Runs of one go of the tests.
const RUNS: u64 = 100;
/// Hubs, each with its agent, that share them.
const LANES: u64 = 10;

async fn lane(number: u64) {
    let set = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let wanted = set("ROADSTEAD_TEST_PROCESS_FAULT_SEED");
    let runs = set("ROADSTEAD_TEST_PROCESS_FAULT_RUNS").unwrap_or(RUNS);
    let seeds: Vec<u64> = match wanted {
        Some(seed) => Some(seed).into_iter().filter(|_| number == 0).collect(),
        None => (number..runs).step_by(usize::try_from(LANES).unwrap()).collect(),
    };
    if seeds.is_empty() {
        return;
    }
    let mut lane = Lane::open().await;
    for seed in seeds {
        lane.run(seed).await;
    }
    lane.close().await;
}

/// Most of a run is waiting, so two share a test's time.
async fn two_lanes(first: u64) {
    let both = async {
        let [one, other] = [lane(first), lane(first + 1)].map(tokio::task::spawn_local);
        // One that fails does not end the other in the middle.
        let (one, other) = tokio::join!(one, other);
        if let Err(failed) = one.and(other) {
            std::panic::resume_unwind(failed.into_panic());
        }
    };
    tokio::task::LocalSet::new().run_until(both).await;
}

macro_rules! lanes {
    ($($name:ident: $first:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                two_lanes($first).await;
            }
        )*
    };
}

lanes! {
    every_job_runs_at_most_once_and_has_one_true_end_1: 0,
    every_job_runs_at_most_once_and_has_one_true_end_2: 2,
    every_job_runs_at_most_once_and_has_one_true_end_3: 4,
    every_job_runs_at_most_once_and_has_one_true_end_4: 6,
    every_job_runs_at_most_once_and_has_one_true_end_5: 8,
}
