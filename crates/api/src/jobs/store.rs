//! The table of jobs.

use protocol::job::JobState;
use protocol::limits::JobLimits;
use protocol::{BatchId, JobId, ServerId, UserId, WorkspaceId};
use serde_json::Value;
use serde_json::value::RawValue;

use super::model::{CreatedBy, Definition, Job, JobError, LogSize};
use super::secrets::SealedEnv;
use super::signing::Signed;
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, JsonText};
use crate::sql;

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
pub(super) struct Filter {
    /// Of this server only.
    pub(super) server_id: Option<ServerId>,
    /// In these states only; empty: in any.
    pub(super) states: Vec<JobState>,
    /// Of this batch only.
    pub(super) batch_id: Option<BatchId>,
    /// Older than this position.
    pub(super) before: Option<i64>,
}

pub(super) async fn insert(conn: &mut Conn<'_>, job: &Job) -> Result<(), DbError> {
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
pub(super) async fn keep_secrets(conn: &mut Conn<'_>, id: JobId, secrets: &SealedEnv) -> Result<(), DbError> {
    conn.query(sql!("update jobs set secrets = $2 where id = $1"))
        .bind(id.to_string())
        .bind(JsonText(secrets.clone()))
        .execute()
        .await?;
    Ok(())
}

/// Writes everything that a transition may change, if the job is still in the state `from`.
pub(super) async fn update(conn: &mut Conn<'_>, job: &Job, from: JobState) -> Result<bool, DbError> {
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
pub(super) async fn request_cancel(conn: &mut Conn<'_>, id: JobId, at: Timestamp) -> Result<(), DbError> {
    conn.query(sql!(
        "update jobs set cancel_requested_at = $2 where id = $1 and cancel_requested_at is null and finished_at is null"
    ))
    .bind(id.to_string())
    .bind(at)
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: JobId) -> Result<Option<Job>, DbError> {
    let row = conn.query(sql!("select * from jobs where id = $1")).bind(id.to_string());
    Ok(row.fetch_optional::<Row>().await?.map(Job::from))
}

#[derive(sqlx::FromRow)]
struct SignedRow {
    fingerprint: String,
    signature: String,
    key_name: String,
    #[sqlx(try_from = "String")]
    user_id: UserId,
    user_name: String,
    signed_at: Timestamp,
}

/// Operators' signatures of a job, in the order in which they were given.
pub(super) async fn signatures(conn: &mut Conn<'_>, id: JobId) -> Result<Vec<Signed>, DbError> {
    let rows: Vec<SignedRow> = conn
        .query(sql!("select * from job_signatures where job_id = $1 order by signed_at, fingerprint"))
        .bind(id.to_string())
        .fetch_all()
        .await?;
    let signed = |row: SignedRow| Signed {
        fingerprint: row.fingerprint,
        signature: row.signature,
        key_name: row.key_name,
        user_id: row.user_id,
        user_name: row.user_name,
        at: row.signed_at,
    };
    Ok(rows.into_iter().map(signed).collect())
}

pub(super) async fn insert_signature(conn: &mut Conn<'_>, id: JobId, signed: &Signed) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into job_signatures (job_id, fingerprint, signature, key_name, user_id, user_name, signed_at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (job_id, fingerprint) do nothing"
    ))
    .bind(id.to_string())
    .bind(signed.fingerprint.clone())
    .bind(signed.signature.clone())
    .bind(signed.key_name.clone())
    .bind(signed.user_id.to_string())
    .bind(signed.user_name.clone())
    .bind(signed.at)
    .execute()
    .await?;
    Ok(())
}

/// Parts a job from the batch that made it.
pub(super) async fn leave_batch(conn: &mut Conn<'_>, id: JobId) -> Result<(), DbError> {
    conn.query(sql!("update jobs set batch_id = null where id = $1")).bind(id.to_string()).execute().await?;
    Ok(())
}

