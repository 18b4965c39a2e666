//! Promises of the audit log, through the API on each engine.

mod export;
mod filters;
mod offline;
mod redaction;
mod refusals;
mod retention;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::data_dir;
use crate::testing::{Client, TestHub};

async fn subjects(client: &Client, query: &str) -> Vec<String> {
    let answer = client.get(&format!("/v1/audit{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let id = |record: &Value| record["subject"]["id"].as_str().unwrap().to_owned();
    answer.json()["data"].as_array().unwrap().iter().map(id).collect()
}

/// The server that every other thing is on.
fn on_server() -> protocol::ServerId {
    protocol::ServerId::new(uuid::Uuid::from_u128(77))
}

/// Changes the log behind the hub's back.
async fn tamper(hub: &TestHub, statements: &str) {
    let mut tx = hub.hub.db.write().await.unwrap();
    for statement in statements.split(';') {
        tx.conn().query_built(statement.to_owned()).execute().await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// Records `n` things that were done to `thing-0` … in the owner's workspace.
async fn record_some(hub: &TestHub, n: usize) {
    let mut unit = hub.hub.begin().await.unwrap();
    let home = crate::workspaces::home(&mut unit.conn()).await.unwrap().unwrap();
    for index in 0..n {
        let subject = Subject::new("thing", &format!("thing-{index}"), "Thing");
        let subject = if index % 2 == 0 { subject.on(on_server()) } else { subject };
        let details = json!({ "index": index, "text": "ä \" \\ \u{1f600}" });
        unit.audit(&Actor::system(home), "thing.change", subject, Outcome::Ok, details).await.unwrap();
        hub.clock.advance(std::time::Duration::from_millis(1));
    }
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn records_say_who_did_what_to_what() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await.with_header("user-agent", "Test/1.0");
        owner.post("/v1/auth/logout", json!({})).await;
        let login = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
        let answer = owner.post("/v1/auth/login", login).await;
        chain(&hub.hub).await.unwrap();
        let user = answer.json()["user"].clone();
        let record = owner.get("/v1/audit?limit=1").await.json()["data"][0].clone();
        assert_eq!(record["actor"], json!({ "type": "user", "id": user["id"], "name": user["name"] }));
        assert_eq!((&record["action"], &record["result"]), (&json!("auth.login"), &json!("ok")));
        assert_eq!((&record["ip"], &record["user_agent"]), (&json!("127.0.0.1"), &json!("Test/1.0")));
        assert_eq!(record["request_id"], answer.header("x-request-id"));
        assert_eq!(record["at"], "2026-01-01T00:00:00.000Z");
        assert_eq!(record["hash"].as_str().map(str::len), Some(64));
        assert_eq!(record["prev_hash"].as_str().map(str::len), Some(64));
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 5).await;
        let newest_first = ["thing-4", "thing-3", "thing-2", "thing-1", "thing-0"];
        assert_eq!(subjects(&owner, "?action=thing.change").await, newest_first);
        assert_eq!(subjects(&owner, "?subject_id=thing-3").await, ["thing-3"]);
        assert_eq!(subjects(&owner, &format!("?server_id={}", on_server())).await, ["thing-4", "thing-2", "thing-0"]);
        assert_eq!(subjects(&owner, "?server_id=another").await, [""; 0]);
        assert_eq!(subjects(&owner, "?action=nothing").await, [""; 0]);
        let user = owner.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        assert_eq!(subjects(&owner, &format!("?actor_id={user}")).await, [user]);

        let mut found = Vec::new();
        let mut query = "?action=thing.change&limit=2".to_owned();
        loop {
            found.extend(subjects(&owner, &query).await);
            let next = owner.get(&format!("/v1/audit{query}")).await.json()["next_cursor"].clone();
            let Some(next) = next.as_str() else { break };
            query = format!("?action=thing.change&limit=2&cursor={next}");
        }
        assert_eq!(found, newest_first);
        for bad in ["?limit=0", "?limit=201", "?acton=x", "?cursor=!"] {
            assert_eq!(owner.get(&format!("/v1/audit{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}

#[tokio::test]
async fn other_workspaces_are_invisible() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 1).await;
        let stranger = hub.stranger().await;
        assert_eq!(subjects(&stranger, "?action=thing.change").await, [""; 0]);
        assert_eq!(subjects(&owner, "?action=owner.create").await, [""; 0]);
        assert_eq!(hub.anonymous().get("/v1/audit").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn what_is_rolled_back_was_never_recorded() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let mut unit = hub.hub.begin().await.unwrap();
        let home = crate::workspaces::home(&mut unit.conn()).await.unwrap().unwrap();
        let subject = Subject::new("thing", &"", "");
        unit.audit(&Actor::system(home), "thing.change", subject, Outcome::Ok, json!({})).await.unwrap();
        drop(unit);
        assert_eq!(subjects(&owner, "?action=thing.change").await, [""; 0]);
    }
}

#[tokio::test]
async fn an_untouched_log_verifies_and_goes_on_after_a_restart() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 3).await;
        chain(&hub.hub).await.unwrap();
        let expected = |checked: i64| {
            json!({
                "ok": true, "checked": checked, "redacted": 0, "removed_up_to": 0,
                "broken_at": null, "broken_id": null, "problem": null,
            })
        };
        assert_eq!(owner.get("/v1/audit/verify").await.json(), expected(4));

        let restarted = hub.restarted();
        record_some(&hub, 2).await;
        chain(&restarted).await.unwrap();
        chain(&restarted).await.unwrap();
        assert_eq!(owner.at(restarted).get("/v1/audit/verify").await.json(), expected(6));
    }
}

#[tokio::test]
async fn hubs_that_chain_at_once_make_one_chain() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 50).await;
        let other = hub.restarted();
        let (one, two) = tokio::join!(chain(&hub.hub), chain(&other));
        one.and(two).unwrap();
        assert_eq!(owner.get("/v1/audit/verify").await.json()["checked"], 51);
    }
}

