//! `jobs`: what the hub had done here, newest first.

use std::cmp::Reverse;
use std::process::ExitCode;

use protocol::JobId;
use protocol::job::{CmdBody, JobDone, JobState, SpoolState};
use protocol::kinds::JobKind;
use serde_json::{Value, json};

use super::records::{Records, tail};
use super::{AS_ROOT, Problem, remark, say};
use crate::ops;
use crate::paths::Paths;
use crate::spool::Phase;
use crate::text;

/// Longest command line in the table, characters.
const MAX_COMMAND: usize = 160;
/// Longest name in the table, characters.
const MAX_NAME: usize = 24;
const HEADER: [&str; 8] = ["JOB", "STATE", "STARTED", "TOOK", "AT THE HUB", "FOR", "AS", "COMMAND"];

/// A job as it is listed.
#[derive(Debug)]
struct Listed {
    job_id: JobId,
    started_at_ms: i64,
    standing: Standing,
    /// Bytes of its log.
    log_bytes: Option<u64>,
    at_hub: AtHub,
    /// The signed order, where this user may read it.
    order: Option<CmdBody>,
}

/// Where a job is in its life.
#[derive(Debug)]
enum Standing {
    Running,
    Ended(JobDone),
    /// Only the claim is left.
    Noted(SpoolState),
    /// Its worker is dead and nobody has looked yet.
    Orphaned,
}

/// How far the hub has log and end.
#[derive(Debug, PartialEq, Eq)]
enum AtHub {
    All,
    /// At least this many bytes of log. What is acknowledged is freed segment by segment, so it may be more.
    AtLeast(u64),
}

