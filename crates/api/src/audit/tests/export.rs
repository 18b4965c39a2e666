//! Exports: what is in them, what is not, and that whatever is done to one is found.

use serde_json::Value;

use super::*;
use crate::audit::lines::SIGNATURE_PREFIX;
use crate::keys::Keys;
use crate::random::SeededRandom;

async fn export(client: &Client, query: &str) -> String {
    let answer = client.get(&format!("/v1/audit/export{query}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    answer.text()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("{line}\n")).collect()
}

fn good(hub: &TestHub, text: &str) -> String {
    let fingerprint = hub.hub.keys.fingerprint().to_string();
    match verify_file(text.as_bytes(), Some(&fingerprint), None).unwrap() {
        Verdict::Good(text) => text,
        Verdict::Bad(bad) => panic!("{bad}"),
    }
}

fn bad(hub: &TestHub, text: &[u8]) -> Bad {
    let fingerprint = hub.hub.keys.fingerprint().to_string();
    match verify_file(text, Some(&fingerprint), None) {
        Ok(Verdict::Bad(bad)) => bad,
        Ok(Verdict::Good(good)) => panic!("{good} of {}", String::from_utf8_lossy(text)),
        Err(error) => Bad { position: None, id: None, problem: error.to_string() },
    }
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn a_whole_export_holds_the_chain_and_the_hubs_signature() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        // More than a page.
        record_some(&hub, 450).await;
        let answer = owner.get("/v1/audit/export?format=jsonl").await;
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        assert_eq!(answer.header("content-disposition"), "attachment; filename=\"audit-2026-01-01.jsonl\"");
        let text = answer.text();
        let lines = lines(&text);
        // The start, 450 things, the set-up and the export itself, the end.
        assert_eq!(lines.len(), 1 + 452 + 1);
        let positions: Vec<_> = lines[1..453].iter().map(|line| parsed(line)["position"].as_i64().unwrap()).collect();
        assert!(positions.iter().copied().eq(1..=452), "oldest first, without a gap");
        let export = parsed(&lines[452]);
        assert_eq!((&export["action"], &export["actor"]["name"]), (&json!("audit.export"), &json!("Olga Owner")));
        let end = parsed(&lines[453]);
        assert_eq!(end["fingerprint"], hub.hub.keys.fingerprint().to_string());
        let text = good(&hub, &text);
        assert!(text.starts_with("good: 452 records up to position 452"), "{text}");
    }
}

#[tokio::test]
async fn every_byte_of_an_export_counts_and_the_first_bad_record_is_named() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    hub.stranger().await;
    record_some(&hub, 2).await;
    let text = export(&owner, "").await;
    good(&hub, &text);
    let mut at = 0;
    for (number, line) in lines(&text).iter().enumerate() {
        let position = parsed(line)["position"].as_i64().filter(|_| line.starts_with("{\"type\":\"record\""));
        for offset in 0..line.len() - 1 {
            let mut flipped = text.clone().into_bytes();
            flipped[at + offset] ^= 1;
            let found = bad(&hub, &flipped);
            if let Some(position) = position {
                assert_eq!(found.position, Some(position), "line {number}, byte {offset}: {found}");
            }
        }
        at += line.len();
    }
    // The hub's own copy of the fields: none is left out of what is hashed.
    let record = lines(&text).iter().map(|line| parsed(line)).find(|line| line["type"] == "record").unwrap();
    assert_eq!(record.as_object().unwrap().len(), 19, "a new field has to be hashed: {record}");
}

