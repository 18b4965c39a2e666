//! A job as the hub keeps it, and as the API shows it.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::job::JobState;
use protocol::limits::JobLimits;
use protocol::{BatchId, JobId, ServerId, WorkspaceId, job};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::secrets::SealedEnv;
use super::store;
use crate::access::{Actor, Node, Place, Resource, Scope};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Error, ErrorCode, Result};
use crate::projects;

/// One unit of work on one server.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// Where it runs; the server may be gone.
    pub server_id: ServerId,
    /// Its place in the queue of its server and in lists.
    pub position: i64,
    /// What it does; never changes.
    pub definition: Definition,
    /// When it was made.
    pub created_at: Timestamp,
    /// Not to be started after this.
    pub expires_at: Timestamp,
    /// On whose behalf.
    pub created_by: CreatedBy,
    /// The job that it repeats.
    pub retry_of: Option<JobId>,
    /// The batch that made it.
    pub batch_id: Option<BatchId>,
    /// What an operator has to sign; `None` where the host asks for no signature.
    pub op_body: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// When the order first went to the server.
    pub sent_at: Option<Timestamp>,
    /// When the order last went to the server.
    pub delivered_at: Option<Timestamp>,
    /// The boot of the machine that the order went to.
    pub boot_id: Option<String>,
    /// The server claimed it, so it may have run.
    pub claimed: bool,
    /// When somebody wanted it to end.
    pub cancel_requested_at: Option<Timestamp>,
    /// When it was claimed.
    pub started_at: Option<Timestamp>,
    /// When it ended; there exactly when the state is final.
    pub finished_at: Option<Timestamp>,
    /// From claim to end, by the host's clock.
    pub duration_ms: Option<i64>,
    /// Exit code of its main process.
    pub exit_code: Option<i64>,
    /// Signal that ended its main process.
    pub signal: Option<i64>,
    /// What went wrong, where an exit code does not say it.
    pub error: Option<JobError>,
    /// Typed by kind.
    pub result: Option<Value>,
    /// How much it wrote.
    pub log: LogSize,
    /// Its secret variables, until it has ended; its arguments have `***` in their place.
    pub secrets: Option<SealedEnv>,
}

/// What a job does.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Name of the kind.
    pub kind: String,
    /// Arguments of the kind, as they are signed.
    pub args: Box<RawValue>,
    /// Seconds it may run.
    pub timeout_s: u32,
    /// What it may take of its server.
    pub limits: JobLimits,
    /// No other job runs beside it.
    pub exclusive: bool,
}

/// On whose behalf a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = JobCreator)]
pub struct CreatedBy {
    /// `user`, `api_key`, `schedule`, `workflow` or `system`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id; empty for the hub itself.
    pub id: String,
    /// Its name at that time.
    pub name: String,
}

impl From<&Actor> for CreatedBy {
    fn from(actor: &Actor) -> Self {
        Self { kind: actor.kind().to_owned(), id: actor.id(), name: actor.name().to_owned() }
    }
}

impl From<CreatedBy> for job::Actor {
    fn from(created_by: CreatedBy) -> Self {
        Self { kind: created_by.kind, id: created_by.id, name: created_by.name }
    }
}

/// What went wrong with a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobError {
    /// Machine-readable reason.
    pub code: String,
    /// For people.
    pub message: String,
}

impl JobError {
    /// A reason and what to tell people.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// How much a job wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = JobLogSize)]
pub struct LogSize {
    /// Bytes of the log that are stored so far.
    pub bytes: u64,
    /// Some output was dropped; the log says where.
    pub truncated: bool,
    /// When it was removed, because all logs together took more room than they may; it cannot be read any more.
    #[schema(required)]
    pub removed_at: Option<Timestamp>,
    /// Bytes that it takes in the history store.
    #[serde(skip)]
    pub stored: u64,
}

impl Resource for Job {
    const WORD: &'static str = "job";
    const READ: Node = Node::JobsRead;
    type Id = JobId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: JobId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    /// That of its server; the jobs of a server that is gone lie in the workspace.
    fn place<'c>(&'c self, conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<Place>> {
        async move {
            let place = projects::place_of(conn, self.workspace_id, Scope::Server(self.server_id)).await?;
            Ok(place.unwrap_or(Place::WORKSPACE))
        }
        .boxed()
    }
}

/// The names of [`JobState`], for the API's document: the wire crate knows nothing of it.
#[derive(ToSchema)]
#[schema(as = JobState, rename_all = "snake_case")]
pub enum StateName {
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

/// Arguments of `exec` (exactly one of `command` and `argv`), for the API's document.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct ExecArgs {
    /// A command line for `/bin/sh -c`.
    command: Option<String>,
    /// Program and arguments, without a shell.
    argv: Option<Vec<String>>,
    /// Working directory, absolute; the user's home when absent.
    cwd: Option<String>,
    /// Added to a small clean environment.
    env: Option<std::collections::BTreeMap<String, String>>,
    /// As `env`, but the values are secrets of at least 6 bytes: they are never shown, and the log has `***` in their place.
    secret_env: Option<std::collections::BTreeMap<String, String>>,
    /// User to run as; root when absent.
    user: Option<String>,
    /// Written to standard input, which is closed afterwards.
    stdin: Option<String>,
}

/// What a job may take of its server; what is absent is not limited.
#[derive(ToSchema)]
#[schema(as = JobLimits)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct LimitsSchema {
    /// Processor time, in percent of one processor: 150 is one and a half.
    #[schema(minimum = 1, maximum = 100_000)]
    cpu_percent: Option<u32>,
    /// Memory of all its processes, bytes.
    #[schema(minimum = 4_194_304)]
    memory_bytes: Option<u64>,
    /// Processes and threads.
    #[schema(minimum = 1)]
    pids: Option<u32>,
    /// Share of the disks beside others, which have 100.
    #[schema(minimum = 1, maximum = 10_000)]
    io_weight: Option<u16>,
    /// Scheduling priority, -20 (first) to 19 (last).
    #[schema(minimum = -20, maximum = 19)]
    nice: Option<i8>,
}

