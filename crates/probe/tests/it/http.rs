//! HTTP as most servers speak it.

use protocol::probe::{FailureCode, HttpVersion};
use serde_json::json;

use crate::support::{Server, authority, code, env, http, look_long, names, text};

#[tokio::test]
async fn every_phase_of_a_good_answer_is_told() {
    let names = names();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well";
    let server = authority::serve(authority::leaf("a.test", (2025, 2027)), answer).await;
    let expect = json!({ "status": ["200"], "contains": "well", "lacks": "error", "max_latency_ms": 20_000 });
    let outcome =
        look_long(http(&server.url("https", "a.test", "/x?y"), json!({ "expect": expect })), &env(&names)).await;
    assert!(outcome.ok, "{}", text(&outcome));
    let phases = outcome.phases;
    let parts = [phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms].map(Option::unwrap);
    assert!(parts.iter().sum::<f64>() <= phases.total_ms + 0.01, "{phases:?}");
    assert_eq!((outcome.status, outcome.http_version), (Some(200), Some(HttpVersion::Http11)));
    assert_eq!((outcome.address, outcome.excerpt), (Some(server.address.to_string()), None));
    let request = &server.requests()[0];
    assert!(request.starts_with("GET /x?y HTTP/1.1\r\nHost: a.test:"), "{request}");
    assert!(request.contains("\r\nAccept-Encoding: identity\r\nConnection: close\r\n"), "{request}");
}

#[tokio::test]
async fn bodies_end_in_every_way_that_http_knows() {
    let names = names();
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let server = Server::saying(answer).await;
        let probe = http(&server.url("http", "a.test", "/"), json!({ "expect": { "contains": "hello" } }));
        let outcome = look_long(probe, &env(&names)).await;
        assert!(outcome.ok, "{answer:?}: {}", text(&outcome));
    }
    for (fields, answer) in [
        (json!({ "method": "HEAD" }), "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        (json!({ "expect": { "status": ["304"] } }), "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        (
            json!({ "expect": { "status": ["302"] }, "follow": false }),
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        ),
        (json!({ "expect": { "status": ["302"] } }), "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let server = Server::saying(answer).await;
        let outcome = look_long(http(&server.url("http", "a.test", "/"), fields), &env(&names)).await;
        assert!(outcome.ok, "{answer:?}: {}", text(&outcome));
    }
}

#[tokio::test]
async fn what_is_not_as_expected_is_told_with_the_beginning_of_the_answer() {
    let names = names();
    for (expected, expect, told) in [
        (FailureCode::Status, json!({}), "status 503 instead of 200-299"),
        (FailureCode::Keyword, json!({ "status": ["503"], "contains": "ready" }), "does not contain \"ready\""),
        (FailureCode::Keyword, json!({ "status": ["503"], "lacks": "sorry" }), "contains \"sorry\""),
        (
            FailureCode::JsonPath,
            json!({ "status": ["503"], "json": [{ "path": "$.state", "op": "eq", "value": "up" }] }),
            "$.state is \"sorry\", instead of \"up\"",
        ),
    ] {
        let server = Server::saying("HTTP/1.1 503 Busy\r\n\r\n{\"state\":\"sorry\",\"key\":\"very-secret\"}").await;
        let fields = json!({ "expect": expect });
        let outcome = look_long(http(&server.url("http", "a.test", "/"), fields), &env(&names)).await;
        assert_eq!(code(&outcome), Some(expected));
        assert!(text(&outcome).contains(told), "{}", text(&outcome));
        assert!(outcome.excerpt.is_some_and(|excerpt| excerpt.starts_with("{\"state\"")));
    }
}

#[tokio::test]
async fn a_secret_that_the_server_repeats_is_not_told() {
    let names = names();
    let answer = "HTTP/1.1 401 No\r\n\r\nwrong key: very-secret";
    let server = authority::serve(authority::leaf("a.test", (2025, 2027)), answer).await;
    let headers = json!([{ "name": "Authorization", "value": "Bearer very-secret", "secret": true }]);
    let outcome =
        look_long(http(&server.url("https", "a.test", "/"), json!({ "headers": headers })), &env(&names)).await;
    assert!(server.requests()[0].contains("\r\nAuthorization: Bearer very-secret\r\n"));
    assert_eq!(outcome.excerpt.as_deref(), Some("wrong key: ***"));
    // And never goes over a line that others can read.
    let plain = Server::saying("HTTP/1.1 200 OK\r\n\r\n").await;
    let outcome = look_long(http(&plain.url("http", "a.test", "/"), json!({ "headers": headers })), &env(&names)).await;
    assert_eq!((code(&outcome), plain.connections()), (Some(FailureCode::Unsupported), 0));
}

#[tokio::test]
async fn own_headers_and_bodies_are_for_one_origin() {
    let names = names();
    let there = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let location = there.url("http", "b.test", "/there");
    let here = Server::saying(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n")).await;
    let fields = json!({ "headers": [{ "name": "X-Key", "value": "k" }], "method": "POST", "body": "payload" });
    let outcome = look_long(http(&here.url("http", "a.test", "/"), fields.clone()), &env(&names)).await;
    assert!(outcome.ok, "{}", text(&outcome));
    assert!(here.requests()[0].contains("X-Key: k") && here.requests()[0].ends_with("payload"));
    let request = &there.requests()[0];
    assert!(
        request.starts_with("GET /there ") && !request.contains("X-Key") && !request.contains("payload"),
        "{request}"
    );

    let again = Server::saying(format!("HTTP/1.1 308 Moved\r\nLocation: {location}\r\n\r\n")).await;
    let outcome = look_long(http(&again.url("http", "a.test", "/"), fields), &env(&names)).await;
    assert_eq!((code(&outcome), there.connections()), (Some(FailureCode::Protocol), 1));
}

#[tokio::test]
async fn redirects_end_after_five_and_never_leave_tls() {
    let names = names();
    let circle = Server::saying("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n").await;
    let outcome = look_long(http(&circle.url("http", "a.test", "/"), json!({})), &env(&names)).await;
    assert_eq!((code(&outcome), circle.connections()), (Some(FailureCode::Protocol), 6));
    assert!(text(&outcome).contains("more than 5 times"), "{}", text(&outcome));

    let plain = Server::saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let answer = format!("HTTP/1.1 301 Moved\r\nLocation: {}\r\n\r\n", plain.url("http", "a.test", "/"));
    let server = authority::serve(authority::leaf("a.test", (2025, 2027)), answer).await;
    let outcome = look_long(http(&server.url("https", "a.test", "/"), json!({})), &env(&names)).await;
    assert_eq!((code(&outcome), plain.connections()), (Some(FailureCode::Protocol), 0));
    assert!(text(&outcome).contains("from https to http"), "{}", text(&outcome));
    assert!(outcome.certificate.is_some(), "what was seen before is told");
}

#[tokio::test]
async fn what_breaks_off_or_is_not_http_is_told_as_such() {
    let names = names();
    for (answer, told) in [
        ("", "without an answer"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "is not HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-", "within its headers"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "before the length"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "middle of a chunk"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello", "without a size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "impossible size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\nhello", "Transfer-Encoding"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "two Content-Lengths"),
    ] {
        let server = Server::saying(answer).await;
        let outcome = look_long(http(&server.url("http", "a.test", "/"), json!({})), &env(&names)).await;
        assert_eq!(code(&outcome), Some(FailureCode::Protocol), "{answer:?}");
        assert!(text(&outcome).contains(told), "{}", text(&outcome));
    }
}
