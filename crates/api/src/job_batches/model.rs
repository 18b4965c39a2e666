//! A batch as the hub keeps it, and as the API shows it.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use protocol::limits::JobLimits;
use protocol::{BatchId, JobId, ServerId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::input::SelectorBody;
use super::store;
use crate::access::{self, Node, Resource};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Error, Result};
use crate::jobs::{CreatedBy, Definition, ExecArgs, JobError, LimitsSchema, StateName};
use crate::servers::Selector;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = JobBatchState)]
pub(super) enum BatchState {
    /// Its waves go on.
    Running,
    /// Somebody stopped it; it can be resumed.
    Paused,
    /// More jobs failed than it allows; it can be resumed.
    Halted,
    /// Every job succeeded.
    Succeeded,
    /// Every job has ended, and some otherwise than succeeded.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl BatchState {
    /// Every state.
    pub(super) const ALL: [Self; 6] =
        [Self::Running, Self::Paused, Self::Halted, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The name in the API and in the database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// No state follows this one.
    pub(super) const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// In which portions a batch goes on, and when it stops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = JobBatchStrategy)]
pub(super) struct Strategy {
    /// So many servers first, alone.
    #[schema(required)]
    pub(super) canary: Option<u32>,
    /// So many servers in each wave after that.
    #[schema(required)]
    pub(super) batch_size: Option<u32>,
    /// Such a part of all servers in each wave, percent, rounded up.
    #[schema(required)]
    pub(super) batch_percent: Option<u32>,
    /// So many jobs may fail; one more halts the batch.
    pub(super) max_failures: u32,
    /// Seconds between the end of a wave and the start of the next one.
    pub(super) pause_s: u32,
}

impl Strategy {
    /// How many servers each wave has.
    pub(super) fn waves(self, total: usize) -> Vec<usize> {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let mut waves = Vec::new();
        let mut left = total;
        let canary = self.canary.map_or(0, count).min(left);
        if canary > 0 {
            waves.push(canary);
            left -= canary;
        }
        let percent = |percent: u32| total.saturating_mul(count(percent)).div_ceil(100);
        let size = self.batch_size.map(count).or(self.batch_percent.map(percent)).unwrap_or(left).max(1);
        while left > 0 {
            waves.push(size.min(left));
            left = left.saturating_sub(size);
        }
        waves
    }
}

/// How many servers of a batch stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) total: i64,
    pub(super) active: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
}

/// One job on several servers.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    pub(super) workspace_id: WorkspaceId,
    pub(super) definition: Definition,
    pub(super) expires_in_s: u32,
    pub(super) selector: Selector,
    pub(super) strategy: Strategy,
    pub(super) state: BatchState,
    pub(super) halt_message: Option<String>,
    pub(super) forgiven: i64,
    pub(super) wave: i64,
    pub(super) waves: i64,
    pub(super) next_wave_at: Option<Timestamp>,
    pub(super) counts: Counts,
    pub(super) created_at: Timestamp,
    pub(super) created_by: CreatedBy,
    pub(super) finished_at: Option<Timestamp>,
    /// The project that all its servers were in, the one server that it is for.
    pub(super) place: access::Place,
}

impl Batch {
    /// Nothing more is begun.
    pub(super) fn stop(&mut self, state: BatchState, message: String) {
        self.state = state;
        self.halt_message = Some(message);
        self.next_wave_at = None;
    }

    /// It goes on where it stood; what failed until now does not count any more.
    pub(super) fn go_on(&mut self) {
        self.state = BatchState::Running;
        self.halt_message = None;
        self.forgiven = self.counts.failed;
    }

    /// Whether more jobs have failed than may.
    pub(super) fn has_failed_too_often(&self) -> bool {
        self.counts.failed - self.forgiven > i64::from(self.strategy.max_failures)
    }

    /// 409 for something that its state does not allow; `what` is "be paused" and the like.
    pub(super) fn refuse(&self, what: &str) -> Error {
        Error::conflict(format!("this batch is {} and cannot {what}", self.state.as_str()))
    }
}

impl Resource for Batch {
    const WORD: &'static str = "job batch";
    const READ: Node = Node::JobsRead;
    type Id = BatchId;

    fn load<'c>(conn: &'c mut Conn<'_>, _workspace: WorkspaceId, id: BatchId) -> BoxFuture<'c, Result<Option<Self>>> {
        async move { Ok(store::by_id(conn, id).await?) }.boxed()
    }

    fn workspace_id(&self) -> WorkspaceId {
        self.workspace_id
    }

