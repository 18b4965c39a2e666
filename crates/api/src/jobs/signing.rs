//! Jobs that wait for an operator's signature, because their host's policy asks for one.
//!
//! What is to be signed is written once, when the job is made, and never again. The hub looks at a signature so that a
//! wrong one is refused where it is given; whether it counts is decided by the host alone.

use protocol::job::{CmdBody, JobState};
use protocol::kinds::JobKind;
use protocol::operator::{MAX_SIGNATURES, NAMESPACE, OpBody};
use protocol::{JobId, UserId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::model::Job;
use super::step::Step;
use super::store;
use crate::access::Authorized;
use crate::access::verbs::{JobsRead, ServersExec};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::{App, Hub};
use crate::operators::{self, Signature};
use crate::servers::{OperatorKeyFacts, Server};

/// A signature of an operator, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) fingerprint: String,
    pub(super) signature: String,
    pub(super) key_name: String,
    pub(super) user_id: UserId,
    pub(super) user_name: String,
    pub(super) at: Timestamp,
}

/// What an operator needs to sign a job, and who has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobSigning)]
pub(super) struct SigningView {
    #[schema(value_type = String, format = Uuid)]
    job_id: JobId,
    /// What `ssh-keygen -Y sign -n` needs: `roadstead-job`.
    namespace: &'static str,
    /// What is signed, byte for byte: a JSON text.
    op_body: String,
    /// Keys that the host's policy lists, as its agent last said.
    operators: Vec<OperatorKeyFacts>,
    /// Signatures that were given.
    signatures: Vec<SignatureView>,
}

/// A signature that was given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobSignature)]
struct SignatureView {
    /// Of the key, as `ssh-keygen -l` prints it.
    fingerprint: String,
    /// What its owner calls the key.
    key_name: String,
    /// Whose key it is.
    member: Member,
    /// When it was given.
    at: Timestamp,
}

/// A member of the workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobSigner)]
struct Member {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    name: String,
}

/// What has to be signed before a job may run on this server; `None` when its policy asks for nothing.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn wanted(server: &Server, order: &CmdBody) -> Result<Option<String>> {
    let Ok(kind) = JobKind::parse(&order.kind, &order.args) else { return Ok(None) };
    if !server.requires_signature(kind.tier()) {
        return Ok(None);
    }
    serde_json::to_string(&OpBody::of(order, &kind)).map(Some).map_err(Error::internal)
}

/// What an operator needs to sign a job.
pub(super) async fn show(hub: &Hub, job: Authorized<Job, JobsRead>) -> Result<SigningView> {
    let Authorized { actor, resource: job, .. } = job;
    let Some(op_body) = job.op_body else { return Err(Error::not_found("signature for this job to wait for")) };
    let mut session = hub.db.read().await?;
    let signatures = store::signatures(&mut session.conn(), job.id).await?;
    let operators = crate::servers::operators_of(&mut session.conn(), actor.workspace_id, job.server_id).await?;
    let view = |signed: Signed| SignatureView {
        fingerprint: signed.fingerprint,
        key_name: signed.key_name,
        member: Member { id: signed.user_id, name: signed.user_name },
        at: signed.at,
    };
    let signatures = signatures.into_iter().map(view).collect();
    Ok(SigningView { job_id: job.id, namespace: NAMESPACE, op_body, operators, signatures })
}

/// Takes a signature: the job stands in its server's queue from now on, where it would have stood all the time.
///
/// # Errors
/// 409 when the job waits for none, 422 when the signature does not count.
pub(super) async fn sign(app: &App, job: Authorized<Job, ServersExec>, armoured: &str) -> Result<Job> {
    let Authorized { actor, resource: job, .. } = job;
    let unusable = |problem: String| Error::invalid_field("signature", problem);
    let signature = Signature::parse(armoured).map_err(unusable)?;
    let mut step = Step::begin(app, job.server_id).await?;
    let mut job = step.job(job.id).await?.ok_or_else(|| Error::not_found("job"))?;
    job.refuse_finished("be signed")?;
    let op_body = match &job.op_body {
        Some(op_body) if job.state == JobState::AwaitingSignature => op_body,
        _ => return Err(Error::conflict("this job does not wait for a signature")),
    };
    signature.verify(op_body).map_err(unusable)?;
    let fingerprint = signature.fingerprint();
    let Some(signer) = operators::signer(&mut step.conn(), job.workspace_id, &fingerprint).await? else {
        return Err(unusable(format!(
            "is made with {fingerprint}, which no member of this workspace has registered; register it under Account first"
        )));
    };
    let listed = crate::servers::operators_of(&mut step.conn(), job.workspace_id, job.server_id).await?;
    if !listed.iter().any(|key| key.fingerprint == fingerprint) {
        return Err(unusable(format!(
            "is made with {fingerprint}, which the policy of the server does not list; add the key to operators in its \
             /etc/roadstead/policy.toml"
        )));
    }
    if store::signatures(&mut step.conn(), job.id).await?.len() >= MAX_SIGNATURES {
        return Err(Error::conflict(format!("this job has {MAX_SIGNATURES} signatures already")));
    }
    let signed = Signed {
        fingerprint: fingerprint.clone(),
        signature: armoured.trim().to_owned(),
        key_name: signer.key_name,
        user_id: signer.user_id,
        user_name: signer.user_name,
        at: app.now(),
    };
    store::insert_signature(&mut step.conn(), job.id, &signed).await?;
    step.transition(&mut job, JobState::Queued, |_| {}).await?;
    let details = json!({ "fingerprint": fingerprint, "signer": { "id": signed.user_id, "name": signed.user_name } });
    step.audit_with(&actor, "job.sign", &job, details).await?;
    step.queued();
    step.fill().await?;
    step.commit().await?;
    Ok(job)
}
