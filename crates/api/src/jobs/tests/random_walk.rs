//! Random histories of one server: orders, answers, pieces and ends that are lost, doubled and late, connections that
//! break, machines that go down, hubs that are restarted. Whatever happens, an end is never rewritten, nothing that was
//! acknowledged is missing, nothing runs twice, and everything ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use protocol::job::{CmdBody, EndState, SpoolState};
use protocol::{JobId, Message};
use serde_json::json;

use super::support::{Agent, World, add_server, id_of, worlds};
use crate::jobs;
use crate::random::{Random, SeededRandom};

const WALKS: u64 = 12;
const STEPS: usize = 120;

#[tokio::test]
async fn no_history_rewrites_an_end_or_loses_what_was_acknowledged() {
    for mut world in worlds().await {
        // More of them on demand.
        let walks = std::env::var("ROADSTEAD_TEST_WALKS").ok().and_then(|walks| walks.parse().ok()).unwrap_or(WALKS);
        for seed in 0..walks {
            // Shown when the test fails.
            eprintln!("seed {seed}");
            let name = format!("walk-{seed}");
            world.server = add_server(&world.hub, world.server.workspace_id, &name).await;
            Walk::new(&mut world, seed).run().await;
        }
    }
}

struct Walk<'w> {
    agent: Agent,
    world: &'w mut World,
    random: Arc<dyn Random>,
    jobs: Vec<JobId>,
    /// Every byte that a job wrote.
    truth: BTreeMap<JobId, Vec<u8>>,
    /// Ids that the server has claimed; they are on its disk.
    claimed: BTreeSet<JobId>,
    /// The furthest acknowledgement of each job.
    acked: BTreeMap<JobId, u64>,
    /// Ends as they were first seen.
    ends: BTreeMap<JobId, serde_json::Value>,
    boots: u32,
}

