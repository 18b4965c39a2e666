//! `cmd`, `cmd_ack`, `cancel`, `log`, `job_done`, `ack`: one job from order to end.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::hex::Hex;
use crate::ids::{EventId, JobId, ServerId};
use crate::limits::JobLimits;
use crate::signing::Signed;

/// hub → agent: a job. `body` is a [`CmdBody`] signed under [`crate::signing::CMD`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cmd {
    /// The signed order.
    #[serde(flatten)]
    pub signed: Signed,
    /// What operators signed, for kinds that a host reserves for them (JSON string).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_body: Option<String>,
    /// Operators' SSHSIG signatures over `op_body`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub op_sigs: Vec<String>,
}

/// The signed body of `cmd`, at most [`crate::MAX_SIGNED_BODY`] bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CmdBody {
    /// The job. It runs at most once, however often it is delivered.
    pub job_id: JobId,
    /// The only server that may run it.
    pub server_id: ServerId,
    /// What to do, see [`crate::kinds::JobKind`].
    pub kind: String,
    /// Arguments of the kind, exactly as signed.
    pub args: Box<RawValue>,
    /// Seconds the job may run.
    pub timeout_s: u32,
    /// What it may take of the server.
    #[serde(default, skip_serializing_if = "JobLimits::is_none")]
    pub limits: JobLimits,
    /// Not to be started after this moment (hub's clock, Unix milliseconds); fixed when the job was made.
    pub expires_at_ms: i64,
    /// On whose behalf.
    pub actor: Actor,
    /// SHA-256 of `op_body`, where the kind needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_body_sha256: Option<Hex<32>>,
}

/// On whose behalf a job runs; evidence for the host's own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `user`, `api_key`, `schedule` or `workflow`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id at the hub.
    pub id: String,
    /// Name to show.
    pub name: String,
}

/// agent → hub: what became of a `cmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CmdAck {
    /// The job.
    pub job_id: JobId,
    /// The answer.
    #[serde(flatten)]
    pub outcome: CmdOutcome,
}

/// The three answers to a `cmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CmdOutcome {
    /// Claimed durably; it runs.
    Accepted(Accepted),
    /// Refused; it has not run and never will.
    Rejected(Rejected),
    /// Delivered before.
    Already(Already),
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When the worker claimed the job, host's clock, Unix milliseconds.
    pub started_at_ms: i64,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Machine-readable reason.
    pub code: RejectCode,
    /// For people: what is wrong and what to do.
    pub message: String,
}

/// Why an agent refuses a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectCode {
    /// The hub's signature does not verify, or the key is not the pinned one.
    BadSignature,
    /// Signed for another server.
    WrongServer,
    /// Past `expires_at_ms`.
    Expired,
    /// The host's policy does not allow it.
    PolicyDenied,
    /// The host's policy asks for a person's own signature, and there is none that counts.
    OperatorSignature,
    /// The agent does not know this kind.
    UnknownKind,
    /// The arguments do not fit the kind.
    BadArguments,
    /// The spool is full or the disk is.
    NoSpace,
    /// The worker could not be started.
    Unavailable,
    /// A code of a newer version.
    #[serde(other)]
    Other,
}

/// A repeat of a job that the agent has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Already {
    /// Where it stands.
    pub state: SpoolState,
    /// Bytes of log spooled so far.
    pub next_offset: u64,
}

/// hub → agent: end a job. The body is a [`CancelBody`] signed under [`crate::signing::CANCEL`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cancel(pub Signed);

/// The signed body of `cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelBody {
    /// The job to end.
    pub job_id: JobId,
    /// The only server that it may be cancelled on.
    pub server_id: ServerId,
    /// When the hub ordered it, Unix milliseconds.
    pub at_ms: i64,
}

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// The agent's own remarks.
    Sys,
}

/// agent → hub: a piece of a job's log. Out, err and sys share one offset space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The job.
    pub job_id: JobId,
    /// Raw bytes of the job's whole log before this piece.
    pub offset: u64,
    /// Where it came from.
    pub s: LogStream,
    /// When it was read, host's clock, Unix milliseconds.
    pub at_ms: i64,
    /// The output, valid UTF-8 of at most [`crate::MAX_LOG_TEXT`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The next binary frame (stream 0) holds exactly this many raw bytes, at most [`crate::MAX_BINARY_PAYLOAD`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u32>,
    /// This many bytes of output were dropped here because nobody took them in time (`sys` pieces only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_bytes: Option<u64>,
}

/// agent → hub: the end of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobDone {
    /// The job.
    pub job_id: JobId,
    /// How it ended.
    pub state: EndState,
    /// Exit code of the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Signal that ended the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// When it was claimed, host's clock, Unix milliseconds.
    pub started_at_ms: i64,
    /// From claim to the end of the process tree, milliseconds of a clock that is never set.
    pub duration_ms: u64,
    /// Length of the whole log, bytes.
    pub next_offset: u64,
    /// Typed by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// What went wrong, where an exit code does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
}

