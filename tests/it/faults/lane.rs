//! A hub and its agent, and the runs that they go through one after the other.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use support::agent::Agent;
use support::api::Api;
use support::hub::{Hub, HubOptions};
use support::link::{Link, State};
use support::process;
use support::wait;
use tempfile::TempDir;

use super::check::Ended;
use super::host::{Host, Journal, Marker};
use super::plan::{Fault, Plan, Point};

/// Nothing in a run takes as long, on a machine that is busy with other things too.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Lane {
    pub(super) hub: Hub,
    pub(super) owner: Api,
    pub(super) agent: Agent,
    link: Link,
    dir: TempDir,
    /// Jobs of earlier runs, as they ended.
    pub(super) ended: Vec<Ended>,
    pub(super) journals: Vec<Journal>,
}

/// What a run knows while it goes on.
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) host: Host,
    /// Workers that were killed.
    pub(super) killed: Vec<Pid>,
    /// Workers that stand still.
    stopped: Vec<Pid>,
    /// Files to look into when it fails.
    logs: [std::path::PathBuf; 2],
    gates_are_open: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in &self.logs {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<_> = text.lines().collect();
                eprintln!("{}:\n{}", log.display(), lines[lines.len().saturating_sub(60)..].join("\n"));
            }
            eprintln!("journal of the jobs: {:#?}", self.host.journal.markers());
            let seed = self.seed;
            eprintln!("{self}; again: ROADSTEAD_TEST_PROCESS_FAULT_SEED={seed} cargo nextest run -p tests faults");
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, plan: Plan { fault, point, is_long, is_gated, delay, jobs, .. }, killed, .. } = self;
        let killed: Vec<_> = killed.iter().map(|pid| pid.as_raw()).collect();
        write!(
            f,
            "seed {seed}: {fault:?} at {point:?}, long: {is_long}, gated: {is_gated}, delay {delay:?}, {} jobs, killed \
             workers {killed:?}",
            jobs.len()
        )
    }
}

impl Lane {
    pub(super) async fn open() -> Self {
        // One client asks about everything, for as many runs as there are.
        let (hub, link) = Hub::start_behind_link(HubOptions::without_rate_limit()).await;
        let owner = hub.owner().await;
        let agent = Agent::online(&hub, &owner).await;
        Self { hub, owner, agent, link, dir: tempfile::tempdir().unwrap(), ended: Vec::new(), journals: Vec::new() }
    }

    /// One run, from its seed to the end of its jobs.
    pub(super) async fn run(&mut self, seed: u64) {
        let plan = Plan::new(seed);
        let host = Host::new(&self.dir.path().join(seed.to_string()), &plan.jobs);
        let logs = [self.hub.log_file(), self.agent.log_file()];
        let mut run = Run { seed, plan, host, killed: Vec::new(), stopped: Vec::new(), logs, gates_are_open: false };
        self.fresh_relay().await;
        self.link.delay(run.plan.delay);

        let is_at_hub = matches!(run.plan.fault, Fault::KillHub | Fault::StopHub);
        let reached = match run.plan.point {
            Point::Bytes(direction, bytes) => Some(self.link.stall_after(direction, bytes)),
            _ => None,
        };
        // Orders cannot be given to a hub that is away: there, it goes while they are given.
        if run.plan.point == Point::Before && !is_at_hub {
            self.strike(&mut run).await;
        }
        let orders = tokio::task::spawn_local(self.orders(&run));
        match (run.plan.point, reached) {
            (_, Some(reached)) => tokio::select! {
                Ok(()) = reached => {}
                () = self.is_quiet(&run) => {}
            },
            (Point::Output, _) => run.markers_are("all jobs wait", |marker| !marker.started_by.is_empty()).await,
            (Point::End, _) => run.markers_are("all jobs have ended", |marker| !marker.ended_with.is_empty()).await,
            (Point::Before, _) if !is_at_hub => self.has_orders(&run).await,
            _ => {}
        }
        if run.plan.point != Point::Before || is_at_hub {
            self.strike(&mut run).await;
        }
        if run.plan.is_long {
            run.open_gates();
            run.those_that_run_have_ended().await;
        }
        self.mend(&run).await;
        run.open_gates();
        let ids = orders.await.unwrap();
        for (number, id) in ids.iter().enumerate() {
            let ended = self.end_of(&run, number, id).await;
            self.ended.push(ended);
        }
        run.host.journal.check();
        run.host.clear();
        self.journals.push(run.host.journal.clone());
        let states: Vec<_> = self.ended[self.ended.len() - ids.len()..].iter().map(Ended::state).collect();
        println!("{run}: {}", states.join(", "));
    }

