//! The event stream: order, resume, retention, and what a caller may see.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use protocol::{ServerId, WorkspaceId};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Change, ChangeSubject, announce_live, store, task};
use crate::access::Place;
use crate::hub::App;
use crate::testing::{Client, TestHub};

/// One event as it came.
#[derive(Debug, PartialEq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: Value,
}

/// Reads an event stream.
struct Reader {
    body: Body,
    text: String,
}

impl Reader {
    async fn open(client: &Client, last: Option<&str>) -> Self {
        let mut request = Request::get("/v1/events");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = client.send_raw(request, Body::empty()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        Self { body: answer.body, text: String::new() }
    }

    /// The next event; retry hints and comments are passed over. `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let event = parse(block);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let frame = timeout(Duration::from_secs(10), self.body.frame()).await.expect("an event in time")?;
            self.text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
    }

    async fn take(&mut self, kind: &str) -> Event {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.kind, kind, "{event:?}");
        event
    }

    /// The values of the next `count` events of [`change`].
    async fn numbers(&mut self, count: usize) -> Vec<i64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            numbers.push(self.take("test.changed").await.data["data"]["number"].as_i64().unwrap());
        }
        numbers
    }
}

fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().to_owned()));
    let data = serde_json::from_str(&field("data:")?).unwrap();
    Some(Event { kind: field("event:")?, id: field("id:"), data })
}

fn change(workspace_id: WorkspaceId, number: i64) -> Change {
    Change {
        workspace_id,
        kind: "test.changed",
        subject: ChangeSubject::new("thing", &format!("thing-{number}")),
        data: json!({ "number": number }),
    }
}

async fn commit(hub: &App, workspace_id: WorkspaceId, numbers: impl IntoIterator<Item = i64>) {
    let mut unit = hub.begin().await.unwrap();
    for number in numbers {
        unit.announce(change(workspace_id, number));
    }
    unit.commit().await.unwrap();
}

async fn workspace_of(client: &Client) -> WorkspaceId {
    let session = client.get("/v1/auth/session").await.json();
    session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn changes_arrive_with_hello_first() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let workspace = workspace_of(&owner).await;
        let mut reader = Reader::open(&owner, None).await;
        let hello = reader.take("hello").await;
        assert_eq!(hello.data["id"].as_str(), hello.id.as_deref());
        commit(&test.hub, workspace, [1]).await;
        let event = reader.take("test.changed").await;
        assert_eq!(event.data["type"], "test.changed");
        assert_eq!(event.data["subject"], json!({ "type": "thing", "id": "thing-1" }));
        assert_eq!(event.data["at"], "2026-01-01T00:00:00.000Z");
        assert_eq!(event.data["id"].as_str(), event.id.as_deref());
    }
}

#[tokio::test]
async fn resume_has_no_gap_and_no_double() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let workspace = workspace_of(&owner).await;
        let start = Reader::open(&owner, None).await.take("hello").await.id.unwrap();
        commit(&test.hub, workspace, 1..=3).await;
        commit(&test.hub, workspace, [4]).await;

        let mut reader = Reader::open(&owner, Some(&start)).await;
        assert_eq!(reader.take("hello").await.id.as_deref(), Some(start.as_str()));
        commit(&test.hub, workspace, 5..=6).await;
        assert_eq!(reader.numbers(6).await, [1, 2, 3, 4, 5, 6]);

        let mut first = Reader::open(&owner, Some(&start)).await;
        first.take("hello").await;
        let third = loop {
            let event = first.take("test.changed").await;
            if event.data["data"]["number"] == 3 {
                break event.id.unwrap();
            }
        };
        let mut resumed = Reader::open(&owner, Some(&third)).await;
        resumed.take("hello").await;
        assert_eq!(resumed.numbers(3).await, [4, 5, 6]);
    }
}

