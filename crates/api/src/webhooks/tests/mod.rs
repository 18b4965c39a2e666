//! Promises of webhooks: what happens is told to whom it concerns, signed, and to nobody else; and no URL leads the hub
//! where its maker may not go.

pub(crate) mod receiver;

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::mail::tests::{Catcher, deliver};
use crate::testing::{Client, TestHub};
use receiver::Receiver;

/// Makes a webhook; the answer with its secret.
pub(crate) async fn webhook(by: &Client, url: &str, events: &[&str], allow_private: bool) -> Value {
    let form = json!({ "name": "Chat", "url": url, "events": events, "allow_private": allow_private });
    let made = by.post("/v1/outgoing-webhooks", form).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()
}

fn path(webhook: &Value) -> String {
    format!("/v1/outgoing-webhooks/{}", webhook["id"].as_str().unwrap())
}

async fn project(by: &Client, name: &str) {
    let made = by.post("/v1/projects", json!({ "name": name })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
}

fn everywhere() -> Value {
    json!({ "type": "workspace" })
}

#[tokio::test]
async fn what_happens_is_told_signed_and_once() {
    for hub in TestHub::each_engine().await {
        let mut receiver = Receiver::new().await;
        let owner = hub.owner().await;
        let made = webhook(&owner, &receiver.url(), &["project.*"], true).await;
        let secret = made["secret"].as_str().unwrap();
        project(&owner, "Shop").await;
        deliver(&hub).await;
        let call = receiver.next().await;
        assert!(call.is_signed_with(secret) && !call.is_signed_with("whsec_AAAA"), "{call:?}");
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.header("webhook-timestamp"), hub.hub.now().as_s().to_string());
        let event = call.json();
        assert_eq!(
            (&event["type"], &event["data"]["actor"]["name"], &event["data"]["subject"]["name"]),
            (&json!("project.create"), &json!("Olga Owner"), &json!("Shop"))
        );
        assert_eq!(event["data"]["outcome"], "ok");
        assert_eq!(event["data"]["details"]["name"], "Shop");
        assert_eq!(event["timestamp"], json!(hub.hub.now()));
        assert!(receiver.seen().is_none(), "one change, one call; webhook.create was not asked for");

        let listed = owner.get("/v1/deliveries").await.json();
        let shown = &listed["data"][0];
        assert_eq!(
            (&shown["id"], &shown["state"], &shown["to"], &shown["attempts"], &shown["last_attempt"]["status"]),
            (&json!(call.header("webhook-id")), &json!("delivered"), &json!("127.0.0.1"), &json!(1), &json!(204))
        );
        let looked = owner.get(&path(&made)).await;
        assert_eq!(looked.json()["last_delivery"]["state"], "delivered");
        assert!(!looked.text().contains("whsec_"), "the secret was shown once");
    }
}

#[tokio::test]
async fn a_change_that_is_rolled_back_is_told_to_nobody() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let receiver = Receiver::new().await;
    webhook(&owner, &receiver.url(), &["*"], true).await;
    let before = owner.get("/v1/deliveries").await.json()["data"].as_array().unwrap().len();
    project(&owner, "Shop").await;
    let twice = owner.post("/v1/projects", json!({ "name": "Shop" })).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let after = owner.get("/v1/deliveries").await.json()["data"].as_array().unwrap().len();
    assert_eq!(after, before + 1);
}

#[tokio::test]
async fn workspaces_hear_of_themselves_only() {
    for hub in TestHub::each_engine().await {
        let (owner, stranger) = (hub.owner().await, hub.stranger().await);
        let receiver = Receiver::new().await;
        let made = webhook(&owner, &receiver.url(), &["*"], true).await;
        project(&stranger, "Secret").await;
        let told = owner.get("/v1/deliveries?channel=webhook").await;
        assert!(!told.text().contains("Secret"), "{}", told.text());
        assert_eq!(stranger.get(&path(&made)).await.status, StatusCode::NOT_FOUND);
        assert_eq!(stranger.get("/v1/deliveries").await.json()["data"], json!([]));
        let delivery = owner.post(&format!("{}/test", path(&made)), json!({})).await.json();
        let delivery = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
        assert_eq!(stranger.get(&delivery).await.status, StatusCode::NOT_FOUND);
        assert_eq!(stranger.post(&format!("{delivery}/retry"), json!({})).await.status, StatusCode::NOT_FOUND);
        let filter = format!("/v1/deliveries?webhook_id={}", made["id"].as_str().unwrap());
        assert_eq!(stranger.get(&filter).await.json()["data"], json!([]));
    }
}

