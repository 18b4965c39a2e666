//! SQL of batches and their servers.

use protocol::limits::JobLimits;
use protocol::{BatchId, JobId, ServerId, WorkspaceId};
use serde_json::value::RawValue;

use super::model::{Batch, BatchState, Counts, Place, PlaceFilter, PlaceJob, Strategy};
use crate::access::verbs::JobsRead;
use crate::access::{self, Columns, Visible};
use crate::clock::Timestamp;
use crate::db::{Conn, DbError, IdText, JsonText, with_list};
use crate::ids::ProjectId;
use crate::jobs::{CreatedBy, Definition, JobError};
use crate::servers::{Selected, Selector};
use crate::sql;

/// A row of `job_batches`.
#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(try_from = "String")]
    id: BatchId,
    #[sqlx(try_from = "String")]
    workspace_id: WorkspaceId,
    kind: String,
    args: JsonText<Box<RawValue>>,
    timeout_s: i64,
    expires_in_s: i64,
    limits: Option<JsonText<JobLimits>>,
    exclusive: bool,
    selector: JsonText<Selector>,
    canary: Option<i64>,
    batch_size: Option<i64>,
    batch_percent: Option<i64>,
    max_failures: i64,
    pause_s: i64,
    state: BatchState,
    halt_message: Option<String>,
    forgiven: i64,
    wave: i64,
    waves: i64,
    next_wave_at: Option<Timestamp>,
    total: i64,
    active: i64,
    succeeded: i64,
    failed: i64,
    created_at: Timestamp,
    created_by_type: String,
    created_by_id: String,
    created_by_name: String,
    finished_at: Option<Timestamp>,
    project_id: Option<IdText<ProjectId>>,
    server_id: Option<IdText<ServerId>>,
}

fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl From<Row> for Batch {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            definition: Definition {
                kind: row.kind,
                args: row.args.0,
                timeout_s: number(row.timeout_s),
                limits: row.limits.map(|limits| limits.0).unwrap_or_default(),
                exclusive: row.exclusive,
            },
            expires_in_s: number(row.expires_in_s),
            selector: row.selector.0,
            strategy: Strategy {
                canary: row.canary.map(number),
                batch_size: row.batch_size.map(number),
                batch_percent: row.batch_percent.map(number),
                max_failures: number(row.max_failures),
                pause_s: number(row.pause_s),
            },
            state: row.state,
            halt_message: row.halt_message,
            forgiven: row.forgiven,
            wave: row.wave,
            waves: row.waves,
            next_wave_at: row.next_wave_at,
            counts: Counts { total: row.total, active: row.active, succeeded: row.succeeded, failed: row.failed },
            created_at: row.created_at,
            created_by: CreatedBy { kind: row.created_by_type, id: row.created_by_id, name: row.created_by_name },
            finished_at: row.finished_at,
            place: access::Place { project_id: row.project_id.map(|id| id.0), server_id: row.server_id.map(|id| id.0) },
        }
    }
}

pub(super) async fn insert(conn: &mut Conn<'_>, batch: &Batch) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into job_batches (id, workspace_id, kind, args, timeout_s, expires_in_s, limits, exclusive, selector,
             canary, batch_size, batch_percent, max_failures, pause_s, state, forgiven, wave, waves, total, active,
             succeeded, failed, created_at, created_by_type, created_by_id, created_by_name, project_id, server_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, 0, $16, $17, 0, 0, 0, $18, $19,
             $20, $21, $22, $23)"
    ))
    .bind(batch.id.to_string())
    .bind(batch.workspace_id.to_string())
    .bind(batch.definition.kind.clone())
    .bind(batch.definition.args.get().to_owned())
    .bind(i64::from(batch.definition.timeout_s))
    .bind(i64::from(batch.expires_in_s))
    .bind(Some(batch.definition.limits).filter(|limits| !limits.is_none()).map(JsonText))
    .bind(batch.definition.exclusive)
    .bind(JsonText(batch.selector.clone()))
    .bind(batch.strategy.canary.map(i64::from))
    .bind(batch.strategy.batch_size.map(i64::from))
    .bind(batch.strategy.batch_percent.map(i64::from))
    .bind(i64::from(batch.strategy.max_failures))
    .bind(i64::from(batch.strategy.pause_s))
    .bind(batch.state)
    .bind(batch.waves)
    .bind(batch.counts.total)
    .bind(batch.created_at)
    .bind(batch.created_by.kind.clone())
    .bind(batch.created_by.id.clone())
    .bind(batch.created_by.name.clone())
    .bind(batch.place.project_id.map(IdText))
    .bind(batch.place.server_id.map(IdText))
    .execute()
    .await?;
    Ok(())
}

pub(super) async fn insert_place(
    conn: &mut Conn<'_>,
    id: BatchId,
    place: i64,
    wave: usize,
    server: &Selected,
) -> Result<(), DbError> {
    conn.query(sql!(
        "insert into job_batch_servers (batch_id, place, server_id, server_name, wave) values ($1, $2, $3, $4, $5)"
    ))
    .bind(id.to_string())
    .bind(place)
    .bind(server.id.to_string())
    .bind(server.name.clone())
    .bind(i64::try_from(wave).unwrap_or(i64::MAX))
    .execute()
    .await?;
    Ok(())
}

