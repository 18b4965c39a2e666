//! The log as a file, page by page: nothing is held while the client reads, neither rows nor a connection.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use protocol::{Hex, WorkspaceId};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::chain::{self, Head, HeadFile};
use super::filter::Filter;
use super::lines::{End, EndBody, Line, Other, Others, Record, SIGNATURE_PREFIX, Start, VERSION};
use super::model::{Entry, Outcome, Subject};
use super::walk::Redactions;
use super::{checkpoint, csv, store};
use crate::access::verbs::AuditRead;
use crate::access::{Authorized, Workspace};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorCode, Result};
use crate::hub::App;

/// Records that are in memory at once.
const PAGE: i64 = 200;
/// How often an export goes on to what was recorded under it.
const ROUNDS: u8 = 3;

/// How an export is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AuditExportFormat)]
pub(super) enum Format {
    /// One JSON object a line, which `roadstead audit verify` checks.
    #[default]
    Jsonl,
    /// A table.
    Csv,
}

/// Begins an export, which is recorded.
///
/// # Errors
/// 429 when too many run.
pub(super) async fn respond(
    hub: App,
    workspace: Authorized<Workspace, AuditRead>,
    filter: Filter,
    format: Format,
) -> Result<Response> {
    let Authorized { actor, resource: workspace, .. } = workspace;
    let permit = hub.audit.exports.clone().try_acquire_owned().map_err(|_| {
        Error::new(ErrorCode::RateLimited, "too many exports of the audit log run; wait for one to end").retry_after(30)
    })?;
    let mut unit = hub.begin().await?;
    let details = json!({ "format": format, "filtered": !filter.is_open() });
    let subject = Subject::new("workspace", &workspace.id, "");
    unit.audit(&actor, "audit.export", subject, Outcome::Ok, details).await?;
    unit.commit().await?;

    let exporter = Exporter::begin(hub, workspace.id, filter, format, permit).await?;
    let (content_type, extension) = match format {
        Format::Jsonl => ("application/x-ndjson", "jsonl"),
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let day = exporter.started.to_string();
    let day = day.get(..10).unwrap_or_default();
    let disposition = format!("attachment; filename=\"audit-{day}.{extension}\"");
    let pages = stream::try_unfold(exporter, |mut exporter| async move {
        let page = exporter.next().await.inspect_err(|error| {
            tracing::error!(%error, chain = error.chain(), "an export of the audit log breaks off");
        })?;
        Ok::<_, Error>(page.map(|page| (page, exporter)))
    });
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).map_err(Error::internal)?);
    Ok(response)
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Records,
    Nothing,
}

struct Exporter {
    hub: App,
    workspace: WorkspaceId,
    filter: Filter,
    format: Format,
    started: Timestamp,
    begin: Head,
    kept: Option<HeadFile>,
    /// The end of the chain that is exported.
    end: Head,
    /// The last position that was written.
    position: i64,
    stage: Stage,
    rounds: u8,
    records: u64,
    redactions: Redactions,
    digest: Context,
    _permit: OwnedSemaphorePermit,
}

impl Exporter {
    async fn begin(
        hub: App,
        workspace: WorkspaceId,
        filter: Filter,
        format: Format,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let end = current_end(&hub).await?;
        let begin = {
            let mut database = hub.db.read().await?;
            checkpoint::read(&mut database.conn(), &hub.keys).await?
        };
        let begin = begin.map_err(|finding| Error::internal(finding.to_string()))?;
        let kept = chain::read_kept(&hub).await?.map_err(Error::internal)?;
        // What the hub kept is about the chain up to here, not about what came since.
        let kept = kept.filter(|kept| kept.position <= end.position && kept.position >= begin.position);
        Ok(Self {
            workspace,
            filter,
            format,
            started: hub.now(),
            position: begin.position,
            begin,
            kept,
            end,
            stage: Stage::Start,
            rounds: 0,
            records: 0,
            redactions: Redactions::default(),
            digest: Context::new(&SHA256),
            _permit: permit,
            hub,
        })
    }

    /// Whether the chain itself is exported, other workspaces as digests.
    fn is_complete(&self) -> bool {
        self.format == Format::Jsonl && self.filter.is_open()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        match self.stage {
            Stage::Start => {
                self.stage = Stage::Records;
                let text = match self.format {
                    Format::Csv => csv::HEADER.to_owned(),
                    Format::Jsonl => line(&Line::Start(Start {
                        version: VERSION,
                        at: self.started,
                        workspace_id: self.workspace,
                        complete: self.is_complete(),
                        position: self.begin.position,
                        hash: self.begin.hash.clone(),
                        kept: self.kept.clone(),
                    }))?,
                };
                Ok(Some(self.count(text)))
            }
            Stage::Records => {
                let page = self.page().await?;
                if page.is_empty() {
                    self.stage = Stage::Nothing;
                    return self.finish();
                }
                let text = self.write(page)?;
                Ok(Some(self.count(text)))
            }
            Stage::Nothing => Ok(None),
        }
    }

