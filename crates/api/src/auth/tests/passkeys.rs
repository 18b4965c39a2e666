//! Passkeys: real ceremonies with a device in software, and every lie that it can tell.

mod lies;

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::device::Device;
use super::support::{App, next_minute, reasons, texts};
use super::{actions, login, remove_passkeys};
use crate::config::PublicUrl;
use crate::testing::{Answer, Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

pub(super) const ORIGIN: &str = "http://localhost:8080";
const FIVE_MINUTES: Duration = Duration::from_mins(5);

/// Hubs that are reached by a name.
pub(super) async fn hubs() -> Vec<TestHub> {
    TestHub::each_engine_with(|config| config.public_url = PublicUrl::parse(ORIGIN).unwrap()).await
}

async fn one_hub() -> TestHub {
    TestHub::with_config(|config| config.public_url = PublicUrl::parse(ORIGIN).unwrap()).await
}

pub(super) async fn begin(client: &Client, path: &str) -> Value {
    let begun = client.post(path, json!({})).await;
    assert_eq!(begun.status, StatusCode::OK, "{}", begun.text());
    begun.json()
}

/// Makes a passkey with a device.
async fn add(client: &Client, device: &mut Device) -> Answer {
    let begun = begin(client, "/v1/account/passkeys/begin").await;
    let credential = device.create(&begun["options"]);
    let form = json!({ "ceremony_id": begun["ceremony_id"], "name": "Laptop", "credential": credential });
    client.post("/v1/account/passkeys", form).await
}

/// Somebody's device with a passkey, and the recovery codes that came with it.
pub(super) async fn enrolled(client: &Client) -> (Device, Vec<String>) {
    let mut device = Device::new(ORIGIN);
    let added = add(client, &mut device).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    let codes = added.json()["recovery_codes"].clone();
    (device, if codes.is_null() { Vec::new() } else { texts(&codes) })
}

/// Signs in with a device alone.
async fn sign_in(client: &Client, device: &mut Device) -> Answer {
    let begun = begin(client, "/v1/auth/passkey/begin").await;
    assert_eq!(begun["options"]["allowCredentials"], json!([]), "whose it is, the passkey says");
    let credential = device.get(&begun["options"]);
    client.post("/v1/auth/passkey", answer(&begun, &credential)).await
}

fn answer(begun: &Value, credential: &Value) -> Value {
    json!({ "ceremony_id": begun["ceremony_id"], "credential": credential })
}

async fn login_as(client: &Client, email: &str, more: (&str, Value)) -> Answer {
    let mut form = json!({ "email": email, "password": OWNER_PASSWORD });
    form[more.0] = more.1;
    client.post("/v1/auth/login", form).await
}

#[tokio::test]
async fn a_passkey_is_made_and_signs_in_alone() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        assert_eq!(hub.anonymous().get("/v1/auth/methods").await.json()["passkeys"], true);
        assert_eq!(owner.get("/v1/account").await.json()["has_passkeys"], false);
        let mut device = Device::new(ORIGIN);
        device.backed_up = true;
        let added = add(&owner, &mut device).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
        let added = added.json();
        assert_eq!((&added["name"], &added["backed_up"]), (&json!("Laptop"), &json!(true)));
        assert_eq!(texts(&added["recovery_codes"]).len(), 10);
        let account = owner.get("/v1/account").await.json();
        assert_eq!((&account["has_passkeys"], &account["email"]), (&json!(true), &json!(OWNER_EMAIL)));

        let client = hub.anonymous();
        hub.clock.advance(Duration::from_secs(1));
        let signed_in = sign_in(&client, &mut device).await;
        assert_eq!(signed_in.status, StatusCode::OK, "{}", signed_in.text());
        assert_eq!(signed_in.json()["user"]["email"], OWNER_EMAIL);
        assert_eq!(client.get("/v1/auth/session").await.status, StatusCode::OK);
        let list = owner.get("/v1/account/passkeys").await.json();
        let expected = json!({
            "id": added["id"], "name": "Laptop", "created_at": "2026-01-01T00:00:00.000Z",
            "last_used_at": "2026-01-01T00:00:01.000Z", "backed_up": true,
        });
        assert_eq!(list, json!({ "data": [expected], "next_cursor": null }));
        let records = owner.get("/v1/audit?action=auth.login").await.json();
        assert_eq!(records["data"][0]["details"], json!({ "factor": "passkey", "passkey_id": added["id"] }));

        let path = format!("/v1/account/passkeys/{}", added["id"].as_str().unwrap());
        assert_eq!(owner.patch(&path, json!({ "name": " Old laptop " })).await.json()["name"], "Old laptop");
        assert_eq!(owner.patch(&path, json!({ "name": "a\nb" })).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.delete(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(sign_in(&hub.anonymous(), &mut device).await.code(), "invalid_credentials");
        assert_eq!(login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::OK);
        let seen: Vec<_> = actions(&owner).await.into_iter().map(|(action, _)| action).collect();
        for action in ["passkey.add", "passkey.update", "passkey.remove"] {
            assert!(seen.contains(&action.to_owned()), "{action}: {seen:?}");
        }
        assert_eq!(owner.get("/v1/account/totp").await.json()["recovery_codes_left"], 0, "they stood in for a factor");
    }
}

#[tokio::test]
async fn where_there_is_a_passkey_the_password_alone_does_not_do() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let (mut device, codes) = enrolled(&owner).await;
        let client = hub.anonymous();
        let guess = login(&client, OWNER_EMAIL, "a wrong guess").await;
        assert!(guess.json()["error"]["details"].is_null(), "{}", guess.text());
        let asked = login(&client, OWNER_EMAIL, OWNER_PASSWORD).await;
        assert_eq!((asked.status, asked.code().as_str()), (StatusCode::UNAUTHORIZED, "totp_required"));
        let details = asked.json()["error"]["details"].clone();
        assert_eq!(details["methods"], json!(["recovery", "passkey"]));
        assert_eq!(details["passkey"]["options"]["allowCredentials"].as_array().unwrap().len(), 1);
        let credential = device.get(&details["passkey"]["options"]);
        let form = answer(&details["passkey"], &credential);
        // What was asked after the password is no sign-in without it.
        assert_eq!(client.post("/v1/auth/passkey", form.clone()).await.status, StatusCode::GONE);
        let signed_in = login_as(&client, OWNER_EMAIL, ("passkey", form.clone())).await;
        assert_eq!(signed_in.status, StatusCode::OK, "{}", signed_in.text());
        assert_eq!(login_as(&hub.anonymous(), OWNER_EMAIL, ("passkey", form)).await.status, StatusCode::GONE);

        // A recovery code does, once; six digits do not, since there is no app.
        next_minute(&hub);
        assert_eq!(
            login_as(&hub.anonymous(), OWNER_EMAIL, ("totp", json!("123456"))).await.code(),
            "invalid_credentials"
        );
        assert_eq!(login_as(&hub.anonymous(), OWNER_EMAIL, ("totp", json!(codes[0]))).await.status, StatusCode::OK);
        assert_eq!(
            login_as(&hub.anonymous(), OWNER_EMAIL, ("totp", json!(codes[0]))).await.code(),
            "invalid_credentials"
        );

        // With an app as well, each of both will do.
        next_minute(&hub);
        let app = App::enrolled(&hub, &owner).await;
        let asked = login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.json();
        assert_eq!(asked["error"]["details"]["methods"], json!(["totp", "recovery", "passkey"]));
        assert_eq!(
            login_as(&hub.anonymous(), OWNER_EMAIL, ("totp", json!(app.code(&hub)))).await.status,
            StatusCode::OK
        );
        let begun = asked["error"]["details"]["passkey"].clone();
        let credential = device.get(&begun["options"]);
        let signed_in = login_as(&hub.anonymous(), OWNER_EMAIL, ("passkey", answer(&begun, &credential))).await;
        assert_eq!(signed_in.status, StatusCode::OK, "{}", signed_in.text());
        let form = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD, "totp": "1", "passkey": answer(&begun, &credential) });
        assert_eq!(hub.anonymous().post("/v1/auth/login", form).await.status, StatusCode::UNPROCESSABLE_ENTITY);

        // Without the app the recovery codes stay, for the passkey.
        owner.step_up_with(&mut device).await;
        let begun = begin(&owner, "/v1/auth/step-up/begin").await;
        let proof = answer(&begun, &device.get(&begun["options"]));
        let form = json!({ "password": OWNER_PASSWORD, "passkey": proof });
        let off = owner.send(axum::http::Method::DELETE, "/v1/account/totp", Some(form)).await;
        assert_eq!(off.status, StatusCode::NO_CONTENT, "{}", off.text());
        assert_eq!(owner.get("/v1/account/totp").await.json()["recovery_codes_left"], 10);
        let begun = begin(&owner, "/v1/auth/step-up/begin").await;
        let proof = answer(&begun, &device.get(&begun["options"]));
        let form = json!({ "password": OWNER_PASSWORD, "passkey": proof });
        let renewed = owner.post("/v1/account/totp/recovery-codes", form).await;
        assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text());
        next_minute(&hub);
        assert_eq!(
            login_as(&hub.anonymous(), OWNER_EMAIL, ("totp", json!(app.recovery_codes[1]))).await.code(),
            "invalid_credentials"
        );
    }
}

