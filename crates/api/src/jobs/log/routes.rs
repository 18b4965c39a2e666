//! `GET /v1/jobs/{id}/log`.
#![expect(unused_qualifications, reason = "the path macro names argument types by their path")]

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use protocol::job::LogStream;
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needle::{Case, Needle};
use super::plain::Disposition;
use super::read::{Cursor, LogChunk, LogStreamName};
use super::search::{self, Matches};
use super::{follow, plain, size};
use crate::access::Authorized;
use crate::access::verbs::JobsRead;
use crate::error::{Error, Result};
use crate::http::ErrorBody;
use crate::http::extract::{Json, Query};
use crate::http::sse;
use crate::hub::App;
use crate::jobs::model::Job;

const DEFAULT_LIMIT: u64 = 256 << 10;
const MAX_LIMIT: u64 = 1 << 20;
const DEFAULT_MATCHES: usize = 50;
const MAX_MATCHES: usize = 200;
const MAX_NEEDLE: usize = 256;

/// The routes of job logs.
pub(in crate::jobs) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log)).routes(routes!(search_log))
}

/// Which part of a log, and in which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Byte of the log to start at.
    from: Option<u64>,
    /// Start so many bytes before the end; the offset of the first chunk tells where.
    tail: Option<u64>,
    /// Most bytes of one JSON answer, 1 to 1048576; 262144 unless told.
    limit: Option<u64>,
    /// Stream what is there and what comes, until the job ends.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    follow: Flag,
    /// Answer with the bare bytes as a file.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    download: Flag,
}

/// `1`, `true`, `0` or `false`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "1" | "true" => Ok(Self(true)),
            "0" | "false" => Ok(Self(false)),
            _ => Err(de::Error::custom("must be true or false")),
        }
    }
}

/// What to look for in a log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// The text, 1 to 256 bytes within one line. Not a pattern.
    q: String,
    /// Tell upper from lower case.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    case_sensitive: Flag,
    /// In this stream only.
    #[param(value_type = Option<LogStreamName>)]
    stream: Option<LogStream>,
    /// Byte of the log to start at: `next_from` of the answer before.
    from: Option<u64>,
    /// Most lines of the answer, 1 to 200; 50 unless told.
    limit: Option<usize>,
}

/// A part of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogPage {
    /// Its chunks, in order.
    data: Vec<LogChunk<'static>>,
    /// Where the next part starts: what to send as `from`.
    next_offset: u64,
    /// The job has ended and this part reaches the end of its log.
    complete: bool,
}

/// Read or follow the log of a job.
///
/// As JSON a part of the log. With `Accept: text/plain` or `download=true` the bare bytes. With `follow=true` an event stream:
/// `log` events whose data is a chunk and whose id is the offset after it, so that `Last-Event-ID` resumes exactly, and
/// one closing `end` event with the job.
///
/// A character whose bytes are split over two chunks stands in the text of the chunk that holds its last byte. Bytes that
/// are no UTF-8 are shown as U+FFFD in `text`; `offset` and `bytes` always count the bytes that the job wrote, and the
/// bare bytes are exact.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/log",
    operation_id = "jobs_log",
    tag = "jobs",
    params(("id" = String, Path, description = "The job"), LogQuery),
    responses(
        (status = 200, description = "The log", content(
            (LogPage = "application/json"),
            (String = "text/plain"),
            (LogChunk = "text/event-stream"),
        )),
        (status = 410, description = "The log was removed to make room", body = ErrorBody),
    ),
)]
pub(super) async fn log(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<LogQuery>,
    job: Authorized<Job, JobsRead>,
) -> Result<Response> {
    let Authorized { actor, resource: job, .. } = job;
    job.refuse_removed_log()?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::bad_request(format!("the query parameter limit must be a number from 1 to {MAX_LIMIT}")));
    }
    if query.from.is_some() && query.tail.is_some() {
        return Err(Error::bad_request("the query parameters from and tail exclude each other"));
    }
    let end = size(&app, job.id).await?.bytes;
    let from = query.tail.map_or(query.from.unwrap_or(0), |tail| end.saturating_sub(tail));
    if query.follow.0 {
        let resumed = sse::last_event_id(&headers).and_then(|id| id.parse().ok());
        return follow::respond(app, &actor, job, resumed.unwrap_or(from)).await;
    }
    if query.download.0 {
        return Ok(plain::respond(app, job.id, from, end, Disposition::Attachment));
    }
    if wants_text(&headers) {
        return Ok(plain::respond(app, job.id, from, end, Disposition::Inline));
    }
    Ok(Json(page(&app, &job, from, end, limit).await?).into_response())
}

/// Search the log of a job.
///
/// Finds a plain text line by line, in each stream for itself. One answer looks through at most 32 MiB; send `next_from` as
/// `from` to go on until `complete`. While the job runs, `complete` stays false, and `next_from` is where the log ends for now.
/// Bytes that the log does not have any more are not searched.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/log/search",
    operation_id = "jobs_log_search",
    tag = "jobs",
    params(("id" = String, Path, description = "The job"), SearchQuery),
    responses(
        (status = 200, description = "Lines with the text", body = Matches),
        (status = 410, description = "The log was removed to make room", body = ErrorBody),
    ),
)]
async fn search_log(
    State(app): State<App>,
    job: Authorized<Job, JobsRead>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Matches>> {
    let job = job.resource;
    job.refuse_removed_log()?;
    let SearchQuery { q, case_sensitive, stream, from, limit } = query;
    if q.is_empty() || q.len() > MAX_NEEDLE || q.contains('\n') {
        let problem = format!("the query parameter q must be a text of 1 to {MAX_NEEDLE} bytes without a line break");
        return Err(Error::bad_request(problem));
    }
    let limit = limit.unwrap_or(DEFAULT_MATCHES);
    if !(1..=MAX_MATCHES).contains(&limit) {
        return Err(Error::bad_request(format!("the query parameter limit must be a number from 1 to {MAX_MATCHES}")));
    }
    let case = if case_sensitive.0 { Case::Exact } else { Case::Ignored };
    let query = search::Query { needle: Needle::new(&q, case), stream, from: from.unwrap_or(0), limit };
    Ok(Json(search::run(&app, &job, query).await?))
}

async fn page(app: &App, job: &Job, from: u64, end: u64, limit: u64) -> Result<LogPage> {
    let mut cursor = Cursor::new(job.id, from);
    let mut data = Vec::new();
    let mut left = limit.min(end.saturating_sub(from));
    while left > 0 {
        let pieces = cursor.pieces(app, left).await?;
        if pieces.is_empty() {
            break;
        }
        for piece in &pieces {
            left = left.saturating_sub(piece.bytes);
            data.push(cursor.show(piece).into_owned());
        }
    }
    let complete = job.state.is_terminal() && cursor.next() >= end;
    if complete {
        data.extend(cursor.finish(job.finished_at.unwrap_or(job.created_at)));
    }
    Ok(LogPage { data, next_offset: cursor.next(), complete })
}

fn wants_text(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepts.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or("").trim());
    kinds.find_map(|kind| match kind {
        "text/plain" | "text/*" => Some(true),
        "application/json" | "*/*" | "application/*" => Some(false),
        _ => None,
    }) == Some(true)
}
