//! Promises of access: walks every route of the OpenAPI document as nobody, as a stranger, and as everybody else.

mod matrix;
mod people;
mod table;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};

use crate::testing::TestHub;

/// Routes that answer people and programs who are not signed in. A route belongs here only for a reason that
/// `docs/security.md` gives.
const PUBLIC: [&str; 21] = [
    "GET /healthz",
    "GET /install.sh",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/agent/binary/{target}",
    "GET /v1/auth/methods",
    "GET /v1/auth/oidc/{provider}/callback",
    "GET /v1/auth/oidc/{provider}/start",
    "GET /v1/openapi.json",
    "GET /v1/setup",
    "POST /v1/agent/register",
    "POST /v1/auth/email-change/complete",
    "POST /v1/auth/login",
    "POST /v1/auth/oidc/complete",
    "POST /v1/auth/passkey",
    "POST /v1/auth/passkey/begin",
    "POST /v1/auth/password-reset",
    "POST /v1/auth/password-reset/complete",
    "POST /v1/invites/accept",
    "POST /v1/invites/look-up",
    "POST /v1/setup",
];

/// `METHOD path` of every route of the document.
fn routes() -> BTreeSet<String> {
    let document = serde_json::to_value(crate::http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods =
            item.as_object().unwrap().keys().filter(|key| Method::from_bytes(key.to_uppercase().as_bytes()).is_ok());
        methods
            .filter(|key| matches!(key.as_str(), "get" | "post" | "put" | "patch" | "delete"))
            .map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

/// The route with an id that nobody has in every parameter.
fn request(route: &str) -> axum::http::request::Builder {
    let (method, path) = route.split_once(' ').unwrap();
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        filled.push('/');
        filled.push_str(if part.starts_with('{') { "01890000-0000-7000-8000-000000000000" } else { part });
    }
    Request::builder().method(method).uri(filled).header(header::CONTENT_TYPE, "application/json")
}

#[tokio::test]
async fn nobody_gets_in_but_where_it_says_so() {
    let hub = TestHub::sqlite().await;
    let nobody = hub.anonymous();
    let mut open = Vec::new();
    for route in routes() {
        let answer = nobody.send_raw(request(&route), Body::from("{}")).await;
        if answer.status != StatusCode::UNAUTHORIZED {
            open.push(route);
        }
    }
    let unlisted: Vec<_> = open.iter().filter(|route| !PUBLIC.contains(&route.as_str())).collect();
    assert_eq!(unlisted, [""; 0], "open to everybody, but not on the list");
    let stale: Vec<_> = PUBLIC.iter().copied().filter(|route| !open.iter().any(|open| open == route)).collect();
    assert_eq!(stale, [""; 0], "on the list, but not open");
}

/// The document tells readers the truth: what it marks as open is what is open.
#[test]
fn the_document_says_which_routes_are_public() {
    let document = serde_json::to_value(crate::http::openapi()).unwrap();
    for route in routes() {
        let (method, path) = route.split_once(' ').unwrap();
        let security = &document["paths"][path][method.to_lowercase()]["security"];
        let public = *security == serde_json::json!([{}]);
        assert_eq!(public, PUBLIC.contains(&route.as_str()), "{route}: {security}");
    }
}

/// Ids of another workspace name nothing, whatever the method.
#[tokio::test]
async fn a_stranger_finds_nothing_by_id() {
    let hub = TestHub::sqlite().await;
    let _owner = hub.owner().await;
    let stranger = hub.stranger().await;
    // Plans are set by whoever runs the hub, who knows of every workspace.
    let tenants = |route: &&String| route.contains("{id}") && !route.contains("/v1/workspaces/");
    for route in routes().iter().filter(tenants) {
        let answer = stranger.send_raw(request(route), Body::from("{}")).await.collected().await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{route}: {}", answer.text());
    }
}

/// A member whose role holds nothing is refused everywhere, and each refusal is recorded.
#[tokio::test]
async fn what_a_role_does_not_hold_is_refused_and_recorded() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let member = hub.stranger().await;
        let elsewhere = "where workspace_id in (select id from workspaces where name = 'Elsewhere')";
        let set = async |role: &str| {
            let mut tx = hub.hub.db.write().await.unwrap();
            let text = format!("update grants set role = '{role}' {elsewhere}");
            tx.conn().query_built(text).execute().await.unwrap();
            tx.commit().await.unwrap();
        };
        // A role that this version does not know grants nothing.
        set("astronaut").await;
        for (route, node) in [("GET /v1/audit", "audit.read"), ("GET /v1/servers", "servers.read")] {
            let answer = member.send_raw(request(route), Body::empty()).await.collected().await;
            assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "forbidden"), "{route}");
            assert!(answer.text().contains(node), "{}", answer.text());
        }
        assert_eq!(member.get("/v1/auth/session").await.json()["permissions"], serde_json::json!([]));

        set("owner").await;
        let records = member.get("/v1/audit?action=access.deny").await.json();
        let seen: Vec<_> =
            records["data"].as_array().unwrap().iter().map(|record| &record["details"]["permission"]).collect();
        assert_eq!(seen, ["servers.read", "audit.read"]);
        assert_eq!(records["data"][0]["result"], "denied");
        assert_eq!(owner.get("/v1/audit?action=access.deny").await.json()["data"], serde_json::json!([]));
    }
}