impl Client {
    /// Proves with a passkey alone that the session is theirs.
    async fn step_up_with(&self, device: &mut Device) {
        let begun = begin(self, "/v1/auth/step-up/begin").await;
        let proof = answer(&begun, &device.get(&begun["options"]));
        let done = self.post("/v1/auth/step-up", json!({ "passkey": proof })).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    }
}

#[tokio::test]
async fn a_passkey_proves_again_whose_a_session_is() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let none = owner.post("/v1/auth/step-up/begin", json!({})).await;
        assert_eq!(none.status, StatusCode::CONFLICT, "{}", none.text());
        let (mut device, _) = enrolled(&owner).await;
        hub.clock.advance(Duration::from_mins(10));
        let rename = async || owner.patch("/v1/workspace", json!({ "name": "Den" })).await;
        assert_eq!(rename().await.code(), "step_up_required");
        assert_eq!(owner.post("/v1/auth/step-up", json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let password = owner.post("/v1/auth/step-up", json!({ "password": OWNER_PASSWORD })).await;
        assert_eq!(password.code(), "totp_required", "a password is one factor of two");

        // What one session was asked says nothing of another.
        let other = hub.anonymous();
        assert_eq!(sign_in(&other, &mut device).await.status, StatusCode::OK);
        let begun = begin(&other, "/v1/auth/step-up/begin").await;
        let proof = answer(&begun, &device.get(&begun["options"]));
        let stolen = owner.post("/v1/auth/step-up", json!({ "passkey": proof })).await;
        assert_eq!(stolen.status, StatusCode::GONE, "{}", stolen.text());
        device.verifies = false;
        let begun = begin(&owner, "/v1/auth/step-up/begin").await;
        let proof = answer(&begun, &device.get(&begun["options"]));
        let unverified = owner.post("/v1/auth/step-up", json!({ "passkey": proof })).await;
        assert_eq!(unverified.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(unverified.json()["error"]["details"]["fields"]["passkey"].is_array(), "{}", unverified.text());
        assert_eq!(rename().await.code(), "step_up_required");

        device.verifies = true;
        owner.step_up_with(&mut device).await;
        assert_eq!(rename().await.status, StatusCode::OK);
        assert!(reasons(&owner).await.contains(&"passkey: the device did not verify its user".to_owned()));
    }
}

#[tokio::test]
async fn what_concerns_passkeys_wants_a_fresh_proof() {
    let hub = one_hub().await;
    let owner = hub.owner().await;
    let (mut device, _) = enrolled(&owner).await;
    let id = owner.get("/v1/account/passkeys").await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    hub.clock.advance(Duration::from_mins(8));
    let begun = begin(&owner, "/v1/account/passkeys/begin").await;
    hub.clock.advance(Duration::from_mins(2));
    let mut second = Device::new(ORIGIN);
    let credential = second.create(&begun["options"]);
    let late = owner.post("/v1/account/passkeys", answer(&begun, &credential)).await;
    assert_eq!(late.code(), "step_up_required");
    assert_eq!(owner.post("/v1/account/passkeys/begin", json!({})).await.code(), "step_up_required");
    assert_eq!(owner.delete(&format!("/v1/account/passkeys/{id}")).await.code(), "step_up_required");
    owner.step_up_with(&mut device).await;
    let kept = owner.post("/v1/account/passkeys", answer(&begun, &credential)).await;
    assert_eq!(kept.status, StatusCode::CREATED, "{}", kept.text());
    let kept = kept.json();
    assert_eq!(
        (&kept["name"], &kept["recovery_codes"]),
        (&json!("Passkey"), &Value::Null),
        "there was a factor before"
    );
}

#[tokio::test]
async fn a_workspace_that_requires_a_second_factor_takes_a_passkey_and_keeps_the_last() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let require = async |required: bool| owner.patch("/v1/workspace", json!({ "require_totp": required })).await;
        assert_eq!(require(true).await.status, StatusCode::CONFLICT);
        let (_, _) = enrolled(&owner).await;
        let required = require(true).await;
        assert_eq!(required.status, StatusCode::OK, "{}", required.text());
        assert_eq!(owner.get("/v1/servers").await.status, StatusCode::OK);
        let session = owner.get("/v1/auth/session").await.json();
        assert_eq!(session["totp_enrollment_required"], false);
        let scope = json!({ "type": "workspace" });
        let admin = hub.member(&owner, "mia@example.org", json!({ "role": "admin" }), scope).await;
        assert_eq!(admin.get("/v1/servers").await.code(), "totp_enrollment_required");
        enrolled(&admin).await;
        assert_eq!(admin.get("/v1/servers").await.status, StatusCode::OK);

        let id = |list: &Value| list["data"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/account/passkeys/{}", id(&owner.get("/v1/account/passkeys").await.json()));
        let last = owner.delete(&path).await;
        assert_eq!((last.status, last.code().as_str()), (StatusCode::CONFLICT, "conflict"), "{}", last.text());
        assert_eq!(owner.get("/v1/servers").await.status, StatusCode::OK, "nothing was removed");
        let strangers = admin.delete(&path).await;
        assert_eq!(strangers.status, StatusCode::NOT_FOUND);
        enrolled(&owner).await;
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn an_invitation_is_no_way_around_a_passkey() {
    let hub = one_hub().await;
    let owner = hub.owner().await;
    let stranger = hub.stranger().await;
    let (mut device, _) = enrolled(&stranger).await;
    let scope = json!({ "type": "workspace" });
    let form = json!({ "email": "stranger@example.org", "granted": { "role": "viewer" }, "scope": scope });
    let invite = owner.post("/v1/team/invites", form).await.json();
    let accept = async |passkey: Value| {
        let form = json!({ "token": invite["token"], "password": OWNER_PASSWORD, "passkey": passkey });
        hub.anonymous().post("/v1/invites/accept", form).await
    };
    let asked = accept(Value::Null).await;
    assert_eq!(asked.code(), "totp_required");
    let begun = asked.json()["error"]["details"]["passkey"].clone();
    let accepted = accept(answer(&begun, &device.get(&begun["options"]))).await;
    assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.text());
}

#[tokio::test]
async fn a_hub_without_a_name_has_no_passkeys_and_says_so() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    assert_eq!(owner.get("/v1/auth/methods").await.json()["passkeys"], false);
    for (client, path) in [(&hub.anonymous(), "/v1/auth/passkey/begin"), (&owner, "/v1/account/passkeys/begin")] {
        let refused = client.post(path, json!({})).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert!(refused.text().contains("public_url"), "{}", refused.text());
    }
}

