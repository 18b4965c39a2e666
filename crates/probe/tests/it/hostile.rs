//! Servers that do not want a probe to end. Each ends within its time all the same, and takes in no more than its limits.

use std::io;
use std::time::Duration;

use protocol::probe::FailureCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::interval;

use crate::support::{Server, code, env, http, look, look_long, names, read_request, text};

/// A server that says `start` and then `again` for ever, a little at a time or as fast as it can.
async fn endless(start: &'static str, again: &'static [u8], pause: Option<Duration>) -> Server {
    Server::start(move |mut stream, requests| async move {
        read_request(&mut stream, &requests).await?;
        stream.write_all(start.as_bytes()).await?;
        repeat(&mut stream, again, pause).await
    })
    .await
}

async fn repeat(stream: &mut TcpStream, again: &[u8], pause: Option<Duration>) -> io::Result<()> {
    let mut pause = pause.map(interval);
    loop {
        if let Some(pause) = &mut pause {
            pause.tick().await;
        }
        stream.write_all(again).await?;
    }
}

/// A server that says `start` and then nothing, and does not close.
async fn silent(start: &'static str) -> Server {
    endless(start, b"", Some(Duration::from_secs(3600))).await
}

async fn ends(server: &Server, fields: Value) -> (Option<FailureCode>, String) {
    let outcome = look(http(&server.url("http", "a.test", "/"), fields), &env(&names())).await;
    (code(&outcome), text(&outcome).to_owned())
}

const SLOWLY: Option<Duration> = Some(Duration::from_millis(5));

#[tokio::test]
async fn a_server_that_says_nothing_is_left_in_time() {
    let (code, text) = ends(&silent("").await, json!({})).await;
    assert_eq!(code, Some(FailureCode::Timeout));
    assert!(text.contains("within 1 s") && text.contains("had not answered the request"), "{text}");
}

#[tokio::test]
async fn a_server_that_drips_its_headers_is_left_in_time() {
    let (code, text) = ends(&endless("HTTP/1.1 200 OK\r\nx: ", b"y", SLOWLY).await, json!({})).await;
    assert_eq!(code, Some(FailureCode::Timeout));
    assert!(text.contains("headers"), "{text}");
}

#[tokio::test]
async fn a_server_that_drips_its_body_is_left_in_time() {
    for start in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
    ] {
        let (code, text) = ends(&endless(start, b"x", SLOWLY).await, json!({})).await;
        assert!(matches!(code, Some(FailureCode::Timeout | FailureCode::Protocol)), "{start:?}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_close_is_left_in_time() {
    let (code, text) = ends(&silent("HTTP/1.1 200 OK\r\n\r\nhello").await, json!({})).await;
    assert_eq!(code, Some(FailureCode::Timeout));
    assert!(text.contains("did not end"), "{text}");
    let (code, _) = ends(&silent("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await, json!({})).await;
    assert_eq!(code, None, "an answer whose end is known needs no end of the connection");
}

#[tokio::test]
async fn endless_headers_end_at_their_limit() {
    for (start, again) in [
        ("HTTP/1.1 200 OK\r\n", &b"a: b\r\n"[..]),
        ("HTTP/1.1 200 OK\r\nx: ", b"yyyyyyyyyyyyyyyy"),
        ("", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ] {
        let server = endless(start, again, None).await;
        let outcome = look_long(http(&server.url("http", "a.test", "/"), json!({})), &env(&names())).await;
        assert_eq!(code(&outcome), Some(FailureCode::Protocol), "{start:?}: {}", text(&outcome));
    }
}

#[tokio::test]
async fn a_body_of_a_gigabyte_is_cut_or_too_large() {
    for start in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n",
    ] {
        let server = endless(start, &[b'x'; 4096], None).await;
        let url = server.url("http", "a.test", "/");
        let outcome = look_long(http(&url, json!({})), &env(&names())).await;
        assert!(outcome.ok, "nobody asked for the body: {}", text(&outcome));
        let fields = json!({ "expect": { "lacks": "error" } });
        let outcome = look_long(http(&url, fields), &env(&names())).await;
        assert_eq!(code(&outcome), Some(FailureCode::TooLarge), "{}", text(&outcome));
    }
}

#[tokio::test]
async fn endless_lines_of_chunk_sizes_end_at_their_limit() {
    for (start, again) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", &[b'x'; 64][..]),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0", b"00000000"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
    ] {
        let server = endless(start, again, None).await;
        let outcome = look_long(http(&server.url("http", "a.test", "/"), json!({})), &env(&names())).await;
        assert_eq!(code(&outcome), Some(FailureCode::Protocol), "{start:?}: {}", text(&outcome));
    }
}

#[tokio::test]
async fn a_port_that_takes_connections_and_never_shakes_hands_is_left_in_time() {
    let server =
        Server::start(|mut stream, _| async move { repeat(&mut stream, b"", Some(Duration::from_secs(3600))).await })
            .await;
    for probe in [
        http(&server.url("https", "a.test", "/"), json!({})),
        json!({ "tls": { "host": "a.test", "port": server.port() } }),
    ] {
        let outcome = look(probe, &env(&names())).await;
        assert_eq!(code(&outcome), Some(FailureCode::Timeout));
        assert!(text(&outcome).contains("during the TLS handshake with a.test"), "{}", text(&outcome));
        assert!(outcome.phases.connect_ms.is_some() && outcome.phases.tls_ms.is_none(), "{:?}", outcome.phases);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_hard_is_told() {
    let server = Server::start(|mut stream, requests| async move {
        read_request(&mut stream, &requests).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel").await?;
        // Closed with nothing more to send: the kernel resets what is still there.
        stream.set_zero_linger()
    })
    .await;
    let outcome = look_long(http(&server.url("http", "a.test", "/"), json!({})), &env(&names())).await;
    assert_eq!(code(&outcome), Some(FailureCode::Protocol), "{}", text(&outcome));
}
