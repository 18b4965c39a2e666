//! The table of jobs.

mod queue;
mod retention;
mod signatures;

use protocol::job::JobState;
use protocol::limits::JobLimits;
use protocol::{BatchId, JobId, ServerId, WorkspaceId};
use serde_json::Value;
use serde_json::value::RawValue;

use super::model::{CreatedBy, Definition, Job, JobError, LogSize};
use super::secrets::SealedEnv;
use crate::access::{Columns, Reach};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::sql;

pub(in crate::jobs) use queue::{
    count_unfinished, expired, in_flight, next_queued, servers_with_expired, servers_with_jobs_out,
    servers_with_queued, servers_with_unanswered, unfinished, waiting,
};
pub(in crate::jobs) use retention::{ended_before, expire_logs, oldest_logs, stored_logs};
pub(in crate::jobs) use signatures::{insert_signature, signatures};

/// A row of `jobs`.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    #[sqlx(try_from = "String")]
    id: JobId,
    #[sqlx(try_from = "String")]
    workspace_id: WorkspaceId,
    #[sqlx(try_from = "String")]
    server_id: ServerId,
    position: i64,
    kind: String,
    args: JsonText<Box<RawValue>>,
    timeout_s: i64,
    created_at: Timestamp,
    expires_at: Timestamp,
    created_by_type: String,
    created_by_id: String,
    created_by_name: String,
    retry_of: Option<String>,
    batch_id: Option<String>,
    op_body: Option<String>,
    exclusive: bool,
    limits: Option<JsonText<JobLimits>>,
    #[sqlx(try_from = "String")]
    state: StateText,
    sent_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    boot_id: Option<String>,
    claimed: bool,
    cancel_requested_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    duration_ms: Option<i64>,
    exit_code: Option<i64>,
    signal: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    result: Option<JsonText<Value>>,
    log_bytes: i64,
    log_truncated: bool,
    secrets: Option<JsonText<SealedEnv>>,
    log_stored: i64,
    log_removed_at: Option<Timestamp>,
}

#[derive(Debug)]
struct StateText(JobState);

impl TryFrom<String> for StateText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let state = JobState::ALL.into_iter().find(|state| state.as_str() == text);
        state.map(Self).ok_or_else(|| format!("unknown job state {text:?}"))
    }
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        let error = row.error_code.map(|code| JobError { code, message: row.error_message.unwrap_or_default() });
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            server_id: row.server_id,
            position: row.position,
            definition: Definition {
                kind: row.kind,
                args: row.args.0,
                timeout_s: u32::try_from(row.timeout_s).unwrap_or(u32::MAX),
                limits: row.limits.map(|limits| limits.0).unwrap_or_default(),
                exclusive: row.exclusive,
            },
            created_at: row.created_at,
            expires_at: row.expires_at,
            created_by: CreatedBy { kind: row.created_by_type, id: row.created_by_id, name: row.created_by_name },
            retry_of: row.retry_of.and_then(|id| id.parse().ok()),
            batch_id: row.batch_id.and_then(|id| id.parse().ok()),
            op_body: row.op_body,
            state: row.state.0,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            boot_id: row.boot_id,
            claimed: row.claimed,
            cancel_requested_at: row.cancel_requested_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            duration_ms: row.duration_ms,
            exit_code: row.exit_code,
            signal: row.signal,
            error,
            result: row.result.map(|json| json.0),
            log: LogSize {
                bytes: u64::try_from(row.log_bytes).unwrap_or(0),
                truncated: row.log_truncated,
                removed_at: row.log_removed_at,
                stored: u64::try_from(row.log_stored).unwrap_or(0),
            },
            secrets: row.secrets.map(|json| json.0),
        }
    }
}

