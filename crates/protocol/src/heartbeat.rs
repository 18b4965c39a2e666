//! `heartbeat` and `watch`: what a host looks like, and how often.

use serde::{Deserialize, Serialize};

/// agent → hub: one sample. Counters grow since boot; rates are the hub's business.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts up within one connection.
    pub seq: u64,
    /// Processor use since the sample before.
    pub cpu: Cpu,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Memory.
    pub memory: Memory,
    /// One entry per mounted device, pseudo file systems left out. At most 64.
    #[serde(default)]
    pub filesystems: Vec<Filesystem>,
    /// Sum over whole disks.
    pub disk_io: DiskIo,
    /// One entry per interface, loopback left out. At most 64.
    #[serde(default)]
    pub network: Vec<Interface>,
    /// Seconds since boot.
    pub uptime_s: u64,
    /// Processes on the host.
    pub processes: u32,
    /// Containers, where an engine is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers: Option<Containers>,
    /// Sites served, where a web server is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<u32>,
    /// The agent's own footprint.
    pub agent: AgentUsage,
}

/// Processor use, percent of all processors (0–100).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// Busy share.
    pub percent: f64,
    /// Busy share of each processor. At most 1 024.
    #[serde(default)]
    pub per_core_percent: Vec<f32>,
    /// Share spent waiting for disks.
    pub iowait_percent: f64,
    /// Share taken by other guests of the machine underneath.
    pub steal_percent: f64,
}

/// Memory, bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Physical memory.
    pub total_bytes: u64,
    /// Total less available.
    pub used_bytes: u64,
    /// What can be had without swapping.
    pub available_bytes: u64,
    /// Page cache and reclaimable slab.
    pub cached_bytes: u64,
    /// Swap space.
    pub swap_total_bytes: u64,
    /// Swap in use.
    pub swap_used_bytes: u64,
}

/// One mounted device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Where it is mounted first.
    pub mount: String,
    /// Type, e.g. `ext4`.
    pub fs: String,
    /// Size.
    pub total_bytes: u64,
    /// In use; blocks reserved for root count as neither used nor free.
    pub used_bytes: u64,
    /// Inodes, 0 where the file system has no fixed number.
    pub inodes_total: u64,
    /// Inodes in use.
    pub inodes_used: u64,
}

/// Counters over whole disks since boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskIo {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Reads completed.
    pub read_ops: u64,
    /// Writes completed.
    pub write_ops: u64,
}

/// Counters of one network interface since boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Name, e.g. `eth0`.
    pub name: String,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Send errors.
    pub tx_errors: u64,
}

/// Containers on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containers {
    /// Running now.
    pub running: u32,
    /// All, stopped ones included.
    pub total: u32,
}

/// The relay's own footprint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUsage {
    /// Resident memory.
    pub rss_bytes: u64,
    /// Processor time since it started, milliseconds.
    pub cpu_ms: u64,
    /// Size of the spool on disk.
    pub spool_bytes: u64,
}

/// hub → agent: sample every `interval_ms` for the next `ttl_s`; sent again while somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Milliseconds between samples, 500 at least.
    pub interval_ms: u32,
    /// Seconds until the agent falls back to its usual interval.
    pub ttl_s: u32,
}