    /// The next records, none at the end.
    async fn page(&mut self) -> Result<Vec<Entry>> {
        loop {
            let mut database = self.hub.db.read().await?;
            let conn = &mut database.conn();
            let between = (self.position, self.end.position);
            let mut page = if self.is_complete() {
                store::chained_after(conn, self.position, PAGE).await?
            } else {
                store::chained_of(conn, self.workspace, &self.filter, between, PAGE).await?
            };
            drop(database);
            page.retain(|entry| entry.position.is_some_and(|at| at <= self.end.position));
            let first = page.first().and_then(|entry| entry.position);
            if self.is_complete() && first.is_some_and(|first| first > self.position + 1) {
                self.refuse_moved_begin().await?;
            }
            // A record that was redacted under the export: the record of that belongs to it.
            if page.is_empty() && self.is_complete() && !self.redactions.are_recorded() && self.rounds < ROUNDS {
                self.rounds += 1;
                self.end = current_end(&self.hub).await?;
                continue;
            }
            return Ok(page);
        }
    }

    /// Old records were removed under the export: what was sent and what is to come do not fit.
    async fn refuse_moved_begin(&self) -> Result<()> {
        let mut database = self.hub.db.read().await?;
        let now = checkpoint::read(&mut database.conn(), &self.hub.keys).await?;
        match now {
            Ok(now) if now.position > self.begin.position => {
                Err(Error::internal("old records were removed under the export"))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, page: Vec<Entry>) -> Result<String> {
        let mut text = String::new();
        let mut others = Others { from: 0, digests: Vec::new() };
        for entry in page {
            let position = entry.position.unwrap_or_default();
            self.position = position;
            if entry.workspace_id != self.workspace {
                match entry.digest(position).map_err(Error::internal)? {
                    Some(digest) => {
                        let next = others.from + i64::try_from(others.digests.len()).unwrap_or(i64::MAX);
                        if next != position {
                            flush(&mut text, &mut others)?;
                            others.from = position;
                        }
                        others.digests.push(digest);
                    }
                    None => {
                        flush(&mut text, &mut others)?;
                        text += &line(&Line::Other(Other { position, hash: entry.hash.unwrap_or_default() }))?;
                    }
                }
                continue;
            }
            flush(&mut text, &mut others)?;
            self.redactions.note(&entry, position);
            self.records += 1;
            match self.format {
                Format::Csv => csv::write(&mut text, &entry),
                Format::Jsonl => text += &line(&Line::Record(Box::new(Record::of(entry))))?,
            }
        }
        flush(&mut text, &mut others)?;
        Ok(text)
    }

    fn finish(&mut self) -> Result<Option<Bytes>> {
        if self.format == Format::Csv {
            return Ok(None);
        }
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.digest.clone().finish().as_ref());
        let body = EndBody {
            workspace_id: self.workspace,
            complete: self.is_complete(),
            position: self.end.position,
            hash: self.end.hash.clone(),
            at: self.hub.now(),
            records: self.records,
            sha256: Hex(sha256),
        };
        let keys = &self.hub.keys;
        let signed = keys.sign(SIGNATURE_PREFIX, serde_json::to_string(&body).map_err(Error::internal)?);
        let end = End { signed, public_key: keys.public(), fingerprint: keys.fingerprint() };
        Ok(Some(self.count(line(&Line::End(end))?)))
    }

    fn count(&mut self, text: String) -> Bytes {
        self.digest.update(text.as_bytes());
        Bytes::from(text)
    }
}

/// The end of the chain with everything in it that was recorded before.
async fn current_end(hub: &App) -> Result<Head> {
    if let Err(error) = chain::extend(hub).await {
        // A chain that was tampered with is exported as it is.
        tracing::error!(error = %error.chain(), "the audit log cannot be chained; its export ends where the chain ends");
    }
    let mut database = hub.db.read().await?;
    Ok(store::head(&mut database.conn()).await?)
}

fn flush(text: &mut String, others: &mut Others) -> Result<()> {
    if !others.digests.is_empty() {
        let digests = std::mem::take(&mut others.digests);
        *text += &line(&Line::Others(Others { from: others.from, digests }))?;
    }
    Ok(())
}

fn line(line: &Line) -> Result<String> {
    let mut text = serde_json::to_string(line).map_err(Error::internal)?;
    text.push('\n');
    Ok(text)
}