impl<'w> Walk<'w> {
    fn new(world: &'w mut World, seed: u64) -> Self {
        Self {
            agent: Agent::new(world),
            world,
            random: Arc::new(SeededRandom::new(seed)),
            jobs: Vec::new(),
            truth: BTreeMap::new(),
            claimed: BTreeSet::new(),
            acked: BTreeMap::new(),
            ends: BTreeMap::new(),
            boots: 1,
        }
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(u64::from_be_bytes(self.random.bytes()) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn spooled(&self) -> Option<JobId> {
        let ids: Vec<_> = self.agent.spool.keys().copied().collect();
        ids.get(self.below(ids.len())).copied()
    }

    async fn run(mut self) {
        for step in 0..STEPS {
            self.step().await;
            if step % 10 == 9 {
                self.check().await;
            }
        }
        self.bring_to_an_end().await;
    }

    async fn step(&mut self) {
        let hub = Arc::clone(&self.world.hub);
        let connected = self.agent.connection.is_some();
        match self.below(20) {
            0 | 1 => self.jobs.push(id_of(&self.world.create("work").await)),
            2 if !connected => self.connect().await,
            3 if connected && self.below(3) == 0 => self.agent.disconnect(&hub).await,
            4 if self.below(6) == 0 => {
                // Killed: the agent's connection is gone and nobody wrote that down.
                self.agent.connection = None;
                self.world.restart();
            }
            5 if !connected => {
                if self.below(2) == 0 {
                    self.boots += 1;
                    self.agent.boot_id = format!("boot-{}", self.boots);
                    for job in self.agent.spool.values_mut().filter(|job| job.state == SpoolState::Running) {
                        job.state = SpoolState::Interrupted;
                    }
                }
                let interrupted = self.agent.spool.iter().filter(|(_, job)| job.state == SpoolState::Interrupted);
                let interrupted: Vec<_> = interrupted.map(|(id, _)| *id).collect();
                for id in interrupted {
                    self.agent.finish(&hub, id, EndState::Interrupted, None);
                }
            }
            6 if !connected && self.below(4) == 0 => {
                if let Some(id) = self.spooled() {
                    // The disk comes back from a backup: with the spool the claim is gone.
                    self.agent.spool.remove(&id);
                    self.claimed.remove(&id);
                }
            }
            7 => {
                if let Some(id) = self.jobs.get(self.below(self.jobs.len())).copied()
                    && self.below(3) == 0
                {
                    self.world.owner.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
                }
            }
            8 => {
                self.world.test.clock.advance(Duration::from_secs(20));
                jobs::reconcile(&hub).await.unwrap();
            }
            9..=12 => self.obey().await,
            _ => self.work(connected).await,
        }
    }

    /// Something happens to a job on the server.
    async fn work(&mut self, connected: bool) {
        let hub = Arc::clone(&self.world.hub);
        let Some(id) = self.spooled() else { return };
        let running = self.agent.spool[&id].state == SpoolState::Running;
        match self.below(6) {
            0 | 1 if running => {
                let output = format!("{} ä€😀\n", self.below(1000)).into_bytes();
                self.agent.append(id, &output);
                self.truth.entry(id).or_default().extend(output);
            }
            2 if running => {
                let (state, code) =
                    if self.below(2) == 0 { (EndState::Succeeded, Some(0)) } else { (EndState::Failed, Some(1)) };
                self.agent.finish(&hub, id, state, code);
            }
            3 if connected && !running => self.agent.send_done(&hub, id).await,
            4 if connected => self.agent.already(&hub, id).await,
            _ if connected => {
                let end = self.agent.spool[&id].log.len();
                let acked = usize::try_from(self.agent.spool[&id].acked).unwrap();
                let from = match self.below(5) {
                    0 => self.below(end + 1),
                    _ => acked,
                };
                let to = from + self.below(end - from + 1);
                if to > from {
                    self.agent.send(&hub, id, from, to).await;
                }
            }
            _ => {}
        }
    }

    async fn connect(&mut self) {
        let hub = Arc::clone(&self.world.hub);
        self.agent.connect(&hub).await;
    }

    /// Takes what the hub sent; some orders never arrive, some answers neither.
    async fn obey(&mut self) {
        let hub = Arc::clone(&self.world.hub);
        for message in self.agent.drain() {
            let Message::Cmd(cmd) = message else { continue };
            let order: CmdBody = serde_json::from_str(&cmd.signed.body).unwrap();
            let id = order.job_id;
            // A repeat may have been on its way while the job ended; a first order may not.
            let repeated = self.truth.contains_key(&id);
            assert!(repeated || !self.ends.contains_key(&id), "job {id} was sent after its end");
            if self.below(8) == 0 {
                continue;
            }
            if self.claimed.insert(id) {
                self.truth.insert(id, Vec::new());
                if self.below(4) == 0 {
                    self.agent.claim(id);
                } else {
                    self.agent.accept(&hub, id).await;
                }
            } else if self.agent.spool.contains_key(&id) {
                self.agent.already(&hub, id).await;
            }
        }
        for id in std::mem::take(&mut self.agent.cancelled) {
            if self.agent.spool.get(&id).is_some_and(|job| job.state == SpoolState::Running) {
                self.agent.finish(&hub, id, EndState::Cancelled, None);
            }
        }
    }

    async fn check(&mut self) {
        for (id, job) in &self.agent.spool {
            let acked = self.acked.entry(*id).or_default();
            *acked = job.acked.max(*acked);
        }
        for id in self.jobs.clone() {
            // Before the job: what it says of gaps then holds for what was read.
            let stored = jobs::log::bytes(&self.world.hub, id).await;
            let job = self.world.look(id).await;
            let state = job["state"].as_str().unwrap();
            if job["finished_at"].is_string() {
                let first = self.ends.entry(id).or_insert_with(|| job.clone());
                assert_eq!(*first, job, "the end of {id} was rewritten");
            } else {
                let open = ["queued", "sent", "running", "reconciling"];
                assert!(open.contains(&state), "{id} is {state} without an end");
            }
            let truth = self.truth.get(&id).map_or(&[][..], Vec::as_slice);
            assert!(truth.starts_with(&stored) || has_hole(&job), "the log of {id} is not what the job wrote");
            let acked = self.acked.get(&id).copied().unwrap_or(0);
            assert!(job["log"]["bytes"].as_u64().unwrap() >= acked, "acknowledged bytes of {id} are missing");
        }
    }

    /// The connection stays, the agent does all that it should: every job gets to its end.
    async fn bring_to_an_end(&mut self) {
        let hub = Arc::clone(&self.world.hub);
        self.agent.disconnect(&hub).await;
        self.connect().await;
        for _ in 0..10_000 {
            self.obey().await;
            let Some((&id, job)) = self.agent.spool.iter().next() else {
                self.world.test.clock.advance(Duration::from_secs(31));
                jobs::reconcile(&hub).await.unwrap();
                if self.open().await == 0 {
                    break;
                }
                continue;
            };
            if job.state == SpoolState::Running {
                self.agent.finish(&hub, id, EndState::Succeeded, Some(0));
            }
            let (from, to) = (usize::try_from(self.agent.spool[&id].acked).unwrap(), self.agent.spool[&id].log.len());
            if to > from {
                self.agent.send(&hub, id, from, to).await;
            }
            self.agent.send_done(&hub, id).await;
            while self.agent.spool.contains_key(&id) {
                tokio::task::yield_now().await;
                self.obey().await;
            }
        }
        assert_eq!(self.open().await, 0, "jobs without an end");
        self.check().await;
        for id in &self.jobs {
            let job = &self.ends[id];
            if job["state"] == "succeeded" {
                let truth = self.truth.get(id).cloned().unwrap_or_default();
                assert!(
                    jobs::log::bytes(&self.world.hub, *id).await == truth || has_hole(job),
                    "the log of {id} is not whole"
                );
            }
        }
    }

    async fn open(&self) -> usize {
        let mut session = self.world.hub.db.read().await.unwrap();
        let server_id = self.world.server.server_id;
        jobs::store::unfinished(&mut session.conn(), server_id, usize::MAX).await.unwrap().len()
    }
}

/// Pieces that left a gap twice were taken as a loss on the server: that is shown, and compared elsewhere.
fn has_hole(job: &serde_json::Value) -> bool {
    job["log"]["truncated"] == json!(true)
}
