//! One connection of the model, as both of its ends see it.

use std::collections::VecDeque;

use protocol::job::{Ack, CancelBody, CmdBody};
use protocol::{JobId, Message};

use super::dice::Dice;
use super::machine::Up;
use crate::gateway::test_link::TestLink;

/// See the module.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) test: TestLink,
    /// On its way to the hub.
    pub(super) up: VecDeque<Up>,
    /// On its way to the agent.
    pub(super) down: VecDeque<Message>,
    /// The hub believes in it.
    pub(super) hub_open: bool,
    /// The agent believes in it.
    pub(super) agent_open: bool,
}

/// What the link does to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    Twice,
    Dropped,
}

impl Wire {
    pub(super) fn new(test: TestLink) -> Self {
        Self { test, up: VecDeque::new(), down: VecDeque::new(), hub_open: true, agent_open: true }
    }
}

impl Fate {
    pub(super) fn throw(dice: &Dice, kind: bool) -> Self {
        match dice.below(24) {
            _ if kind => Self::Arrives,
            0 => Self::Dropped,
            1 | 2 => Self::Twice,
            _ => Self::Arrives,
        }
    }
}

/// Takes the first of a queue, or one that has nothing to do with those before it.
pub(super) fn take<T>(
    dice: &Dice,
    queue: &mut VecDeque<T>,
    kind: bool,
    job_of: impl Fn(&T) -> Option<JobId>,
) -> Option<T> {
    let mut place = 0;
    if !kind && dice.one_in(6) {
        let wanted = dice.below(queue.len());
        let job = queue.get(wanted).and_then(&job_of);
        let is_free = job.is_some() && queue.iter().take(wanted).all(|other| job_of(other) != job);
        place = if is_free { wanted } else { 0 };
    }
    queue.remove(place)
}

/// The job that a message of the hub is about.
pub(in crate::jobs::tests) fn job_of(message: &Message) -> Option<JobId> {
    match message {
        Message::Cmd(cmd) => serde_json::from_str::<CmdBody>(&cmd.signed.body).ok().map(|body| body.job_id),
        Message::Cancel(cancel) => serde_json::from_str::<CancelBody>(&cancel.0.body).ok().map(|body| body.job_id),
        Message::Ack(Ack::Job { job_id, .. }) => Some(*job_id),
        _ => None,
    }
}
