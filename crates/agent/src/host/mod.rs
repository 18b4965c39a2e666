//! The only door to the machine: files, clocks, randomness, processes, sockets.

pub mod clock;
pub mod ids;
pub mod random;
pub mod tasks;
