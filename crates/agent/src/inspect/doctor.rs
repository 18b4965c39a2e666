//! `doctor`: one line for each thing that has to be right, and what to do where it is not.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{checks, say};
use crate::handover::{WorkerKind, Workers};
use crate::identity::Identity;
use crate::link::dial::{self, DialError};
use crate::paths::Paths;
use crate::text;

/// For everything that goes over the network, together.
const NETWORK: Duration = Duration::from_secs(10);
/// Of which a look-up of the name may take this much.
const LOOKUP: Duration = Duration::from_secs(5);

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but somebody should look, or it could not be seen.
    Warning,
    /// Does not work.
    Problem,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it went.
    pub level: Level,
    /// What was seen.
    pub seen: String,
    /// What to do next; empty where nothing is to be done.
    pub advice: String,
}

impl Check {
    pub(super) fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, seen: seen.into(), advice: String::new() }
    }

    pub(super) fn warning(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, level: Level::Warning, seen: seen.into(), advice: advice.into() }
    }

    pub(super) fn problem(name: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, level: Level::Problem, seen: seen.into(), advice: advice.into() }
    }

    fn line(&self) -> String {
        let advice = if self.advice.is_empty() { String::new() } else { format!("; {}", self.advice) };
        text::one_line(&format!("{:7}  {}: {}{advice}", self.level.name(), self.name, self.seen))
    }
}

/// Looks at everything. Exit code 0 unless there is a problem.
pub async fn run(paths: &Paths, as_json: bool) -> ExitCode {
    let checks = examine(paths).await;
    let is_healthy = checks.iter().all(|check| check.level != Level::Problem);
    if as_json {
        let values: Vec<_> = checks
            .iter()
            .map(|check| {
                json!({"check": check.name, "level": check.level.name(), "seen": check.seen, "advice": check.advice})
            })
            .collect();
        say(text::json(&json!({ "healthy": is_healthy, "checks": values })));
    } else {
        checks.iter().for_each(|check| say(check.line()));
    }
    if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn examine(paths: &Paths) -> Vec<Check> {
    let mut found = checks::registration(paths);
    if checks::is_registered(paths) {
        found.extend(of_a_registered_machine(paths).await);
    }
    found.push(checks::policy(paths));
    found.extend(checks::kernel());
    found
}

async fn of_a_registered_machine(paths: &Paths) -> Vec<Check> {
    let mut found = checks::directories(paths);
    found.extend(network(paths).await);
    found.push(checks::clock(paths));
    found.push(checks::relay(paths));
    let is_systemd = Workers::detect(paths.clone()).is_ok_and(|workers| workers.kind() == WorkerKind::Systemd);
    if is_systemd {
        found.extend(checks::units(paths));
    } else {
        found.push(Check::ok("workers", "started by the agent itself: systemd does not run here, or not this agent"));
    }
    found.push(checks::spool(paths));
    found.push(checks::leftovers(paths));
    found
}

/// Name, TCP and TLS, each within what is left of the time.
async fn network(paths: &Paths) -> Vec<Check> {
    let until = Instant::now() + NETWORK;
    let identity = match Identity::load(paths) {
        Ok(identity) => identity,
        Err(error) if checks::is_hidden(&error) => {
            return vec![Check::warning("hub", format!("not tried: {error}"), checks::UNSEEN)];
        }
        // The check of the registration says so.
        Err(_) => return Vec::new(),
    };
    let endpoint = match identity.endpoint(paths) {
        Ok(endpoint) => endpoint,
        Err(error) => return vec![Check::problem("hub", error.to_string(), "register this machine again")],
    };
    let hub = format!("{}:{}", endpoint.host(), endpoint.port());
    let name_servers = "look at /etc/resolv.conf and at the name in the hub's address";
    let resolved = match timeout_at(Instant::now() + LOOKUP, Box::pin(dial::addresses(&endpoint))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            Check::ok("hub address", format!("{} is {}", endpoint.host(), addresses.join(", ")))
        }
        Ok(Err(error)) => return vec![Check::problem("hub address", error.to_string(), name_servers)],
        Err(_) => {
            let seen = format!("no answer for {} within {} s", endpoint.host(), LOOKUP.as_secs());
            return vec![Check::problem("hub address", seen, name_servers)];
        }
    };
    let tcp = |seen: String| {
        Check::problem("hub TCP", seen, "see whether the hub runs, and let connections out to its address and port")
    };
    let tls = |seen: String, advice| {
        vec![Check::ok("hub TCP", format!("{hub} is reached")), Check::problem("hub TLS", seen, advice)]
    };
    let dialled = timeout_at(until, Box::pin(dial::dial(&endpoint, identity.tls_pin))).await;
    let further = match dialled.unwrap_or(Err(DialError::Deadline)) {
        Ok(_) if endpoint.is_tls() => {
            let how = if identity.tls_pin.is_some() { "the pinned key" } else { "a publicly trusted certificate" };
            vec![Check::ok("hub TCP", format!("{hub} is reached")), Check::ok("hub TLS", format!("the hub has {how}"))]
        }
        Ok(_) => vec![
            Check::ok("hub TCP", format!("{hub} is reached")),
            Check::ok("hub TLS", "not used: the hub is on this very machine"),
        ],
        Err(DialError::Certificate(why)) => {
            tls(why, "compare with the hub; where it has a new certificate, register this machine again")
        }
        Err(error @ DialError::Tls(_)) => tls(error.to_string(), "see whether it is a hub that answers there"),
        Err(error @ (DialError::Lookup { .. } | DialError::Connect { .. })) => vec![tcp(error.to_string())],
        Err(DialError::Deadline) => vec![tcp(format!("{hub} is not reached within {} s", NETWORK.as_secs()))],
    };
    std::iter::once(resolved).chain(further).collect()
}
