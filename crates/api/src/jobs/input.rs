//! What callers ask for, checked.

use std::time::Duration;

use protocol::exec::InvalidField;
use protocol::kinds::{JobKind, KindError};
use protocol::limits::JobLimits;
use protocol::{BatchId, JobId, ServerId};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::MAX_EXPIRY;
use super::model::{CreatedBy, Definition, ExecArgs};
use super::secrets::{self, SecretEnv};
use crate::error::{Error, Result};

const DEFAULT_TIMEOUT_S: u32 = 3600;
const MAX_TIMEOUT_S: u32 = 7 * 24 * 3600;
const DEFAULT_EXPIRY_S: u32 = 24 * 3600;

/// A job to be made.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What it does.
    pub definition: Definition,
    /// Its secret variables; the definition has `***` in their place.
    pub secrets: SecretEnv,
    /// Until then it may start.
    pub expires_in: Duration,
    /// The job that it repeats.
    pub retry_of: Option<JobId>,
    /// The batch that it belongs to, and who made that.
    pub batch: Option<(BatchId, CreatedBy)>,
}

/// What callers say of a job, wherever it is to run; not looked at yet.
#[derive(Debug)]
pub struct Wanted {
    /// Name of the kind.
    pub kind: String,
    /// Arguments of the kind.
    pub args: Value,
    /// Seconds it may run.
    pub timeout_s: Option<u32>,
    /// Seconds it may wait for its server.
    pub expires_in_s: Option<u32>,
    /// What it may take of its server.
    pub limits: Option<JobLimits>,
    /// No other job may run beside it.
    pub exclusive: bool,
}

impl Wanted {
    /// What is to be run, its secrets apart from it, and how long it may wait to start; `default_expiry_s` where the caller does not say.
    ///
    /// # Errors
    /// Every field that is not acceptable, for a 422.
    pub fn parse(self, default_expiry_s: u32) -> Result<(Definition, SecretEnv, Duration), Vec<Problem>> {
        let mut problems = Vec::new();
        let mut within = |field: &str, value: Option<u32>, default, max| {
            let value = value.unwrap_or(default);
            if !(1..=max).contains(&value) {
                problems.push((field.to_owned(), format!("must be a number from 1 to {max}")));
            }
            value
        };
        let timeout_s = within("timeout_s", self.timeout_s, DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S);
        let max_expiry_s = u32::try_from(MAX_EXPIRY.as_secs()).unwrap_or(u32::MAX);
        let expires_in_s = within("expires_in_s", self.expires_in_s, default_expiry_s, max_expiry_s);
        let limits = self.limits.unwrap_or_default();
        problems.extend(named("limits", limits.check().err().unwrap_or_default()));
        match parse_kind(&self.kind, &self.args) {
            Ok((args, secrets)) if problems.is_empty() => {
                let definition = Definition { kind: self.kind, args, timeout_s, limits, exclusive: self.exclusive };
                Ok((definition, secrets, Duration::from_secs(u64::from(expires_in_s))))
            }
            Ok(_) => Err(problems),
            Err(more) => Err(problems.into_iter().chain(more).collect()),
        }
    }
}

/// Body of `POST /v1/jobs`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = JobCreate)]
pub(super) struct Body {
    /// Where to run it.
    #[schema(value_type = String, format = Uuid)]
    pub(super) server_id: ServerId,
    /// `exec`: run a command line or an argument vector.
    kind: String,
    /// Arguments of the kind.
    #[schema(value_type = ExecArgs)]
    args: Value,
    /// Seconds it may run, 1 to 604800; 3600 unless told.
    timeout_s: Option<u32>,
    /// What it may take of its server.
    #[serde(default)]
    #[schema(value_type = Option<super::model::LimitsSchema>)]
    limits: Option<JobLimits>,
    /// No other job may run beside it; others wait.
    #[serde(default)]
    exclusive: bool,
    /// Seconds it may wait for its server, 1 to 2592000; 86400 unless told.
    expires_in_s: Option<u32>,
}

impl Body {
    /// The job that the body asks for.
    ///
    /// # Errors
    /// 422 with every field that is not acceptable.
    pub(super) fn parse(self) -> Result<NewJob> {
        let Self { kind, args, timeout_s, expires_in_s, limits, exclusive, .. } = self;
        let wanted = Wanted { kind, args, timeout_s, expires_in_s, limits, exclusive };
        let (definition, secrets, expires_in) = wanted.parse(DEFAULT_EXPIRY_S).map_err(Error::invalid_fields)?;
        Ok(NewJob { definition, secrets, expires_in, retry_of: None, batch: None })
    }
}

fn named(parent: &'static str, fields: Vec<InvalidField>) -> impl Iterator<Item = (String, String)> {
    fields.into_iter().map(move |InvalidField { field, problem }| (format!("{parent}.{field}"), problem))
}

/// Field and problem.
type Problem = (String, String);

/// The arguments as they are stored, only what the kind knows, and apart from them its secrets.
fn parse_kind(kind: &str, args: &Value) -> Result<(Box<RawValue>, SecretEnv), Vec<Problem>> {
    // Said here, because the words of the parser would repeat the value.
    if let Some(secrets) = args.get("secret_env")
        && !secrets.as_object().is_some_and(|secrets| secrets.values().all(Value::is_string))
    {
        return Err(vec![("args.secret_env".to_owned(), "must be an object of names and texts".to_owned())]);
    }
    let unreadable = |error: serde_json::Error| vec![("args".to_owned(), format!("cannot be read: {error}"))];
    let raw = to_raw_value(args).map_err(unreadable)?;
    match JobKind::parse(kind, &raw) {
        Ok(JobKind::Exec(mut args)) => {
            let secrets = secrets::take(&mut args);
            Ok((to_raw_value(&args).map_err(unreadable)?, secrets))
        }
        Err(KindError::Unknown) => {
            Err(vec![("kind".to_owned(), format!("must be one of {}", JobKind::NAMES.join(", ")))])
        }
        Err(KindError::Malformed(why)) => {
            let why = why.split(" at line ").next().unwrap_or_default();
            Err(vec![("args".to_owned(), format!("must fit the kind: {why}"))])
        }
        Err(KindError::Invalid(fields)) => Err(named("args", fields).collect()),
    }
}
