//! A log as bare bytes.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use protocol::JobId;

use super::read::Cursor;
use crate::error::Result;
use crate::hub::App;

/// Bytes that are in memory at once.
const PAGE: u64 = 128 << 10;

/// How a client wants the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    /// To show.
    Inline,
    /// To keep as a file.
    Attachment,
}

/// The bytes of a log from `from` to `end`, read while they are sent.
pub(super) fn respond(app: App, job_id: JobId, from: u64, end: u64, disposition: Disposition) -> Response {
    let cursor = Cursor::new(job_id, from);
    let pages = stream::try_unfold((app, cursor), move |(app, mut cursor)| async move {
        let page = page(&app, &mut cursor, end).await.inspect_err(|error| {
            tracing::error!(job.id = %job_id, %error, chain = error.chain(), "a log breaks off on its way to a client");
        })?;
        Ok::<_, crate::error::Error>(page.map(|page| (page, (app, cursor))))
    });
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // Output is whatever a program wrote: a browser must not guess that it is a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if disposition == Disposition::Attachment {
        let id = job_id.to_string();
        let short = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
        let value = format!("attachment; filename=\"job-{short}.log\"");
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
    }
    response
}

async fn page(app: &App, cursor: &mut Cursor, end: u64) -> Result<Option<Bytes>> {
    let pieces = cursor.pieces(app, PAGE.min(end.saturating_sub(cursor.next()))).await?;
    if pieces.is_empty() || cursor.next() >= end {
        return Ok(None);
    }
    if let [only] = pieces.as_slice()
        && !only.data.is_empty()
    {
        cursor.pass(only);
        return Ok(Some(only.data.clone()));
    }
    let mut page = BytesMut::new();
    for piece in &pieces {
        page.extend_from_slice(&piece.data);
        if piece.data.is_empty() {
            let remark = format!("\n[{} bytes of output are missing here]\n", piece.bytes);
            page.extend_from_slice(remark.as_bytes());
        }
        cursor.pass(piece);
    }
    Ok(Some(page.freeze()))
}