/// Which jobs a list shows.
#[derive(Debug, Clone, Default)]
pub(in crate::jobs) struct Filter {
    /// Of this server only.
    pub(in crate::jobs) server_id: Option<ServerId>,
    /// In these states only; empty: in any.
    pub(in crate::jobs) states: Vec<JobState>,
    /// Of this batch only.
    pub(in crate::jobs) batch_id: Option<BatchId>,
    /// Older than this position.
    pub(in crate::jobs) before: Option<i64>,
}

pub(in crate::jobs) async fn insert(conn: &mut Conn<'_>, job: &Job) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into jobs (id, workspace_id, server_id, position, kind, args, timeout_s, created_at, expires_at, \
         created_by_type, created_by_id, created_by_name, retry_of, state, sent_at, delivered_at, boot_id, \
         exclusive, limits, batch_id, op_body, claimed, finished_at, log_bytes, log_truncated) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, \
         false, null, 0, false)"
    ))
    .bind(job.id.to_string())
    .bind(job.workspace_id.to_string())
    .bind(job.server_id.to_string())
    .bind(job.position)
    .bind(job.definition.kind.clone())
    .bind(job.definition.args.get().to_owned())
    .bind(i64::from(job.definition.timeout_s))
    .bind(job.created_at)
    .bind(job.expires_at)
    .bind(job.created_by.kind.clone())
    .bind(job.created_by.id.clone())
    .bind(job.created_by.name.clone())
    .bind(job.retry_of.map(|id| id.to_string()))
    .bind(job.state.as_str().to_owned())
    .bind(job.sent_at)
    .bind(job.delivered_at)
    .bind(job.boot_id.clone())
    .bind(job.definition.exclusive)
    .bind(Some(job.definition.limits).filter(|limits| !limits.is_none()).map(JsonText))
    .bind(job.batch_id.map(|id| id.to_string()))
    .bind(job.op_body.clone())
    .execute()
    .await?;
    Ok(())
}

/// Keeps the secrets of a new job; the end of the job erases them.
pub(in crate::jobs) async fn keep_secrets(conn: &mut Conn<'_>, id: JobId, secrets: &SealedEnv) -> Result<(), DbError> {
    conn.query(sql!("update jobs set secrets = $2 where id = $1"))
        .bind(id.to_string())
        .bind(JsonText(secrets.clone()))
        .execute()
        .await?;
    Ok(())
}

/// Writes everything that a transition may change, if the job is still in the state `from`.
pub(in crate::jobs) async fn update(conn: &mut Conn<'_>, job: &Job, from: JobState) -> Result<bool, DbError> {
    let (error_code, error_message) = job.error.clone().map(|error| (error.code, error.message)).unzip();
    let changed = conn
        .query(sql!(
            "update jobs set state = $3, sent_at = $4, delivered_at = $5, boot_id = $6, claimed = $7, started_at = $8, \
             finished_at = $9, duration_ms = $10, exit_code = $11, signal = $12, error_code = $13, \
             error_message = $14, result = $15, log_bytes = $16, log_truncated = $17, log_stored = $18, \
             secrets = case when cast($9 as bigint) is null then secrets end \
             where id = $1 and state = $2"
        ))
        .bind(job.id.to_string())
        .bind(from.as_str().to_owned())
        .bind(job.state.as_str().to_owned())
        .bind(job.sent_at)
        .bind(job.delivered_at)
        .bind(job.boot_id.clone())
        .bind(job.claimed)
        .bind(job.started_at)
        .bind(job.finished_at)
        .bind(job.duration_ms)
        .bind(job.exit_code)
        .bind(job.signal)
        .bind(error_code)
        .bind(error_message)
        .bind(job.result.clone().map(JsonText))
        .bind(i64::try_from(job.log.bytes).unwrap_or(i64::MAX))
        .bind(job.log.truncated)
        .bind(i64::try_from(job.log.stored).unwrap_or(i64::MAX))
        .execute()
        .await?;
    Ok(changed == 1)
}