    /// The hub is killed once more: what it had said of all these jobs stands, and the host knows that it may forget.
    pub(super) async fn close(mut self) {
        self.hub.kill_9().await;
        self.hub.start_again().await;
        self.check_again().await;
    }

    /// A relay that has failed to connect so often lately would wait longer and longer.
    async fn fresh_relay(&mut self) {
        self.link.delay(Duration::ZERO);
        self.agent.stop().await;
        let file = self.agent.state_dir().join("relay/status.json");
        std::fs::remove_file(&file).unwrap();
        self.agent.start();
        wait::until("the relay to be connected", LIMIT, async || {
            let status = self.agent.status();
            if status["state"] == "connected" { Ok(()) } else { Err(status) }
        })
        .await;
    }

    /// Orders the jobs, whatever happens to the hub meanwhile; gives their ids.
    fn orders(&self, run: &Run) -> impl Future<Output = Vec<String>> + use<> {
        let (api, server, seed) = (self.owner.clone(), self.agent.server_id().to_owned(), run.seed);
        let commands = run.commands();
        async move {
            let mut ids = Vec::new();
            for (number, command) in commands.iter().enumerate() {
                ids.push(order(&api, &server, command, &format!("{seed}-{number}")).await);
            }
            ids
        }
    }

    /// The hub has every order, and has sent it where there is a connection.
    async fn has_orders(&self, run: &Run) {
        let commands = run.commands();
        wait::until("the hub to have the orders", LIMIT, async || {
            let listed = jobs_of(&self.owner, self.agent.server_id()).await.map_err(Value::from)?;
            let is_known = |command: &String| listed.iter().any(|job| job["args"]["command"] == *command);
            if commands.iter().all(is_known) { Ok(()) } else { Err(Value::from(listed)) }
        })
        .await;
    }

    /// Nothing happens any more unless somebody does something: every job has ended, or waits at its gate and the hub has
    /// all that it wrote.
    async fn is_quiet(&self, run: &Run) {
        let commands = run.commands();
        wait::until("nothing more to happen", LIMIT, async || {
            let listed = jobs_of(&self.owner, self.agent.server_id()).await.map_err(Value::from)?;
            let is_quiet = commands.iter().zip(&run.plan.jobs).all(|(command, job)| {
                listed.iter().find(|listed| listed["args"]["command"] == *command).is_some_and(|listed| {
                    let waits = listed["log"]["bytes"] == job.output[0].len() && listed["state"] == "running";
                    !listed["finished_at"].is_null() || (run.plan.is_gated && waits)
                })
            });
            if is_quiet { Ok(()) } else { Err(Value::from(listed)) }
        })
        .await;
    }

    async fn strike(&mut self, run: &mut Run) {
        match run.plan.fault {
            Fault::KillHub => self.hub.kill_9().await,
            Fault::StopHub => self.hub.process().signal(Signal::SIGSTOP),
            Fault::KillRelay => self.agent.kill_9().await,
            Fault::StopRelay => self.agent.process().signal(Signal::SIGSTOP),
            Fault::KillWorker => {
                let workers = self.agent.workers();
                let busy: Vec<_> = workers.iter().filter(|worker| run.has_job(**worker)).collect();
                let of = if busy.is_empty() { workers.iter().collect() } else { busy };
                if let Some(&&victim) = of.get(run.plan.victim % of.len().max(1)) {
                    // One that ends by itself at this moment was not killed.
                    if kill(victim, Signal::SIGKILL).is_ok() {
                        run.killed.push(victim);
                    }
                }
            }
            Fault::StopWorkers => {
                run.stopped = self.agent.workers();
                // One that ends by itself at this moment needs no stopping.
                run.stopped.retain(|worker| kill(*worker, Signal::SIGSTOP).is_ok());
            }
            Fault::Cut => return self.link.set(State::Cut),
            Fault::Stall => return self.link.set(State::Stalled),
        }
        self.link.set(State::Up);
    }

