//! From what the relay handed over to an order that may be carried out. Pure: everything it needs is given.

use std::time::Duration;

use protocol::exec::InvalidField;
use protocol::job::{Actor, Cancel, CancelBody, Cmd, CmdBody, RejectCode, Rejected};
use protocol::kinds::{JobKind, KindError};
use protocol::limits::JobLimits;
use protocol::operator::{MAX_SIGNATURES, NAMESPACE, OpBody};
use protocol::{JobId, MAX_SIGNED_BODY, signing};
use serde::Deserialize;

use crate::identity;
use crate::operators;
use crate::policy::{Origin, Policy};
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
    if let Some(origin) = policy.requires_signature(kind.tier()) {
        has_no_secrets(&kind, origin).map_err(|why| refuse(RejectCode::PolicyDenied, why))?;
        operator_signature(cmd, &body, &kind, policy).map_err(|why| {
            let tier = kind.tier().name();
            let message = format!("{origin} asks for an operator's signature on jobs of the tier {tier}: {why}");
            refuse(RejectCode::OperatorSignature, message)
        })?;
    }
    Ok(Order {
        job_id: body.job_id,
        kind,
        timeout: Duration::from_secs(u64::from(body.timeout_s)),
        limits: body.limits,
        expires_at_ms: body.expires_at_ms,
        actor: body.actor,
    })
}

/// Whoever signs a job must see all of it, and a secret is not to be seen.
fn has_no_secrets(kind: &JobKind, origin: Origin) -> Result<(), String> {
    match kind {
        JobKind::Exec(args) if !args.secret_env.is_empty() => Err(format!(
            "{origin} asks for an operator's signature, and whoever signs would have to read the values of secret_env; \
             leave secret_env out, and let the command read its secrets from a file on the server"
        )),
        JobKind::Exec(_) => Ok(()),
    }
}

/// Whether somebody whom the host's own file lists has signed this very job.
fn operator_signature(cmd: &Cmd, order: &CmdBody, kind: &JobKind, policy: &Policy) -> Result<(), String> {
    if policy.operators().is_empty() {
        return Err(
            "the policy file lists nobody under `operators`; add the public keys of those who may sign".to_owned()
        );
    }
    let Some(op_body) = cmd.op_body.as_ref().filter(|_| !cmd.op_sigs.is_empty()) else {
        return Err(format!(
            "there is none; sign the job with `roadstead sign`, or `ssh-keygen -Y sign -n {NAMESPACE}`, and a key that \
             the policy file lists under `operators`"
        ));
    };
    if cmd.op_sigs.len() > MAX_SIGNATURES {
        return Err(format!("there are {} signatures, more than {MAX_SIGNATURES}", cmd.op_sigs.len()));
    }
    let signed: OpBody =
        serde_json::from_str(op_body).map_err(|error| format!("what was signed is no job ({error}); sign it anew"))?;
    if !signed.is_same(&OpBody::of(order, kind)) {
        return Err("what was signed is another job than the one ordered; sign this one".to_owned());
    }
    let mut problems = Vec::new();
    for signature in &cmd.op_sigs {
        match operators::verify(signature, op_body.as_bytes(), policy.operators()) {
            Ok(operator) => {
                log::info!("job {} is signed by {}", order.job_id, operator.fingerprint());
                return Ok(());
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    problems.dedup();
    Err(format!("no signature counts: {}", problems.join("; ")))
}

/// Checks an order to end `job_id`.
///
/// # Errors
/// Why it does not count.
pub fn cancel(cancel: &Cancel, job_id: JobId, trust: &Trust) -> Result<(), Rejected> {
    let refuse = |code, message: String| Rejected { code, message };
    // A job may outlive the key that ordered it. Where the file cannot be read now, ending the job is the safer side.
    let current = trust.reload().ok();
    let trust = current.as_ref().unwrap_or(trust);
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
