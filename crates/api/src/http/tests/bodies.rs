//! Bodies that come slowly: what they hold meanwhile, and what counts when their last byte is there.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::testing::{Answer, Client, TestHub};

/// A body that comes when the test wants it to.
struct SlowBody {
    body: Body,
    /// Somebody waits for what is to come.
    awaited: Arc<Notify>,
    rest: mpsc::Sender<Bytes>,
}

fn slow_body() -> SlowBody {
    let (rest, coming) = mpsc::channel(1);
    let awaited = Arc::new(Notify::new());
    let noting = Arc::clone(&awaited);
    let stream = futures_util::stream::unfold(coming, move |mut coming| {
        noting.notify_one();
        async move { coming.recv().await.map(|bytes| (Ok::<Bytes, Infallible>(bytes), coming)) }
    });
    SlowBody { body: Body::from_stream(stream), awaited, rest }
}

fn json_to(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("content-type", "application/json")
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up_and_leaves_nothing_behind() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let keyed = owner.with_header("idempotency-key", "one");
    let nobody = test.anonymous();
    tokio::time::pause();
    for (client, method, path) in [
        (&nobody, Method::POST, "/v1/auth/login"),
        (&owner, Method::POST, "/v1/jobs"),
        (&keyed, Method::POST, "/v1/jobs"),
        (&owner, Method::DELETE, "/v1/account/totp"),
        (&nobody, Method::PUT, "/v1/nothing"),
    ] {
        let SlowBody { body, rest, .. } = slow_body();
        rest.send(Bytes::from_static(b"{")).await.unwrap();
        let answer = client.send_raw(json_to(method, path), body).await.collected().await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (408, "request_timeout"), "{path}");
        assert_eq!(test.hub.tasks.running(), 0, "{path}");
        assert!(rest.is_closed(), "what came is not kept: {path}");
    }
    tokio::time::resume();
    let SlowBody { body, rest, .. } = slow_body();
    let answer = owner.send_raw(json_to(Method::GET, "/v1/servers"), body).await;
    assert_eq!(answer.status, StatusCode::OK, "nobody waits for what nobody reads");
    assert!(rest.is_closed());
}

/// Sends a request whose body ends only after something else happened.
async fn while_it_comes(
    client: &Client,
    (method, path): (Method, &str),
    text: Value,
    meanwhile: impl Future<Output = ()>,
) -> Answer {
    let SlowBody { body, awaited, rest } = slow_body();
    let sent = async { client.send_raw(json_to(method, path), body).await.collected().await };
    let ended = async {
        awaited.notified().await;
        meanwhile.await;
        // Nobody may listen any more.
        let _ = rest.send(text.to_string().into()).await;
        drop(rest);
    };
    tokio::join!(sent, ended).0
}

#[tokio::test]
async fn who_may_do_something_is_asked_after_the_last_byte() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let scope = json!({ "type": "workspace" });
        let other = test.member(&owner, "other@example.org", json!({ "role": "owner" }), scope.clone()).await;
        let id = async |client: &Client| client.get("/v1/auth/session").await.json()["user"]["id"].clone();
        let (owner_id, other_id) = (id(&owner).await, id(&other).await);
        let path = |id: &Value| format!("/v1/team/members/{}/grants", id.as_str().unwrap());
        let viewer = json!({ "grants": [{ "granted": { "role": "viewer" }, "scope": scope }] });

        let owners = path(&owner_id);
        let answer = while_it_comes(&other, (Method::PUT, &owners), viewer.clone(), async {
            let fallen = owner.put(&path(&other_id), viewer.clone()).await;
            assert_eq!(fallen.status, StatusCode::OK, "{}", fallen.text());
        });
        let answer = answer.await;
        // Not even that there is such a member.
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "not_found"), "{}", answer.text());
        let still = owner.get("/v1/auth/session").await.json();
        assert!(still["permissions"].as_array().unwrap().contains(&json!("workspace.close")), "{still}");

        let job = json!({ "server_id": other_id, "kind": "exec", "args": { "command": "id" } });
        let left = owner.clone();
        let answer = while_it_comes(&owner, (Method::POST, "/v1/jobs"), job, async {
            left.post("/v1/auth/logout", json!({})).await;
        });
        assert_eq!(answer.await.code(), "unauthenticated");
    }
}
