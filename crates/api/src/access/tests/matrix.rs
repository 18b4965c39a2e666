//! Every route, as everybody, at every place: what is not allowed is refused, what is allowed is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use super::people::{Somebody, Target, World, user_of};
use super::routes;
use super::table::{Kind, Needs, TABLE};

/// What was seen where something else was due.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Wrong {
    cell: String,
    seen: String,
}

/// How many cells were refused, and which were wrong.
#[derive(Debug, Default)]
struct Outcome {
    allowed: usize,
    refused: BTreeSet<String>,
    wrong: Vec<Wrong>,
}

/// What the table says about one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Allowed,
    Forbidden,
    NotFound,
}

impl Outcome {
    fn note(&mut self, cell: String, due: Due, (status, text): (StatusCode, String)) {
        // What a resource lacks is another matter than the resource itself.
        let hidden =
            status == StatusCode::NOT_FOUND && WORDS.iter().any(|word| text.contains(&format!("no such {word}\"")));
        let right = match due {
            // A body or a state may be wrong all the same; that comes after the question who asks.
            Due::Allowed => {
                !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                    && !hidden
                    && !status.is_server_error()
            }
            Due::Forbidden => status == StatusCode::FORBIDDEN,
            Due::NotFound => hidden,
        };
        if due == Due::Allowed {
            self.allowed += 1;
        } else {
            self.refused.insert(cell.clone());
        }
        if !right {
            self.wrong.push(Wrong { cell, seen: format!("{status} instead of {due:?}: {text}") });
        }
    }
}

/// What resources are called in refusals.
const WORDS: [&str; 12] = [
    "server",
    "job",
    "job batch",
    "install token",
    "project",
    "member",
    "role",
    "invitation",
    "API key",
    "audit record",
    "webhook",
    "delivery",
];

/// Routes whose answer goes on.
const STREAMS: [&str; 1] = ["GET /v1/events"];

async fn ask(somebody: &Somebody, route: &str, id: &str) -> (StatusCode, String) {
    let (method, path) = route.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(path.replace("{id}", id));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    // A body that no route takes: what is allowed stops there and changes nothing that others need.
    let body = if matches!(method, "GET" | "DELETE") { Body::empty() } else { Body::from("[]") };
    let answer = somebody.client.send_raw(request, body).await;
    if STREAMS.contains(&route) && answer.status == StatusCode::OK {
        return (answer.status, String::new());
    }
    let answer = answer.collected().await;
    (answer.status, answer.text())
}

fn due_on(somebody: &Somebody, kind: Kind, node: crate::access::Node, target: Target) -> Due {
    if somebody.may(node, target) {
        Due::Allowed
    } else if somebody.may(kind.read(), target) {
        Due::Forbidden
    } else {
        Due::NotFound
    }
}

