//! How much of a target is taken in. Time is the spec's own limit; these bound the rest.

use std::time::Duration;

/// Status line and headers of one exchange, interim answers included, bytes.
pub(crate) const HEAD: usize = 16 << 10;
/// Headers of one answer.
pub(crate) const HEADERS: usize = 64;
/// Body, bytes; beyond it the answer is too large, or cut where nobody asked for the body.
pub(crate) const BODY: usize = 1 << 20;
/// What is kept of a body that no assertion needs, bytes: enough for an excerpt.
pub(crate) const BODY_UNNEEDED: usize = 8 << 10;
/// One line of chunked framing, bytes.
pub(crate) const CHUNK_LINE: usize = 1 << 10;
/// All lines of chunked framing, bytes. A body of one byte a chunk is slow, but honest: six bytes each.
pub(crate) const CHUNK_FRAMING: usize = 8 << 20;
/// Trailers behind the last chunk, bytes.
pub(crate) const TRAILERS: usize = 16 << 10;
/// Redirects.
pub(crate) const REDIRECTS: usize = 5;
/// Addresses of one name that are tried.
pub(crate) const ADDRESSES: usize = 4;
/// Addresses of one name that are looked at; a name with more is refused rather than half checked.
pub(crate) const ADDRESSES_CHECKED: usize = 64;
/// Head start of one address before the next is tried beside it.
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);
/// Steps of a JSON path.
pub(crate) const PATH_STEPS: usize = 32;
/// For one try with one name server.
pub(crate) const NAME_SERVER_TRY: Duration = Duration::from_secs(2);
/// Tries of one question, over all name servers.
pub(crate) const NAME_SERVER_TRIES: usize = 16;
/// Between two echo requests.
pub(crate) const PING_GAP: Duration = Duration::from_millis(200);
/// For the answer to the last echo request.
pub(crate) const PING_WAIT: Duration = Duration::from_secs(2);
