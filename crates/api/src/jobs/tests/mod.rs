//! Tests of the slice, through the router on one side and the agent's entry points on the other.

mod bad_input;
mod cancelling;
mod delivery;
mod faults;
mod following;
mod log_room;
mod logs;
mod many;
mod restored;
mod searching;
mod secrets;
pub(crate) mod support;
