//! Secret variables of jobs: apart from the other arguments from the moment they come in, sealed until the order is
//! signed, erased when the job ends.

use std::collections::BTreeMap;
use std::fmt;

use protocol::JobId;
use protocol::exec::ExecArgs;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::model::{Definition, Job};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::secret::Secret;

/// What is stored and shown in the place of a secret.
const MASK: &str = "***";
/// The field of the arguments that holds them.
const FIELD: &str = "secret_env";

/// Secret variables by name, as they came.
pub type SecretEnv = BTreeMap<String, Secret>;

/// Secret variables by name, sealed for one job.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedEnv(BTreeMap<String, String>);

impl fmt::Debug for SealedEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Takes the secrets out of arguments; [`MASK`] stays in their place.
pub(super) fn take(args: &mut ExecArgs) -> SecretEnv {
    let secret = |(name, value): (&String, &mut String)| {
        let secret = std::mem::replace(value, MASK.to_owned());
        (name.clone(), Secret::new(secret))
    };
    args.secret_env.iter_mut().map(secret).collect()
}

/// Seals secrets for a job; `None` when it has none.
pub(super) fn seal(hub: &Hub, job_id: JobId, secrets: &SecretEnv) -> Result<Option<SealedEnv>> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let seal = |(name, secret): (&String, &Secret)| {
        let sealed = hub.sealing.seal(hub.random.as_ref(), &purpose(job_id, name), secret);
        Ok((name.clone(), sealed.map_err(Error::internal)?))
    };
    let sealed: Result<BTreeMap<_, _>> = secrets.iter().map(seal).collect();
    Ok(Some(SealedEnv(sealed?)))
}

/// Whether the job was made with secrets, which it may have no more.
pub(super) fn has_any(definition: &Definition) -> bool {
    // Nearly no job has: looking for the word is cheaper than reading the arguments.
    definition.args.get().contains(FIELD) && parse(definition).is_ok_and(|args| !args.secret_env.is_empty())
}

/// Whether the job can be sent: it has no secrets, or they can be opened.
pub(super) fn are_readable(hub: &Hub, job: &Job) -> bool {
    match &job.secrets {
        Some(sealed) => open(hub, job.id, sealed).is_ok(),
        None => !has_any(&job.definition),
    }
}

/// The arguments as they are signed. The only place where the hub has secrets of a stored job in clear.
pub(super) fn args(hub: &Hub, job: &Job) -> Result<Box<RawValue>> {
    let Some(sealed) = &job.secrets else {
        if has_any(&job.definition) {
            return Err(Error::conflict("the secrets of this job were erased"));
        }
        return Ok(job.definition.args.clone());
    };
    let mut args = parse(&job.definition)?;
    args.secret_env = open(hub, job.id, sealed)?;
    to_raw_value(&args).map_err(Error::internal)
}

/// 422 for a job with secrets that operators would have to sign: they sign what they see, and it is stored for them.
pub(super) fn refuse_signing(job: &Job) -> Result<()> {
    if job.secrets.is_none() {
        return Ok(());
    }
    let problem =
        "must not be given for a server whose policy asks for operator signatures: what is signed is stored and shown";
    Err(Error::invalid_field("args.secret_env", problem))
}

fn open(hub: &Hub, job_id: JobId, sealed: &SealedEnv) -> Result<BTreeMap<String, String>> {
    let open = |(name, sealed): (&String, &String)| {
        let secret = hub.sealing.unseal(&purpose(job_id, name), sealed).map_err(Error::internal)?;
        Ok((name.clone(), secret.reveal().to_owned()))
    };
    sealed.0.iter().map(open).collect()
}

fn parse(definition: &Definition) -> Result<ExecArgs> {
    serde_json::from_str(definition.args.get()).map_err(Error::internal)
}

fn purpose(job_id: JobId, name: &str) -> String {
    format!("job-secret/{job_id}/{name}")
}