/// Writes what moves, if the batch is still in the state `from`.
pub(super) async fn update(conn: &mut Conn<'_>, batch: &Batch, from: BatchState) -> Result<bool, DbError> {
    let changed = conn
        .query(sql!(
            "update job_batches set state = $3, halt_message = $4, forgiven = $5, wave = $6, next_wave_at = $7,
                 active = $8, succeeded = $9, failed = $10, finished_at = $11
             where id = $1 and state = $2"
        ))
        .bind(batch.id.to_string())
        .bind(from)
        .bind(batch.state)
        .bind(batch.halt_message.clone())
        .bind(batch.forgiven)
        .bind(batch.wave)
        .bind(batch.next_wave_at)
        .bind(batch.counts.active)
        .bind(batch.counts.succeeded)
        .bind(batch.counts.failed)
        .bind(batch.finished_at)
        .execute()
        .await?;
    Ok(changed == 1)
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: BatchId) -> Result<Option<Batch>, DbError> {
    let row: Option<Row> =
        conn.query(sql!("select * from job_batches where id = $1")).bind(id.to_string()).fetch_optional().await?;
    Ok(row.map(Batch::from))
}

/// Newest first.
pub(super) async fn list(
    conn: &mut Conn<'_>,
    visible: &Visible<JobsRead>,
    states: &[BatchState],
    before: Option<String>,
    limit: i64,
) -> Result<Vec<Batch>, DbError> {
    let states = if states.is_empty() { BatchState::ALL.as_slice() } else { states };
    let text = sql!(
        "select * from job_batches where workspace_id = $1 and id < $2 and state in ({in}) and {within}
         order by id desc limit $3"
    );
    let columns = Columns { project: "project_id", server: "server_id" };
    let within = visible.reach.condition(columns, 4 + states.len());
    let rows: Vec<Row> = conn
        .query_built(with_list(text, 4, states.len()).replace("{within}", &within))
        .bind(visible.actor.workspace_id.to_string())
        // Greater than every id.
        .bind(before.unwrap_or_else(|| "g".to_owned()))
        .bind(limit)
        .bind_all(states.iter().copied())
        .bind_all(visible.reach.ids())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(Batch::from).collect())
}

/// Locks a batch that goes on until the end of the transaction; `false` when it does not.
pub(super) async fn hold(conn: &mut Conn<'_>, id: BatchId) -> Result<bool, DbError> {
    // Writing what is there already locks the row on both engines.
    let held = conn
        .query(sql!("update job_batches set state = state where id = $1 and state = 'running'"))
        .bind(id.to_string())
        .execute()
        .await?;
    Ok(held == 1)
}