#[tokio::test]
async fn concurrent_changes_arrive_once_and_in_the_order_of_their_numbers() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let workspace = workspace_of(&owner).await;
        let mut reader = Reader::open(&owner, None).await;
        let start = reader.take("hello").await.id.unwrap();
        let writers: Vec<_> = (0..20)
            .map(|writer| {
                let hub = App::clone(&test.hub);
                test.hub.tasks.spawn(async move {
                    for step in 0..5 {
                        commit(&hub, workspace, [writer * 5 + step]).await;
                    }
                })
            })
            .collect();
        let mut live = Vec::new();
        for _ in 0..100 {
            live.push(reader.take("test.changed").await);
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let ids: Vec<i64> = live.iter().map(|event| event.id.as_ref().unwrap().parse().unwrap()).collect();
        let first: i64 = start.parse().unwrap();
        assert_eq!(ids, (first + 1..=first + 100).collect::<Vec<_>>());
        let mut numbers: Vec<_> = live.iter().map(|event| event.data["data"]["number"].as_i64().unwrap()).collect();
        let mut replayed = Reader::open(&owner, Some(&start)).await;
        replayed.take("hello").await;
        assert_eq!(replayed.numbers(100).await, numbers);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_rolled_back_change_leaves_no_hole() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let workspace = workspace_of(&owner).await;
        let mut reader = Reader::open(&owner, None).await;
        let start: i64 = reader.take("hello").await.id.unwrap().parse().unwrap();
        {
            let mut tx = test.hub.db.write().await.unwrap();
            super::record(&test.hub, &mut tx.conn(), vec![change(workspace, 1)]).await.unwrap();
        }
        commit(&test.hub, workspace, [2]).await;
        let event = reader.take("test.changed").await;
        assert_eq!((event.data["data"]["number"].as_i64(), event.id.unwrap()), (Some(2), (start + 1).to_string()));
    }
}

#[tokio::test]
async fn a_follower_that_lags_reads_what_it_missed_from_the_table() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let workspace = workspace_of(&owner).await;
    let mut reader = Reader::open(&owner, None).await;
    reader.take("hello").await;
    // More than the bus keeps for a subscriber.
    for batch in 0..50 {
        commit(&test.hub, workspace, batch * 100..(batch + 1) * 100).await;
    }
    assert_eq!(reader.numbers(5_000).await, (0..5_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn swapped_and_lost_announcements_are_made_good() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let workspace = workspace_of(&owner).await;
    let mut reader = Reader::open(&owner, None).await;
    reader.take("hello").await;
    let mut recorded = Vec::new();
    for number in 1..=4 {
        let mut tx = test.hub.db.write().await.unwrap();
        recorded.extend(super::record(&test.hub, &mut tx.conn(), vec![change(workspace, number)]).await.unwrap());
        tx.commit().await.unwrap();
    }
    // 3 before 1, 2 never, 1 twice.
    for index in [2, 0, 0, 3] {
        test.hub.bus.publish(recorded[index].clone());
    }
    assert_eq!(reader.numbers(4).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn live_values_are_never_replayed_and_carry_no_id() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let workspace = workspace_of(&owner).await;
    let mut reader = Reader::open(&owner, None).await;
    let start = reader.take("hello").await.id.unwrap();
    announce_live(&test.hub, change(workspace, 7));
    let event = reader.take("test.changed").await;
    assert_eq!((event.id, event.data["id"].clone()), (None, Value::Null));
    commit(&test.hub, workspace, [8]).await;
    let mut resumed = Reader::open(&owner, Some(&start)).await;
    resumed.take("hello").await;
    assert_eq!(resumed.numbers(1).await, [8]);
}

#[tokio::test]
async fn an_id_that_is_not_kept_any_more_gets_reset() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let workspace = workspace_of(&owner).await;
        let start = Reader::open(&owner, None).await.take("hello").await.id.unwrap();
        commit(&test.hub, workspace, 1..=3).await;
        test.clock.advance(Duration::from_hours(25));
        commit(&test.hub, workspace, [4]).await;
        task::forget_old(App::clone(&test.hub)).await.unwrap();

        let last = (start.parse::<i64>().unwrap() + 3).to_string();
        let head = (start.parse::<i64>().unwrap() + 4).to_string();
        let session = owner.clone();
        let mut kept = Reader::open(&session, Some(&last)).await;
        assert_eq!(kept.take("hello").await.id, Some(last));
        assert_eq!(kept.numbers(1).await, [4]);
        for gone in [start.as_str(), "999999", "nonsense", "-1"] {
            let mut reader = Reader::open(&session, Some(gone)).await;
            assert_eq!(reader.take("hello").await.id.as_deref(), Some(head.as_str()), "{gone}");
            assert_eq!(reader.take("reset").await.data["id"], head.as_str(), "{gone}");
            announce_live(&test.hub, change(workspace, 9));
            assert_eq!(reader.numbers(1).await, [9]);
        }
    }
}

