//! From what the relay handed over to an order that may be carried out. Pure: everything it needs is given.

use std::time::Duration;

use protocol::exec::InvalidField;
use protocol::job::{Actor, Cancel, CancelBody, Cmd, CmdBody, RejectCode, Rejected};
use protocol::kinds::{JobKind, KindError};
use protocol::limits::JobLimits;
use protocol::{JobId, MAX_SIGNED_BODY, signing};
use serde::Deserialize;

use crate::identity;
use crate::policy::Policy;
use crate::trust::{SignatureError, Trust};

/// A job that the hub ordered, for this server, that has not expired, and that the host allows.
#[derive(Debug)]
pub struct Order {
    /// The job.
    pub job_id: JobId,
    /// What to do.
    pub kind: JobKind,
    /// How long it may take.
    pub timeout: Duration,
    /// What it may take of this server.
    pub limits: JobLimits,
    /// When the order expires, hub's clock.
    pub expires_at_ms: i64,
    /// On whose behalf.
    pub actor: Actor,
}

/// Why an order is refused, and of which job it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Not verified where the signature is what failed.
    pub job_id: Option<JobId>,
    /// For the hub.
    pub rejected: Rejected,
}

/// Checks an order. `hub_now_ms` is the hub's time.
///
/// # Errors
/// [`Refusal`].
pub fn order(cmd: &Cmd, trust: &Trust, policy: &Policy, hub_now_ms: i64) -> Result<Order, Refusal> {
    let job_id = named_job(&cmd.signed.body);
    let refuse = |code, message: String| Refusal { job_id, rejected: Rejected { code, message } };

    if cmd.signed.body.len() > MAX_SIGNED_BODY {
        let message = format!("the order is longer than {MAX_SIGNED_BODY} bytes");
        return Err(refuse(RejectCode::BadArguments, message));
    }
    trust.verify(signing::CMD, &cmd.signed).map_err(|error| refuse(RejectCode::BadSignature, not_signed(error)))?;

    let body: CmdBody = serde_json::from_str(&cmd.signed.body)
        .map_err(|error| refuse(RejectCode::BadArguments, format!("the order cannot be read: {error}")))?;
    if body.server_id != trust.server_id() {
        let message = format!("the order is for server {}, this is {}", body.server_id, trust.server_id());
        return Err(refuse(RejectCode::WrongServer, message));
    }
    if hub_now_ms >= body.expires_at_ms {
        let late = hub_now_ms.saturating_sub(body.expires_at_ms) / 1000;
        return Err(refuse(RejectCode::Expired, format!("the order expired {late} s ago")));
    }
    let op_digest = cmd.op_body.as_ref().map(|op_body| identity::sha256(op_body.as_bytes()));
    if op_digest != body.op_body_sha256 {
        let message = "what operators signed is not what the hub signed".to_owned();
        return Err(refuse(RejectCode::BadSignature, message));
    }
    let kind = JobKind::parse(&body.kind, &body.args).map_err(|error| {
        let code = if error == KindError::Unknown { RejectCode::UnknownKind } else { RejectCode::BadArguments };
        let message = match error {
            KindError::Unknown => {
                format!("this agent does not know jobs of the kind {:?}; update it", short(&body.kind))
            }
            other => other.to_string(),
        };
        refuse(code, message)
    })?;
    if body.timeout_s == 0 {
        let field = InvalidField { field: "timeout_s", problem: "must be at least 1".to_owned() };
        return Err(refuse(RejectCode::BadArguments, KindError::Invalid(vec![field]).to_string()));
    }
    body.limits
        .check()
        .map_err(|fields| refuse(RejectCode::BadArguments, format!("limits: {}", KindError::Invalid(fields))))?;
    policy.permit(&kind).map_err(|why| refuse(RejectCode::PolicyDenied, why))?;
    Ok(Order {
        job_id: body.job_id,
        kind,
        timeout: Duration::from_secs(u64::from(body.timeout_s)),
        limits: body.limits,
        expires_at_ms: body.expires_at_ms,
        actor: body.actor,
    })
}

/// Checks an order to end `job_id`.
///
/// # Errors
/// Why it does not count.
pub fn cancel(cancel: &Cancel, job_id: JobId, trust: &Trust) -> Result<(), Rejected> {
    let refuse = |code, message: String| Rejected { code, message };
    trust.verify(signing::CANCEL, &cancel.0).map_err(|error| refuse(RejectCode::BadSignature, not_signed(error)))?;
    let body: CancelBody = serde_json::from_str(&cancel.0.body)
        .map_err(|error| refuse(RejectCode::BadArguments, format!("the order cannot be read: {error}")))?;
    if body.server_id != trust.server_id() {
        let message = format!("the order is for server {}, this is {}", body.server_id, trust.server_id());
        return Err(refuse(RejectCode::WrongServer, message));
    }
    if body.job_id != job_id {
        return Err(refuse(
            RejectCode::BadArguments,
            format!("the order is for job {}, this is {job_id}", body.job_id),
        ));
    }
    Ok(())
}

fn not_signed(error: SignatureError) -> String {
    format!("the order is not the hub's: {error}")
}

/// The job that an order names, believed or not: so that the refusal finds its way.
fn named_job(body: &str) -> Option<JobId> {
    #[derive(Deserialize)]
    struct Named {
        job_id: JobId,
    }
    serde_json::from_str::<Named>(body).ok().map(|named| named.job_id)
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
