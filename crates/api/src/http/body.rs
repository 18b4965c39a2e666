//! Reads request bodies with a limit.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use crate::error::{Error, ErrorCode, Result};

/// The largest body that a route takes unless it says otherwise.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// The whole body, at most `limit` bytes of it.
///
/// # Errors
/// 413 when it is longer, 400 when the client breaks off.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => {
            Err(Error::bad_request("the body broke off before its end; send the request again").caused_by(error))
        }
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorCode::PayloadTooLarge, format!("the body is larger than the {limit} bytes that this route takes"))
}