#[tokio::test]
async fn lines_cannot_be_dropped_swapped_cut_or_ended_differently() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 4).await;
        let older = lines(&export(&owner, "").await);
        record_some(&hub, 2).await;
        let whole = lines(&export(&owner, "").await);
        good(&hub, &whole.concat());
        for number in 1..whole.len() - 1 {
            let mut dropped = whole.clone();
            dropped.remove(number);
            let found = bad(&hub, dropped.concat().as_bytes());
            assert_eq!(found.position, i64::try_from(number).ok(), "{found}");
            assert!(found.problem.contains("missing"), "{found}");
            let mut doubled = whole.clone();
            doubled.insert(number, whole[number].clone());
            bad(&hub, doubled.concat().as_bytes());
            let cut = bad(&hub, whole[..number].concat().as_bytes());
            assert!(cut.problem.contains("cut off"), "{cut}");
        }
        let mut swapped = whole.clone();
        swapped.swap(3, 4);
        assert_eq!(bad(&hub, swapped.concat().as_bytes()).position, Some(3));
        bad(&hub, whole[1..].concat().as_bytes());
        bad(&hub, &whole.concat().as_bytes()[..whole.concat().len() - 9]);
        bad(&hub, &[whole.concat().as_bytes(), b"\n"].concat());

        // The end of an older export, over more records and over as many as it was for.
        let mut other = whole.clone();
        *other.last_mut().unwrap() = older.last().unwrap().clone();
        assert!(bad(&hub, other.concat().as_bytes()).problem.contains("an older one"));
        let mut fewer = whole[..older.len() - 1].to_vec();
        fewer.push(whole.last().unwrap().clone());
        assert!(bad(&hub, fewer.concat().as_bytes()).problem.contains("are missing"));
        // A copy of a head from elsewhere is older than the export, and counts.
        let head = hub.data_dir().join("head.json");
        let newest = data_dir::read(&chain::path(hub.data_dir()), 4096).unwrap().unwrap();
        data_dir::write_private(&head, &newest).unwrap();
        let verdict = verify_file(whole.concat().as_bytes(), None, Some(&head)).unwrap();
        assert!(matches!(verdict, Verdict::Good(_)), "{verdict:?}");
        let verdict = verify_file(older.concat().as_bytes(), None, Some(&head)).unwrap();
        assert!(matches!(&verdict, Verdict::Bad(bad) if bad.problem.contains("are missing")), "{verdict:?}");
    }
}

/// Signs the end anew, as somebody with another key would.
fn forge(lines: &[String], keys: &Keys, with_its_key: bool) -> String {
    let mut lines = lines.to_vec();
    let mut end = parsed(lines.last().unwrap());
    let mut body = parsed(end["signed"]["body"].as_str().unwrap());
    let before = lines[..lines.len() - 1].concat();
    body["sha256"] = json!(crate::secret::sha256(before.as_bytes()));
    end["signed"] = serde_json::to_value(keys.sign(SIGNATURE_PREFIX, body.to_string())).unwrap();
    if with_its_key {
        end["public_key"] = json!(keys.public());
        end["fingerprint"] = json!(keys.fingerprint());
    }
    *lines.last_mut().unwrap() = format!("{end}\n");
    lines.concat()
}

#[tokio::test]
async fn nobody_else_can_sign_an_end() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    record_some(&hub, 2).await;
    let whole = lines(&export(&owner, "").await);
    good(&hub, &forge(&whole, &hub.hub.keys, false));
    let stranger = Keys::from_pkcs8(&Keys::generate_pkcs8(&SeededRandom::new(9))).unwrap();
    assert!(bad(&hub, forge(&whole, &stranger, false).as_bytes()).problem.contains("was not signed by the hub"));
    let forged = forge(&whole, &stranger, true);
    assert!(bad(&hub, forged.as_bytes()).problem.contains("was signed by the hub"));
    // Without a fingerprint to compare with, the answer says whose signature it is.
    let Verdict::Good(text) = verify_file(forged.as_bytes(), None, None).unwrap() else { panic!() };
    assert!(text.contains(&stranger.fingerprint().to_string()) && text.contains("compare"), "{text}");
    // The right signature under another purpose is none.
    let mut other = whole;
    let mut end = parsed(other.last().unwrap());
    let body = end["signed"]["body"].as_str().unwrap().to_owned();
    end["signed"] = serde_json::to_value(hub.hub.keys.sign(chain::SIGNATURE_PREFIX, body)).unwrap();
    *other.last_mut().unwrap() = format!("{end}\n");
    bad(&hub, other.concat().as_bytes());
    for (rubbish, problem) in [("", "empty"), ("{}\n", "no export"), ("position,at\r\n", "no export")] {
        assert!(verify_file(rubbish.as_bytes(), None, None).unwrap_err().to_string().contains(problem));
    }
}