#[tokio::test]
async fn retention_works_in_steps_and_per_workspace() {
    for test in TestHub::each_engine().await {
        let workspace = workspace_of(&test.owner().await).await;
        let other = workspace_of(&test.stranger().await).await;
        let before = head(&test, workspace).await;
        commit(&test.hub, workspace, 0..6_000).await;
        commit(&test.hub, other, [1]).await;
        test.clock.advance(Duration::from_hours(25));
        commit(&test.hub, other, [2]).await;
        task::forget_old(App::clone(&test.hub)).await.unwrap();
        let head_now = head(&test, workspace).await;
        assert_eq!(head_now.seq.get(), before.seq.get() + 6_000);
        assert_eq!(head_now.pruned_seq, head_now.seq);
        let other_head = head(&test, other).await;
        assert_eq!(other_head.pruned_seq.get(), other_head.seq.get() - 1);
    }
}

async fn head(test: &TestHub, workspace: WorkspaceId) -> store::Head {
    store::head(&mut test.hub.db.read().await.unwrap().conn(), workspace).await.unwrap()
}

#[tokio::test]
async fn strangers_and_nobody_see_nothing() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let stranger = test.stranger().await;
        let mut reader = Reader::open(&stranger, None).await;
        reader.take("hello").await;
        let foreign = workspace_of(&stranger).await;
        commit(&test.hub, workspace_of(&owner).await, [1]).await;
        announce_live(&test.hub, change(workspace_of(&owner).await, 2));
        commit(&test.hub, foreign, [3]).await;
        assert_eq!(reader.numbers(1).await, [3]);
        assert_eq!(test.anonymous().get("/v1/events").await.code(), "unauthenticated");
    }
}

#[tokio::test]
async fn streams_end_with_their_session() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let other = test.anonymous();
        let form = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
        other.post("/v1/auth/login", form).await;
        let (mut mine, mut theirs) = (Reader::open(&owner, None).await, Reader::open(&other, None).await);
        mine.take("hello").await;
        theirs.take("hello").await;
        other.post("/v1/auth/logout", json!({})).await;
        assert_eq!(theirs.next().await, None);
        commit(&test.hub, workspace_of(&owner).await, [1]).await;
        assert_eq!(mine.numbers(1).await, [1]);
    }
}

#[tokio::test]
async fn streams_end_when_rights_change_or_the_session_acts_elsewhere() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let everywhere = json!({ "type": "workspace" });
        let member = test.member(&owner, "ann@example.org", json!({ "role": "operator" }), everywhere.clone()).await;
        let id = member.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/team/members/{id}");
        let mut stream = Reader::open(&member, None).await;
        stream.take("hello").await;
        let grants = json!({ "grants": [{ "granted": { "role": "viewer" }, "scope": everywhere }] });
        assert_eq!(owner.put(&format!("{path}/grants"), grants).await.status, StatusCode::OK);
        assert_eq!(stream.next().await, None, "other rights");

        // Somebody of two workspaces looks at one at a time.
        let stranger = test.stranger().await;
        let invite =
            json!({ "email": "ann@example.org", "granted": { "role": "viewer" }, "scope": { "type": "workspace" } });
        let invite = stranger.post("/v1/team/invites", invite).await.json();
        let accepted = json!({ "token": invite["token"], "password": crate::testing::OWNER_PASSWORD });
        let elsewhere = test.anonymous();
        assert_eq!(elsewhere.post("/v1/invites/accept", accepted).await.status, StatusCode::OK);
        let mut stream = Reader::open(&elsewhere, None).await;
        stream.take("hello").await;
        let home = json!({ "workspace_id": workspace_of(&owner).await });
        assert_eq!(elsewhere.patch("/v1/auth/session", home).await.status, StatusCode::NO_CONTENT);
        assert_eq!(stream.next().await, None, "another workspace");

        let mut stream = Reader::open(&member, None).await;
        stream.take("hello").await;
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(stream.next().await, None, "no member any more");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let form = json!({ "name": "k", "permissions": ["events.read"], "scope": { "type": "workspace" } });
        let key = owner.post("/v1/api-keys", form).await.json();
        let script =
            test.anonymous().with_header("authorization", &format!("Bearer {}", key["token"].as_str().unwrap()));
        let mut stream = Reader::open(&script, None).await;
        stream.take("hello").await;
        let rotate = format!("/v1/api-keys/{}/rotate", key["id"].as_str().unwrap());
        assert_eq!(owner.post(&rotate, json!({})).await.status, StatusCode::OK);
        assert_eq!(stream.next().await, None, "the old token is worth nothing at once");
    }
}

