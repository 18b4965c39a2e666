//! What a seed means: the jobs, what goes wrong, when, and for how long.

use std::time::Duration;

use support::link::Direction;

/// Most bytes that a job writes.
const MAX_OUTPUT: usize = 40_000;
/// More than goes from the hub to the agent in a run.
const MAX_TO_AGENT: usize = 9_000;

/// Numbers that all follow from a seed (splitmix64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        // Neighbouring seeds shall have nothing in common.
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    KillHub,
    StopHub,
    KillRelay,
    StopRelay,
    KillWorker,
    /// Whatever workers have just been given, they do later; meanwhile the hub, after a reconnect, gives it again.
    StopWorkers,
    Cut,
    Stall,
}

const FAULTS: [Fault; 8] = [
    Fault::KillHub,
    Fault::StopHub,
    Fault::KillRelay,
    Fault::StopRelay,
    Fault::KillWorker,
    Fault::StopWorkers,
    Fault::Cut,
    Fault::Stall,
];

/// At which point of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Before there is a job.
    Before,
    /// When the link has passed so many bytes; it stands still meanwhile.
    Bytes(Direction, usize),
    /// While every job waits in the middle of its output.
    Output,
    /// When every job has ended on the host.
    End,
}

/// A job of a run.
#[derive(Debug, Clone)]
pub(super) struct JobPlan {
    /// What it writes before and after it waits at its gate.
    pub(super) output: [Vec<u8>; 2],
    pub(super) exit_code: i64,
}

/// A run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    pub(super) point: Point,
    /// It is mended only when everything that runs has ended.
    pub(super) is_long: bool,
    /// Jobs stop in the middle of their output until the fault has happened.
    pub(super) is_gated: bool,
    pub(super) delay: Duration,
    pub(super) jobs: Vec<JobPlan>,
    /// Which of several workers is killed.
    pub(super) victim: usize,
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // The faults take turns, so that a hundred runs have enough of each.
        let fault = FAULTS[usize::try_from(seed).unwrap() % FAULTS.len()];
        let jobs: Vec<_> = (0..1 + dice.below(3)).map(|_| job(&mut dice)).collect();
        let written: usize = jobs.iter().flat_map(|job| &job.output).map(Vec::len).sum();
        let point = match dice.below(10) {
            0 => Point::Before,
            1..=3 => Point::Bytes(Direction::ToAgent, 1 + dice.below(MAX_TO_AGENT)),
            // Answers and ends come besides what jobs write.
            4..=6 => Point::Bytes(Direction::ToHub, 1 + dice.below(written + 1_500 * jobs.len())),
            7 | 8 => Point::Output,
            _ => Point::End,
        };
        // A worker is there to be killed only while it has a job.
        let point = match (fault, point) {
            (Fault::KillWorker, Point::End) => Point::Output,
            // The spare, which takes the first order.
            (Fault::StopWorkers, Point::Output | Point::End) => Point::Before,
            _ => point,
        };
        Self {
            fault,
            point,
            is_long: dice.below(2) == 0,
            is_gated: point == Point::Output || (point != Point::End && dice.below(3) == 0),
            delay: Duration::from_millis(dice.pick(&[0, 0, 1, 5])),
            victim: dice.below(64),
            jobs,
        }
    }
}

fn job(dice: &mut Dice) -> JobPlan {
    let most = dice.pick(&[0, 1, 200, 5_000, MAX_OUTPUT]);
    let total = dice.below(most + 1);
    let mut output: Vec<u8> = Vec::with_capacity(total + 8);
    // Half of the logs are text of one to four bytes per character, the others are no text at all.
    let is_text = dice.below(2) == 0;
    while output.len() < total {
        match is_text {
            true => output.extend(dice.pick(&["a", "\n", "line ", "ä", "€", "😀"]).bytes()),
            false => output.extend(dice.next().to_le_bytes()),
        }
    }
    let rest = output.split_off(dice.below(output.len() + 1));
    JobPlan { output: [output, rest], exit_code: dice.pick(&[0, 0, 0, 1, 42]) }
}
