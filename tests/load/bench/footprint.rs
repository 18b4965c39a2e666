//! What a process costs, from /proc: proportional memory, and processor time by the scheduler's own clock.

use std::fs;

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;

/// Proportional set size of a process, MiB: shared pages are divided among those who map them.
///
/// # Errors
/// When the process has gone.
pub fn pss_mib(pid: i32) -> anyhow::Result<f64> {
    Ok(rollup_kib(pid, "Pss:")? / 1024.0)
}

/// Its part that no file backs, MiB: what a program keeps for itself, whoever else runs from the same file.
///
/// # Errors
/// When the process has gone.
pub fn anonymous_mib(pid: i32) -> anyhow::Result<f64> {
    Ok(rollup_kib(pid, "Pss_Anon:")? / 1024.0)
}

fn rollup_kib(pid: i32, field: &str) -> anyhow::Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix(field)).with_context(|| field.to_owned())?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

/// Processor time of a process's threads so far, ms; without its children.
///
/// # Errors
/// When the process has gone.
pub fn cpu_ms(pid: i32) -> anyhow::Result<f64> {
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let schedstat = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += schedstat.split(' ').next().context("schedstat")?.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}

/// Processor time of a process and of the children that it has waited for, ms, in ticks of 10 ms.
///
/// # Errors
/// When the process has gone.
pub fn cpu_with_children_ms(pid: i32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("stat")?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    // utime, stime, cutime, cstime are fields 14 to 17 of proc(5); three stand before the split.
    fields.get(11..15).context("stat")?.iter().map(|field| Ok(field.parse::<f64>()? * 10.0)).sum()
}

/// Processor time of a process, ms, with threads that have ended already; without its children.
///
/// # Errors
/// When the process has gone.
pub fn process_cpu_ms(pid: i32) -> anyhow::Result<f64> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).context("the process's clock")?;
    let time = clock.now()?;
    Ok(time.tv_sec() as f64 * 1e3 + time.tv_nsec() as f64 / 1e6)
}

/// Lets this process, and those that it starts from now on, open as many files as the machine allows; how many.
///
/// # Errors
/// When the limit cannot be read or set.
pub fn raise_open_files() -> anyhow::Result<usize> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(usize::try_from(most).unwrap_or(usize::MAX))
}

/// How a program was linked, from its ELF headers (64 bits, little endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linkage {
    /// It asks for no interpreter, so it brings every library along.
    pub is_static: bool,
    /// It has no symbol table.
    pub is_stripped: bool,
}

/// Reads how a program was linked.
///
/// # Errors
/// When it is no such file.
pub fn linkage(file: &[u8]) -> anyhow::Result<Linkage> {
    const INTERPRETER: u64 = 3;
    const SYMBOLS: u64 = 2;
    ensure!(file.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    let number = |at: u64, bytes: usize| {
        let at = usize::try_from(at)?;
        let digits = file.get(at..at + bytes).context("an ELF header beyond the end of the file")?;
        anyhow::Ok(digits.iter().rev().fold(0, |value, digit| value << 8 | u64::from(*digit)))
    };
    // Offset, size and number of the program headers, whose type comes first, then of the section headers, whose type
    // comes second.
    let has = |offset: u64, size: u64, count: u64, type_at: u64, wanted: u64| {
        let (offset, size, count) = (number(offset, 8)?, number(size, 2)?, number(count, 2)?);
        let kinds = (0..count).map(|index| number(offset + index * size + type_at, 4));
        anyhow::Ok(kinds.collect::<anyhow::Result<Vec<_>>>()?.contains(&wanted))
    };
    Ok(Linkage { is_static: !has(32, 54, 56, 0, INTERPRETER)?, is_stripped: !has(40, 58, 60, 4, SYMBOLS)? })
}

/// Threads of a process.
///
/// # Errors
/// When the process has gone.
pub fn threads(pid: i32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}
