//! The worker: one process for one job, from the hub's signed order to the end of the process tree.

pub mod wire;