    async fn mend(&mut self, run: &Run) {
        match run.plan.fault {
            Fault::KillHub => self.hub.start_again().await,
            Fault::StopHub => self.hub.process().signal(Signal::SIGCONT),
            Fault::KillRelay => self.agent.start(),
            Fault::StopRelay => self.agent.process().signal(Signal::SIGCONT),
            Fault::StopWorkers => {
                let since = self.agent.status()["since_ms"].clone();
                self.link.set(State::Cut);
                self.link.go_on();
                self.link.set(State::Up);
                wait::until("the relay to be connected again", LIMIT, async || {
                    let status = self.agent.status();
                    let is_again = status["state"] == "connected" && status["since_ms"] != since;
                    if is_again { Ok(()) } else { Err(status) }
                })
                .await;
                for worker in &run.stopped {
                    kill(*worker, Signal::SIGCONT).unwrap();
                }
            }
            // What was under way arrives after all, or never.
            Fault::Stall if run.plan.victim.is_multiple_of(2) => self.link.set(State::Cut),
            Fault::KillWorker | Fault::Cut | Fault::Stall => {}
        }
        self.link.go_on();
        self.link.set(State::Up);
    }

    async fn end_of(&self, run: &Run, number: usize, id: &str) -> Ended {
        self.owner.job_end(id, LIMIT).await;
        let ended = Ended::now(&self.owner, id).await;
        run.check_end(number, &ended);
        let again = Ended::now(&self.owner, id).await;
        assert_eq!(ended, again, "asked twice");
        ended
    }
}

impl Run {
    /// The command lines of its jobs.
    fn commands(&self) -> Vec<String> {
        let jobs = self.plan.jobs.iter().enumerate();
        jobs.map(|(number, job)| self.host.command(number, job, self.plan.is_gated)).collect()
    }

    fn open_gates(&mut self) {
        if !std::mem::replace(&mut self.gates_are_open, true) {
            self.host.open_gates();
        }
    }

    /// Whether a process is the worker of a job that has begun and not ended.
    fn has_job(&self, worker: Pid) -> bool {
        let runs = |marker: &Marker| marker.started_by.contains(&worker) && marker.ended_with.is_empty();
        self.host.journal.markers().iter().any(runs)
    }

    /// Whether one of these workers began a job. A command whose worker was killed before the shell looked for its parent
    /// names whoever inherits orphans here.
    pub(super) fn is_by(&self, marker: &Marker, workers: &[Pid]) -> bool {
        let is_orphan = |parent: &Pid| !self.killed.is_empty() && process::inherits_orphans(*parent);
        marker.started_by.iter().any(|parent| workers.contains(parent) || is_orphan(parent))
    }

    async fn markers_are(&self, what: &str, wanted: impl Fn(&Marker) -> bool) {
        wait::until(what, LIMIT, async || {
            let markers = self.host.journal.markers();
            if markers.iter().all(&wanted) { Ok(()) } else { Err(markers) }
        })
        .await;
    }

    async fn those_that_run_have_ended(&self) {
        let is_done = |marker: &Marker| {
            // A worker that stands still takes no output, which may hold its job up.
            let is_held_up = self.is_by(marker, &self.killed) || self.is_by(marker, &self.stopped);
            marker.started_by.is_empty() || !marker.ended_with.is_empty() || is_held_up
        };
        self.markers_are("what runs has ended", is_done).await;
    }
}

async fn jobs_of(api: &Api, server: &str) -> Result<Vec<Value>, String> {
    let page = api.get(&format!("/v1/jobs?server_id={server}&limit=20")).await.map_err(|error| format!("{error:#}"))?;
    Ok(page.expect(200)["data"].as_array().unwrap().clone())
}

/// Orders one job. A hub that is killed in the middle may have taken it or not: then one asks, as its answer says.
async fn order(api: &Api, server: &str, command: &str, key: &str) -> String {
    let body = json!({ "server_id": server, "kind": "exec", "args": { "command": command } });
    let id = |job: &Value| job["id"].as_str().unwrap().to_owned();
    let give = async || -> Result<String, String> {
        let request = api.request(Method::POST, "/v1/jobs").header("idempotency-key", key).json(&body);
        let answer = api.send(request).await.map_err(|error| format!("{error:#}"))?;
        if answer.status != 409 {
            return Ok(id(&answer.expect(201)));
        }
        let listed = jobs_of(api, server).await?;
        if let Some(job) = listed.iter().find(|job| job["args"]["command"] == command) {
            return Ok(id(job));
        }
        // It had not: this is the first time.
        Ok(id(&api.post("/v1/jobs", &body).await.map_err(|error| format!("{error:#}"))?.expect(201)))
    };
    wait::until("the hub to take an order", LIMIT, give).await
}
