//! One job to each of many agents over warm connections: a message there, a message back. Nothing is stored or run.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use nix::sys::resource::UsageWho;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::dispatch::{Done, Job};
use crate::stream::cpu_s;
use crate::{Args, link};

/// Connects every agent and prints `ready`; then each line of standard input is one round, which prints one JSON object.
pub async fn hub(args: &Args) -> anyhow::Result<()> {
    let count: usize = args.get("--n")?;
    let (mut sockets, mut child) = link::hubs("fanout-agent", &["--n".to_owned(), count.to_string()], count).await?;
    println!("ready");
    let mut rounds = BufReader::new(tokio::io::stdin()).lines();
    let mut id = 0;
    while rounds.next_line().await?.is_some() {
        id += 1;
        let before = cpu_s(UsageWho::RUSAGE_SELF)?;
        let start = Instant::now();
        for socket in &mut sockets {
            let job = Job { id, argv: vec!["/bin/true".to_owned()] };
            socket.send(Message::text(serde_json::to_string(&job)?)).await?;
        }
        // Whoever has answered already waits in its socket.
        for socket in &mut sockets {
            let answer = socket.next().await.context("an answer")??;
            let done: Done = serde_json::from_str(answer.to_text()?)?;
            ensure!(done.id == id && done.exit_code == 0, "job {id} went wrong");
        }
        let wall_s = start.elapsed().as_secs_f64();
        let hub_cpu_s = cpu_s(UsageWho::RUSAGE_SELF)? - before;
        println!("{}", serde_json::json!({ "wall_s": wall_s, "hub_cpu_s": hub_cpu_s }));
    }
    drop(sockets);
    child.wait()?;
    Ok(())
}

/// Every agent, in one process.
pub async fn agent(args: &Args) -> anyhow::Result<()> {
    let count: usize = args.get("--n")?;
    let mut agents = JoinSet::new();
    for _ in 0..count {
        agents.spawn(answer(link::agent(args).await?));
    }
    while let Some(ended) = agents.join_next().await {
        ended??;
    }
    Ok(())
}

async fn answer(mut socket: link::AgentSocket) -> anyhow::Result<()> {
    while let Some(Ok(message)) = socket.next().await {
        let Ok(job) = serde_json::from_str::<Job>(message.to_text().unwrap_or_default()) else { break };
        socket.send(Message::text(serde_json::to_string(&Done { id: job.id, exit_code: 0 })?)).await?;
    }
    Ok(())
}