/// Batches that have not ended, oldest first, after `after`.
pub(super) async fn unfinished(conn: &mut Conn<'_>, after: String, limit: i64) -> Result<Vec<BatchId>, DbError> {
    let rows: Vec<(String,)> = conn
        .query(sql!("select id from job_batches where finished_at is null and id > $1 order by id limit $2"))
        .bind(after)
        .bind(limit)
        .fetch_all()
        .await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

/// Writes the final states of ended jobs beside their servers, where they outlive the jobs.
pub(super) async fn note_ends(conn: &mut Conn<'_>, id: BatchId) -> Result<(), DbError> {
    conn.query(sql!(
        "update job_batch_servers
         set outcome = (select state from jobs j where j.batch_id = job_batch_servers.batch_id
                        and j.server_id = job_batch_servers.server_id),
             job_id = (select id from jobs j where j.batch_id = job_batch_servers.batch_id
                       and j.server_id = job_batch_servers.server_id)
         where batch_id = $1 and outcome is null
           and server_id in (select server_id from jobs where batch_id = $1 and finished_at is not null)"
    ))
    .bind(id.to_string())
    .execute()
    .await?;
    Ok(())
}

/// No job could be made for a server.
pub(super) async fn note_impossible(conn: &mut Conn<'_>, id: BatchId, server_id: ServerId) -> Result<(), DbError> {
    conn.query(sql!(
        "update job_batch_servers set outcome = 'rejected' where batch_id = $1 and server_id = $2 and outcome is null"
    ))
    .bind(id.to_string())
    .bind(server_id.to_string())
    .execute()
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Sums {
    total: i64,
    active: i64,
    succeeded: i64,
    ended: i64,
    open_in_wave: i64,
}

/// How many servers stand where, and how many up to this wave have not ended.
pub(super) async fn count(conn: &mut Conn<'_>, id: BatchId, wave: i64) -> Result<(Counts, i64), DbError> {
    let sums: Sums = conn
        .query(sql!(
            "select count(*) as total,
                    cast(coalesce(sum(case when p.outcome is null and j.id is not null then 1 else 0 end), 0) as bigint)
                        as active,
                    cast(coalesce(sum(case when p.outcome = 'succeeded' then 1 else 0 end), 0) as bigint) as succeeded,
                    cast(coalesce(sum(case when p.outcome is not null then 1 else 0 end), 0) as bigint) as ended,
                    cast(coalesce(sum(case when p.outcome is null and p.wave <= $2 then 1 else 0 end), 0) as bigint)
                        as open_in_wave
             from job_batch_servers p left join jobs j on j.batch_id = p.batch_id and j.server_id = p.server_id
             where p.batch_id = $1"
        ))
        .bind(id.to_string())
        .bind(wave)
        .fetch_one()
        .await?;
    Ok((Counts::new(sums.total, sums.active, sums.succeeded, sums.ended), sums.open_in_wave))
}

/// Servers up to this wave that have no job yet, in order.
pub(super) async fn due(conn: &mut Conn<'_>, id: BatchId, wave: i64, limit: i64) -> Result<Vec<ServerId>, DbError> {
    let rows: Vec<(String,)> = conn
        .query(sql!(
            "select server_id from job_batch_servers p
             where batch_id = $1 and outcome is null and wave <= $2
               and not exists (select 1 from jobs j where j.batch_id = p.batch_id and j.server_id = p.server_id)
             order by place limit $3"
        ))
        .bind(id.to_string())
        .bind(wave)
        .bind(limit)
        .fetch_all()
        .await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

/// Jobs of a batch that have not been sent. The size of the batch bounds them.
pub(super) async fn unsent_jobs(conn: &mut Conn<'_>, id: BatchId) -> Result<Vec<(ServerId, JobId)>, DbError> {
    let rows: Vec<(String, String)> = conn
        .query(sql!(
            "select server_id, id from jobs where batch_id = $1 and finished_at is null
             and state in ('queued', 'awaiting_signature')"
        ))
        .bind(id.to_string())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().filter_map(|(server, job)| Some((server.parse().ok()?, job.parse().ok()?))).collect())
}

/// Jobs of a batch that have not ended. The size of the batch bounds them.
pub(super) async fn active_jobs(conn: &mut Conn<'_>, id: BatchId) -> Result<Vec<JobId>, DbError> {
    let rows: Vec<(String,)> = conn
        .query(sql!("select id from jobs where batch_id = $1 and finished_at is null"))
        .bind(id.to_string())
        .fetch_all()
        .await?;
    Ok(rows.into_iter().filter_map(|(id,)| id.parse().ok()).collect())
}

#[derive(sqlx::FromRow)]
struct PlaceRow {
    place: i64,
    #[sqlx(try_from = "String")]
    server_id: ServerId,
    server_name: String,
    wave: i64,
    kept_job_id: Option<String>,
    outcome: Option<String>,
    job_id: Option<String>,
    state: Option<String>,
    exit_code: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    duration_ms: Option<i64>,
}

impl From<PlaceRow> for Place {
    fn from(row: PlaceRow) -> Self {
        let job = row.state.or(row.outcome).map(|state| PlaceJob {
            id: row.job_id.or(row.kept_job_id).and_then(|id| id.parse().ok()),
            state,
            exit_code: row.exit_code,
            error: row.error_code.map(|code| JobError { code, message: row.error_message.unwrap_or_default() }),
            started_at: row.started_at,
            finished_at: row.finished_at,
            duration_ms: row.duration_ms,
        });
        Self { place: row.place, server_id: row.server_id, server_name: row.server_name, wave: row.wave, job }
    }
}

/// What became of each server, in the order of the batch.
pub(super) async fn places(
    conn: &mut Conn<'_>,
    id: BatchId,
    filter: Option<PlaceFilter>,
    after: i64,
    limit: i64,
) -> Result<Vec<Place>, DbError> {
    let wanted = match filter {
        None => "any",
        Some(PlaceFilter::Waiting) => "waiting",
        Some(PlaceFilter::Active) => "active",
        Some(PlaceFilter::Succeeded) => "succeeded",
        Some(PlaceFilter::Failed) => "failed",
    };
    let rows: Vec<PlaceRow> = conn
        .query(sql!(
            "select p.place, p.server_id, p.server_name, p.wave, p.job_id as kept_job_id, p.outcome, j.id as job_id,
                    j.state, j.exit_code, j.error_code, j.error_message, j.started_at, j.finished_at, j.duration_ms
             from job_batch_servers p left join jobs j on j.batch_id = p.batch_id and j.server_id = p.server_id
             where p.batch_id = $1 and p.place > $2
               and ($3 = 'any'
                    or ($3 = 'waiting' and p.outcome is null and j.id is null)
                    or ($3 = 'active' and p.outcome is null and j.id is not null)
                    or ($3 = 'succeeded' and p.outcome = 'succeeded')
                    or ($3 = 'failed' and p.outcome <> 'succeeded'))
             order by p.place limit $4"
        ))
        .bind(id.to_string())
        .bind(after)
        .bind(wanted.to_owned())
        .bind(limit)
        .fetch_all()
        .await?;
    Ok(rows.into_iter().map(Place::from).collect())
}
