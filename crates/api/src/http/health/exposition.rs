//! What `/metrics` shows: requests as they were counted, everything else as it is right now.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::jobs;

const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0];

/// Requests, counted.
pub(in crate::http) struct Requests {
    registry: Registry,
    answered: Family<Answer, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Task {
    task: &'static str,
}

impl Default for Requests {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("roadstead_http");
        let answered = Family::default();
        let durations = Family::<Route, Histogram, fn() -> Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("requests", "Requests answered", answered.clone());
        registry.register("request_duration_seconds", "Time until the answer began", durations.clone());
        Self { registry, answered, durations }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

impl Requests {
    /// Counts one. `route` is the pattern that matched, so that there are only so many.
    pub(in crate::http) fn count(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let answer = Answer { method: method.to_owned(), route: route.to_owned(), status };
        self.answered.get_or_create(&answer).inc();
        self.durations.get_or_create(&Route { route: route.to_owned() }).observe(duration.as_secs_f64());
    }
}

/// Everything, as OpenMetrics text.
pub(super) async fn text(hub: &Hub) -> Result<String> {
    let mut out = String::new();
    let now = present(hub, jobs::count_unfinished(hub).await?);
    encode_registry(&mut out, &hub.http.requests.registry)
        .and_then(|()| encode_registry(&mut out, &now))
        .and_then(|()| encode_eof(&mut out))
        .map_err(Error::internal)?;
    Ok(out)
}

fn present(hub: &Hub, unfinished_jobs: Vec<(String, i64)>) -> Registry {
    let mut registry = Registry::with_prefix("roadstead");
    registry.register("build", "The hub's version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("connections", "Open connections, sockets of agents included", hub.http.open_connections());
    gauge("agents_connected", "Agents that are connected", hub.gateway.len());
    gauge("event_streams", "Open event streams", hub.http.streams.open());
    let job_logs = usize::try_from(jobs::log_bytes(hub)).unwrap_or(usize::MAX);
    gauge("job_log_bytes", "Bytes that the logs of jobs take, added up every minute", job_logs);
    let history = hub.metrics.health();
    gauge("history_minutes_waiting", "Minutes of samples not written down yet", history.unwritten);
    let dropped = usize::try_from(history.dropped).unwrap_or(usize::MAX);
    gauge("history_minutes_dropped", "Minutes of samples that could not be written down", dropped);

    let unfinished = Family::<InState, Gauge>::default();
    for (state, count) in unfinished_jobs {
        unfinished.get_or_create(&InState { state }).set(count);
    }
    registry.register("jobs", "Jobs that have not ended, by state", unfinished);

    let runs = Family::<Task, Counter>::default();
    let failures = Family::<Task, Counter>::default();
    let failing = Family::<Task, Gauge>::default();
    for (task, status) in hub.background.statuses() {
        let labels = Task { task };
        runs.get_or_create(&labels).inc_by(status.runs);
        failures.get_or_create(&labels).inc_by(status.failures);
        failing.get_or_create(&labels).set(i64::from(status.failing));
    }
    registry.register("task_runs", "Runs of background work", runs);
    registry.register("task_failures", "Failed runs of background work", failures);
    registry.register("task_failing", "Whether the last run failed", failing);
    registry
}