#[tokio::test]
async fn a_stream_shows_what_its_follower_may_see_and_nothing_else() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let workspace = workspace_of(&owner).await;
        let shop = owner.post("/v1/projects", json!({ "name": "Shop" })).await.json();
        let mut servers = Vec::new();
        for name in ["mine", "other"] {
            servers.push(crate::jobs::tests::support::add_server(&test.hub, workspace, name).await.server_id);
        }
        let scope = |kind: &str, id: &str| json!({ "type": kind, "id": id });
        let customer = json!({ "role": "customer" });
        let customer = test.member(&owner, "c@example.org", customer, scope("server", &servers[0].to_string())).await;
        let shop_id = shop["id"].as_str().unwrap();
        let of_project =
            test.member(&owner, "p@example.org", json!({ "role": "viewer" }), scope("project", shop_id)).await;
        let mut streams = [Reader::open(&customer, None).await, Reader::open(&of_project, None).await];
        for stream in &mut streams {
            stream.take("hello").await;
        }
        let say = async |subject: ChangeSubject, number: i64| {
            let mut unit = test.hub.begin().await.unwrap();
            unit.announce(Change { subject, ..change(workspace, number) });
            unit.commit().await.unwrap();
        };
        let job = |server: ServerId| {
            ChangeSubject::new("job", &test.hub.ids.job()).at(Place { project_id: None, server_id: Some(server) })
        };
        say(ChangeSubject::new("thing", &1), 1).await;
        say(ChangeSubject::server(servers[1]), 2).await;
        say(job(servers[0]), 3).await;
        say(ChangeSubject::server(servers[0]), 4).await;
        assert_eq!(streams[0].numbers(1).await, [4], "its server, and no job of it");

        let path = format!("/v1/servers/{}", servers[1]);
        assert_eq!(owner.patch(&path, json!({ "project_id": shop_id })).await.status, StatusCode::OK);
        // Whoever may see a server now may see what it did before.
        assert_eq!(streams[1].numbers(1).await, [2]);
        assert_eq!(streams[1].take("server.updated").await.data["subject"]["id"], json!(servers[1]));
        say(job(servers[0]), 5).await;
        say(job(servers[1]), 6).await;
        say(ChangeSubject::server(servers[0]), 7).await;
        assert_eq!(streams[1].numbers(1).await, [6], "what is in the project");
        assert_eq!(streams[0].numbers(1).await, [7]);
        // The same when it is read from the table.
        let mut resumed = Reader::open(&customer, Some("0")).await;
        resumed.take("hello").await;
        let first = resumed.next().await.unwrap();
        assert_eq!((first.kind.as_str(), &first.data["subject"]["id"]), ("server.created", &json!(servers[0])));
        assert_eq!(resumed.numbers(2).await, [4, 7]);
    }
}

#[tokio::test]
async fn streams_end_when_the_hub_stops() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let mut reader = Reader::open(&owner, None).await;
    reader.take("hello").await;
    test.hub.tasks.shut_down().await;
    assert_eq!(reader.next().await, None);
}
