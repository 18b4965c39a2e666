//! One job over a warm connection: the agent makes its claim durable, spawns the command, reads both pipes, answers.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use crate::{Args, link};

/// An order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Counts up.
    pub id: u64,
    /// What to run.
    pub argv: Vec<String>,
}

/// Its answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// The job.
    pub id: u64,
    /// How it ended.
    pub exit_code: i32,
}

/// Prints the microseconds of each round trip.
pub async fn hub(args: &Args) -> anyhow::Result<()> {
    let count: u64 = args.get("--n")?;
    let (mut socket, mut child) = link::hub("dispatch-agent", &[]).await?;
    for id in 0..count {
        let start = Instant::now();
        let job = Job { id, argv: vec!["/bin/true".to_owned()] };
        socket.send(Message::text(serde_json::to_string(&job)?)).await?;
        let answer = socket.next().await.context("an answer")??;
        let done: Done = serde_json::from_str(answer.to_text()?)?;
        ensure!(done.id == id && done.exit_code == 0, "job {id} went wrong");
        println!("{:.1}", start.elapsed().as_secs_f64() * 1e6);
    }
    drop(socket);
    child.wait()?;
    Ok(())
}

/// Runs what it is told to.
pub async fn agent(args: &Args) -> anyhow::Result<()> {
    let mut socket = link::agent(args).await?;
    let claims = std::env::temp_dir().join(format!("floors-claims-{}", std::process::id()));
    fs::create_dir_all(&claims)?;
    while let Some(Ok(message)) = socket.next().await {
        let Ok(job) = serde_json::from_str::<Job>(message.to_text().unwrap_or_default()) else { break };
        File::options().write(true).create_new(true).open(claims.join(job.id.to_string()))?.sync_all()?;
        let (program, operands) = job.argv.split_first().context("a program")?;
        let mut child = Command::new(program)
            .args(operands)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (mut out, mut err) = (child.stdout.take().context("stdout")?, child.stderr.take().context("stderr")?);
        let (mut out_bytes, mut err_bytes) = (Vec::new(), Vec::new());
        tokio::try_join!(out.read_to_end(&mut out_bytes), err.read_to_end(&mut err_bytes))?;
        let exit_code = child.wait().await?.code().unwrap_or(-1);
        socket.send(Message::text(serde_json::to_string(&Done { id: job.id, exit_code })?)).await?;
    }
    fs::remove_dir_all(&claims)?;
    Ok(())
}
