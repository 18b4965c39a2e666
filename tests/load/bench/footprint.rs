//! What a process costs, from /proc: proportional memory, and processor time by the scheduler's own clock.

use std::fs;

use anyhow::Context as _;

/// Proportional set size of a process, MiB: shared pages are divided among those who map them.
///
/// # Errors
/// When the process has gone.
pub fn pss_mib(pid: i32) -> anyhow::Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).context("smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("Pss")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
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

/// Threads of a process.
///
/// # Errors
/// When the process has gone.
pub fn threads(pid: i32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/task"))?.count())
}
