//! What holds of every run.

use reqwest::header::ACCEPT;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use support::agent::binary;
use support::api::Api;
use support::process;
use support::wait;

use super::host::Journal;
use super::lane::{LIMIT, Lane, Run};

/// A job that has ended, as the hub shows it.
#[derive(Clone, PartialEq)]
pub(super) struct Ended {
    pub(super) id: String,
    pub(super) job: Value,
    pub(super) log: Vec<u8>,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}\nwith a log of {} bytes", self.job, self.log.len())
    }
}

impl Ended {
    pub(super) fn state(&self) -> &str {
        self.job["state"].as_str().unwrap()
    }

    pub(super) async fn now(api: &Api, id: &str) -> Self {
        let job = asked(api, &format!("/v1/jobs/{id}"), "application/json").await;
        let job = serde_json::from_slice(&job).unwrap();
        let log = asked(api, &format!("/v1/jobs/{id}/log"), "text/plain").await;
        Self { id: id.to_owned(), job, log }
    }
}

async fn asked(api: &Api, path: &str, accept: &str) -> Vec<u8> {
    let response = api.request(Method::GET, path).header(ACCEPT, accept).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.bytes().await.unwrap().to_vec()
}

impl Run {
    /// The hub says of a job what the host does.
    pub(super) fn check_end(&self, number: usize, ended: &Ended) {
        let marker = &self.host.journal.markers()[number];
        let plan = &self.plan.jobs[number];
        let written = plan.output.concat();
        // A worker may be killed when it has the order and its command has not said a word yet.
        let has_said_nothing = marker.started_by.is_empty() && !self.killed.is_empty();
        let may_be_killed = self.is_by(marker, &self.killed) || has_said_nothing;
        match ended.state() {
            "succeeded" | "failed" => {
                let state = if plan.exit_code == 0 { "succeeded" } else { "failed" };
                assert_eq!(ended.job["state"], state, "{ended:?}");
                assert_eq!(marker.ended_with, [plan.exit_code], "{ended:?}");
                assert_eq!(ended.job["exit_code"], plan.exit_code, "{ended:?}");
                assert!(ended.log == written, "not the {} bytes that job {number} wrote: {ended:?}", written.len());
                assert_eq!(ended.job["log"]["truncated"], false, "{ended:?}");
            }
            "lost" => {
                assert!(may_be_killed, "nobody has killed the worker of job {number}: {ended:?}");
                assert!(written.starts_with(&ended.log), "not the beginning of what job {number} wrote: {ended:?}");
            }
            "rejected" => {
                let has_not_run = marker.started_by.is_empty() && ended.job["error"]["code"] == "unavailable";
                assert!(may_be_killed && has_not_run, "job {number}: {marker:?}, {ended:?}");
            }
            _ => panic!("job {number} has ended in no way that it can have: {ended:?}"),
        }
    }
}

impl Lane {
    /// The jobs of all runs are what they were, and the host knows that the hub has all of them.
    pub(super) async fn check_again(&self) {
        self.journals.iter().for_each(Journal::check);
        for ended in &self.ended {
            let now = Ended::now(&self.owner, &ended.id).await;
            assert_eq!(now, *ended, "after the hub was killed once more");
        }
        let state = self.agent.state_dir().display().to_string();
        wait::until("the host to know that the hub has everything", LIMIT, async || {
            let arguments = ["jobs", "--json", "-n", "1000000", "--state-dir", &state];
            let (status, output) = process::run(&binary(), &arguments, "").await;
            assert!(status.success(), "{output}");
            let jobs: Vec<Value> = serde_json::from_str(&output).unwrap();
            let is_settled = |job: &&Value| job["hub"]["has_all"] == true && job["state"] != "running";
            let open: Vec<_> = jobs.iter().filter(|job| !is_settled(job)).cloned().collect();
            if open.is_empty() { Ok(()) } else { Err(open) }
        })
        .await;
    }
}
