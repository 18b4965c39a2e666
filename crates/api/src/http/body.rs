//! Reads request bodies with limits: of their size, and of the time that they take.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::{Error, ErrorCode, Result};

/// The largest body that a route takes unless it says otherwise.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// For a whole body, from its head to its last byte: whoever sends slower holds memory, and means to.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// The whole body, at most `limit` bytes of it, within some seconds.
///
/// # Errors
/// 413 when it is longer, 408 when it does not come to its end in time, 400 when the client breaks off.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes> {
    if announced(headers).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    match tokio::time::timeout(TIME_LIMIT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(error)) => {
            Err(Error::bad_request("the body broke off before its end; send the request again").caused_by(error))
        }
        Err(_) => Err(too_slow()),
    }
}

/// How many bytes a body says it has.
pub(super) fn announced(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    Some(usize::try_from(length).unwrap_or(usize::MAX))
}

fn too_slow() -> Error {
    let seconds = TIME_LIMIT.as_secs();
    let message = format!("the body did not come to its end within {seconds} seconds; send the request again");
    Error::new(ErrorCode::RequestTimeout, message)
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorCode::PayloadTooLarge, format!("the body is larger than the {limit} bytes that this route takes"))
}
