//! A job's log: `cat FILE` through a pipe, 64 KiB binary frames over TLS, each packed with zstd -1 on arrival.

use std::process::Stdio;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::{Args, link};

const FRAME: usize = 64 << 10;

/// Takes every frame, packs it, counts lines; prints one JSON object.
pub async fn hub(args: &Args) -> anyhow::Result<()> {
    let file: String = args.get("--file")?;
    let (mut socket, mut child) = link::hub("stream-agent", &["--file".to_owned(), file]).await?;
    let before = cpu_s(UsageWho::RUSAGE_SELF)?;
    let start = Instant::now();
    let mut packer = zstd::bulk::Compressor::new(1)?;
    let (mut lines, mut bytes, mut packed) = (0_u64, 0_u64, 0_u64);
    while let Some(Ok(Message::Binary(frame))) = socket.next().await {
        lines += frame.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        bytes += u64::try_from(frame.len())?;
        packed += u64::try_from(packer.compress(&frame)?.len())?;
    }
    let wall_s = start.elapsed().as_secs_f64();
    drop(socket);
    child.wait()?;
    let result = serde_json::json!({
        "lines": lines,
        "bytes": bytes,
        "packed_bytes": packed,
        "wall_s": wall_s,
        "hub_cpu_s": cpu_s(UsageWho::RUSAGE_SELF)? - before,
        "agent_cpu_s": cpu_s(UsageWho::RUSAGE_CHILDREN)?,
    });
    println!("{result}");
    Ok(())
}

/// Ships the output of `cat`.
pub async fn agent(args: &Args) -> anyhow::Result<()> {
    let mut socket = link::agent(args).await?;
    let mut child = Command::new("cat").arg(args.get::<String>("--file")?).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().context("stdout")?;
    let mut buffer = Vec::with_capacity(FRAME);
    loop {
        buffer.clear();
        while buffer.len() < FRAME {
            let room = u64::try_from(FRAME - buffer.len())?;
            if (&mut out).take(room).read_buf(&mut buffer).await? == 0 {
                break;
            }
        }
        if buffer.is_empty() {
            break;
        }
        socket.send(Message::Binary(Bytes::copy_from_slice(&buffer))).await?;
    }
    socket.close(None).await?;
    child.wait().await?;
    Ok(())
}

/// Processor seconds of this process, or of its children that have ended.
pub fn cpu_s(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who)?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(std::time::Duration::from_micros(u64::try_from(microseconds)?).as_secs_f64())
}