/// Several jobs, in no order. For lists that a frame's size bounds.
pub(super) async fn by_ids(conn: &mut Conn<'_>, ids: &[JobId]) -> Result<Vec<Job>, DbError> {
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

/// Newest first.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    workspace_id: WorkspaceId,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<Job>, DbError> {
    let states = if filter.states.is_empty() { JobState::ALL.to_vec() } else { filter.states.clone() };
    let before = filter.before.unwrap_or(i64::MAX);
    // One fixed text for each index that can serve the list; a batch has its own.
    let (text, first, narrowed) = match (filter.server_id, filter.batch_id) {
        (None, None) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and state in ({in}) \
                 order by position desc limit $3"
            ),
            4,
            [None, None],
        ),
        (Some(server_id), None) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and server_id = $4 and state in ({in}) \
                 order by position desc limit $3"
            ),
            5,
            [Some(server_id.to_string()), None],
        ),
        (None, Some(batch_id)) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and batch_id = $4 and state in ({in}) \
                 order by position desc limit $3"
            ),
            5,
            [Some(batch_id.to_string()), None],
        ),
        (Some(server_id), Some(batch_id)) => (
            sql!(
                "select * from jobs where workspace_id = $1 and position < $2 and batch_id = $4 and server_id = $5 \
                 and state in ({in}) order by position desc limit $3"
            ),
            6,
            [Some(batch_id.to_string()), Some(server_id.to_string())],
        ),
    };
    let rows = conn
        .query_in(text, first, states.len())
        .bind(workspace_id.to_string())
        .bind(before)
        .bind(limit)
        .bind_all(narrowed.into_iter().flatten());
    let rows = rows.bind_all(states.iter().map(|state| state.as_str().to_owned())).fetch_all::<Row>().await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// How many jobs wait for a server.
