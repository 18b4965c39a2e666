//! What somebody can write by asking for what they may not have.

use super::*;

#[tokio::test]
async fn refusals_are_recorded_up_to_a_number_a_minute_with_those_left_out_in_the_next() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let scope = json!({ "type": "workspace" });
        let member = hub.member(&owner, "v@example.org", json!({ "role": "viewer" }), scope.clone()).await;
        let other = hub.member(&owner, "w@example.org", json!({ "role": "viewer" }), scope).await;
        let refuse = async |client: &Client, times: u32| {
            for _ in 0..times {
                assert_eq!(client.get("/v1/audit").await.status, StatusCode::FORBIDDEN);
            }
        };
        let denied = async || {
            let records = owner.get("/v1/audit?result=denied&limit=200").await.json();
            records["data"].as_array().unwrap().clone()
        };
        let limit = super::super::budget::PER_WINDOW;
        refuse(&member, limit + 7).await;
        assert_eq!(denied().await.len(), limit as usize);
        refuse(&other, 1).await;
        assert_eq!(denied().await.len(), limit as usize + 1, "one actor's noise silences no other");
        hub.clock.advance(std::time::Duration::from_secs(60));
        refuse(&member, 1).await;
        let newest = denied().await[0].clone();
        assert_eq!(newest["details"], json!({ "permission": "audit.read", "unrecorded_before": 7 }));
    }
}

/// Whoever tries to give or take what they do not hold shows, whatever the route.
#[tokio::test]
async fn attempts_to_hold_more_are_recorded() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let scope = json!({ "type": "workspace" });
        let granted = json!({ "permissions": ["members.manage", "members.read", "roles.manage", "api-keys.create"] });
        let climber = hub.member(&owner, "c@example.org", granted, scope.clone()).await;
        let own = climber.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let boss = owner.get("/v1/auth/session").await.json()["user"]["id"].as_str().unwrap().to_owned();
        let role = json!({ "name": "Readers", "permissions": ["members.read"] });
        let role = climber.post("/v1/team/roles", role).await.json()["id"].as_str().unwrap().to_owned();
        let all = json!([{ "granted": { "role": "owner" }, "scope": scope }]);
        let attempts = [
            climber.put(&format!("/v1/team/members/{own}/grants"), json!({ "grants": all })).await,
            climber.delete(&format!("/v1/team/members/{boss}")).await,
            climber
                .post(
                    "/v1/team/invites",
                    json!({ "email": "d@example.org", "granted": { "role": "owner" }, "scope": scope }),
                )
                .await,
            climber.post("/v1/team/roles", json!({ "name": "All", "permissions": ["servers.exec"] })).await,
            climber.patch(&format!("/v1/team/roles/{role}"), json!({ "permissions": ["servers.exec"] })).await,
            climber.post("/v1/api-keys", json!({ "name": "k", "permissions": ["servers.exec"], "scope": scope })).await,
        ];
        let records = owner.get(&format!("/v1/audit?action=access.deny&actor_id={own}")).await.json();
        let subjects: Vec<_> =
            records["data"].as_array().unwrap().iter().map(|record| &record["subject"]["type"]).collect();
        assert_eq!(subjects, ["api_key", "role", "role", "invite", "user", "user"]);
        for (attempt, record) in attempts.iter().rev().zip(records["data"].as_array().unwrap()) {
            assert_eq!(attempt.status, StatusCode::FORBIDDEN, "{}", attempt.text());
            assert_eq!(record["result"], "denied");
            assert_eq!(attempt.json()["error"]["message"], record["details"]["reason"]);
        }
    }
}

/// A key that somebody found is worth nothing elsewhere, and cannot fill the log either.
#[tokio::test]
async fn a_key_used_from_a_wrong_address_writes_a_number_of_records_a_minute() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    let form = json!({
        "name": "k", "permissions": ["servers.read"], "scope": { "type": "workspace" }, "networks": ["192.0.2.0/24"],
    });
    let made = owner.post("/v1/api-keys", form).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let token = format!("Bearer {}", made.json()["token"].as_str().unwrap());
    let thief = hub.anonymous().with_header("authorization", &token);
    let limit = super::super::budget::PER_WINDOW;
    for _ in 0..limit + 3 {
        assert_eq!(thief.get("/v1/servers").await.status, StatusCode::FORBIDDEN);
    }
    let records = owner.get("/v1/audit?action=api_key.use&limit=200").await.json();
    assert_eq!(records["data"].as_array().unwrap().len(), limit as usize);
}
