//! One request and its answer on a connection of its own.

use std::io;

use protocol::address::Reach;
use protocol::probe::{Failure, FailureCode, HttpProbe, Method};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::body::{Body, Progress};
use super::head::{self, Framing, Head};
use super::target::Target;
use crate::dial::dial;
use crate::tls::{Ask, handshake};
use crate::watch::{Phase, Watch, fail};
use crate::{Env, limits};

const USER_AGENT: &str = concat!("Roadstead/", env!("CARGO_PKG_VERSION"), " (monitor)");
const READ: usize = 16 << 10;

/// One of the requests that a probe makes.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) target: Target,
    pub(super) method: Method,
    /// Whether the headers of the spec are for this one.
    pub(super) is_first_origin: bool,
    pub(super) sends_body: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where it leads, where it is a redirect.
    pub(super) redirect: Option<Vec<u8>>,
    /// The body, or what is kept of it.
    pub(super) body: Vec<u8>,
    /// Whether there was more than was read.
    pub(super) is_cut: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(super) async fn exchange(
    probe: &HttpProbe,
    hop: &Hop,
    reach: Reach,
    env: &Env,
    watch: &mut Watch,
) -> Result<Answer, Failure> {
    // What an earlier hop said must not be taken for what this one says.
    watch.seen.status = None;
    watch.seen.http_version = None;
    let target = &hop.target;
    let stream = dial(target.host(), target.port(), reach, env, watch).await?;
    let mut stream: Box<dyn Stream> = if target.is_tls() {
        let ask = Ask { name: target.host(), verify: probe.verify_tls, known_leaf: probe.known_leaf };
        Box::new(handshake(stream, &ask, &[b"http/1.1"], env, watch).await?)
    } else {
        Box::new(stream)
    };
    watch.stage(format!("while {} had not answered the request yet", target.host()));
    let since = Instant::now();
    stream.write_all(&request(probe, hop)).await.map_err(|error| broken(target, &error))?;
    stream.flush().await.map_err(|error| broken(target, &error))?;
    let mut incoming = Incoming { stream, buffer: Vec::new() };
    if !incoming.more(target).await? {
        let text = format!("{} closed the connection without an answer; look at its log", target.host());
        return Err(fail(FailureCode::Protocol, text));
    }
    watch.ended(Phase::FirstByte, since);

    watch.stage(format!("while the headers of {} were still coming", target.host()));
    let head = incoming.head(target).await?;
    watch.seen.status = Some(head.status);
    watch.seen.http_version = Some(head.version);
    let redirect = head.location.clone().filter(|_| matches!(head.status, 301 | 302 | 303 | 307 | 308));
    let is_followed = redirect.is_some() && probe.follow;
    if is_followed || hop.method == Method::Head || matches!(head.status, 101 | 204 | 304) {
        return Ok(Answer { status: head.status, redirect, body: Vec::new(), is_cut: false });
    }
    let keep = if probe.expect.needs_body() { limits::BODY } else { limits::BODY_UNNEEDED };
    let (body, is_cut) = incoming.body(head.framing, keep, target, watch).await?;
    Ok(Answer { status: head.status, redirect, body, is_cut })
}

fn request(probe: &HttpProbe, hop: &Hop) -> Vec<u8> {
    let own = if hop.is_first_origin { probe.headers.as_slice() } else { &[] };
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\n",
        hop.method.name(),
        hop.target.request_target(),
        hop.target.authority()
    );
    let mut line = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    for (name, value) in [("User-Agent", USER_AGENT), ("Accept", "*/*")] {
        if !own.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            line(name, value);
        }
    }
    line("Accept-Encoding", "identity");
    line("Connection", "close");
    // Checked by `ProbeSpec::check`: no line breaks, and none of the names that frame a message.
    for header in own {
        line(&header.name, header.value.trim());
    }
    let body = probe.body.as_deref().filter(|_| hop.sends_body).unwrap_or_default();
    if !body.is_empty() || matches!(hop.method, Method::Post | Method::Put | Method::Patch) {
        line("Content-Length", &body.len().to_string());
    }
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

/// What comes in, read as far as it is needed.
struct Incoming {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Incoming {
    /// Reads some more; false at the end.
    async fn more(&mut self, target: &Target) -> Result<bool, Failure> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) => Ok(count > 0),
            // A server that ends without the farewell of TLS has ended. What it owed is seen by the length.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(broken(target, &error)),
        }
    }

    /// The head of the answer; interim ones (100 to 199) are passed over, together within the limit of one.
    async fn head(&mut self, target: &Target) -> Result<Head, Failure> {
        let bad = |problem: &str| fail(FailureCode::Protocol, format!("the answer of {} {problem}", target.host()));
        let mut passed = 0;
        loop {
            match head::parse(&self.buffer).map_err(bad)? {
                Some((head, length)) => {
                    self.buffer.drain(..length);
                    passed += length;
                    if !(100..200).contains(&head.status) || head.status == 101 {
                        return Ok(head);
                    }
                }
                None if !self.more(target).await? => return Err(bad("ends within its headers; look at its log")),
                None => {}
            }
            if passed > limits::HEAD {
                return Err(bad("begins with more than 16 KiB of interim answers"));
            }
        }
    }

    async fn body(
        &mut self,
        framing: Framing,
        keep: usize,
        target: &Target,
        watch: &mut Watch,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let bad = |problem: &str| fail(FailureCode::Protocol, format!("the answer of {} {problem}", target.host()));
        let mut body = Body::new(framing, keep);
        let mut progress = body.push(&self.buffer).map_err(bad)?;
        while progress == Progress::More {
            watch.stage(format!("after {} KiB of an answer of {} that did not end", body.seen() >> 10, target.host()));
            self.buffer.clear();
            if !self.more(target).await? {
                body.end().map_err(bad)?;
                break;
            }
            progress = body.push(&self.buffer).map_err(bad)?;
        }
        Ok((body.into_data(), progress == Progress::Cut))
    }
}

fn broken(target: &Target, error: &io::Error) -> Failure {
    let text = format!("the connection to {} broke off: {error}; look at its log", target.host());
    fail(FailureCode::Protocol, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_headers_take_the_place_of_ours_and_stay_with_their_origin() {
        let probe: HttpProbe = serde_json::from_value(serde_json::json!({
            "url": "https://a.example:8443/x?y", "method": "POST", "body": "{}",
            "headers": [{ "name": "user-agent", "value": "mine" }, { "name": "X-Key", "value": "k", "secret": true }],
        }))
        .unwrap();
        let target = Target::parse(&probe.url).unwrap();
        let mut hop = Hop { target, method: Method::Post, is_first_origin: true, sends_body: true };
        let text = String::from_utf8(request(&probe, &hop)).unwrap();
        let expected = "POST /x?y HTTP/1.1\r\nHost: a.example:8443\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\
                        Connection: close\r\nuser-agent: mine\r\nX-Key: k\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(text, expected);
        (hop.method, hop.is_first_origin, hop.sends_body) = (Method::Get, false, false);
        let text = String::from_utf8(request(&probe, &hop)).unwrap();
        assert!(!text.contains("X-Key") && !text.contains("mine") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
