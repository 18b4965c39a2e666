//! What the host looks like right now.
//!
//! Read from /proc directly, by files that stay open: a fifth of what a general library costs, and nothing is allocated
//! from one sample to the next that need not be. What changes slowly is read rarely.

mod cpu;
mod disks;
mod filesystems;
mod memory;
mod mounts;
mod network;
mod proc_file;

use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{SysconfVar, sysconf};
use protocol::heartbeat::{AgentUsage, Cpu, Heartbeat};
use tokio::time::Instant;

use proc_file::ProcFile;

/// Counting processes means listing /proc; often enough for a chart.
const PROCESSES_EVERY: Duration = Duration::from_secs(30);

/// Over a shorter time the share of a processor is chance: the beat right after the start would show the start.
const SHORTEST_CPU_SPAN: Duration = Duration::from_millis(250);

/// Takes samples. Holds what must be remembered from one to the next.
#[derive(Debug)]
pub struct Sampler {
    stat: ProcFile,
    meminfo: ProcFile,
    loadavg: ProcFile,
    uptime: ProcFile,
    diskstats: ProcFile,
    net_dev: ProcFile,
    own_statm: ProcFile,
    page_size: u64,
    cpu: cpu::Usage,
    cpu_read: Option<(Instant, Cpu)>,
    disks: disks::WholeDisks,
    filesystems: filesystems::Filesystems,
    processes: u32,
    processes_read: Option<Instant>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampler {
    /// Opens what is read at every sample. What a host does not have is 0 in every sample.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stat: ProcFile::new("/proc/stat"),
            meminfo: ProcFile::new("/proc/meminfo"),
            loadavg: ProcFile::new("/proc/loadavg"),
            uptime: ProcFile::new("/proc/uptime"),
            diskstats: ProcFile::new("/proc/diskstats"),
            net_dev: ProcFile::new("/proc/self/net/dev"),
            own_statm: ProcFile::new("/proc/self/statm"),
            page_size: page_size(),
            cpu: cpu::Usage::default(),
            cpu_read: None,
            disks: disks::WholeDisks::default(),
            filesystems: filesystems::Filesystems::default(),
            processes: 0,
            processes_read: None,
        }
    }

    /// One sample. Percentages cover the time since the one before. Never waits for a disk or a network.
    pub fn sample(&mut self, seq: u64, spool_bytes: u64) -> Heartbeat {
        let now = Instant::now();
        if self.processes_read.is_none_or(|read| now.duration_since(read) >= PROCESSES_EVERY) {
            self.processes = count_processes(Path::new("/proc"));
            self.processes_read = Some(now);
        }
        self.filesystems.refresh(now);
        Heartbeat {
            seq,
            cpu: self.cpu(now),
            load: self.loadavg.read().map(load).unwrap_or_default(),
            memory: self.meminfo.read().map(memory::parse).unwrap_or_default(),
            filesystems: self.filesystems.latest(now),
            disk_io: self.diskstats.read().map(|text| self.disks.sum(text)).unwrap_or_default(),
            network: self.net_dev.read().map(network::parse).unwrap_or_default(),
            uptime_s: self.uptime.read().map(uptime).unwrap_or_default(),
            processes: self.processes,
            containers: None,
            sites: None,
            agent: AgentUsage {
                rss_bytes: self.own_statm.read().map_or(0, |text| resident_pages(text) * self.page_size),
                cpu_ms: own_cpu_ms(),
                spool_bytes,
            },
        }
    }

    fn cpu(&mut self, now: Instant) -> Cpu {
        match &self.cpu_read {
            Some((read, cpu)) if now.duration_since(*read) < SHORTEST_CPU_SPAN => cpu.clone(),
            _ => {
                let cpu = self.stat.read().map(|text| self.cpu.advance(text)).unwrap_or_default();
                self.cpu_read = Some((now, cpu.clone()));
                cpu
            }
        }
    }
}

fn page_size() -> u64 {
    sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

fn count_processes(proc: &Path) -> u32 {
    let Ok(entries) = std::fs::read_dir(proc) else { return 0 };
    let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let count = entries.filter_map(Result::ok).filter(|entry| is_process(&entry.file_name())).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn load(text: &str) -> [f64; 3] {
    let mut averages = text.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0.0));
    std::array::from_fn(|_| averages.next().filter(|load: &f64| load.is_finite()).unwrap_or(0.0))
}

fn uptime(text: &str) -> u64 {
    text.split(['.', ' ']).next().and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0)
}

fn resident_pages(statm: &str) -> u64 {
    statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

fn own_cpu_ms() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let milliseconds =
        |time: nix::sys::time::TimeVal| u64::try_from(time.tv_sec() * 1000 + time.tv_usec() / 1000).unwrap_or(0);
    milliseconds(usage.user_time()) + milliseconds(usage.system_time())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_gives_a_plausible_sample() {
        let mut sampler = Sampler::new();
        sampler.sample(0, 0);
        let sample = sampler.sample(1, 42);
        assert!((0.0..=100.0).contains(&sample.cpu.percent));
        assert!(!sample.cpu.per_core_percent.is_empty());
        assert!(sample.memory.total_bytes >= sample.memory.used_bytes && sample.memory.total_bytes > 0);
        assert!(sample.processes > 0 && sample.uptime_s > 0);
        assert!(sample.network.iter().all(|interface| interface.name != "lo"));
        assert!(sample.agent.rss_bytes > 1 << 20);
        assert_eq!((sample.seq, sample.agent.spool_bytes), (1, 42));
    }

    #[test]
    fn short_files_are_read() {
        assert_eq!(load("0.52 0.58 1.59 2/811 12345\n"), [0.52, 0.58, 1.59]);
        assert_eq!(load("inf nonsense"), [0.0; 3]);
        assert_eq!(uptime("350735.47 234388.90\n"), 350_735);
        assert_eq!(uptime(""), 0);
        assert_eq!(resident_pages("1234 567 89 1 0 2 0\n"), 567);
    }
}