/// What went wrong with a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobError {
    /// Machine-readable reason.
    pub code: String,
    /// For people.
    pub message: String,
}

/// hub → agent: stored durably, may be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ack {
    /// Of a job's log and end.
    Job {
        /// The job.
        job_id: JobId,
        /// Bytes of log stored.
        next_offset: u64,
        /// Its end is stored too.
        #[serde(default)]
        done: bool,
    },
    /// Of an event.
    Event {
        /// The event.
        event_id: EventId,
    },
}

/// How a job ended. Never rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    /// Exit code 0.
    Succeeded,
    /// Another exit code, a signal, or it could not be started.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Ended because its time was up.
    TimedOut,
    /// The machine itself went down under it.
    Interrupted,
    /// Its outcome cannot be known any more.
    Lost,
}

/// What the agent's spool says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpoolState {
    /// Its worker lives.
    Running,
    /// Exit code 0.
    Succeeded,
    /// Another exit code, a signal, or it could not be started.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Ended because its time was up.
    TimedOut,
    /// The machine itself went down under it.
    Interrupted,
    /// Its worker was killed.
    Lost,
}

impl From<EndState> for SpoolState {
    fn from(state: EndState) -> Self {
        match state {
            EndState::Succeeded => Self::Succeeded,
            EndState::Failed => Self::Failed,
            EndState::Cancelled => Self::Cancelled,
            EndState::TimedOut => Self::TimedOut,
            EndState::Interrupted => Self::Interrupted,
            EndState::Lost => Self::Lost,
        }
    }
}

/// A job's state as the hub keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its server or its turn.
    Queued,
    /// Waits for an operator's signature.
    AwaitingSignature,
    /// On its way; no answer yet.
    Sent,
    /// Claimed by a worker.
    Running,
    /// Its server is away or came back without news of it: the outcome is not known yet.
    Reconciling,
    /// Exit code 0.
    Succeeded,
    /// Another exit code, a signal, or it could not be started.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Ended because its time was up.
    TimedOut,
    /// The machine itself went down under it.
    Interrupted,
    /// The agent refused it; it has not run.
    Rejected,
    /// Never sent before it expired.
    Expired,
    /// Its outcome cannot be known any more.
    Lost,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 13] = [
        Self::Queued,
        Self::AwaitingSignature,
        Self::Sent,
        Self::Running,
        Self::Reconciling,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Interrupted,
        Self::Rejected,
        Self::Expired,
        Self::Lost,
    ];

    /// The job is with its server, as far as the hub knows.
    #[must_use]
    pub const fn is_with_server(self) -> bool {
        matches!(self, Self::Sent | Self::Running | Self::Reconciling)
    }

    /// No state follows this one.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::AwaitingSignature | Self::Sent | Self::Running | Self::Reconciling)
    }

    /// Whether a job may go from `self` to `next`. A terminal state is never left.
    #[must_use]
    pub const fn can_become(self, next: Self) -> bool {
        match self {
            Self::Queued => {
                matches!(
                    next,
                    Self::AwaitingSignature
                        | Self::Sent
                        | Self::Cancelled
                        | Self::Expired
                        | Self::Rejected
                        | Self::Lost
                )
            }
            Self::AwaitingSignature => {
                matches!(next, Self::Queued | Self::Cancelled | Self::Expired | Self::Rejected | Self::Lost)
            }
            // Back to queued: the agent answered after a reconnect that it never saw the order.
            Self::Sent => !matches!(next, Self::Sent | Self::AwaitingSignature),
            Self::Running => {
                next.is_terminal() && !matches!(next, Self::Rejected | Self::Expired)
                    || matches!(next, Self::Reconciling)
            }
            Self::Reconciling => next.is_terminal() || matches!(next, Self::Running | Self::Queued | Self::Sent),
            _ => false,
        }
    }

    /// The name on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::AwaitingSignature => "awaiting_signature",
            Self::Sent => "sent",
            Self::Running => "running",
            Self::Reconciling => "reconciling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Lost => "lost",
        }
    }
}

impl From<EndState> for JobState {
    fn from(state: EndState) -> Self {
        match state {
            EndState::Succeeded => Self::Succeeded,
            EndState::Failed => Self::Failed,
            EndState::Cancelled => Self::Cancelled,
            EndState::TimedOut => Self::TimedOut,
            EndState::Interrupted => Self::Interrupted,
            EndState::Lost => Self::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_states_are_never_left() {
        for from in JobState::ALL.into_iter().filter(|state| state.is_terminal()) {
            for to in JobState::ALL {
                assert!(!from.can_become(to), "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn every_live_state_can_end() {
        for from in JobState::ALL.into_iter().filter(|state| !state.is_terminal()) {
            assert!(from.can_become(JobState::Lost), "{from:?}");
            assert!(from.can_become(JobState::Cancelled), "{from:?}");
        }
    }

    #[test]
    fn names_match_serde() {
        for state in JobState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.as_str()));
        }
    }
}
