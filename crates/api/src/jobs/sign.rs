//! Orders on their way to an agent: signed at each sending, from what the database holds.

use protocol::job::{Cancel, CancelBody, Cmd, CmdBody};
use protocol::operator::{MAX_SIGNATURE, MAX_SIGNATURES};
use protocol::{MAX_SIGNED_BODY, MAX_TEXT_FRAME, Message, signing};

use super::model::Job;
use super::secrets;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::secret::sha256;

/// Room that the envelope of an order takes beside its texts.
const ENVELOPE_BYTES: usize = 4 << 10;

/// The signed order to run a job, with the signatures that operators gave.
pub(super) fn cmd(hub: &Hub, job: &Job, signatures: Vec<String>) -> Result<Message> {
    let body = serde_json::to_string(&order(hub, job)?).map_err(Error::internal)?;
    let signed = hub.keys.sign(signing::CMD, body);
    Ok(Message::Cmd(Cmd { signed, op_body: job.op_body.clone(), op_sigs: signatures }))
}

/// The signed order to end a job.
pub(super) fn cancel(hub: &Hub, job: &Job, at: Timestamp) -> Result<Message> {
    let body = CancelBody { job_id: job.id, server_id: job.server_id, at_ms: at.as_ms() };
    let body = serde_json::to_string(&body).map_err(Error::internal)?;
    Ok(Message::Cancel(Cancel(hub.keys.sign(signing::CANCEL, body))))
}

/// 422 when the order would not fit into a message.
pub(super) fn check_size(order: &CmdBody, op_body: Option<&str>) -> Result<()> {
    let body = serde_json::to_string(order).map_err(Error::internal)?;
    // What operators sign is almost the same text once more; both are strings within a message, where each quotation
    // mark counts twice.
    let as_strings = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    let room = MAX_TEXT_FRAME - MAX_SIGNATURES * MAX_SIGNATURE - ENVELOPE_BYTES;
    let bytes = body.len();
    if bytes <= MAX_SIGNED_BODY && op_body.is_none_or(|op_body| as_strings(&body) + as_strings(op_body) <= room) {
        return Ok(());
    }
    let problem =
        format!("must be shorter: the signed order would have {bytes} bytes, and {MAX_SIGNED_BODY} are possible");
    Err(Error::invalid_field("args", problem))
}

/// What the hub signs.
pub(super) fn order(hub: &Hub, job: &Job) -> Result<CmdBody> {
    Ok(CmdBody {
        job_id: job.id,
        server_id: job.server_id,
        kind: job.definition.kind.clone(),
        args: secrets::args(hub, job)?,
        timeout_s: job.definition.timeout_s,
        limits: job.definition.limits,
        expires_at_ms: job.expires_at.as_ms(),
        actor: job.created_by.clone().into(),
        op_body_sha256: job.op_body.as_ref().map(|op_body| sha256(op_body.as_bytes())),
    })
}