#[tokio::test]
async fn urls_are_checked_when_they_are_taken() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let long = format!("https://hooks.example.com/{}", "x".repeat(100_000));
    for url in [
        "",
        "nonsense",
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/",
        "https://ann:secret@hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://hooks.example.com/\r\nX: y",
        &long,
    ] {
        let form = json!({ "name": "x", "url": url, "events": ["*"] });
        let answer = owner.post("/v1/outgoing-webhooks", form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{url:.60}: {}", answer.text());
        assert!(!answer.text().contains("secret@"), "{}", answer.text());
    }
    let megabyte = json!({ "name": "x", "url": "x".repeat(1 << 20), "events": ["*"] });
    let answer = owner.post("/v1/outgoing-webhooks", megabyte).await;
    assert!(matches!(answer.status.as_u16(), 413 | 422), "{}", answer.status);
    for (name, events) in [("a\r\nb", json!(["*"])), ("", json!(["*"])), ("x", json!([])), ("x", json!(["a b"]))] {
        let form = json!({ "name": name, "url": "https://hooks.example.com/", "events": events });
        assert_eq!(owner.post("/v1/outgoing-webhooks", form).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // Metadata of clouds is out of reach for whoever runs the hub, too.
    let form = json!({ "name": "x", "url": "http://169.254.169.254/", "events": ["*"], "allow_private": true });
    assert_eq!(owner.post("/v1/outgoing-webhooks", form).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn private_networks_are_for_whoever_runs_the_hub() {
    let hub = TestHub::sqlite().await;
    let (owner, stranger) = (hub.owner().await, hub.stranger().await);
    let admin = hub.member(&owner, "admin@example.org", json!({ "role": "admin" }), everywhere()).await;
    let private =
        json!({ "name": "x", "url": "http://10.0.0.1/", "events": ["nothing.happens"], "allow_private": true });
    owner.step_up().await;
    let theirs = owner.post("/v1/outgoing-webhooks", private.clone()).await;
    assert_eq!(theirs.status, StatusCode::CREATED, "{}", theirs.text());
    let theirs = path(&theirs.json());
    stranger.step_up().await;
    for somebody in [&admin, &stranger] {
        let refused = somebody.post("/v1/outgoing-webhooks", private.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
        assert!(refused.text().contains("hub.manage"), "{}", refused.text());
    }
    // Neither may somebody else turn one that reaches inside elsewhere; what does not change where it leads they may.
    for (patch, status) in [
        (json!({ "url": "http://10.0.0.2/" }), StatusCode::FORBIDDEN),
        (json!({ "allow_private": false }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({ "name": "y" }), StatusCode::OK),
        (json!({ "allow_private": false, "url": "https://hooks.example.com/" }), StatusCode::OK),
        (json!({ "allow_private": true }), StatusCode::FORBIDDEN),
    ] {
        let answer = admin.patch(&theirs, patch.clone()).await;
        assert_eq!(answer.status, status, "{patch}: {}", answer.text());
    }
}

#[tokio::test]
async fn no_name_and_no_redirect_leads_inside() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let mut inside = Receiver::new().await;
    let url = format!("https://rebinding.example:{}/", inside.port);
    let made = webhook(&owner, &url, &["nothing.happens"], false).await;
    let mut tried = 0;
    for answers in [
        &[&["127.0.0.1"] as &[&str]] as &[&[&str]],
        &[&["1.1.1.1", "10.0.0.1"]],
        &[&["::ffff:127.0.0.1"]],
        &[&["64:ff9b::7f00:1"]],
        &[&["169.254.169.254"]],
        &[&["fd00::1"]],
    ] {
        hub.names.answer("rebinding.example", answers);
        owner.step_up().await;
        let sent = owner.post(&format!("{}/test", path(&made)), json!({})).await.json();
        deliver(&hub).await;
        let detail = owner.get(&format!("/v1/deliveries/{}", sent["id"].as_str().unwrap())).await.json();
        let error = detail["last_attempt"]["error"].as_str().unwrap();
        assert!(error.contains("private or reserved") && !error.contains("127."), "{error}");
        tried += 1;
    }
    assert_eq!((tried, inside.seen().is_none()), (6, true));

    let mut outside = Receiver::new().await;
    let location: &'static str = Box::leak(format!("307 See\r\nlocation: {}\r\n", inside.url()).into_boxed_str());
    outside.answer(&[Some(location)]);
    let redirecting = webhook(&owner, &outside.url(), &["nothing.happens"], true).await;
    let sent = owner.post(&format!("{}/test", path(&redirecting)), json!({})).await.json();
    deliver(&hub).await;
    outside.next().await;
    let detail = owner.get(&format!("/v1/deliveries/{}", sent["id"].as_str().unwrap())).await.json();
    assert_eq!(detail["last_attempt"]["status"], 307);
    assert!(detail["last_attempt"]["error"].as_str().unwrap().contains("redirect"), "{detail}");
    assert!(inside.seen().is_none());
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    for hub in TestHub::each_engine().await {
        let mut receiver = Receiver::new().await;
        let owner = hub.owner().await;
        let made = webhook(&owner, &receiver.url(), &["nothing.happens"], true).await;
        let old = made["secret"].as_str().unwrap().to_owned();
        let rotated = owner.post(&format!("{}/rotate-secret", path(&made)), json!({})).await;
        assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text());
        let new = rotated.json()["secret"].as_str().unwrap().to_owned();
        assert_ne!(old, new);
        for (after, signs) in [(Duration::from_hours(23), true), (Duration::from_hours(2), false)] {
            hub.clock.advance(after);
            owner.step_up().await;
            owner.post(&format!("{}/test", path(&made)), json!({})).await;
            deliver(&hub).await;
            let call = receiver.next().await;
            assert!(call.is_signed_with(&new));
            assert_eq!(call.is_signed_with(&old), signs);
        }
    }
}

#[tokio::test]
async fn a_repeated_request_shows_no_secret_again() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await.with_header("idempotency-key", "once");
    let form = json!({ "name": "x", "url": "https://hooks.example.com/", "events": ["*"] });
    let first = owner.post("/v1/outgoing-webhooks", form.clone()).await;
    let again = owner.post("/v1/outgoing-webhooks", form).await;
    assert!(first.text().contains("whsec_") && !again.text().contains("whsec_"), "{}", again.text());
}

#[tokio::test]
async fn changes_are_bounded_recorded_and_versioned() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let url = "https://hooks.example.com/secret-path";
        let made = webhook(&owner, url, &["nothing.happens"], false).await;
        for _ in 1..20 {
            webhook(&owner, url, &["nothing.happens"], false).await;
        }
        let form = json!({ "name": "x", "url": url, "events": ["*"] });
        assert_eq!(owner.post("/v1/outgoing-webhooks", form).await.status, StatusCode::CONFLICT);
        let first = owner.get("/v1/outgoing-webhooks?limit=15").await.json();
        assert_eq!(first["data"].as_array().unwrap().len(), 15);
        let rest = format!("/v1/outgoing-webhooks?limit=15&cursor={}", first["next_cursor"].as_str().unwrap());
        assert_eq!(owner.get(&rest).await.json()["data"].as_array().unwrap().len(), 5);

        let stale = owner.with_header("if-match", "\"7\"").patch(&path(&made), json!({ "name": "y" })).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        let patch = json!({ "name": "Pager", "events": ["job.*", "auth.login"], "enabled": false });
        let patched = owner.patch(&path(&made), patch).await;
        let patched = patched.json();
        assert_eq!(
            (&patched["name"], &patched["events"], &patched["enabled"], &patched["version"]),
            (&json!("Pager"), &json!(["job.*", "auth.login"]), &json!(false), &json!(2))
        );
        let records = owner.get("/v1/audit?action=webhook.update").await.json();
        assert_eq!(records["data"][0]["details"]["name"], json!({ "from": "Chat", "to": "Pager" }));
        assert!(!owner.get("/v1/audit").await.text().contains("secret-path"), "paths are the receiver's secrets");
        assert_eq!(owner.delete(&path(&made)).await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.get(&path(&made)).await.status, StatusCode::NOT_FOUND);
        hub.clock.advance(Duration::from_mins(11));
        assert_eq!(owner.get("/v1/outgoing-webhooks").await.status, StatusCode::OK, "looking asks for no password");
        let form = json!({ "name": "x", "url": url, "events": ["*"] });
        assert_eq!(owner.post("/v1/outgoing-webhooks", form).await.code(), "step_up_required");
    }
}

#[tokio::test]
async fn days_of_failures_end_a_webhook_and_its_maker_is_told() {
    let catcher = Catcher::new().await;
    for hub in TestHub::each_engine_with(|config| catcher.configure(config)).await {
        let receiver = Receiver::new().await;
        let owner = hub.owner().await;
        let made = webhook(&owner, &receiver.url(), &["project.*", "webhook.*"], true).await;
        receiver.answer(&[Some("500 Oh\r\n"); 400]);
        project(&owner, "A0").await;
        for day in 1..=3 {
            for _ in 0..14 {
                hub.clock.advance(Duration::from_secs(6200));
                deliver(&hub).await;
            }
            project(&owner, &format!("A{day}")).await;
            assert_eq!(owner.get(&path(&made)).await.json()["enabled"], true, "day {day}");
        }
        // The first attempt was made a while after the beginning.
        hub.clock.advance(Duration::from_secs(6200));
        deliver(&hub).await;
        let ended = owner.get(&path(&made)).await.json();
        assert_eq!(ended["enabled"], false, "{ended}");
        assert!(ended["disabled_reason"].as_str().unwrap().contains("three days"), "{ended}");
        let waiting = owner.get("/v1/deliveries?channel=webhook&state=waiting").await.json();
        assert_eq!(waiting["data"], json!([]), "what waited is given up");
        let records = owner.get("/v1/audit?action=webhook.disable").await.json();
        assert_eq!(records["data"][0]["actor"]["type"], "system", "{records}");
        let letters = catcher.take();
        assert_eq!(letters.last().unwrap().subject(), "The webhook Chat was turned off");

        // Mended: a test arrives although it is off, and it begins afresh.
        let mut mended = Receiver::new().await;
        owner.step_up().await;
        let url = owner.patch(&path(&made), json!({ "url": mended.url() })).await;
        assert_eq!((url.status, &url.json()["disabled_reason"]), (StatusCode::OK, &Value::Null), "{}", url.text());
        owner.post(&format!("{}/test", path(&made)), json!({})).await;
        deliver(&hub).await;
        assert_eq!(mended.next().await.json()["type"], "webhook.test");
        assert_eq!(owner.patch(&path(&made), json!({ "enabled": true })).await.json()["enabled"], true);
        project(&owner, "B").await;
        deliver(&hub).await;
        // Two go out at once.
        let told = [mended.next().await.json(), mended.next().await.json()];
        let mut told = told.map(|event| event["type"].as_str().unwrap().to_owned());
        told.sort();
        assert_eq!(told, ["project.create", "webhook.update"]);
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_called_again() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let receiver = Receiver::new().await;
    let made = webhook(&owner, &receiver.url(), &["project.*"], true).await;
    receiver.answer(&[Some("410 Gone\r\n")]);
    project(&owner, "A").await;
    deliver(&hub).await;
    let ended = owner.get(&path(&made)).await.json();
    assert!(ended["disabled_reason"].as_str().unwrap().contains("410"), "{ended}");
    project(&owner, "B").await;
    let told = owner.get("/v1/deliveries").await.json();
    assert_eq!(told["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_many_that_are_made_at_once_only_one_is_the_last_that_fits() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        for _ in 0..19 {
            webhook(&owner, "https://hooks.example.com/a", &["project.*"], false).await;
        }
        let make = async || {
            let form = json!({ "name": "Last", "url": "https://hooks.example.com/b", "events": ["project.*"] });
            owner.post("/v1/outgoing-webhooks", form).await.status
        };
        // Each has a connection of its own, so that none waits for one while another is done.
        futures_util::future::join_all((0..8).map(|_| owner.get("/v1/outgoing-webhooks"))).await;
        let mut statuses = futures_util::future::join_all((0..8).map(|_| make())).await;
        statuses.sort_unstable();
        assert_eq!(statuses.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{statuses:?}");
        assert_eq!(statuses.last(), Some(&StatusCode::CONFLICT), "{statuses:?}");
    }
}

#[tokio::test]
async fn whoever_tells_others_of_records_may_read_them() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let made = webhook(&owner, "https://hooks.example.com/a", &["project.*"], false).await;
        owner.patch(&path(&made), json!({ "enabled": false })).await;
        let only = json!({ "permissions": ["webhooks.manage"] });
        let ann = hub.member(&owner, "ann@example.org", only, everywhere()).await;
        let form = json!({ "name": "Mine", "url": "https://hooks.example.com/b", "events": ["*"] });
        let mut refused = vec![ann.post("/v1/outgoing-webhooks", form.clone()).await];
        for change in
            [json!({ "url": "https://hooks.example.com/b" }), json!({ "events": ["*"] }), json!({ "enabled": true })]
        {
            refused.push(ann.patch(&path(&made), change).await);
        }
        for refused in refused {
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text());
            assert!(refused.text().contains("audit.read"), "{}", refused.text());
        }
        assert_eq!(ann.patch(&path(&made), json!({ "name": "Other" })).await.status, StatusCode::OK);
        let sent = owner.post(&format!("{}/test", path(&made)), json!({})).await.json();
        let delivery = format!("/v1/deliveries/{}", sent["id"].as_str().unwrap());
        assert_eq!(ann.get(&delivery).await.json()["payload"], Value::Null);
        assert_eq!(owner.get(&delivery).await.json()["payload"]["type"], "webhook.test");
        let both = json!({ "permissions": ["webhooks.manage", "audit.read"] });
        let bob = hub.member(&owner, "bob@example.org", both, everywhere()).await;
        assert_eq!(bob.post("/v1/outgoing-webhooks", form).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn what_somebody_had_told_ends_with_their_membership() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let ann = hub.member(&owner, "ann@example.org", json!({ "role": "admin" }), everywhere()).await;
        let (hers, other) = (
            webhook(&ann, "https://hooks.example.com/a", &["*"], false).await,
            webhook(&owner, "https://hooks.example.com/b", &["project.*"], false).await,
        );
        let id = ann.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let told = owner.get("/v1/deliveries").await.json()["data"].as_array().unwrap().len();
        assert_eq!(owner.delete(&format!("/v1/team/members/{id}")).await.status, StatusCode::NO_CONTENT);
        let left = owner.get(&path(&hers)).await.json();
        assert_eq!(left["enabled"], false, "{left}");
        assert!(left["disabled_reason"].as_str().unwrap().contains("no member"), "{left}");
        assert_eq!(owner.get(&path(&other)).await.json()["enabled"], true);
        let record = owner.get("/v1/audit?action=webhook.disable").await.json()["data"][0].clone();
        assert_eq!(record["subject"]["id"], hers["id"], "{record}");
        let deliveries = owner.get("/v1/deliveries").await.json();
        assert_eq!(deliveries["data"].as_array().unwrap().len(), told, "not even of that: {deliveries}");
    }
}