pub(super) async fn waiting(conn: &mut Conn<'_>, server_id: ServerId) -> Result<usize, DbError> {
    let (count,) = conn
        .query(sql!(
            "select count(*) from jobs where server_id = $1 and finished_at is null \
             and state in ('queued', 'awaiting_signature')"
        ))
        .bind(server_id.to_string())
        .fetch_one::<(i64,)>()
        .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Jobs that have not ended, by state.
pub(super) async fn count_unfinished(conn: &mut Conn<'_>) -> Result<Vec<(String, i64)>, DbError> {
    conn.query(sql!("select state, count(*) from jobs where finished_at is null group by state order by state"))
        .fetch_all()
        .await
}

/// The jobs whose turn is next.
pub(super) async fn next_queued(
    conn: &mut Conn<'_>,
    server_id: ServerId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from jobs where server_id = $1 and state = 'queued' and finished_at is null and expires_at > $2 \
             order by position limit $3"
        ))
        .bind(server_id.to_string())
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// The jobs that went to a server and have not ended, in order. The concurrency limit bounds them.
pub(super) async fn in_flight(conn: &mut Conn<'_>, server_id: ServerId) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from jobs where server_id = $1 and state in ('sent', 'running', 'reconciling') \
             and finished_at is null order by position"
        ))
        .bind(server_id.to_string())
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Unfinished jobs of a server, oldest first.
pub(super) async fn unfinished(conn: &mut Conn<'_>, server_id: ServerId, limit: usize) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!("select * from jobs where server_id = $1 and finished_at is null order by position limit $2"))
        .bind(server_id.to_string())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Servers with waiting jobs that have expired.
pub(super) async fn servers_with_expired(
    conn: &mut Conn<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<ServerId>, DbError> {
    servers(
        conn.query(sql!(
            "select distinct server_id from jobs where finished_at is null and expires_at <= $1 \
             and state in ('queued', 'awaiting_signature') limit $2"
        ))
        .bind(now)
        .bind(limit),
    )
    .await
}

/// Waiting jobs of a server that have expired.
pub(super) async fn expired(
    conn: &mut Conn<'_>,
    server_id: ServerId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Job>, DbError> {
    let rows = conn
        .query(sql!(
            "select * from jobs where server_id = $1 and finished_at is null and expires_at <= $2 \
             and state in ('queued', 'awaiting_signature') order by position limit $3"
        ))
        .bind(server_id.to_string())
        .bind(now)
        .bind(limit)
        .fetch_all::<Row>()
        .await?;
    Ok(rows.into_iter().map(Job::from).collect())
}

/// Servers that have jobs out, as far as their state says.
pub(super) async fn servers_with_jobs_out(conn: &mut Conn<'_>) -> Result<Vec<ServerId>, DbError> {
    servers(
        conn.query(sql!(
            "select distinct server_id from jobs where finished_at is null and state in ('sent', 'running')"
        )),
    )
    .await
}

/// Servers with jobs that were sent at least so long ago and never answered.
pub(super) async fn servers_with_unanswered(
    conn: &mut Conn<'_>,
    sent_before: Timestamp,
) -> Result<Vec<ServerId>, DbError> {
    servers(
        conn.query(sql!(
            "select distinct server_id from jobs where finished_at is null and state = 'sent' and delivered_at <= $1"
        ))
        .bind(sent_before),
    )
    .await
}

/// Servers that jobs wait for.
pub(super) async fn servers_with_queued(conn: &mut Conn<'_>) -> Result<Vec<ServerId>, DbError> {
    servers(conn.query(sql!("select distinct server_id from jobs where finished_at is null and state = 'queued'")))
        .await
}

async fn servers(query: crate::db::Stmt<'_>) -> Result<Vec<ServerId>, DbError> {
    let rows = query.fetch_all::<(String,)>().await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

/// Jobs that ended before a moment, oldest first.
pub(super) async fn ended_before(conn: &mut Conn<'_>, moment: Timestamp, limit: i64) -> Result<Vec<JobId>, DbError> {
    let rows = conn
        .query(sql!(
            "select id from jobs where finished_at is not null and finished_at < $1 order by finished_at limit $2"
        ))
        .bind(moment)
        .bind(limit)
        .fetch_all::<(String,)>()
        .await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

/// Bytes that the logs of ended jobs take.
pub(super) async fn stored_logs(conn: &mut Conn<'_>) -> Result<u64, DbError> {
    let (bytes,) = conn
        .query(sql!(
            "select cast(coalesce(sum(log_stored), 0) as bigint) from jobs \
             where finished_at is not null and log_stored > 0 and log_removed_at is null"
        ))
        .fetch_one::<(i64,)>()
        .await?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// The logs that go next to make room, with their bytes: those of the jobs that ended first.
pub(super) async fn oldest_logs(conn: &mut Conn<'_>, limit: i64) -> Result<Vec<(JobId, u64)>, DbError> {
    let rows = conn
        .query(sql!(
            "select id, log_stored from jobs where finished_at is not null and log_stored > 0 and log_removed_at is null \
             order by finished_at limit $1"
        ))
        .bind(limit)
        .fetch_all::<(String, i64)>()
        .await?;
    Ok(rows.into_iter().filter_map(|(id, bytes)| Some((id.parse().ok()?, u64::try_from(bytes).unwrap_or(0)))).collect())
}

/// Remembers that the logs of these jobs are gone.
pub(super) async fn expire_logs(conn: &mut Conn<'_>, ids: &[JobId], now: Timestamp) -> Result<u64, DbError> {
    conn.query_in(
        sql!("update jobs set log_removed_at = $1 where id in ({in}) and finished_at is not null"),
        2,
        ids.len(),
    )
    .bind(now)
    .bind_all(ids.iter().map(JobId::to_string))
    .execute()
    .await
}

pub(super) async fn delete(conn: &mut Conn<'_>, ids: &[JobId]) -> Result<u64, DbError> {
    conn.query_in(sql!("delete from jobs where id in ({in}) and finished_at is not null"), 1, ids.len())
        .bind_all(ids.iter().map(JobId::to_string))
        .execute()
        .await
}
