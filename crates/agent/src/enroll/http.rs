//! One HTTP/1.1 request and its answer, bounded in size and time. Registration needs no more of HTTP than this.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::link::endpoint::Endpoint;

/// For request and answer together.
const DEADLINE: Duration = Duration::from_secs(20);
/// Largest head of an answer.
const MAX_HEAD: usize = 16 << 10;
/// Largest body of an answer.
const MAX_BODY: usize = 64 << 10;
const MAX_HEADERS: usize = 64;

/// What the hub answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body, at most 64 KiB.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// Nothing complete came in time.
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
    /// Something other than a bounded HTTP/1.1 answer came.
    #[error("the answer is not one of a hub: {0}")]
    Rubbish(&'static str),
}

/// Sends `body` as JSON and reads the answer.
///
/// # Errors
/// [`HttpError`].
pub(super) async fn post_json<S>(mut stream: S, endpoint: &Endpoint, body: &[u8]) -> Result<Answer, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: roadstead-agent/{}\r\ncontent-type: application/json\r\n\
         accept: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        endpoint.path(),
        endpoint.host_header(),
        env!("CARGO_PKG_VERSION"),
        body.len()
    );
    let exchange = async {
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        stream.flush().await?;
        read_answer(&mut stream).await
    };
    timeout(DEADLINE, exchange).await.unwrap_or(Err(HttpError::Deadline))
}

async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<Answer, HttpError> {
    let mut received = Vec::new();
    let mut ended = false;
    loop {
        if let Some(answer) = parse(&received, ended)? {
            return Ok(answer);
        }
        if ended {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut piece = [0; 4096];
        // A peer that ends TLS without a close is told from one that cut the answer short by its length.
        let count = match stream.read(&mut piece).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            other => other?,
        };
        ended = count == 0;
        received.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

/// The answer, once `received` holds all of it. `ended`: nothing more will come.
fn parse(received: &[u8], ended: bool) -> Result<Option<Answer>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(received) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if received.len() > MAX_HEAD => return Err(HttpError::Rubbish("endless head")),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HttpError::Rubbish("no HTTP")),
    };
    let status = response.code.ok_or(HttpError::Rubbish("no status"))?;
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let body = received.get(head..).unwrap_or_default();
    let body = if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunk(body)?
    } else if let Some(length) = header("content-length") {
        let length: usize = length.parse().map_err(|_| HttpError::Rubbish("no content length"))?;
        if length > MAX_BODY {
            return Err(HttpError::Rubbish("more than 64 KiB"));
        }
        body.get(..length).map(<[u8]>::to_vec)
    } else if body.len() > MAX_BODY {
        return Err(HttpError::Rubbish("more than 64 KiB"));
    } else {
        ended.then(|| body.to_vec())
    };
    Ok(body.map(|body| Answer { status, body }))
}

/// The body out of its chunks, `None` while some are missing.
fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::Rubbish("broken chunks")),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            return Ok(Some(body));
        }
        if size > MAX_BODY.saturating_sub(body.len()) {
            return Err(HttpError::Rubbish("more than 64 KiB"));
        }
        let Some(chunk) = rest.get(start..start + size) else { return Ok(None) };
        body.extend_from_slice(chunk);
        // A line end follows each chunk.
        let Some(after) = rest.get(start + size + 2..) else { return Ok(None) };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, body: &[u8]) -> Option<Answer> {
        Some(Answer { status, body: body.to_vec() })
    }

    #[test]
    fn bodies_by_length_by_chunks_and_by_end() {
        let by_length = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(by_length, false).unwrap(), answer(201, b"{}"));
        assert_eq!(parse(&by_length[..by_length.len() - 1], false).unwrap(), None);
        let by_chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(by_chunks, false).unwrap(), answer(200, b"abcde"));
        let by_end = b"HTTP/1.1 502 Bad Gateway\r\n\r\nno";
        assert_eq!(parse(by_end, false).unwrap(), None);
        assert_eq!(parse(by_end, true).unwrap(), answer(502, b"no"));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let long = b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n";
        assert!(matches!(parse(long, false), Err(HttpError::Rubbish(_))));
        let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n";
        assert!(matches!(parse(chunk, false), Err(HttpError::Rubbish(_))));
        let head = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &vec![b'a'; MAX_HEAD]].concat();
        assert!(matches!(parse(&head, false), Err(HttpError::Rubbish(_))));
    }

    proptest! {
        #[test]
        fn every_prefix_is_waited_for(cut: prop::sample::Index) {
            let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n24\r\n0123456789abcdef0123456789abcdef0123\r\n0\r\n\r\n";
            // The line end after the last chunk ends nothing that anybody waits for.
            let needed = whole.len() - 2;
            prop_assert_eq!(parse(&whole[..cut.index(needed)], false).unwrap(), None);
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), ended: bool) {
            let _ = parse(&bytes, ended);
            let _ = parse(&[b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(), &bytes].concat(), ended);
        }
    }
}