/// A job as the API shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    #[schema(value_type = String, format = Uuid)]
    id: JobId,
    /// Where it runs; the server may be gone.
    #[schema(value_type = String, format = Uuid)]
    server_id: ServerId,
    /// `exec`.
    kind: String,
    #[schema(value_type = ExecArgs)]
    args: Box<RawValue>,
    #[schema(value_type = StateName)]
    state: JobState,
    /// Exit code of the main process, where it ended by itself.
    #[schema(required)]
    exit_code: Option<i64>,
    /// Signal that ended the main process.
    #[schema(required)]
    signal: Option<i64>,
    /// What went wrong, where an exit code does not say it.
    #[schema(required)]
    error: Option<JobError>,
    created_at: Timestamp,
    /// When the order first went to the server.
    #[schema(required)]
    sent_at: Option<Timestamp>,
    /// When the server claimed it.
    #[schema(required)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<Timestamp>,
    /// From claim to end, by a clock of the host that is never set.
    #[schema(required)]
    duration_ms: Option<i64>,
    timeout_s: u32,
    /// What it may take of its server; null: nothing is limited.
    #[schema(required, value_type = Option<LimitsSchema>)]
    limits: Option<JobLimits>,
    /// No other job runs beside it.
    exclusive: bool,
    /// Not to be started after this.
    expires_at: Timestamp,
    /// When somebody asked for its end; it has ended once the state says so.
    #[schema(required)]
    cancel_requested_at: Option<Timestamp>,
    created_by: CreatedBy,
    /// The job that this one repeats.
    #[schema(required, value_type = Option<String>)]
    retry_of: Option<JobId>,
    /// The batch that made it.
    #[schema(required, value_type = Option<String>)]
    batch_id: Option<BatchId>,
    log: LogSize,
    /// Typed by kind; `exec` has none.
    #[schema(required, value_type = Option<Object>)]
    result: Option<Value>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            server_id: job.server_id,
            kind: job.definition.kind,
            args: job.definition.args,
            state: job.state,
            exit_code: job.exit_code,
            signal: job.signal,
            error: job.error,
            created_at: job.created_at,
            sent_at: job.sent_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            duration_ms: job.duration_ms,
            timeout_s: job.definition.timeout_s,
            limits: Some(job.definition.limits).filter(|limits| !limits.is_none()),
            exclusive: job.definition.exclusive,
            expires_at: job.expires_at,
            cancel_requested_at: job.cancel_requested_at,
            created_by: job.created_by,
            retry_of: job.retry_of,
            batch_id: job.batch_id,
            log: job.log,
            result: job.result,
        }
    }
}

impl Job {
    /// 410 when the log is not there any more.
    pub(super) fn refuse_removed_log(&self) -> Result<()> {
        let Some(at) = self.log.removed_at else { return Ok(()) };
        let message = format!(
            "the log of this job was removed at {at}, because all logs together took more room than the hub's setting \
             retention.job_logs_gib allows"
        );
        Err(Error::new(ErrorCode::Gone, message))
    }

    /// 409 for something that only an unfinished job allows; `what` is "be cancelled" and the like.
    pub(super) fn refuse_finished(&self, what: &str) -> Result<()> {
        if !self.state.is_terminal() {
            return Ok(());
        }
        let state = self.state.as_str();
        Err(Error::conflict(format!("this job has ended already ({state}) and cannot {what}")))
    }
}
