//! What callers ask for, checked.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::ServerId;
use protocol::limits::JobLimits;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::model::Strategy;
use crate::error::{Error, Result};
use crate::jobs::{Definition, ExecArgs, LimitsSchema, Wanted};
use crate::servers::Selector;

/// A wave waits for its slowest server, so jobs of a batch do not wait as long as others for one that is away.
const DEFAULT_EXPIRY_S: u32 = 3600;
/// Longest pause between two waves, seconds.
const MAX_PAUSE_S: u32 = 86_400;
/// Most servers that a strategy can name.
const MAX_COUNT: u32 = 100_000;

/// A batch to be made.
#[derive(Debug)]
pub(super) struct NewBatch {
    pub(super) definition: Definition,
    pub(super) expires_in_s: u32,
    pub(super) selector: Selector,
    pub(super) strategy: Strategy,
}

/// Body of `POST /v1/job-batches`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = JobBatchCreate)]
pub(super) struct Body {
    /// Which servers; exactly one of its fields.
    selector: SelectorBody,
    /// `exec`: run a command line or an argument vector.
    kind: String,
    /// Arguments of the kind, as for a single job.
    #[schema(value_type = ExecArgs)]
    args: Value,
    /// Seconds each job may run, 1 to 604800; 3600 unless told.
    timeout_s: Option<u32>,
    /// Seconds each job may wait for its server, 1 to 2592000; 3600 unless told.
    expires_in_s: Option<u32>,
    /// What each job may take of its server.
    #[schema(value_type = Option<LimitsSchema>)]
    limits: Option<JobLimits>,
    /// No other job may run beside it on its server.
    #[serde(default)]
    exclusive: bool,
    /// In which portions, and when to stop; all at once, halting at the first failure, unless told.
    #[serde(default)]
    strategy: StrategyBody,
}

/// Which servers. An empty selector is an error, never everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = JobBatchSelector)]
pub(super) struct SelectorBody {
    /// These servers, in this order.
    #[schema(value_type = Option<Vec<String>>)]
    server_ids: Option<Vec<ServerId>>,
    /// Every server that has all of these labels.
    labels: Option<BTreeMap<String, String>>,
    /// Every server of the workspace; only `true` means so.
    all: Option<bool>,
}

/// In which portions, and when to stop.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = JobBatchStrategyCreate)]
struct StrategyBody {
    /// So many servers first, alone.
    canary: Option<u32>,
    /// So many servers in each wave after that; all that are left unless told.
    batch_size: Option<u32>,
    /// Such a part of all servers in each wave, percent; instead of `batch_size`.
    batch_percent: Option<u32>,
    /// So many jobs may fail; one more halts the batch. 0 unless told.
    max_failures: Option<u32>,
    /// Seconds between the end of a wave and the start of the next one, at most 86400; 0 unless told.
    pause_s: Option<u32>,
}

impl Body {
    /// The batch that the body asks for.
    ///
    /// # Errors
    /// 422 with every field that is not acceptable.
    pub(super) fn parse(self) -> Result<NewBatch> {
        let Self { selector, kind, args, timeout_s, expires_in_s, limits, exclusive, strategy } = self;
        let mut problems = Vec::new();
        let selector = selector.parse().map_err(|problem| problems.push(("selector".to_owned(), problem)));
        let strategy = strategy.parse(&mut problems);
        let wanted = Wanted { kind, args, timeout_s, expires_in_s, limits, exclusive };
        let job = wanted.parse(DEFAULT_EXPIRY_S).map_err(|more| problems.extend(more));
        if job.as_ref().is_ok_and(|(_, secrets, _)| !secrets.is_empty()) {
            // They are sealed for one job and erased with it.
            problems.push((
                "args.secret_env".to_owned(),
                "must not be given for a batch; make a job for each server".to_owned(),
            ));
        }
        match (selector, job) {
            (Ok(selector), Ok((definition, _, expires_in))) if problems.is_empty() => {
                Ok(NewBatch { definition, expires_in_s: seconds(expires_in), selector, strategy })
            }
            _ => Err(Error::invalid_fields(problems)),
        }
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

impl SelectorBody {
    fn parse(self) -> Result<Selector, String> {
        let server_ids = self.server_ids.filter(|ids| !ids.is_empty());
        let labels = self.labels.filter(|labels| !labels.is_empty());
        match (server_ids, labels, self.all.unwrap_or(false)) {
            (Some(server_ids), None, false) => Ok(Selector::ServerIds(server_ids)),
            (None, Some(labels), false) => Ok(Selector::Labels(labels)),
            (None, None, true) => Ok(Selector::All(true)),
            (None, None, false) => Err("must name servers by server_ids or labels, or say all: true".to_owned()),
            _ => Err("must have one of server_ids, labels and all, not several".to_owned()),
        }
    }
}

impl StrategyBody {
    fn parse(self, problems: &mut Vec<(String, String)>) -> Strategy {
        let mut within = |field: &str, value: Option<u32>, min: u32, max: u32| {
            if value.is_some_and(|value| !(min..=max).contains(&value)) {
                problems.push((format!("strategy.{field}"), format!("must be a number from {min} to {max}")));
            }
        };
        within("canary", self.canary, 0, MAX_COUNT);
        within("batch_size", self.batch_size, 1, MAX_COUNT);
        within("batch_percent", self.batch_percent, 1, 100);
        within("max_failures", self.max_failures, 0, MAX_COUNT);
        within("pause_s", self.pause_s, 0, MAX_PAUSE_S);
        if self.batch_size.is_some() && self.batch_percent.is_some() {
            let problem = "must not be given together with batch_size".to_owned();
            problems.push(("strategy.batch_percent".to_owned(), problem));
        }
        Strategy {
            canary: self.canary,
            batch_size: self.batch_size,
            batch_percent: self.batch_percent,
            max_failures: self.max_failures.unwrap_or(0),
            pause_s: self.pause_s.unwrap_or(0),
        }
    }
}