/// Changes the log behind the hub's back and tells what the check says.
async fn after(damage: &'static str) -> (Value, Value) {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    record_some(&hub, 4).await;
    chain(&hub.hub).await.unwrap();
    tamper(&hub, damage).await;
    let found = owner.get("/v1/audit/verify").await.json();
    assert_eq!(found["ok"], false, "{damage}");
    (found["broken_at"].clone(), found["problem"].clone())
}

#[tokio::test]
async fn every_tampering_is_noticed() {
    let changed = |position: i64| (json!(position), json!(format!("the record at position {position} was changed")));
    for column in [
        "actor_name",
        "action",
        "subject_id",
        "server_id",
        "result",
        "ip",
        "user_agent",
        "request_id",
        "details",
        "hash",
        "salt",
        "sealed",
    ] {
        let damage = match column {
            "result" => "update audit set result = 'denied' where position = 3".to_owned(),
            column => format!("update audit set {column} = coalesce({column}, '') || 'x' where position = 3"),
        };
        assert_eq!(after(damage.leak()).await, changed(3), "{column}");
    }
    let missing = |position: i64| (json!(position), json!(format!("the record at position {position} is missing")));
    assert_eq!(after("delete from audit where position = 2").await, missing(2));
    let cut = (json!(5), json!("records after position 4 are missing"));
    assert_eq!(after("delete from audit where position = 5").await, cut);
    // Even when the database's own head is put back: the signed one outside the database remembers.
    let cut = "delete from audit; update audit_head set position = 0, hash = 'x'";
    assert_eq!(after(cut).await, (json!(1), json!("records after position 0 are missing")));
}

#[tokio::test]
async fn a_chain_that_was_computed_anew_is_not_the_one_that_was_signed() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    record_some(&hub, 2).await;
    chain(&hub.hub).await.unwrap();
    // Somebody with the database and this program changes a record and chains everything again.
    let zero = "0".repeat(64);
    let rewrite = format!(
        "update audit set actor_id = 'somebody else', position = null; \
         update audit_head set position = 0, hash = '{zero}'"
    );
    tamper(&hub, &rewrite).await;
    chain(&hub.hub).await.unwrap();
    let found = owner.get("/v1/audit/verify").await.json();
    assert_eq!(found["problem"], "the chain was rewritten: position 3 is not the one that was signed");

    let path = chain::path(hub.data_dir());
    let forged = data_dir::read_text(&path, 4096).unwrap().unwrap().replace("position\\\":3", "position\\\":2");
    data_dir::write_private(&path, forged.as_bytes()).unwrap();
    let found = owner.get("/v1/audit/verify").await.json();
    assert!(found["problem"].as_str().unwrap().contains("was not signed by this hub"), "{found}");
}
