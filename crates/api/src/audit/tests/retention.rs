//! Old records go when the setting says so, and only then.

use std::time::Duration;

use super::offline::{check, put_key};
use super::*;
use crate::hub::App;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn with_days(hub: &TestHub, days: u32) -> App {
    let mut other = hub.restarted();
    std::sync::Arc::get_mut(&mut other).unwrap().config.retention.audit_days = days;
    other
}

async fn positions(client: &Client) -> Vec<i64> {
    let records = client.get("/v1/audit?limit=200").await.json();
    let mut positions: Vec<_> =
        records["data"].as_array().unwrap().iter().filter_map(|record| record["position"].as_i64()).collect();
    positions.sort_unstable();
    positions
}

#[tokio::test]
async fn old_records_are_removed_with_a_signed_checkpoint_and_the_rest_still_verifies() {
    for hub in TestHub::each_engine().await {
        put_key(&hub);
        let owner = hub.owner().await;
        record_some(&hub, 600).await;
        chain(&hub.hub).await.unwrap();
        hub.clock.advance(10 * DAY);
        let login = json!({ "email": crate::testing::OWNER_EMAIL, "password": crate::testing::OWNER_PASSWORD });
        owner.post("/v1/auth/login", login).await;
        record_some(&hub, 3).await;
        chain(&hub.hub).await.unwrap();

        expire(&hub.hub).await.unwrap();
        assert!(check(&hub).await.unwrap().starts_with("good: 605 records"), "for ever unless told");
        let short = with_days(&hub, 7);
        expire(&short).await.unwrap();
        expire(&short).await.unwrap();
        chain(&short).await.unwrap();
        // Two steps, each recorded; the second run found nothing.
        assert_eq!(positions(&owner).await, [602, 603, 604, 605, 606, 607]);
        let records = owner.get("/v1/audit?action=audit.expire").await.json()["data"].clone();
        assert_eq!(records[0]["details"]["up_to_position"], 601);
        assert_eq!((&records[1]["details"]["removed"], &records[0]["details"]["removed"]), (&json!(500), &json!(101)));

        let good = check(&hub).await.unwrap();
        assert!(good.contains("good: 6 records up to position 607") && good.contains("up to position 601"), "{good}");
        assert_eq!(owner.get("/v1/audit/verify").await.json()["removed_up_to"], 601);
        let export = owner.get("/v1/audit/export").await;
        let verdict = verify_file(export.bytes(), None, None).unwrap();
        assert!(matches!(&verdict, Verdict::Good(text) if text.contains("up to position 601")), "{verdict:?}");

        // One more than was signed away.
        tamper(&hub, "delete from audit where position = 602").await;
        let bad = check(&hub).await.unwrap_err();
        assert_eq!((bad.position, bad.problem.as_str()), (Some(602), "the record at position 602 is missing"));
        tamper(&hub, "delete from audit_checkpoint").await;
        assert_eq!(check(&hub).await.unwrap_err().position, Some(1));
    }
}

#[tokio::test]
async fn the_retention_hides_no_tampering() {
    for hub in TestHub::each_engine().await {
        put_key(&hub);
        let owner = hub.owner().await;
        record_some(&hub, 5).await;
        chain(&hub.hub).await.unwrap();
        tamper(&hub, "update audit set actor_id = 'x' where position = 3").await;
        hub.clock.advance(10 * DAY);
        let failed = expire(&with_days(&hub, 7)).await.unwrap_err();
        assert!(failed.chain().contains("position 3 was changed"), "{}", failed.chain());
        let bad = check(&hub).await.unwrap_err();
        assert_eq!(bad.position, Some(3), "nothing was removed");
        drop(owner);
    }
}
