//! Orders on their way to an agent: signed at each sending, from what the database holds.

use protocol::job::{Cancel, CancelBody, Cmd, CmdBody};
use protocol::limits::JobLimits;
use protocol::{MAX_SIGNED_BODY, Message, signing};

use super::model::Job;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::Hub;

/// The signed order to run a job.
pub(super) fn cmd(hub: &Hub, job: &Job) -> Result<Message> {
    let signed = hub.keys.sign(signing::CMD, cmd_body(job)?);
    Ok(Message::Cmd(Cmd { signed, op_body: None, op_sigs: Vec::new() }))
}

/// The signed order to end a job.
pub(super) fn cancel(hub: &Hub, job: &Job, at: Timestamp) -> Result<Message> {
    let body = CancelBody { job_id: job.id, server_id: job.server_id, at_ms: at.as_ms() };
    let body = serde_json::to_string(&body).map_err(Error::internal)?;
    Ok(Message::Cancel(Cancel(hub.keys.sign(signing::CANCEL, body))))
}

/// 422 when the order would not fit into a message.
pub(super) fn check_size(job: &Job) -> Result<()> {
    let bytes = cmd_body(job)?.len();
    if bytes <= MAX_SIGNED_BODY {
        return Ok(());
    }
    let problem =
        format!("must be shorter: the signed order would have {bytes} bytes, and {MAX_SIGNED_BODY} are possible");
    Err(Error::invalid_field("args", problem))
}

fn cmd_body(job: &Job) -> Result<String> {
    let body = CmdBody {
        job_id: job.id,
        server_id: job.server_id,
        kind: job.definition.kind.clone(),
        args: job.definition.args.clone(),
        timeout_s: job.definition.timeout_s,
        limits: JobLimits::NONE,
        expires_at_ms: job.expires_at.as_ms(),
        actor: job.created_by.clone().into(),
        op_body_sha256: None,
    };
    serde_json::to_string(&body).map_err(Error::internal)
}
