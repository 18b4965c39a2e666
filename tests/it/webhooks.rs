//! Webhooks against a real server: signed, again under the same id, through a killed hub, and never to where their maker
//! may not reach.

use std::time::Duration;

use serde_json::{Value, json};
use support::api::Api;
use support::hub::{Hub, HubOptions};
use support::receiver::{Receiver, Reply};
use support::{secrets, wait};

/// The first pause between two attempts is 8 to 12 seconds.
const SOON: Duration = Duration::from_secs(30);
/// An attempt of a killed hub counts as over after 45 seconds.
const AFTER_A_KILL: Duration = Duration::from_secs(90);

async fn webhook(owner: &Api, url: &str, allow_private: bool) -> Value {
    let form = json!({ "name": "Chat", "url": url, "events": ["project.*"], "allow_private": allow_private });
    let made = owner.post("/v1/outgoing-webhooks", &form).await.unwrap().expect(201);
    secrets::issued(made["secret"].as_str().unwrap());
    made
}

async fn project(owner: &Api, name: &str) {
    owner.post("/v1/projects", &json!({ "name": name })).await.unwrap().expect(201);
}

async fn settled(owner: &Api, webhook: &Value) -> Value {
    let path = format!("/v1/deliveries?webhook_id={}", webhook["id"].as_str().unwrap());
    wait::until("the delivery to end", SOON, async || {
        let newest = owner.get(&path).await.map_err(|error| json!(error.to_string()))?.expect(200)["data"][0].clone();
        if newest["state"] == "waiting" { Err(newest) } else { Ok(newest) }
    })
    .await
}

#[tokio::test]
async fn an_event_is_told_until_it_is_taken() {
    let hub = Hub::start_with(HubOptions::default()).await;
    let owner = hub.owner().await;
    let (mut receiver, mut hanging, mut other) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let made = webhook(&owner, &receiver.url(), true).await;
    webhook(&owner, &hanging.url(), true).await;
    webhook(&owner, &other.url(), true).await;
    receiver.reply(Reply::Say("500 Oh\r\ncontent-length: 0\r\n".to_owned()));
    hanging.reply(Reply::Hang);
    project(&owner, "Shop").await;
    let first = receiver.next(SOON).await;
    receiver.reply(Reply::Say("200 OK\r\ncontent-length: 0\r\n".to_owned()));
    hanging.next(SOON).await;
    // While one hangs, another is told at once.
    other.next(SOON).await;
    project(&owner, "Shop 2").await;
    assert_eq!(other.next(Duration::from_secs(5)).await.json()["data"]["subject"]["name"], "Shop 2");

    let secret = made["secret"].as_str().unwrap();
    assert!(first.is_signed_with(secret) && first.json()["data"]["subject"]["name"] == "Shop", "{first:?}");
    let later = receiver.next(SOON).await;
    let again =
        if later.header("webhook-id") == first.header("webhook-id") { later } else { receiver.next(SOON).await };
    assert_eq!((again.header("webhook-id"), &again.body), (first.header("webhook-id"), &first.body));
    assert!(again.is_signed_with(secret) && !again.is_signed_with("whsec_AAAA"));
    let shown = owner.get(&format!("/v1/deliveries/{}", first.header("webhook-id"))).await.unwrap().expect(200);
    assert_eq!(shown["attempts_made"][0]["status"], 500, "{shown}");
}

#[tokio::test]
async fn a_killed_hub_tells_afterwards_under_the_same_id() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut receiver = Receiver::start().await;
    let made = webhook(&owner, &receiver.url(), true).await;
    receiver.reply(Reply::Hang);
    project(&owner, "Shop").await;
    let cut_off = receiver.next(SOON).await;
    hub.kill_9().await;
    receiver.reply(Reply::Say("204 No Content\r\n".to_owned()));
    hub.start_again().await;
    let again = receiver.next(AFTER_A_KILL).await;
    assert_eq!((again.header("webhook-id"), &again.body), (cut_off.header("webhook-id"), &cut_off.body));
    let ended = settled(&owner, &made).await;
    assert_eq!((&ended["state"], &ended["attempts"]), (&json!("delivered"), &json!(1)), "{ended}");
    assert!(receiver.seen().is_none(), "once");
}

#[tokio::test]
async fn no_url_leads_inside_but_those_of_whoever_runs_the_hub() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let inside = Receiver::start().await;
    // A name: only when it is looked up is it clear where it leads.
    let made = webhook(&owner, &format!("https://localhost:{}/", inside.port()), false).await;
    project(&owner, "Shop").await;
    let path = format!("/v1/deliveries?webhook_id={}", made["id"].as_str().unwrap());
    let error = wait::until("an attempt", SOON, async || {
        let newest = owner.get(&path).await.map_err(|error| json!(error.to_string()))?.expect(200)["data"][0].clone();
        newest["last_attempt"]["error"].as_str().map(str::to_owned).ok_or(newest)
    })
    .await;
    assert!(error.contains("private or reserved"), "{error}");
    for url in ["https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://0x7f000001/"] {
        let form = json!({ "name": "x", "url": url, "events": ["*"] });
        owner.post("/v1/outgoing-webhooks", &form).await.unwrap().expect(422);
    }
    let mut redirecting = Receiver::start().await;
    redirecting.reply(Reply::Say(format!("302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n", inside.url())));
    let made = webhook(&owner, &redirecting.url(), true).await;
    let test = format!("/v1/outgoing-webhooks/{}/test", made["id"].as_str().unwrap());
    let delivery = owner.post(&test, &json!({})).await.unwrap().expect(202);
    redirecting.next(SOON).await;
    let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    let status = wait::until("the answer", SOON, async || {
        let shown = owner.get(&path).await.map_err(|error| json!(error.to_string()))?.expect(200);
        shown["last_attempt"]["status"].as_u64().ok_or(shown)
    })
    .await;
    assert_eq!((status, inside.connections()), (302, 0));
}