async fn walk(world: &World, lax: bool) -> Outcome {
    let people = world.people().await;
    let things = world.furnish().await;
    world.hub.hub.access.lax.store(lax, Ordering::Relaxed);
    let mut outcome = Outcome::default();
    for (route, needs) in TABLE {
        for somebody in &people {
            let cell = |rest: &str| format!("{route} as {} {rest}", somebody.name);
            match *needs {
                // Their own tests see to them.
                Needs::Public | Needs::Agent | Needs::Own => {}
                Needs::Session if *route == "POST /v1/auth/logout" && somebody.has_session => {}
                // It would end the key that others are asked with; a test of its own sees to it.
                Needs::Key if !somebody.has_session => {}
                Needs::Key => outcome.note(cell(""), Due::Forbidden, ask(somebody, route, "").await),
                Needs::Session => {
                    let due = if somebody.has_session { Due::Allowed } else { Due::Forbidden };
                    outcome.note(cell(""), due, ask(somebody, route, "").await);
                }
                Needs::Workspace(node) => {
                    let due = if somebody.may_everywhere(node) { Due::Allowed } else { Due::Forbidden };
                    // Handing a workspace on takes a person.
                    let due = match (*route, somebody.has_session) {
                        ("POST /v1/team/transfer", false) => Due::Forbidden,
                        _ => due,
                    };
                    outcome.note(cell(""), due, ask(somebody, route, "").await);
                }
                Needs::Somewhere(node) => {
                    let due = if somebody.may_somewhere(node) { Due::Allowed } else { Due::Forbidden };
                    outcome.note(cell(""), due, ask(somebody, route, "").await);
                }
                Needs::List(kind, node) => {
                    let due = if somebody.may_somewhere(node) { Due::Allowed } else { Due::Forbidden };
                    outcome.note(cell(""), due, ask(somebody, route, "").await);
                    if due == Due::Allowed {
                        list(&mut outcome, somebody, route, (kind, node), &things).await;
                    }
                }
                Needs::On(kind, node) | Needs::OnOrOwn(kind, node) => {
                    for target in Target::ALL {
                        // What is used up by one is made again for the next.
                        let destructive = route.starts_with("DELETE") || route.ends_with("/revoke");
                        let held = kind == Kind::Server && target == Target::Held;
                        let shared = kind == Kind::Project && target == Target::InProject;
                        let due = due_on(somebody, kind, node, target);
                        if destructive && (held || shared) && (due == Due::Allowed || lax) {
                            continue;
                        }
                        world.hub.hub.access.lax.store(false, Ordering::Relaxed);
                        let id = match things.get(&(kind, target)) {
                            Some(id) if !destructive => Some(id.clone()),
                            _ => world.make(kind, target).await,
                        };
                        world.hub.hub.access.lax.store(lax, Ordering::Relaxed);
                        let Some(id) = id else { continue };
                        // The owner's keys are the owner's own, and rotating somebody else's is nobody's.
                        if kind == Kind::ApiKey && somebody.name == "owner" && target != Target::Unknown {
                            continue;
                        }
                        let due = match (*route, due) {
                            ("POST /v1/api-keys/{id}/rotate", Due::Allowed) => Due::Forbidden,
                            _ => due,
                        };
                        outcome.note(cell(&format!("at {target:?}")), due, ask(somebody, route, &id).await);
                    }
                }
            }
        }
    }
    world.hub.hub.access.lax.store(false, Ordering::Relaxed);
    outcome
}

/// A list holds what is within reach, all of it and nothing else.
async fn list(
    outcome: &mut Outcome,
    somebody: &Somebody,
    route: &str,
    (kind, node): (Kind, crate::access::Node),
    things: &BTreeMap<(Kind, Target), String>,
) {
    let path = route.strip_prefix("GET ").unwrap();
    let page = somebody.client.get(&format!("{path}?limit=200")).await.json();
    let shown = page["data"].as_array().unwrap().iter().filter_map(|item| item["id"].as_str());
    let shown = shown.collect::<BTreeSet<_>>();
    for ((_, target), id) in things.iter().filter(|((of, _), _)| *of == kind) {
        let cell = format!("{route} as {} shows {target:?}", somebody.name);
        let due = somebody.may(node, *target);
        if due {
            outcome.allowed += 1;
        } else {
            outcome.refused.insert(cell.clone());
        }
        if shown.contains(id.as_str()) != due {
            outcome.wrong.push(Wrong { cell, seen: format!("shown: {}", !due) });
        }
    }
}

