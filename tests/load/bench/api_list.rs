//! `api-list`: an authenticated list of 50 of 1 000 servers, beside the same rows read from the same database by a bare
//! axum, and beside an axum that answers ready bytes.
//!
//! What is compared is processor time of the serving process for an answer, so the client's share of the machine does
//! not count. Cold: the hub was not asked this before and reads the database for it; hot: it was, and nothing changed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::RequestBuilder;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use support::hub::{Hub, HubOptions};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::Scale;
use crate::fleet::Fleet;
use crate::footprint::process_cpu_ms;
use crate::report::Report;

const BLOCKS: usize = 7;
/// Requests in flight at once, each on a connection of its own.
const AT_ONCE: usize = 8;
const PATH: &str = "/v1/servers?limit=50";
/// Questions that are asked in turn when the hub shall not know the answer: many more than it keeps.
const QUESTIONS: usize = 16 * 21;

/// One of many questions that all answer some 50 servers: any set of statuses that has `online`, and 40 to 60 of them.
fn question(number: usize) -> String {
    let statuses = ["suspect", "offline", "pending", "revoked"].into_iter().enumerate();
    let chosen = statuses.filter(|(bit, _)| (number / 21) & (1 << bit) != 0).map(|(_, status)| status);
    let statuses = ["online"].into_iter().chain(chosen).collect::<Vec<_>>().join(",");
    format!("/v1/servers?limit={}&status={statuses}", 40 + number % 21)
}

/// # Errors
/// When a part cannot be started or an answer is not a 200.
pub async fn run(scale: Scale) -> anyhow::Result<Report> {
    let (servers, requests) = match scale {
        Scale::Full => (1_000, 2_000),
        Scale::Quick => (60, 50),
    };
    let mut options = HubOptions::without_rate_limit();
    options.tls = false;
    options.args.extend(["--heartbeat-interval-s", "3600"].map(str::to_owned));
    let hub = Hub::start_with(options).await;
    let owner = hub.owner().await;
    let mut fleet = Fleet::new(&hub, &owner);
    fleet.grow_to(servers).await?;

    let ready = owner.get(PATH).await?;
    ensure!(
        ready.status == 200 && ready.json()["data"].as_array().is_some_and(|list| list.len() == 50),
        "{}",
        ready.text
    );
    let bytes = tempfile::NamedTempFile::new()?;
    std::fs::write(bytes.path(), &ready.text)?;
    let rows = Floor::start("rows", &hub.data_dir().join("roadstead.db")).await?;
    let ready_bytes = Floor::start("bytes", bytes.path()).await?;

    let client = reqwest::Client::new();
    let (mut cold, mut hot, mut rows_only, mut bytes_only) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let hub_pid = hub.process().pid().as_raw();
    // The first block warms up.
    for _ in 0..=BLOCKS {
        let ask = |path: &str| owner.request(reqwest::Method::GET, path);
        cold.push(block(hub_pid, requests, |number| ask(&question(number % QUESTIONS))).await?);
        hot.push(block(hub_pid, requests, |_| ask(PATH)).await?);
        for (floor, blocks) in [(&rows, &mut rows_only), (&ready_bytes, &mut bytes_only)] {
            blocks.push(block(floor.pid()?, requests, |_| client.get(format!("{}{PATH}", floor.url))).await?);
        }
    }
    let [cold, hot, rows_only, bytes_only] = [&cold, &hot, &rows_only, &bytes_only].map(|blocks| &blocks[1..]);
    let mut report = Report::default();
    let what = "50 of 1 000 servers, answers a second of a core";
    report.compare(&format!("{what}: not asked before"), cold, "the rows over axum", rows_only, "≥ 0.8");
    report.compare(&format!("{what}: asked again"), hot, "ready bytes over axum", bytes_only, "≥ 0.5");
    report.note(format!(
        "{} bytes an answer, {AT_ONCE} connections, http on loopback, {requests} answers a block.",
        ready.text.len()
    ));
    report.note(
        "The hub also knows the session and its rights, counts what the list is a part of, limits, measures and logs."
            .to_owned(),
    );
    Ok(report)
}

/// Answers a second of processor time.
async fn block(pid: i32, requests: usize, request: impl Fn(usize) -> RequestBuilder) -> anyhow::Result<f64> {
    let before = process_cpu_ms(pid)?;
    let asked = stream::iter(0..requests).map(|number| {
        let request = request(number);
        async {
            let response = request.send().await?;
            ensure!(response.status() == 200, "{}", response.status());
            ensure!(response.bytes().await?.len() > 1_000, "an answer without servers");
            anyhow::Ok(())
        }
    });
    asked.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(requests as f64 / (process_cpu_ms(pid)? - before) * 1e3)
}

/// This program once more, as a floor.
#[derive(Debug)]
struct Floor {
    child: Child,
    url: String,
}

impl Floor {
    async fn start(kind: &str, file: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor-api-list", kind]).arg(file).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("the floor")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let line = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await??;
        Ok(Self { child, url: line.context("the floor ended")? })
    }

    fn pid(&self) -> anyhow::Result<i32> {
        Ok(self.child.id().context("the floor has ended")?.try_into()?)
    }
}

/// The floor: `rows DATABASE` or `bytes FILE`. Prints where it listens and answers until it is killed.
///
/// # Errors
/// When the file cannot be opened.
pub async fn floor(kind: &str, file: &Path) -> anyhow::Result<()> {
    let router = match kind {
        "rows" => {
            let options = SqliteConnectOptions::new().filename(file).read_only(true);
            let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
            Router::new().route("/v1/servers", get(rows)).with_state(pool)
        }
        _ => {
            let bytes: &'static [u8] = std::fs::read(file)?.leak();
            Router::new().route("/v1/servers", get(async move || ([(CONTENT_TYPE, "application/json")], bytes)))
        }
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

/// A server as the database has it.
#[derive(sqlx::FromRow, serde::Serialize)]
struct Row {
    id: String,
    workspace_id: String,
    name: String,
    labels: String,
    status: String,
    host: Option<String>,
    agent: Option<String>,
    policy: Option<String>,
    clock_offset_ms: Option<i64>,
    registered_at: i64,
    last_seen_at: Option<i64>,
    revoked_at: Option<i64>,
    version: i64,
}

async fn rows(State(pool): State<SqlitePool>) -> impl IntoResponse {
    let list = "select id, workspace_id, name, labels, status, host, agent, policy, clock_offset_ms, registered_at, \
                last_seen_at, revoked_at, version from servers order by name_key, id limit 51";
    let rows: Vec<Row> = sqlx::query_as(list).fetch_all(&pool).await.expect("the hub's servers");
    let body = serde_json::to_vec(&serde_json::json!({ "data": rows, "next_cursor": null })).expect("JSON");
    ([(CONTENT_TYPE, "application/json")], body)
}
