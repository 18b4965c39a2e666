//! Promises of the outbox: nothing is lost, nothing is told under another id, and nobody waits for somebody else.

use std::time::Duration;

use axum::http::StatusCode;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::reconcile;
use crate::mail::tests::deliver;
use crate::testing::{Client, TestHub};
use crate::webhooks::tests::receiver::Receiver;
use crate::webhooks::tests::webhook;

async fn tell(by: &Client, name: &str) {
    let made = by.post("/v1/projects", json!({ "name": name })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
}

async fn newest(by: &Client) -> Value {
    let listed = by.get("/v1/deliveries?limit=1").await.json();
    let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
    by.get(&format!("/v1/deliveries/{id}")).await.json()
}

#[tokio::test]
async fn what_failed_is_tried_again_under_the_same_id() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let mut receiver = Receiver::new().await;
        webhook(&owner, &receiver.url(), &["project.*"], true).await;
        receiver.answer(&[Some("500 Oh\r\ncontent-length: 0\r\n"), Some("503 Busy\r\nretry-after: 600\r\n")]);
        tell(&owner, "Shop").await;
        deliver(&hub).await;
        let first = receiver.next().await;
        deliver(&hub).await;
        assert!(receiver.seen().is_none(), "not before its time");
        hub.clock.advance(Duration::from_secs(12));
        deliver(&hub).await;
        let second = receiver.next().await;
        assert_eq!(second.header("webhook-id"), first.header("webhook-id"));
        assert_ne!(second.header("webhook-timestamp"), first.header("webhook-timestamp"));
        assert_eq!(second.body, first.body);
        hub.clock.advance(Duration::from_secs(599));
        deliver(&hub).await;
        assert!(receiver.seen().is_none(), "it asked for ten minutes");
        hub.clock.advance(Duration::from_secs(1));
        deliver(&hub).await;
        assert_eq!(receiver.next().await.header("webhook-id"), first.header("webhook-id"));
        let shown = newest(&owner).await;
        assert_eq!((&shown["state"], &shown["attempts"]), (&json!("delivered"), &json!(3)));
        let statuses: Vec<_> =
            shown["attempts_made"].as_array().unwrap().iter().map(|attempt| attempt["status"].clone()).collect();
        assert_eq!(statuses, [500, 503, 204]);
        assert!(shown["next_attempt_at"].is_null() && !shown["finished_at"].is_null(), "{shown}");
    }
}