/// Remembers that an unfinished job shall end. Only the first wish counts.
pub(in crate::jobs) async fn request_cancel(conn: &mut Conn<'_>, id: JobId, at: Timestamp) -> Result<(), DbError> {
    conn.query(sql!(
        "update jobs set cancel_requested_at = $2 where id = $1 and cancel_requested_at is null and finished_at is null"
    ))
    .bind(id.to_string())
    .bind(at)
    .execute()
    .await?;
    Ok(())
}

pub(in crate::jobs) async fn by_id(conn: &mut Conn<'_>, id: JobId) -> Result<Option<Job>, DbError> {
    let row = conn.query(sql!("select * from jobs where id = $1")).bind(id.to_string());
    Ok(row.fetch_optional::<Row>().await?.map(Job::from))
}

/// Parts a job from the batch that made it.
pub(in crate::jobs) async fn leave_batch(conn: &mut Conn<'_>, id: JobId) -> Result<(), DbError> {
    conn.query(sql!("update jobs set batch_id = null where id = $1")).bind(id.to_string()).execute().await?;
    Ok(())
}

/// Several jobs, in no order. For lists that a frame's size bounds.
pub(in crate::jobs) async fn by_ids(conn: &mut Conn<'_>, ids: &[JobId]) -> Result<Vec<Job>, DbError> {
    let mut jobs = Vec::with_capacity(ids.len());
    for page in ids.chunks(500) {
        let rows = conn
            .query_in(sql!("select * from jobs where id in ({in})"), 1, page.len())
            .bind_all(page.iter().map(JobId::to_string))
            .fetch_all::<Row>()
            .await?;
        jobs.extend(rows.into_iter().map(Job::from));
    }
    Ok(jobs)
}

/// Where a job lies: where its server does.
const COLUMNS: Columns = Columns { project: "s.project_id", server: "s.id" };

/// Newest first.
pub(in crate::jobs) async fn list(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    reach: &Reach,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Job>, DbError> {
    // One fixed text for each index that can serve the list; a batch has its own.
    let (text, narrowed) = match (filter.server_id, filter.batch_id) {
        (None, None) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and state in ({in}) and {within} \
                 order by position desc limit $3"
            ),
            [None, None],
        ),
        (Some(server_id), None) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and server_id = $4 and state in ({in}) \
                 and {within} order by position desc limit $3"
            ),
            [Some(server_id.to_string()), None],
        ),
        (None, Some(batch_id)) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and batch_id = $4 and state in ({in}) \
                 and {within} order by position desc limit $3"
            ),
            [Some(batch_id.to_string()), None],
        ),
        (Some(server_id), Some(batch_id)) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and batch_id = $4 and server_id = $5 \
                 and state in ({in}) and {within} order by position desc limit $3"
            ),
            [Some(batch_id.to_string()), Some(server_id.to_string())],
        ),
    };
    let states = if filter.states.is_empty() { JobState::ALL.as_slice() } else { filter.states.as_slice() };
    let first = 4 + narrowed.iter().flatten().count();
    let visible = if reach.is_everything() {
        "1 = 1".to_owned()
    } else {
        let within = reach.condition(COLUMNS, first + states.len());
        format!("server_id in (select s.id from servers s where s.workspace_id = $1 and {within})")
    };
    let text = crate::db::with_list(text, first, states.len()).replace("{within}", &visible);
    let rows = conn
        .query_built(text)
        .bind(workspace_id.to_string())
        .bind(filter.before.unwrap_or(i64::MAX))
        .bind(limit)
        .bind_all(narrowed.into_iter().flatten())
        .bind_all(states.iter().map(|state| state.as_str().to_owned()))
        .bind_all(reach.ids());
    Ok(rows.fetch_all::<Row>().await?.into_iter().map(Job::from).collect())
}

pub(in crate::jobs) async fn delete(conn: &mut Conn<'_>, ids: &[JobId]) -> Result<u64, DbError> {
    conn.query_in(sql!("delete from jobs where id in ({in}) and finished_at is not null"), 1, ids.len())
        .bind_all(ids.iter().map(JobId::to_string))
        .execute()
        .await
}
