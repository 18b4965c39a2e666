//! What tests of signing in have in common.

use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::totp::TotpSecret;
use crate::testing::{Answer, Client, OWNER_EMAIL, OWNER_PASSWORD, TestHub};

/// A new step of one-time codes, and a new minute of the throttle.
pub(super) fn next_minute(hub: &TestHub) {
    hub.clock.advance(Duration::from_mins(1));
}

/// Signs in as the owner with a code.
pub(super) async fn login_with(client: &Client, code: &str) -> Answer {
    let form = json!({ "email": OWNER_EMAIL, "password": OWNER_PASSWORD, "totp": code });
    client.post("/v1/auth/login", form).await
}

/// An authenticator app, with the recovery codes that its owner wrote down.
pub(super) struct App {
    pub(super) secret: String,
    pub(super) recovery_codes: Vec<String>,
}

impl App {
    /// Turns one-time codes on for somebody who is signed in. Time passes, so that the next code is a new one.
    pub(super) async fn enrolled(hub: &TestHub, client: &Client) -> Self {
        let started = client.post("/v1/account/totp", json!({ "password": OWNER_PASSWORD })).await;
        assert_eq!(started.status, 201, "{}", started.text());
        let secret = started.json()["secret"].as_str().unwrap().to_owned();
        let code = TotpSecret::code_at(&secret, hub.hub.now());
        let confirmed = client.post("/v1/account/totp/confirm", json!({ "code": code })).await;
        assert_eq!(confirmed.status, 200, "{}", confirmed.text());
        let recovery_codes = texts(&confirmed.json()["recovery_codes"]);
        next_minute(hub);
        Self { secret, recovery_codes }
    }

    /// What it shows now.
    pub(super) fn code(&self, hub: &TestHub) -> String {
        TotpSecret::code_at(&self.secret, hub.hub.now())
    }

    /// Six digits that it does not show.
    pub(super) fn wrong_code(&self, hub: &TestHub) -> String {
        let near = [-30, 0, 30].map(|seconds| {
            let at = crate::clock::Timestamp::from_ms(hub.hub.now().as_ms() + seconds * 1000);
            TotpSecret::code_at(&self.secret, at)
        });
        (0..4).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
    }
}

pub(super) fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// How often each reason of failed and refused sign-ins stands in the audit log.
pub(super) async fn reasons(owner: &Client) -> Vec<String> {
    let records = owner.get("/v1/audit?limit=200").await.json();
    let reason = |record: &Value| record["details"]["reason"].as_str().map(str::to_owned);
    records["data"].as_array().unwrap().iter().filter_map(reason).collect()
}
