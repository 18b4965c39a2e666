//! The jobs that this server knows: what the spool holds of them, and, for root, what was claimed.

use std::collections::BTreeSet;
use std::str::FromStr;

use protocol::JobId;

use super::{AS_ROOT, Problem};
use crate::host::clock::Clock;
use crate::paths::Paths;
use crate::spool::Spool;
use crate::trust::claims::Claims;
use crate::trust::hub_time::Moment;

/// Digits at the end of an id that name a job among those of one server. The beginning is its time, which many share.
const TAIL: usize = 8;
/// Candidates named where a name is ambiguous.
const MAX_NAMED: usize = 10;

/// How people name a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobName {
    /// Its id.
    Full(JobId),
    /// The last digits of its id, lower case.
    Tail(String),
}

impl FromStr for JobName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == TAIL && text.chars().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(Self::Tail(text.to_ascii_lowercase()));
        }
        text.parse().map(Self::Full).map_err(|_| {
            format!("a job is named by its id, or by the last {TAIL} hexadecimal digits of it, as `jobs` shows them")
        })
    }
}

/// The last digits of a job's id.
#[must_use]
pub fn tail(job_id: JobId) -> String {
    let id = job_id.to_string();
    id.get(id.len().saturating_sub(TAIL)..).unwrap_or_default().to_owned()
}

/// What this server keeps of its jobs.
#[derive(Debug)]
pub struct Records {
    /// Logs and ends.
    pub spool: Spool,
    /// Orders; or why they cannot be read, for everybody but root.
    pub claims: Result<Claims, String>,
    /// Now.
    pub moment: Moment,
}

impl Records {
    /// Opens them.
    ///
    /// # Errors
    /// When there is no spool, or this user may not see it.
    pub fn open(paths: &Paths) -> Result<Self, Problem> {
        let moment = Moment::now(Clock::system())
            .map_err(|error| Problem::new(format!("/proc is not usable: {error}"), "Mount /proc."))?;
        let path = paths.spool_dir();
        let spool = Spool::open(&path, moment.boot_id.clone()).map_err(|error| Problem::unreadable(&path, &error))?;
        let claims = Claims::open(paths).map_err(|error| error.to_string());
        Ok(Self { spool, claims, moment })
    }

    /// Every job that is known here.
    ///
    /// # Errors
    /// When the spool cannot be listed.
    pub fn job_ids(&self) -> Result<BTreeSet<JobId>, Problem> {
        let spooled = self
            .spool
            .job_ids()
            .map_err(|error| Problem::new(format!("the spool cannot be listed: {error}"), AS_ROOT))?;
        let claimed = self.claims.as_ref().map(Claims::jobs).unwrap_or_default();
        Ok(spooled.into_iter().chain(claimed).collect())
    }

    /// Whether a job's worker lives. The lock of its claim counts, where that can be read: in the spool the relay could
    /// hold one.
    #[must_use]
    pub fn is_running(&self, job_id: JobId) -> bool {
        match &self.claims {
            Ok(claims) if claims.get(job_id).is_some() => claims.is_alive(job_id),
            _ => self.spool.is_running(job_id).unwrap_or(false),
        }
    }

    /// The job that is meant.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, name: &JobName) -> Result<JobId, Problem> {
        let known = self.job_ids()?;
        let found: Vec<JobId> = match name {
            JobName::Full(job_id) => known.get(job_id).copied().into_iter().collect(),
            JobName::Tail(digits) => known.into_iter().filter(|job_id| tail(*job_id) == *digits).collect(),
        };
        let shown = match name {
            JobName::Full(job_id) => job_id.to_string(),
            JobName::Tail(digits) => format!("…{digits}"),
        };
        match found.as_slice() {
            [job_id] => Ok(*job_id),
            [] => Err(Problem::new(
                format!("this server knows no job {shown}"),
                "roadstead-agent jobs -n 1000 lists those it knows; older ones are at the hub only.",
            )),
            several => {
                let named: Vec<String> = several.iter().take(MAX_NAMED).map(ToString::to_string).collect();
                Err(Problem::new(
                    format!("{} jobs end in {shown}: {}", several.len(), named.join(", ")),
                    "Give the full id.",
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_its_id_or_the_end_of_it() {
        let id = "019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70";
        assert_eq!(id.parse(), Ok(JobName::Full(id.parse().unwrap())));
        assert_eq!("4D5E6F70".parse(), Ok(JobName::Tail("4d5e6f70".to_owned())));
        assert_eq!(tail(id.parse().unwrap()), "4d5e6f70");
        for bad in ["", "4d5e6f7", "4d5e6f70x", "../../..", "019a1f2e7c557d3a9f102b3c4d5e6f70", "4d5e6fé"] {
            assert!(bad.parse::<JobName>().is_err(), "{bad}");
        }
    }
}