#[test]
fn every_route_is_in_the_table_and_nothing_else() {
    let known = TABLE.iter().map(|(route, _)| (*route).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(known.len(), TABLE.len(), "a route twice");
    let routes = routes();
    let missing = routes.difference(&known).collect::<Vec<_>>();
    assert_eq!(missing, [""; 0], "say in the table what these routes need");
    let stale = known.difference(&routes).collect::<Vec<_>>();
    assert_eq!(stale, [""; 0], "these routes are gone");
}

#[tokio::test]
async fn everybody_gets_what_they_hold_and_nothing_else() {
    let world = World::new().await;
    let outcome = walk(&world, false).await;
    assert!(outcome.wrong.is_empty(), "{} wrong: {:#?}", outcome.wrong.len(), outcome.wrong);
    assert!(outcome.allowed > 300 && outcome.refused.len() > 500, "{} {}", outcome.allowed, outcome.refused.len());
}

/// The matrix proves itself: with an authoriser that allows everything, every refusal that is the authoriser's is missed.
#[tokio::test]
async fn an_authoriser_that_allows_everything_is_noticed_in_every_refused_cell() {
    let lax = walk(&World::new().await, true).await;
    let wrong = lax.wrong.iter().map(|wrong| wrong.cell.as_str()).collect::<BTreeSet<_>>();
    let unnoticed = lax.refused.iter().filter(|cell| !wrong.contains(cell.as_str()));
    // Not the authoriser's: what is nowhere, what belongs to a session, what has a name only within its workspace, and
    // rows of other workspaces, which no statement reads.
    let not_its = |cell: &&String| {
        cell.contains("at Unknown")
            || cell.contains("shows Foreign")
            || (cell.contains("/v1/team/members/{id}") && cell.contains("at Foreign"))
            || (cell.contains("key") && is_of_a_session(cell))
            || cell.contains("/rotate ")
    };
    let unnoticed = unnoticed.filter(|cell| !not_its(cell)).collect::<Vec<_>>();
    // Servers that others need are not removed in this walk.
    let unnoticed = unnoticed.iter().filter(|cell| !cell.starts_with("DELETE") && !cell.contains("/revoke"));
    assert_eq!(unnoticed.collect::<Vec<_>>(), [&""; 0], "refused by something else, or not looked at");
}

fn is_of_a_session(cell: &str) -> bool {
    let of_session = TABLE.iter().filter(|(_, needs)| *needs == Needs::Session).map(|(route, _)| *route);
    let mut routes = of_session.chain(["POST /v1/team/transfer"]);
    routes.any(|route| cell.starts_with(&format!("{route} as")))
}

/// A body names things too: another tenant's are not there.
#[tokio::test]
async fn ids_of_another_workspace_in_a_body_name_nothing() {
    let world = World::new().await;
    let foreign = async |kind| world.make(kind, Target::Foreign).await.unwrap();
    let (server, project) = (foreign(Kind::Server).await, foreign(Kind::Project).await);
    let (role, own) = (foreign(Kind::Role).await, world.make(Kind::Server, Target::InWorkspace).await.unwrap());
    let member = world.make(Kind::Member, Target::InWorkspace).await.unwrap();
    let (stranger, elsewhere) = (user_of(&world.stranger).await, world.stranger.get("/v1/auth/session").await.json());
    let exec = |server: &str| json!({ "server_id": server, "kind": "exec", "args": { "command": "id" } });
    let scope = |kind: &str, id: &str| json!({ "type": kind, "id": id });
    let viewer = json!({ "role": "viewer" });
    let invite =
        |granted: &Value, scope: Value| json!({ "email": "new@example.org", "granted": granted, "scope": scope });
    let key = |scope: Value| json!({ "name": "k", "permissions": ["servers.read"], "scope": scope });
    let everywhere = json!({ "type": "workspace" });
    let their_role = json!({ "role_id": role });
    let grants = |granted: &Value, scope: Value| json!({ "grants": [{ "granted": granted, "scope": scope }] });
    let password = crate::testing::OWNER_PASSWORD;
    let requests = [
        ("POST", "/v1/jobs".to_owned(), exec(&server), 404),
        (
            "POST",
            "/v1/job-batches".to_owned(),
            json!({
                "selector": { "server_ids": [own, server] }, "kind": "exec", "args": { "command": "id" },
            }),
            422,
        ),
        ("POST", "/v1/servers/install-tokens".to_owned(), json!({ "server_id": server }), 404),
        ("POST", "/v1/servers/install-tokens".to_owned(), json!({ "project_id": project }), 404),
        ("PATCH", format!("/v1/servers/{own}"), json!({ "project_id": project }), 422),
        ("POST", "/v1/team/invites".to_owned(), invite(&viewer, scope("server", &server)), 422),
        ("POST", "/v1/team/invites".to_owned(), invite(&viewer, scope("project", &project)), 422),
        ("POST", "/v1/team/invites".to_owned(), invite(&their_role, everywhere.clone()), 422),
        ("PUT", format!("/v1/team/members/{member}/grants"), grants(&viewer, scope("server", &server)), 422),
        ("PUT", format!("/v1/team/members/{member}/grants"), grants(&viewer, scope("project", &project)), 422),
        ("PUT", format!("/v1/team/members/{member}/grants"), grants(&their_role, everywhere), 422),
        ("POST", "/v1/team/transfer".to_owned(), json!({ "user_id": stranger, "password": password }), 422),
        ("POST", "/v1/api-keys".to_owned(), key(scope("server", &server)), 422),
        ("POST", "/v1/api-keys".to_owned(), key(scope("project", &project)), 422),
        ("PATCH", "/v1/auth/session".to_owned(), json!({ "workspace_id": elsewhere["workspace_id"] }), 404),
    ];
    for (method, path, body, status) in requests {
        let answer = world.owner.send(method.parse().unwrap(), &path, Some(body.clone())).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text());
        assert!(!answer.text().contains("foreign"), "{}", answer.text());
    }
}