#[tokio::test]
async fn lost_devices_are_no_dead_end() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        enrolled(&owner).await;
        enrolled(&owner).await;
        let email = OWNER_EMAIL.to_owned().try_into().unwrap();
        assert_eq!(remove_passkeys(&hub.hub, &email).await.unwrap().1, 2);
        assert_eq!(remove_passkeys(&hub.hub, &email).await.unwrap().1, 0);
        assert_eq!(login(&hub.anonymous(), OWNER_EMAIL, OWNER_PASSWORD).await.status, StatusCode::OK);
        assert_eq!(owner.get("/v1/account/totp").await.json()["recovery_codes_left"], 0);
        let records = owner.get("/v1/audit?action=passkey.remove").await.json();
        assert_eq!(records["data"][0]["details"], json!({ "by": "command line", "removed": 2 }));
    }
}

#[tokio::test]
async fn passkeys_survive_a_restart_and_ceremonies_do_not() {
    for hub in hubs().await {
        let owner = hub.owner().await;
        let (mut device, _) = enrolled(&owner).await;
        let begun = begin(&hub.anonymous(), "/v1/auth/passkey/begin").await;
        let credential = device.get(&begun["options"]);
        let client = hub.anonymous().at(hub.restarted());
        assert_eq!(client.post("/v1/auth/passkey", answer(&begun, &credential)).await.status, StatusCode::GONE);
        assert_eq!(sign_in(&client, &mut device).await.status, StatusCode::OK);
    }
}
