//! `roadstead audit verify --database`: every tampering done with SQL is found and named, on each engine.

use super::*;
use crate::audit::{Bad, Verdict, verify_database};
use crate::keys::Keys;
use crate::random::SeededRandom;

/// Puts the key of the test hub where a hub on a disk has it.
pub(super) fn put_key(hub: &TestHub) {
    let keys_dir = &hub.hub.config.keys_dir;
    data_dir::ensure_private_dir(keys_dir).unwrap();
    data_dir::write_private(&Keys::path(keys_dir), &Keys::generate_pkcs8(&SeededRandom::new(1))).unwrap();
    assert_eq!(Keys::read(keys_dir).unwrap().unwrap().fingerprint(), hub.hub.keys.fingerprint());
}

pub(super) async fn check(hub: &TestHub) -> Result<String, Bad> {
    match verify_database(&hub.hub.config, None).await.unwrap() {
        Verdict::Good(text) => Ok(text),
        Verdict::Bad(bad) => Err(bad),
    }
}

async fn id_at(owner: &Client, position: i64) -> Option<String> {
    let records = owner.get("/v1/audit?limit=200").await.json()["data"].clone();
    let record = records.as_array().unwrap().iter().find(|record| record["position"] == position)?.clone();
    record["id"].as_str().map(str::to_owned)
}

/// A hub with seven chained records, and its key on disk.
async fn filled(hub: &TestHub) -> Client {
    put_key(hub);
    let owner = hub.owner().await;
    record_some(hub, 6).await;
    chain(&hub.hub).await.unwrap();
    owner
}

#[tokio::test]
async fn every_tampering_in_the_database_is_found_and_named() {
    let changed = [
        ("id", "upper(id)"),
        ("workspace_id", "'01890000-0000-7000-8000-000000000000'"),
        ("at", "at + 1"),
        ("actor_type", "'user'"),
        ("actor_id", "actor_id || 'x'"),
        ("actor_name", "'x'"),
        ("action", "'x'"),
        ("subject_type", "'x'"),
        ("subject_id", "'x'"),
        ("subject_name", "'x'"),
        ("server_id", "'x'"),
        ("result", "'denied'"),
        ("ip", "'x'"),
        ("user_agent", "'x'"),
        ("request_id", "'x'"),
        ("details", "details || ' '"),
        ("hash", "'x'"),
        ("salt", "'x'"),
        ("salt", "null"),
        ("sealed", "'x'"),
        ("sealed", "null"),
        ("form", "1"),
    ];
    let changed = changed.map(|(column, value)| {
        (format!("update audit set {column} = {value} where position = 3"), Some(3), "position 3 was changed")
    });
    let end_at_6 = "update audit_head set position = 6, hash = (select hash from audit where position = 6)";
    let text = |text: &str| text.to_owned();
    let others = [
        (text("update audit set prev_hash = 'x' where position = 3"), Some(3), "does not follow"),
        (text("update audit set form = 9 where position = 3"), Some(3), "does not know"),
        (text("delete from audit where position = 1"), Some(1), "position 1 is missing"),
        (text("delete from audit where position = 4"), Some(4), "position 4 is missing"),
        (text("update audit set position = null where position = 4"), Some(4), "position 4 is missing"),
        (
            text(
                "update audit set position = -1 where position = 3; update audit set position = 3 where position = 5; \
                 update audit set position = 5 where position = -1",
            ),
            Some(3),
            "changed or moved",
        ),
        (text("delete from audit where position = 7"), Some(7), "after position 6 are missing"),
        (format!("delete from audit where position = 7; {end_at_6}"), Some(7), "after position 6 are missing"),
        (
            format!("update audit set position = null where position = 7; {end_at_6}"),
            Some(7),
            "after position 6 are missing",
        ),
        (text("delete from audit; update audit_head set position = 0"), Some(1), "after position 0 are missing"),
        (text("update audit set position = 9 where position = 7"), Some(7), "position 7 is missing"),
        (end_at_6.to_owned(), Some(7), "the chain ends at position 6"),
        (text("update audit_head set hash = 'x'"), Some(7), "does not fit"),
        // What a redaction does, done by somebody who records none.
        (
            text(
                "update audit set actor_name = '', subject_name = '', ip = '', user_agent = '', details = '{}', \
                 salt = null where position = 3",
            ),
            Some(3),
            "no record says who redacted it",
        ),
        (
            text(
                "delete from audit where position <= 3; insert into audit_checkpoint (name, signed) values \
                 ('checkpoint', '{\"body\":\"{}\",\"key_id\":\"0000000000000000\",\"sig\":\"00\"}')",
            ),
            None,
            "was not signed by this hub",
        ),
    ];
    for hub in TestHub::each_engine().await {
        let owner = filled(&hub).await;
        tamper(&hub, "create table safe as select * from audit; create table safe_head as select * from audit_head")
            .await;
        let ids = [id_at(&owner, 3).await.unwrap(), id_at(&owner, 5).await.unwrap()];
        for (damage, position, problem) in changed.iter().chain(&others) {
            tamper(&hub, damage).await;
            let bad = check(&hub).await.expect_err(damage);
            assert_eq!(bad.position, *position, "{damage}: {bad}");
            assert!(bad.problem.contains(problem), "{damage}: {bad}");
            if damage.contains("position = 3") && !damage.contains(" id ") {
                assert!(ids.contains(bad.id.as_ref().unwrap()), "{damage}: {bad}");
            }
            assert_eq!(owner.get("/v1/audit/verify").await.json()["ok"], false, "the hub itself: {damage}");
            let restore = "delete from audit; insert into audit select * from safe; delete from audit_head; \
                           insert into audit_head select * from safe_head; delete from audit_checkpoint";
            tamper(&hub, restore).await;
        }
        let good = check(&hub).await.unwrap();
        assert!(good.starts_with("good: 7 records up to position 7, 0 of them redacted"), "{good}");
    }
}

