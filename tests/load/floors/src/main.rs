//! Floors: each subcommand does the least that hub and agent could do for one promise, over a real TLS 1.3 WebSocket on
//! loopback, with the hub half in this process and the agent half in a child that runs `FLOORS_AGENT` (a copy of this
//! file, so that the halves share no pages).
//!
//! ```text
//! floors dispatch  --n 300          round trips: one fsync, one spawn with pipes, one reply; microseconds, one per line
//! floors fanout    --n 1000         a round trip to each of n agents for every line of input; one JSON line a round
//! floors stream    --file F         one `cat F` shipped in 64 KiB frames and packed with zstd -1; one JSON line
//! floors heartbeat --interval-ms N  an idle agent; prints the agent's pid and runs until its input ends
//! ```

mod dispatch;
mod fanout;
mod heartbeat;
mod link;
mod stream;

use anyhow::{Context as _, bail};

/// Command-line arguments, `--name value`.
#[derive(Debug)]
struct Args(Vec<String>);

impl Args {
    fn get<T: std::str::FromStr>(&self, name: &str) -> anyhow::Result<T> {
        let at = self.0.iter().position(|argument| argument == name).with_context(|| format!("{name} is missing"))?;
        let value = self.0.get(at + 1).with_context(|| format!("{name} has no value"))?;
        value.parse().ok().with_context(|| format!("{name} {value} cannot be read"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args(std::env::args().skip(1).collect());
    match args.0.first().map(String::as_str) {
        Some("dispatch") => dispatch::hub(&args).await,
        Some("dispatch-agent") => dispatch::agent(&args).await,
        Some("fanout") => fanout::hub(&args).await,
        Some("fanout-agent") => fanout::agent(&args).await,
        Some("stream") => stream::hub(&args).await,
        Some("stream-agent") => stream::agent(&args).await,
        Some("heartbeat") => heartbeat::hub(&args).await,
        Some("heartbeat-agent") => heartbeat::agent(&args).await,
        other => bail!("unknown floor {other:?}; see the head of main.rs"),
    }
}
