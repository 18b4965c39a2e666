//! The protocol of jobs under faults: many short histories of one server, each from a seed.
//!
//! A model of the agent ([`machine`]) talks to the hub's own code through a model of the connection ([`wire`]). The hub is
//! real, down to its database; only its sockets and its clock are not. What a run does follows from its seed:
//!
//! - **The link** delays everything as it likes. It breaks at every point (before and after hello, welcome, order, answer,
//!   log, end, acknowledgement), and both ends notice at once, or one of them later or not before the agent comes back.
//!   TCP keeps the order of one connection and loses nothing in its middle, so reordering means: what the hub is still at
//!   work on from an old connection comes after the hello of the new one (one message: the hub reads no more of a
//!   connection that was replaced), and messages of different jobs overtake each other. Beyond TCP, single messages get
//!   lost or come twice on a connection that lives: a hub that could not store something, a relay that was too busy. Of
//!   the log of each job that happens once only: an agent that begins at the same place twice has nothing before it, says
//!   the protocol, and the hub rightly believes that.
//! - **The hub** is killed between any two messages, before what it has taken is stored, between hello and welcome and
//!   after it, and starts again on its database; in some runs on a database of earlier.
//! - **The host**: the relay is restarted, workers are killed before, between and after claim, place, start and end, the
//!   machine is rebooted with and without warning (and loses what was not on the disk), its clock is an hour off.
//! - **People** cancel, repeat, and make jobs that expire or that the host refuses.
//!
//! Then the world is made whole, time passes, and: every job was started at most once, has one end that was never
//! rewritten and is what the command has left on the host; it is `lost` only when its worker was killed, `interrupted`
//! only when the machine went down; its log is byte for byte what it wrote (a prefix, when it was ended by force); nothing
//! that was acknowledged is missing; nothing is left, here or there. A database of earlier may not know what the host was
//! told to forget: of those jobs only that they ran at most once and have an end.
//!
//! `ROADSTEAD_TEST_FAULT_SEED=17` repeats one run, `ROADSTEAD_TEST_FAULT_RUNS=10000` makes more of them; for so many use
//! `cargo test -p api jobs::tests::faults`, which has no limit of time.

mod check;
mod dice;
mod machine;
mod run;
mod wire;

use super::support::worlds;
use crate::db::Engine;
use run::Run;
pub(super) use wire::job_of;

/// Runs of one go of the tests.
const RUNS: u64 = 900;
/// Tests that share them, so that they run side by side.
const PARTS: usize = 6;

async fn part(part: u64) {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let wanted = number("ROADSTEAD_TEST_FAULT_SEED");
    let runs = number("ROADSTEAD_TEST_FAULT_RUNS").unwrap_or(RUNS);
    for mut world in worlds().await {
        let is_sqlite = world.test.engine() == Engine::Sqlite;
        // The engines differ in how they store, not in the protocol: a few runs show that.
        let runs = if is_sqlite { runs } else { runs / 10 };
        for seed in (part..runs).step_by(PARTS) {
            if wanted.is_none() {
                Run::new(&mut world, seed, is_sqlite).await.run().await;
            }
        }
        if let Some(seed) = wanted
            && part == 0
        {
            Run::new(&mut world, seed, is_sqlite).await.run().await;
        }
    }
}

macro_rules! parts {
    ($($name:ident: $part:literal,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                part($part).await;
            }
        )*
    };
}

parts! {
    every_job_runs_at_most_once_and_has_one_true_end_1: 0,
    every_job_runs_at_most_once_and_has_one_true_end_2: 1,
    every_job_runs_at_most_once_and_has_one_true_end_3: 2,
    every_job_runs_at_most_once_and_has_one_true_end_4: 3,
    every_job_runs_at_most_once_and_has_one_true_end_5: 4,
    every_job_runs_at_most_once_and_has_one_true_end_6: 5,
}