#[tokio::test]
async fn after_a_day_in_vain_a_delivery_fails_and_can_be_retried() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let mut receiver = Receiver::new().await;
        webhook(&owner, &receiver.url(), &["project.*"], true).await;
        receiver.answer(&[Some("500 Oh\r\n"); 12]);
        tell(&owner, "Shop").await;
        let mut attempts = 0;
        for _ in 0..24 {
            deliver(&hub).await;
            hub.clock.advance(Duration::from_hours(1));
            attempts += usize::from(receiver.seen().is_some());
        }
        deliver(&hub).await;
        let failed = newest(&owner).await;
        assert_eq!(failed["state"], "failed", "{failed}");
        assert_eq!(failed["attempts_made"].as_array().unwrap().len(), attempts);
        owner.step_up().await;
        let path = format!("/v1/deliveries/{}/retry", failed["id"].as_str().unwrap());
        receiver.answer(&[]);
        while receiver.seen().is_some() {}
        hub.clock.advance(Duration::from_secs(1));
        let retried = owner.post(&path, json!({})).await;
        assert_eq!((retried.status, &retried.json()["state"]), (StatusCode::ACCEPTED, &json!("waiting")));
        loop {
            deliver(&hub).await;
            let shown = newest(&owner).await;
            if shown["state"] != "waiting" {
                assert_eq!(shown["state"], "delivered", "{shown}");
                assert!(shown["attempts_made"].as_array().unwrap().len() <= 12);
                break;
            }
            hub.clock.advance(Duration::from_mins(30));
        }
        let records = owner.get("/v1/audit?action=delivery.retry").await.json();
        assert_eq!(records["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn one_that_hangs_holds_up_no_other() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let (mut hanging, mut quick) = (Receiver::new().await, Receiver::new().await);
    webhook(&owner, &hanging.url(), &["project.*"], true).await;
    webhook(&owner, &quick.url(), &["project.*"], true).await;
    hanging.answer(&[None; 100]);
    for n in 0..70 {
        tell(&owner, &format!("P{n}")).await;
    }
    // Nobody waits for the first attempts, as the background task does not: the hanging ones hold their two places.
    let mut told = 0;
    let mut attempts = FuturesUnordered::new();
    while told < 70 {
        attempts.extend(reconcile(&hub.hub).await.unwrap());
        attempts.next().await.unwrap().unwrap();
        while quick.seen().is_some() {
            told += 1;
        }
    }
    hanging.next().await;
    hanging.next().await;
    assert!(hanging.seen().is_none(), "two at once and no more");
}

#[tokio::test]
async fn a_hub_that_is_killed_tells_what_it_had_committed() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let mut receiver = Receiver::new().await;
        webhook(&owner, &receiver.url(), &["project.*"], true).await;
        tell(&owner, "before any attempt").await;
        let waiting = newest(&owner).await;
        // Killed before it tried: what comes up knows nothing but the database.
        let again = hub.restarted();
        for attempt in reconcile(&again).await.unwrap() {
            attempt.await.unwrap();
        }
        assert_eq!(receiver.next().await.header("webhook-id"), waiting["id"].as_str().unwrap());

        // Killed while it tried: nobody else tries until it must be over.
        tell(&owner, "during an attempt").await;
        receiver.answer(&[None]);
        let attempts = reconcile(&again).await.unwrap();
        let during = receiver.next().await;
        for attempt in attempts {
            attempt.abort();
        }
        let third = hub.restarted();
        assert!(reconcile(&third).await.unwrap().is_empty());
        hub.clock.advance(Duration::from_secs(45));
        for attempt in reconcile(&third).await.unwrap() {
            attempt.await.unwrap();
        }
        assert_eq!(receiver.next().await.header("webhook-id"), during.header("webhook-id"));
        assert_eq!(newest(&owner).await["state"], "delivered");
        assert!(reconcile(&third).await.unwrap().is_empty() && receiver.seen().is_none());
    }
}

#[tokio::test]
async fn a_hub_that_stops_gives_back_what_it_was_at() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let mut receiver = Receiver::new().await;
    webhook(&owner, &receiver.url(), &["project.*"], true).await;
    tell(&owner, "Shop").await;
    receiver.answer(&[None]);
    let attempts = reconcile(&hub.hub).await.unwrap();
    let first = receiver.next().await;
    hub.hub.tasks.shut_down().await;
    for attempt in attempts {
        attempt.await.unwrap();
    }
    let again = hub.restarted();
    for attempt in reconcile(&again).await.unwrap() {
        attempt.await.unwrap();
    }
    assert_eq!(receiver.next().await.header("webhook-id"), first.header("webhook-id"));
}

#[tokio::test]
async fn answers_are_shown_to_the_maker_only_and_shortened() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let everywhere = json!({ "type": "workspace" });
    let admin = hub.member(&owner, "admin@example.org", json!({ "role": "admin" }), everywhere).await;
    owner.step_up().await;
    let receiver = Receiver::new().await;
    webhook(&owner, &receiver.url(), &["project.*"], true).await;
    let body = "a\u{1b}[31mb".to_owned() + &"é".repeat(2000);
    let answer = format!("400 Bad\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    receiver.answer(&[Some(Box::leak(answer.into_boxed_str()))]);
    tell(&owner, "Shop").await;
    deliver(&hub).await;
    let shown = newest(&owner).await;
    let excerpt = shown["attempts_made"][0]["response_excerpt"].as_str().unwrap();
    assert!(excerpt.starts_with("a [31mbé") && excerpt.len() <= 1030, "{excerpt}");
    assert_eq!(shown["payload"]["type"], "project.create");
    let others = newest(&admin).await;
    assert!(others["attempts_made"][0]["response_excerpt"].is_null() && others["payload"].is_object(), "{others}");

    // The answer came from an address that only the hub reaches: its maker does not run the hub any more.
    let heir = hub.member(&owner, "heir@example.org", json!({ "role": "owner" }), json!({ "type": "workspace" })).await;
    let id = owner.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
    let grants = json!({ "grants": [{ "granted": { "role": "admin" }, "scope": { "type": "workspace" } }] });
    heir.step_up().await;
    let put = heir.put(&format!("/v1/team/members/{id}/grants"), grants).await;
    assert_eq!(put.status, 200, "{}", put.text());
    let shown = newest(&owner).await;
    assert!(shown["attempts_made"][0]["response_excerpt"].is_null() && shown["payload"].is_object(), "{shown}");
}

