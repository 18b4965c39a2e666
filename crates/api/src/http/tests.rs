//! The request pipeline through the router: origins, bodies, limits, errors, assets.

mod bodies;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::extract::Json;
use super::{assets, pipeline};
use crate::hub::App;
use crate::testing::TestHub;

const HOST: &str = "127.0.0.1:8080";

/// Routes of a test behind the pipeline of the hub.
pub(super) fn behind_pipeline(hub: &App, routes: Router<App>) -> Router {
    routes
        .fallback(assets::fallback)
        .layer(middleware::from_fn_with_state(App::clone(hub), pipeline::pipeline))
        .with_state(App::clone(hub))
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> (StatusCode, axum::http::HeaderMap, Value) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn every_answer_has_an_id_and_the_security_headers() {
    let test = TestHub::sqlite().await;
    let client = test.anonymous();
    let mut ids = std::collections::BTreeSet::new();
    for path in
        ["/", "/healthz", "/v1/nothing", "/docs", "/docs/api", "/docs/style.css", "/v1/openapi.json", "/install.sh"]
    {
        let answer = client.get(path).await;
        assert!(ids.insert(answer.header("x-request-id")), "{path}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(!answer.header("content-security-policy").contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("strict-transport-security"), "", "loopback has no TLS to insist on: {path}");
        let kept_out = path.starts_with("/v1/");
        assert_eq!(answer.header("cache-control") == "no-store", kept_out || path == "/install.sh", "{path}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_answered_in_json() {
    let test = TestHub::sqlite().await;
    let client = test.anonymous();
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/servers/x/y/z"] {
        let answer = client.with_header("accept", "text/html").get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{path}");
    }
    for (method, path) in
        [(Method::DELETE, "/v1/openapi.json"), (Method::POST, "/healthz"), (Method::PUT, "/v1/agent/register")]
    {
        let answer = client.send(method, path, None).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (405, "method_not_allowed"), "{path}");
    }
    assert_eq!(client.post("/servers", json!({})).await.code(), "not_found");
}

#[tokio::test]
async fn the_dashboard_answers_for_its_paths_only() {
    let test = TestHub::sqlite().await;
    let browser = test.anonymous().with_header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for path in ["/", "/servers", "/servers/019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70", "/jobs"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{path}");
        let again = browser.with_header("if-none-match", &answer.header("etag")).get(path).await;
        assert_eq!((again.status, again.bytes().len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
    }
    for path in [
        "/assets/../../Cargo.toml",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/../../etc/passwd",
        "/..",
        "/assets/missing.js",
        "/assets//etc/passwd",
        "/.env",
        "/index.html%00.js",
        "/servers/..%5c..",
        "/docs/../../etc/passwd",
        "/docs/%2e%2e%2fsecurity",
        "/docs/nothing",
    ] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{path}");
    }
    assert_eq!(test.anonymous().get("/servers").await.code(), "not_found", "a program did not ask for a page");
}

#[tokio::test]
async fn requests_from_other_sites_change_nothing() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:9999"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let answer = owner.with_header(name, value).post("/v1/servers/install-tokens", json!({})).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "forbidden"), "{name}: {value}");
    }
    let socket = owner.with_header("origin", "https://evil.example").with_header("upgrade", "websocket");
    assert_eq!(socket.get("/v1/agent").await.code(), "forbidden");
    let same = owner.with_header("origin", "http://127.0.0.1:8080").with_header("sec-fetch-site", "same-origin");
    assert_eq!(same.post("/v1/servers/install-tokens", json!({})).await.status, StatusCode::CREATED);
    assert_eq!(owner.with_header("host", "evil.example").get("/v1/servers").await.code(), "misdirected");
}

#[tokio::test]
async fn rubbish_on_any_route_is_a_plain_answer() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let path = "/v1/servers/install-tokens";
    let send = async |kind: Option<&str>, body: Vec<u8>| {
        let mut request = Request::post(path);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = owner.send_raw(request, Body::from(body)).await.collected().await;
        (answer.status.as_u16(), answer.code())
    };
    let json = Some("application/json");
    for (kind, body, status, code) in [
        (json, b"{".to_vec(), 400, "bad_request"),
        (json, b"".to_vec(), 400, "bad_request"),
        (json, vec![0xff, 0xfe, 0x00], 400, "bad_request"),
        (json, br#"{"name":"\ud800"}"#.to_vec(), 400, "bad_request"),
        (json, br#"[]"#.to_vec(), 422, "validation_failed"),
        (json, br#"{"ttl_s":1e400}"#.to_vec(), 400, "bad_request"),
        (json, br#"{"ttl_s":-1}"#.to_vec(), 422, "validation_failed"),
        (json, br#"{"x":1}"#.to_vec(), 422, "validation_failed"),
        (json, br#"{"name":"a\u0000"}"#.to_vec(), 422, "validation_failed"),
        (json, vec![b' '; 2 << 20], 413, "payload_too_large"),
        (Some("text/plain"), b"{}".to_vec(), 415, "unsupported_media_type"),
        (Some("application/jsonx"), b"{}".to_vec(), 415, "unsupported_media_type"),
        (None, b"{}".to_vec(), 415, "unsupported_media_type"),
        (Some("Application/JSON; charset=utf-8"), b"{}".to_vec(), 201, ""),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(send(kind, body).await, (status, code.to_owned()), "{kind:?} {shown}");
    }
}

#[tokio::test]
async fn callers_are_told_their_limit_and_held_to_it() {
    let test = TestHub::sqlite().await;
    let client = test.anonymous().with_header("authorization", "Bearer somebody");
    let first = client.get("/v1/nothing").await;
    assert_eq!(first.header("ratelimit-limit"), "300");
    assert_eq!(first.header("ratelimit-remaining"), "299");
    let mut refused = None;
    // More than the burst by far: on a busy machine some of it grows back meanwhile.
    for _ in 0..2000 {
        let answer = client.get("/v1/nothing").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the limit holds");
    assert_eq!(refused.code(), "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    let other = test.anonymous().with_header("authorization", "Bearer somebody else");
    assert_eq!(other.get("/v1/nothing").await.code(), "not_found");
}

#[tokio::test]
async fn a_panic_is_one_failed_request() {
    async fn panics() -> Response {
        panic!("a bug");
    }
    let test = TestHub::sqlite().await;
    let router = behind_pipeline(&test.hub, Router::new().route("/v1/panics", get(panics).post(panics)));
    for method in [Method::GET, Method::POST] {
        let request = Request::builder().method(method).uri("/v1/panics").header("host", HOST);
        let (status, headers, body) = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (500, Some("internal")));
        assert!(headers.contains_key("x-request-id"));
        assert!(!body.to_string().contains("a bug"));
    }
}

#[tokio::test]
async fn a_change_goes_on_when_its_client_leaves() {
    let test = TestHub::sqlite().await;
    let (started, go_on, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let handler = {
        let (started, go_on, done) = (started.clone(), go_on.clone(), done.clone());
        move || async move {
            started.notify_one();
            go_on.notified().await;
            done.store(true, Ordering::SeqCst);
        }
    };
    let router = behind_pipeline(&test.hub, Router::new().route("/v1/slow", post(handler)));
    let request = Request::post("/v1/slow").header("host", HOST).body(Body::empty()).unwrap();
    {
        let client = router.clone().oneshot(request);
        tokio::select! {
            _ = client => panic!("it cannot have ended"),
            () = started.notified() => {}
        }
    }
    go_on.notify_one();
    test.hub.tasks.shut_down().await;
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up() {
    let test = TestHub::sqlite().await;
    let never = || std::future::pending::<()>();
    let router = behind_pipeline(&test.hub, Router::new().route("/v1/never", get(never).post(never)));
    tokio::time::pause();
    for method in [Method::GET, Method::POST] {
        let request = Request::builder().method(method).uri("/v1/never").header("host", HOST);
        let (status, headers, body) = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (503, Some("unavailable")));
        assert!(headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let cookie = {
            let form = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
            let answer = owner.post("/v1/auth/login", form).await;
            answer.header("set-cookie").split(';').next().unwrap().to_owned()
        };
        let made = Arc::new(AtomicU32::new(0));
        let handler = {
            let made = made.clone();
            move |Json(body): Json<Value>| async move {
                if body["fail"] == true {
                    return crate::Error::conflict("not now").into_response();
                }
                let number = made.fetch_add(1, Ordering::SeqCst);
                (StatusCode::CREATED, Json(json!({ "number": number }))).into_response()
            }
        };
        let router = behind_pipeline(&test.hub, Router::new().route("/v1/things", post(handler)));
        let ask = async |key: &str, cookie: Option<&str>, body: Value| {
            let mut request =
                Request::post("/v1/things").header("host", HOST).header("content-type", "application/json");
            request = request.header("idempotency-key", key);
            if let Some(cookie) = cookie {
                request = request.header("cookie", cookie);
            }
            send(&router, request.body(Body::from(body.to_string())).unwrap()).await
        };
        let cookie = Some(cookie.as_str());

        let (status, _, first) = ask("a", cookie, json!({ "x": 1 })).await;
        assert_eq!((status.as_u16(), first["number"].as_u64()), (201, Some(0)));
        let (status, headers, again) = ask("a", cookie, json!({ "x": 1 })).await;
        assert_eq!((status.as_u16(), &again), (201, &first));
        assert_eq!(headers["idempotency-replayed"], "true");
        let (status, _, other) = ask("a", cookie, json!({ "x": 2 })).await;
        assert_eq!((status.as_u16(), other["error"]["code"].as_str()), (409, Some("conflict")));
        assert_eq!(ask("b", cookie, json!({ "x": 1 })).await.2["number"], 1);

        assert_eq!(ask("c", cookie, json!({ "fail": true })).await.0.as_u16(), 409);
        let (status, headers, _) = ask("c", cookie, json!({ "fail": true })).await;
        assert_eq!(
            (status.as_u16(), headers.contains_key("idempotency-replayed")),
            (409, false),
            "a failure is tried again"
        );
        assert_eq!(ask("", cookie, json!({})).await.0.as_u16(), 400);
        assert_eq!(ask(&"k".repeat(256), cookie, json!({})).await.0.as_u16(), 400);
        assert_eq!(ask("a", None, json!({ "x": 1 })).await.2["number"], 2, "nobody has nothing to repeat");

        test.clock.advance(std::time::Duration::from_hours(25));
        super::idempotency::forget_old(App::clone(&test.hub)).await.unwrap();
        assert_eq!(ask("a", cookie, json!({ "x": 2 })).await.2["number"], 3);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_kept_arrives_and_the_change_is_not_repeated() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let made = Arc::new(AtomicU32::new(0));
    let handler = {
        let made = made.clone();
        move || async move {
            made.fetch_add(1, Ordering::SeqCst);
            (StatusCode::CREATED, Json(json!({ "text": "x".repeat(300 << 10) })))
        }
    };
    let router = behind_pipeline(&test.hub, Router::new().route("/v1/things", post(handler)));
    let form = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
    let cookie = owner.post("/v1/auth/login", form).await.header("set-cookie").split(';').next().unwrap().to_owned();
    let ask = async || {
        let request = Request::post("/v1/things").header("host", HOST).header("idempotency-key", "a");
        send(&router, request.header("cookie", cookie.as_str()).body(Body::empty()).unwrap()).await
    };
    let (status, _, body) = ask().await;
    assert_eq!((status.as_u16(), body["text"].as_str().unwrap().len()), (201, 300 << 10));
    let (status, _, body) = ask().await;
    assert_eq!(status.as_u16(), 409);
    assert!(body["error"]["message"].as_str().unwrap().contains("carried out before"), "{body}");
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn of_two_at_once_with_one_key_one_is_carried_out() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await.with_header("idempotency-key", "same");
        let (first, second) = tokio::join!(
            owner.post("/v1/servers/install-tokens", json!({})),
            owner.post("/v1/servers/install-tokens", json!({})),
        );
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", first.text(), second.text());
    }
}

#[tokio::test]
async fn health_says_what_is_the_matter() {
    let test = TestHub::sqlite().await;
    let client = test.anonymous();
    assert_eq!(client.get("/healthz").await.json()["status"], "ok");
    let ready = client.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.json()["database"].clone()), (200, json!(true)));
    test.hub.history.close().await;
    let broken = client.get("/readyz").await;
    assert_eq!((broken.status.as_u16(), broken.code().as_str()), (503, "unavailable"));
    assert_eq!(broken.json()["error"]["details"]["history"], false);
    assert_eq!(broken.json()["error"]["details"]["database"], true);
}

#[tokio::test]
async fn numbers_are_for_this_machine_or_for_the_token() {
    let test = TestHub::sqlite().await;
    test.anonymous().get("/v1/nothing").await;
    let text = test.anonymous().get("/metrics").await.text();
    assert!(text.contains("roadstead_http_requests_total{method=\"GET\",route=\"-\",status=\"404\"} 1"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    let guarded = TestHub::with_config(|config| {
        config.metrics_token = Some(crate::secret::Secret::new("let me in please".to_owned()));
    })
    .await;
    let client = guarded.anonymous();
    assert_eq!(client.get("/metrics").await.code(), "unauthenticated");
    assert_eq!(client.with_header("authorization", "Bearer wrong").get("/metrics").await.code(), "unauthenticated");
    assert_eq!(
        client.with_header("authorization", "Bearer let me in please").get("/metrics").await.status,
        StatusCode::OK
    );
}

#[test]
fn only_the_router_adds_routes_outside_the_document() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut dirs = vec![std::path::PathBuf::from(root)];
    let mut found = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                let test_code = name.contains("test");
                #[expect(clippy::disallowed_methods, reason = "reads its own sources")]
                let text = std::fs::read_to_string(&path).unwrap();
                if !test_code && text.contains(".route(") {
                    found.push(name);
                }
            }
        }
    }
    assert_eq!(found, ["http/docs/mod.rs"], "routes of the API are added with routes!, which documents them");
}