    fn place<'c>(&'c self, _conn: &'c mut Conn<'_>) -> BoxFuture<'c, Result<access::Place>> {
        async { Ok(self.place) }.boxed()
    }
}

/// One server of a batch, and what became of its job.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) place: i64,
    pub(super) server_id: ServerId,
    pub(super) server_name: String,
    pub(super) wave: i64,
    pub(super) job: Option<PlaceJob>,
}

/// The job of a server in a batch.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = JobBatchJob)]
pub(super) struct PlaceJob {
    /// The job; null where it could not be made.
    #[schema(required, value_type = Option<String>, format = Uuid)]
    pub(super) id: Option<JobId>,
    /// As in the job; the row of a job that was removed for its age still says so.
    #[schema(value_type = StateName)]
    pub(super) state: String,
    #[schema(required)]
    pub(super) exit_code: Option<i64>,
    #[schema(required)]
    pub(super) error: Option<JobError>,
    #[schema(required)]
    pub(super) started_at: Option<Timestamp>,
    #[schema(required)]
    pub(super) finished_at: Option<Timestamp>,
    #[schema(required)]
    pub(super) duration_ms: Option<i64>,
}

/// Which servers of a batch a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobBatchServerState)]
pub(super) enum PlaceFilter {
    /// Not begun.
    Waiting,
    /// With a job that has not ended.
    Active,
    /// With a job that succeeded.
    Succeeded,
    /// With a job that ended otherwise.
    Failed,
}

/// A server of a batch, as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobBatchServer)]
pub(super) struct PlaceView {
    /// The server; it may be gone.
    #[schema(value_type = String, format = Uuid)]
    server_id: ServerId,
    /// Its name when the batch was made.
    server_name: String,
    /// The wave it belongs to, from 0.
    wave: i64,
    /// Its job; null until it is begun.
    #[schema(required)]
    job: Option<PlaceJob>,
}

impl From<Place> for PlaceView {
    fn from(place: Place) -> Self {
        let Place { server_id, server_name, wave, job, .. } = place;
        Self { server_id, server_name, wave, job }
    }
}

/// Why a batch stands still.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobBatchHalt)]
struct Halt {
    /// Jobs that failed since it was made or resumed.
    failures: i64,
    /// For people.
    message: String,
}

/// How many servers of a batch stand where.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobBatchCounts)]
struct CountsView {
    total: i64,
    /// Not begun.
    waiting: i64,
    /// With a job that has not ended.
    active: i64,
    /// With a job that succeeded.
    succeeded: i64,
    /// With a job that ended otherwise.
    failed: i64,
}

/// A batch as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobBatch)]
pub(super) struct BatchView {
    #[schema(value_type = String, format = Uuid)]
    id: BatchId,
    kind: String,
    #[schema(value_type = ExecArgs)]
    args: Box<RawValue>,
    timeout_s: u32,
    /// How long each job may wait for its server, from the moment in which it is made.
    expires_in_s: u32,
    #[schema(required, value_type = Option<LimitsSchema>)]
    limits: Option<JobLimits>,
    exclusive: bool,
    #[schema(value_type = SelectorBody)]
    selector: Selector,
    strategy: Strategy,
    state: BatchState,
    /// Why it stands still; null while it goes on.
    #[schema(required)]
    halt: Option<Halt>,
    /// The wave that is under way, from 0.
    wave: i64,
    waves: i64,
    /// When the next wave begins; null unless it waits between two.
    #[schema(required)]
    next_wave_at: Option<Timestamp>,
    counts: CountsView,
    created_at: Timestamp,
    created_by: CreatedBy,
    #[schema(required)]
    finished_at: Option<Timestamp>,
}

impl From<Batch> for BatchView {
    fn from(batch: Batch) -> Self {
        let Counts { total, active, succeeded, failed } = batch.counts;
        let failures = failed - batch.forgiven;
        Self {
            id: batch.id,
            kind: batch.definition.kind,
            args: batch.definition.args,
            timeout_s: batch.definition.timeout_s,
            expires_in_s: batch.expires_in_s,
            limits: Some(batch.definition.limits).filter(|limits| !limits.is_none()),
            exclusive: batch.definition.exclusive,
            selector: batch.selector,
            strategy: batch.strategy,
            state: batch.state,
            halt: batch.halt_message.map(|message| Halt { failures, message }),
            wave: batch.wave,
            waves: batch.waves,
            next_wave_at: batch.next_wave_at,
            counts: CountsView { total, waiting: total - active - succeeded - failed, active, succeeded, failed },
            created_at: batch.created_at,
            created_by: batch.created_by,
            finished_at: batch.finished_at,
        }
    }
}
