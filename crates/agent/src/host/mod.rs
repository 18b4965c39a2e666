//! The only door to the machine: files, clocks, randomness, processes, sockets.

pub mod clock;
pub mod commands;
pub mod digest;
pub mod facts;
pub mod files;
pub mod ids;
pub mod net;
pub mod random;
pub mod tasks;
pub mod users;