#[tokio::test]
async fn what_ended_is_kept_for_thirty_days() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let receiver = Receiver::new().await;
        webhook(&owner, &receiver.url(), &["project.*"], true).await;
        tell(&owner, "Shop").await;
        deliver(&hub).await;
        let count = |listed: Value| listed["data"].as_array().unwrap().len();
        hub.clock.advance(Duration::from_hours(29 * 24));
        super::sweep(&hub.hub).await.unwrap();
        let login = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
        let owner = hub.anonymous();
        assert_eq!(owner.post("/v1/auth/login", login.clone()).await.status, StatusCode::OK);
        assert_eq!(count(owner.get("/v1/deliveries").await.json()), 1);
        hub.clock.advance(Duration::from_hours(25));
        super::sweep(&hub.hub).await.unwrap();
        assert_eq!(count(owner.get("/v1/deliveries").await.json()), 0);
    }
}

#[tokio::test]
async fn filters_and_pages_narrow_the_list() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let receiver = Receiver::new().await;
        let first = webhook(&owner, &receiver.url(), &["project.*"], true).await;
        webhook(&owner, &receiver.url(), &["project.*"], true).await;
        tell(&owner, "Shop").await;
        deliver(&hub).await;
        tell(&owner, "Shop 2").await;
        let count = async |query: &str| {
            let listed = owner.get(&format!("/v1/deliveries{query}")).await.json();
            listed["data"].as_array().unwrap().len()
        };
        assert_eq!((count("").await, count("?state=waiting").await, count("?state=delivered").await), (4, 2, 2));
        assert_eq!((count("?channel=mail").await, count("?channel=webhook&state=failed").await), (0, 0));
        assert_eq!(count(&format!("?webhook_id={}", first["id"].as_str().unwrap())).await, 2);
        let page = owner.get("/v1/deliveries?limit=3").await.json();
        let rest = format!("?limit=3&cursor={}", page["next_cursor"].as_str().unwrap());
        assert_eq!(count(&rest).await, 1);
        for bad in ["?state=lost", "?channel=fax", "?webhook_id=x", "?colour=red", "?cursor=x"] {
            let answer = owner.get(&format!("/v1/deliveries{bad}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn too_many_that_wait_are_left_out_and_counted() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let receiver = Receiver::new().await;
    let made = webhook(&owner, &receiver.url(), &["project.*"], true).await;
    tell(&owner, "Shop").await;
    let mut tx = hub.hub.db.write().await.unwrap();
    let text = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 4999)
                insert into deliveries (id, workspace_id, channel, destination, webhook_id, recipient, event, subject,
                                        payload, state, attempts, attempts_made, next_attempt_at, created_at, waiting_since)
                select id || i, workspace_id, channel, destination, webhook_id, recipient, event, subject, payload, state,
                       attempts, attempts_made, next_attempt_at, created_at, waiting_since from deliveries, n";
    tx.conn().query_built(text.to_owned()).execute().await.unwrap();
    tx.commit().await.unwrap();
    tell(&owner, "One too many").await;
    let shown = owner.get(&format!("/v1/outgoing-webhooks/{}", made["id"].as_str().unwrap())).await.json();
    assert_eq!(shown["missed"], 1);
}
