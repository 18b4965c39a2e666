//! What happens to one account in the same moment: of two that would break a promise together, one does.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::device::Device;
use super::passkeys::{ORIGIN, begin as begin_passkey, enrolled, hubs};
use super::provider::{Provider, begin, goes_to, sign_in};
use super::support::next_minute;
use crate::access::Role;
use crate::config::{Config, GroupMapping, PublicUrl};
use crate::testing::TestHub;

#[tokio::test]
async fn of_the_last_two_ways_in_that_go_at_once_one_stays() {
    let provider = Provider::start().await;
    let configure = |config: &mut Config| {
        config.public_url = PublicUrl::parse(ORIGIN).unwrap();
        let mapping = GroupMapping { group: "ops".to_owned(), workspace: "Home".to_owned(), role: Role::Operator };
        let mut settings = provider.settings("company");
        settings.mappings = vec![mapping];
        config.oidc.push(settings);
    };
    for hub in TestHub::each_engine_with(configure).await {
        provider.follow(hub.clock.clone());
        let owner = hub.owner().await;
        provider.change(|script| {
            script.claims["groups"] = json!(["ops"]);
            script.auth_time = Some(hub.hub.now().as_s());
        });
        let ann = hub.anonymous();
        assert_eq!(sign_in(&ann, &provider).await, "/servers");

        // Of two sign-ins at once one is given the role.
        let id = ann.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let viewer = json!({ "granted": { "permissions": ["servers.read"] }, "scope": { "type": "workspace" } });
        let path = format!("/v1/team/members/{id}");
        owner.put(&format!("{path}/grants"), json!({ "grants": [viewer] })).await;
        let (one, other) = (hub.anonymous(), hub.anonymous());
        let start = "/v1/auth/oidc/company/start?return_to=/servers";
        let (back, back_other) =
            (provider.agree(&begin(&one, start).await), provider.agree(&begin(&other, start).await));
        let (came, came_other) = tokio::join!(one.get(&back), other.get(&back_other));
        assert_eq!((goes_to(&came).as_str(), goes_to(&came_other).as_str()), ("/servers", "/servers"));
        let member = owner.get(&path).await.json();
        let sources = member["grants"].as_array().unwrap().iter().map(|grant| grant["source"].clone());
        assert_eq!(sources.collect::<Vec<_>>(), [Value::Null, json!("oidc/company")]);

        next_minute(&hub);
        enrolled(&ann).await;
        let only = async |path: &str| ann.get(path).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
        let identity = format!("/v1/account/identities/{}", only("/v1/account/identities").await);
        let passkey = format!("/v1/account/passkeys/{}", only("/v1/account/passkeys").await);
        let (a, b) = tokio::join!(ann.delete(&identity), ann.delete(&passkey));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [StatusCode::NO_CONTENT, StatusCode::CONFLICT], "{} {}", a.text(), b.text());
    }
}

#[tokio::test]
async fn of_two_first_passkeys_at_once_one_comes_with_recovery_codes() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let mut forms = Vec::new();
        for _ in 0..2 {
            let begun = begin_passkey(&owner, "/v1/account/passkeys/begin").await;
            let credential = Device::new(ORIGIN).create(&begun["options"]);
            forms.push(json!({ "ceremony_id": begun["ceremony_id"], "name": "Laptop", "credential": credential }));
        }
        let (second, first) = (forms.pop().unwrap(), forms.pop().unwrap());
        let make = async |form: Value| owner.post("/v1/account/passkeys", form).await;
        let (one, other) = tokio::join!(make(first), make(second));
        assert_eq!((one.status, other.status), (StatusCode::CREATED, StatusCode::CREATED), "{}", other.text());
        let with_codes = [one, other].iter().filter(|added| !added.json()["recovery_codes"].is_null()).count();
        assert_eq!(with_codes, 1, "codes of the other would not count");
        assert_eq!(owner.get("/v1/account/totp").await.json()["recovery_codes_left"], 10);
    }
}
