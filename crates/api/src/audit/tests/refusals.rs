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