/// Lists the newest `limit` jobs, and all that run.
///
/// # Errors
/// When this user may not see them.
pub fn run(paths: &Paths, limit: usize, as_json: bool) -> Result<ExitCode, Problem> {
    let records = Records::open(paths)?;
    let (jobs, left_out) = list(&records, limit)?;
    if as_json {
        let values: Vec<Value> = jobs.iter().map(|job| job.json(&records)).collect();
        say(text::json(&Value::from(values)));
    } else if jobs.is_empty() {
        say("no job has run here yet");
    } else {
        let header = HEADER.map(str::to_owned).to_vec();
        let rows: Vec<_> = std::iter::once(header).chain(jobs.iter().map(|job| job.row(&records))).collect();
        say(text::table(&rows).trim_end());
    }
    if left_out > 0 {
        remark(format!("{left_out} older jobs are not listed; -n shows more"));
    }
    if let Err(why) = &records.claims {
        remark(format!("what the jobs did and for whom stands in orders that are root's: {why}. {AS_ROOT}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The jobs to show, and how many are left out.
fn list(records: &Records, limit: usize) -> Result<(Vec<Listed>, usize), Problem> {
    let began = |job_id: JobId| {
        let claimed = records.claims.as_ref().ok().and_then(|claims| claims.claimed_at_ms(job_id));
        claimed.or_else(|| records.spool.made_at_ms(job_id))
    };
    // A place without a time is an empty one, which the next sweep removes.
    let dated = records.job_ids()?.into_iter().filter_map(|job_id| Some((began(job_id)?, job_id)));
    let mut known: Vec<(i64, JobId)> = dated.collect();
    known.sort_unstable_by_key(|began| Reverse(*began));
    let shown = known.iter().enumerate().filter(|(index, (_, job_id))| *index < limit || records.is_running(*job_id));
    let jobs: Vec<Listed> = shown.map(|(_, (began, job_id))| look(records, *job_id, *began)).collect();
    let left_out = known.len().saturating_sub(jobs.len());
    Ok((jobs, left_out))
}

fn look(records: &Records, job_id: JobId, began: i64) -> Listed {
    let claims = records.claims.as_ref().ok();
    let claim = claims.and_then(|claims| claims.get(job_id));
    let spooled = records.spool.job(job_id).ok().flatten();
    let noted = claims.and_then(|claims| claims.end(job_id));
    let started_at_ms = claim.as_ref().map(|claim| claim.started_at_ms);
    let order = claim.and_then(|claim| serde_json::from_str(&claim.order.signed.body).ok());
    let log_start = records.spool.log_start(job_id).ok().flatten().unwrap_or(0);
    let at_hub = match &spooled {
        // The relay clears a place when the hub has everything.
        None => AtHub::All,
        Some(_) if records.spool.is_acknowledged(job_id) => AtHub::All,
        Some(_) => AtHub::AtLeast(log_start),
    };
    let log_bytes = spooled.as_ref().map(|job| job.next_offset).or_else(|| noted.map(|end| end.next_offset));
    let started_at_ms = spooled.as_ref().map(|job| job.started_at_ms).or(started_at_ms).unwrap_or(began);
    let standing = match (spooled.map(|job| job.phase), noted) {
        _ if records.is_running(job_id) => Standing::Running,
        (Some(Phase::Ended(done)), _) => Standing::Ended(done),
        (_, Some(end)) => Standing::Noted(end.state),
        (_, None) => Standing::Orphaned,
    };
    Listed { job_id, started_at_ms, standing, log_bytes, at_hub, order }
}

impl Listed {
    fn row(&self, records: &Records) -> Vec<String> {
        let none = || "-".to_owned();
        let at_hub = match (&self.at_hub, &self.standing) {
            (AtHub::All, _) => "all".to_owned(),
            (AtHub::AtLeast(0), Standing::Running) => "in part".to_owned(),
            (AtHub::AtLeast(0), _) => "not all yet".to_owned(),
            (AtHub::AtLeast(bytes), _) => format!("≥ {}", text::bytes(*bytes)),
        };
        let actor = self.order.as_ref().map(|order| &order.actor);
        let actor = actor.map(|actor| format!("{} ({})", short(&actor.name), short(&actor.kind)));
        let summary = self.kind().map(|kind| ops::summary(&kind));
        let (user, command) = match (summary, &self.order) {
            (Some(summary), _) => (short(&summary.user), text::bounded(&summary.command, MAX_COMMAND)),
            (None, Some(order)) => (none(), format!("({})", short(&order.kind))),
            (None, None) => (none(), none()),
        };
        vec![
            tail(self.job_id),
            self.state_in_words(),
            text::utc(self.started_at_ms),
            self.took_ms(records).map_or_else(none, text::span),
            at_hub,
            actor.unwrap_or_else(none),
            user,
            command,
        ]
    }

    fn json(&self, records: &Records) -> Value {
        let done = match &self.standing {
            Standing::Ended(done) => Some(done),
            _ => None,
        };
        let freed = match self.at_hub {
            AtHub::All => self.log_bytes,
            AtHub::AtLeast(bytes) => Some(bytes),
        };
        let order = self.order.as_ref().map(|order| {
            let summary = self.kind().map(|kind| ops::summary(&kind));
            json!({
                "kind": order.kind,
                "actor": order.actor,
                "timeout_s": order.timeout_s,
                "command": summary.as_ref().map(|summary| &summary.command),
                "user": summary.as_ref().map(|summary| &summary.user),
                "cwd": summary.as_ref().and_then(|summary| summary.cwd.as_ref()),
            })
        });
        json!({
            "job_id": self.job_id,
            "state": self.state(),
            "started_at_ms": self.started_at_ms,
            "duration_ms": self.took_ms(records),
            "exit_code": done.and_then(|done| done.exit_code),
            "signal": done.and_then(|done| done.signal),
            "error": done.and_then(|done| done.error.as_ref()),
            "log_bytes": self.log_bytes,
            "hub": { "has_all": self.at_hub == AtHub::All, "has_bytes_at_least": freed },
            "order": order,
        })
    }

    fn kind(&self) -> Option<JobKind> {
        let order = self.order.as_ref()?;
        JobKind::parse(&order.kind, &order.args).ok()
    }

    fn state(&self) -> Value {
        match &self.standing {
            Standing::Running => "running".into(),
            Standing::Ended(done) => JobState::from(done.state).as_str().into(),
            Standing::Noted(state) => serde_json::to_value(state).unwrap_or_default(),
            Standing::Orphaned => "unknown".into(),
        }
    }

    fn state_in_words(&self) -> String {
        let state = self.state().as_str().unwrap_or("unknown").replace('_', " ");
        match &self.standing {
            Standing::Ended(JobDone { signal: Some(signal), .. }) => format!("{state}, signal {signal}"),
            Standing::Ended(JobDone { exit_code: Some(code), .. }) if *code != 0 => format!("{state}, exit {code}"),
            _ => state,
        }
    }

    fn took_ms(&self, records: &Records) -> Option<i64> {
        match &self.standing {
            Standing::Running => Some(records.moment.local_ms.saturating_sub(self.started_at_ms)),
            Standing::Ended(done) => Some(i64::try_from(done.duration_ms).unwrap_or(i64::MAX)),
            Standing::Noted(_) | Standing::Orphaned => None,
        }
    }
}

fn short(name: &str) -> String {
    text::bounded(name, MAX_NAME)
}
