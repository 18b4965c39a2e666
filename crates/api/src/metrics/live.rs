//! The newest sample of a server, as the API shows it.

use protocol::heartbeat::Heartbeat;
use serde::Serialize;
use utoipa::ToSchema;

use super::series::{Row, Series, Shown};
use crate::clock::Timestamp;

/// The newest sample in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Live {
    /// When it arrived.
    pub at: Timestamp,
    /// Busy share of all processors.
    pub cpu_percent: f64,
    /// Used of total memory.
    pub memory_percent: f64,
    /// How full the fullest file system is.
    pub disk_percent: f64,
    /// Load average over one minute.
    pub load1: f64,
    /// Bytes received a second; 0 until there are two samples.
    pub rx_bytes_per_s: f64,
    /// Bytes sent a second; 0 until there are two samples.
    pub tx_bytes_per_s: f64,
    /// Seconds since the machine started.
    pub uptime_s: u64,
}

impl Live {
    pub(super) fn new(at: Timestamp, row: &Row, uptime_s: u64) -> Self {
        let value = |shown: Shown| shown.value(row).unwrap_or(0.0);
        Self {
            at,
            cpu_percent: value(Shown::Stored(Series::CpuPercent)),
            memory_percent: value(Shown::MemoryPercent),
            disk_percent: value(Shown::Stored(Series::FilesystemPercent)),
            load1: value(Shown::Stored(Series::Load1)),
            rx_bytes_per_s: value(Shown::Stored(Series::NetworkRx)),
            tx_bytes_per_s: value(Shown::Stored(Series::NetworkTx)),
            uptime_s,
        }
    }
}

/// The last half hour of a server, one point a minute, oldest first; gaps are null.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Spark {
    /// Seconds between two points.
    pub step_s: u32,
    /// Busy share of all processors.
    pub cpu_percent: Vec<Option<f64>>,
    /// Used of total memory.
    pub memory_percent: Vec<Option<f64>>,
}

impl Spark {
    /// From one row a minute.
    pub(super) fn new(rows: &[Row]) -> Self {
        let values = |shown: Shown| rows.iter().map(|row| shown.value(row)).collect();
        Self {
            step_s: 60,
            cpu_percent: values(Shown::Stored(Series::CpuPercent)),
            memory_percent: values(Shown::MemoryPercent),
        }
    }
}

/// The newest sample in full. Without one, lists are empty and the rest is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = ServerSample)]
pub struct Detail {
    /// Mounted devices.
    pub filesystems: Vec<FilesystemView>,
    /// Network interfaces.
    pub interfaces: Vec<InterfaceView>,
    /// Processors.
    #[schema(required)]
    pub cpu: Option<CpuView>,
    /// Memory.
    #[schema(required)]
    pub memory: Option<MemoryView>,
    /// Processes on the host.
    #[schema(required)]
    pub processes: Option<u32>,
    /// The agent's own footprint.
    #[schema(required)]
    pub agent_usage: Option<AgentUsageView>,
}

/// One mounted device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Filesystem)]
pub struct FilesystemView {
    /// Where it is mounted.
    pub mount: String,
    /// Type, e.g. `ext4`.
    pub fs: String,
    /// Size.
    pub total_bytes: u64,
    /// In use.
    pub used_bytes: u64,
    /// Inodes, 0 where the file system has no fixed number.
    pub inodes_total: u64,
    /// Inodes in use.
    pub inodes_used: u64,
}

/// One network interface; counters since the machine started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Interface)]
pub struct InterfaceView {
    /// Name.
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

/// Processors.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = CpuDetail)]
pub struct CpuView {
    /// Busy share of each.
    pub per_core_percent: Vec<f32>,
    /// Share spent waiting for disks.
    pub iowait_percent: f64,
    /// Share taken by other guests of the machine underneath.
    pub steal_percent: f64,
}

/// Memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = MemoryDetail)]
pub struct MemoryView {
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

/// The agent's own footprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AgentUsage)]
pub struct AgentUsageView {
    /// Resident memory.
    pub rss_bytes: u64,
    /// Processor time since it started, milliseconds.
    pub cpu_ms: u64,
    /// Size of its spool on disk.
    pub spool_bytes: u64,
}

impl From<&Heartbeat> for Detail {
    fn from(beat: &Heartbeat) -> Self {
        let filesystem = |entry: &protocol::heartbeat::Filesystem| FilesystemView {
            mount: entry.mount.clone(),
            fs: entry.fs.clone(),
            total_bytes: entry.total_bytes,
            used_bytes: entry.used_bytes,
            inodes_total: entry.inodes_total,
            inodes_used: entry.inodes_used,
        };
        let interface = |entry: &protocol::heartbeat::Interface| InterfaceView {
            name: entry.name.clone(),
            rx_bytes: entry.rx_bytes,
            tx_bytes: entry.tx_bytes,
            rx_errors: entry.rx_errors,
            tx_errors: entry.tx_errors,
        };
        Self {
            filesystems: beat.filesystems.iter().map(filesystem).collect(),
            interfaces: beat.network.iter().map(interface).collect(),
            cpu: Some(CpuView {
                per_core_percent: beat.cpu.per_core_percent.clone(),
                iowait_percent: beat.cpu.iowait_percent,
                steal_percent: beat.cpu.steal_percent,
            }),
            memory: Some(MemoryView {
                total_bytes: beat.memory.total_bytes,
                used_bytes: beat.memory.used_bytes,
                available_bytes: beat.memory.available_bytes,
                cached_bytes: beat.memory.cached_bytes,
                swap_total_bytes: beat.memory.swap_total_bytes,
                swap_used_bytes: beat.memory.swap_used_bytes,
            }),
            processes: Some(beat.processes),
            agent_usage: Some(AgentUsageView {
                rss_bytes: beat.agent.rss_bytes,
                cpu_ms: beat.agent.cpu_ms,
                spool_bytes: beat.agent.spool_bytes,
            }),
        }
    }
}