#[tokio::test]
async fn other_workspaces_are_links_that_say_nothing() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        let stranger = hub.stranger().await;
        record_some(&hub, 3).await;
        for n in 0..3 {
            stranger.post("/v1/projects", json!({ "name": format!("Hidden {n}") })).await;
        }
        record_some(&hub, 3).await;
        let theirs = stranger.get("/v1/audit?limit=200").await.json();
        for (client, records) in [(&owner, 8), (&stranger, 6)] {
            let text = export(client, "").await;
            let found = good(&hub, &text);
            assert!(found.starts_with(&format!("good: {records} records")), "{found}");
        }
        let text = export(&owner, "").await;
        assert!(!text.contains("Hidden") && !text.contains("Sam"), "{text}");
        for record in theirs["data"].as_array().unwrap() {
            for field in [&record["id"], &record["actor"]["id"], &record["subject"]["id"], &record["request_id"]] {
                let field = field.as_str().unwrap();
                assert!(field.is_empty() || !text.contains(field), "{field} in {text}");
            }
        }
        // A digest that is another breaks the chain.
        let digest = text.split("\"digests\":[\"").nth(1).unwrap()[..64].to_owned();
        let other = text.replace(&digest, &"0".repeat(64));
        assert!(bad(&hub, other.as_bytes()).problem.contains("does not follow"));

        // In the old form there is no digest: such a hash is taken on trust, and that is said.
        let mut tx = hub.hub.db.write().await.unwrap();
        let home = crate::workspaces::home(&mut tx.conn()).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        stranger.post("/v1/projects", json!({ "name": "Old" })).await;
        let old = format!(
            "update audit set form = 1, salt = null, sealed = null where position is null and workspace_id <> '{home}'"
        );
        tamper(&hub, &old).await;
        let found = good(&hub, &export(&owner, "").await);
        assert!(found.contains("1 records of other workspaces are in an old form"), "{found}");
    }
}

#[tokio::test]
async fn a_filtered_export_is_signed_and_each_record_checked() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        hub.stranger().await;
        record_some(&hub, 6).await;
        let text = export(&owner, &format!("?action=thing.change&server_id={}", on_server())).await;
        let whole = lines(&text);
        assert_eq!(whole.len(), 1 + 3 + 1);
        let found = good(&hub, &text);
        assert!(found.starts_with("good: 3 records") && found.contains("filtered"), "{found}");
        let position = parsed(&whole[2])["position"].as_i64();
        let edited = text.replace("\\\"index\\\":2", "\\\"index\\\":3");
        assert_ne!(edited, text);
        assert_eq!(bad(&hub, edited.as_bytes()).position, position);
        let mut dropped = whole.clone();
        dropped.remove(2);
        bad(&hub, dropped.concat().as_bytes());
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        bad(&hub, swapped.concat().as_bytes());
        // A part cannot be passed off as the whole.
        bad(&hub, text.replace("\"complete\":false", "\"complete\":true").as_bytes());
    }
}

#[tokio::test]
async fn what_the_database_was_robbed_of_shows_in_its_export() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 5).await;
        chain(&hub.hub).await.unwrap();
        tamper(&hub, "delete from audit where position = 3").await;
        assert_eq!(bad(&hub, export(&owner, "").await.as_bytes()).position, Some(3));
    }
}

#[tokio::test]
async fn tables_are_for_spreadsheets_and_run_nothing() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await.with_header("user-agent", "=HYPERLINK(\"http://x\")");
        owner.post("/v1/projects", json!({ "name": "+1, \"quoted\"" })).await;
        let answer = owner.get("/v1/audit/export?format=csv").await;
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(answer.header("content-disposition"), "attachment; filename=\"audit-2026-01-01.csv\"");
        let text = answer.text();
        let rows: Vec<_> = text.split("\r\n").collect();
        assert_eq!(rows.len(), 1 + 3 + 1, "{text}");
        assert!(rows[0].starts_with("position,at,action"));
        assert!(rows[2].contains("\"'=HYPERLINK(\"\"http://x\"\")\"") && rows[2].contains("\"'+1, \"\"quoted\"\"\""));
        assert_eq!(export(&owner, "?format=csv&action=nothing").await.split("\r\n").count(), 2);
    }
}
