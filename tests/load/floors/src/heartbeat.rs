//! An idle agent: the usual files of /proc, one statvfs and one JSON message per interval.

use std::io::Read as _;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::{Args, link};

/// Prints the agent's pid, then takes its messages until standard input ends.
pub async fn hub(args: &Args) -> anyhow::Result<()> {
    let interval: u64 = args.get("--interval-ms")?;
    let (mut socket, mut child) =
        link::hub("heartbeat-agent", &["--interval-ms".to_owned(), interval.to_string()]).await?;
    println!("{}", child.id());
    let mut stdin = tokio::io::stdin();
    let mut byte = [0];
    loop {
        tokio::select! {
            read = stdin.read(&mut byte) => if read? == 0 { break },
            message = socket.next() => if !matches!(message, Some(Ok(_))) { break },
        }
    }
    drop(socket);
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Sends a sample each interval.
pub async fn agent(args: &Args) -> anyhow::Result<()> {
    let mut socket = link::agent(args).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(args.get("--interval-ms")?));
    let mut buffer = String::with_capacity(16 << 10);
    loop {
        tokio::select! {
            _ = ticks.tick() => socket.send(Message::text(sample(&mut buffer)?.to_string())).await?,
            message = socket.next() => if !matches!(message, Some(Ok(_))) { return Ok(()) },
        }
    }
}

fn sample(buffer: &mut String) -> anyhow::Result<Value> {
    let cpu: Vec<u64> = numbers(read("/proc/stat", buffer)?.lines().next().unwrap_or_default());
    let memory: Vec<u64> = read("/proc/meminfo", buffer)?.lines().take(5).flat_map(numbers).collect();
    let load = read("/proc/loadavg", buffer)?.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let network: Vec<Vec<u64>> = read("/proc/net/dev", buffer)?.lines().skip(2).map(numbers).collect();
    let disks: Vec<Vec<u64>> = read("/proc/diskstats", buffer)?.lines().map(numbers).collect();
    let uptime = read("/proc/uptime", buffer)?.split('.').next().unwrap_or("0").to_owned();
    let root = nix::sys::statvfs::statvfs("/")?;
    let root = [root.blocks() * root.fragment_size(), root.blocks_available() * root.fragment_size()];
    Ok(json!({
        "cpu": cpu, "memory": memory, "load": load, "network": network, "disks": disks, "uptime": uptime, "root": root,
    }))
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn read<'a>(path: &str, buffer: &'a mut String) -> anyhow::Result<&'a str> {
    buffer.clear();
    std::fs::File::open(path)?.read_to_string(buffer)?;
    Ok(buffer)
}