#[tokio::test]
async fn a_head_that_was_kept_elsewhere_outlives_the_one_beside_the_database() {
    for hub in TestHub::each_engine().await {
        let owner = filled(&hub).await;
        let beside = chain::path(hub.data_dir());
        let older = data_dir::read(&beside, 4096).unwrap().unwrap();
        record_some(&hub, 2).await;
        chain(&hub.hub).await.unwrap();
        let elsewhere = hub.data_dir().join("copy.json");
        data_dir::write_private(&elsewhere, &data_dir::read(&beside, 4096).unwrap().unwrap()).unwrap();
        // Whoever has the database and the data directory cuts both back to the same moment.
        let cut = "delete from audit where position > 7; \
                   update audit_head set position = 7, hash = (select hash from audit where position = 7)";
        tamper(&hub, cut).await;
        data_dir::write_private(&beside, &older).unwrap();
        assert!(check(&hub).await.is_ok(), "that is what the copy is for");
        let Verdict::Bad(bad) = verify_database(&hub.hub.config, Some(&elsewhere)).await.unwrap() else { panic!() };
        assert_eq!((bad.position, bad.problem.as_str()), (Some(8), "records after position 7 are missing"));

        std::fs::remove_file(&beside).unwrap();
        let bad = check(&hub).await.unwrap_err();
        assert!(bad.problem.contains("there is no signed head"), "{bad}");
        data_dir::write_private(&beside, b"{}").unwrap();
        assert!(check(&hub).await.unwrap_err().problem.contains("was not signed by this hub"));
        drop(owner);
    }
}

/// New records would push the end of the chain beyond the head that tells of the cut.
#[tokio::test]
async fn a_cut_stays_visible_however_much_is_recorded_after_it() {
    for hub in TestHub::each_engine().await {
        let owner = filled(&hub).await;
        let cut = "delete from audit where position > 4; \
                   update audit_head set position = 4, hash = (select hash from audit where position = 4)";
        tamper(&hub, cut).await;
        record_some(&hub, 20).await;
        chain(&hub.hub).await.unwrap();
        chain(&hub.restarted()).await.unwrap();
        let bad = check(&hub).await.unwrap_err();
        assert_eq!(bad.position, Some(7), "{bad}");
        assert!(bad.problem.contains("the chain was rewritten"), "{bad}");
        assert_eq!(owner.get("/v1/audit/verify").await.json()["broken_at"], 7);
    }
}

#[tokio::test]
async fn what_was_hashed_in_the_old_form_and_by_an_older_key_still_verifies() {
    for hub in TestHub::each_engine().await {
        put_key(&hub);
        let owner = hub.owner().await;
        record_some(&hub, 3).await;
        tamper(&hub, "update audit set form = 1, salt = null, sealed = null").await;
        chain(&hub.hub).await.unwrap();
        record_some(&hub, 2).await;
        chain(&hub.hub).await.unwrap();
        assert!(check(&hub).await.unwrap().starts_with("good: 6 records"));
        hub.hub.keys.rotate(&hub.hub.config.keys_dir, &SeededRandom::new(5), hub.hub.now()).unwrap();
        assert!(check(&hub).await.unwrap().starts_with("good: 6 records"));
        assert_eq!(owner.get("/v1/audit/verify").await.json()["checked"], 6);

        tamper(&hub, "update audit set ip = 'x' where position = 2").await;
        assert_eq!(check(&hub).await.unwrap_err().position, Some(2));
        let old = id_at(&owner, 3).await.unwrap();
        let refused = owner.post(&format!("/v1/audit/{old}/redact"), json!({ "reason": "asked" })).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "conflict"));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_nothing_is_made_or_changed() {
    let hub = TestHub::sqlite().await;
    assert!(verify_database(&hub.hub.config, None).await.unwrap_err().to_string().contains("no signing key"));
    put_key(&hub);
    assert!(check(&hub).await.unwrap().contains("empty"));
    let missing = hub.data_dir().join("nothing.db");
    let config =
        crate::config::Config { database: crate::db::DbOptions::Sqlite(missing.clone()), ..hub.hub.config.clone() };
    assert!(verify_database(&config, None).await.is_err());
    assert!(!missing.exists());
    let read_only = crate::db::Db::open_read_only(&hub.hub.config.database).await.unwrap();
    let write = async {
        let mut tx = read_only.write().await?;
        tx.conn().query_built("delete from audit_head".to_owned()).execute().await?;
        tx.commit().await
    };
    assert!(write.await.is_err());
}
