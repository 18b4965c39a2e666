//! Personal data can go, the chain cannot.

use super::offline::{check, put_key};
use super::*;

#[tokio::test]
async fn a_redaction_removes_the_data_keeps_the_chain_and_is_recorded() {
    for hub in TestHub::each_engine().await {
        put_key(&hub);
        let owner = hub.owner().await.with_header("user-agent", "Very/Personal");
        owner.post("/v1/projects", json!({ "name": "Secret project" })).await;
        chain(&hub.hub).await.unwrap();
        let before = owner.get("/v1/audit?action=project.create").await.json()["data"][0].clone();
        let path = format!("/v1/audit/{}/redact", before["id"].as_str().unwrap());
        for bad in [json!({}), json!({ "reason": " " }), json!({ "reason": "x".repeat(501) })] {
            assert_eq!(owner.post(&path, bad).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let answer = owner.post(&path, json!({ "reason": "the person asked for it" })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let left = answer.json();
        for (field, value) in [("ip", json!("")), ("user_agent", json!("")), ("details", json!({}))] {
            assert_eq!(left[field], value, "{field}");
        }
        assert_eq!((&left["actor"]["name"], &left["subject"]["name"]), (&json!(""), &json!("")));
        for same in ["id", "at", "action", "result", "request_id", "position", "prev_hash", "hash"] {
            assert_eq!(left[same], before[same], "{same}");
        }
        assert_eq!((&left["actor"]["id"], &left["subject"]["id"]), (&before["actor"]["id"], &before["subject"]["id"]));
        assert_eq!(left["redacted_at"].as_str().map(str::len), Some(24));
        assert_eq!(owner.post(&path, json!({ "reason": "again" })).await.status, StatusCode::CONFLICT);

        let record = owner.get("/v1/audit?action=audit.redact").await.json()["data"][0].clone();
        assert_eq!(record["subject"]["id"], before["id"]);
        assert_eq!(record["details"]["reason"], "the person asked for it");
        // Neither the row nor a search knows anything of it any more.
        assert_eq!(owner.get("/v1/audit?q=secret%20project").await.json()["data"], json!([]));
        let id = before["id"].as_str().unwrap();
        let columns = "coalesce(salt, '') || actor_name || subject_name || ip || user_agent || details || search_key";
        let mut session = hub.hub.db.read().await.unwrap();
        let text = format!("select {columns} from audit where id = '{id}'");
        let (row,): (String,) = session.conn().query_built(text).fetch_one().await.unwrap();
        drop(session);
        assert_eq!(row.trim(), "{}project.create");

        // Not even before the redaction itself is chained.
        let text = check(&hub).await.unwrap();
        assert!(text.contains("1 of them redacted") && text.contains("wait to be chained"), "{text}");
        assert_eq!(owner.get("/v1/audit/verify").await.json()["redacted"], 1);
        chain(&hub.hub).await.unwrap();
        assert!(check(&hub).await.unwrap().contains("1 of them redacted"));
        let export = owner.get("/v1/audit/export").await;
        assert!(!export.text().contains("Secret project"), "{}", export.text());
        let verdict = verify_file(export.bytes(), None, None).unwrap();
        assert!(matches!(&verdict, Verdict::Good(text) if text.contains("1 of them redacted")), "{verdict:?}");

        // What is redacted holds nothing: nobody can put something else there.
        tamper(&hub, &format!("update audit set details = '{{\"name\":\"Other\"}}' where id = '{id}'")).await;
        assert_eq!(check(&hub).await.unwrap_err().position, before["position"].as_i64());
        tamper(&hub, &format!("update audit set details = '{{}}' where id = '{id}'")).await;
        // And the record of a redaction cannot go without its redaction showing.
        let end = "update audit_head set position = 2, hash = (select hash from audit where position = 2)";
        tamper(&hub, &format!("delete from audit where position > 2; {end}")).await;
        data_dir::write_private(&chain::path(hub.data_dir()), &signed_head(&hub, 2).await).unwrap();
        assert!(check(&hub).await.unwrap_err().problem.contains("no record says who redacted it"));
    }
}

/// What a hub would have kept when the chain ended there.
async fn signed_head(hub: &TestHub, position: i64) -> Vec<u8> {
    let mut session = hub.hub.db.read().await.unwrap();
    let hash = store::hash_at(&mut session.conn(), position).await.unwrap().unwrap();
    let head = chain::HeadFile { position, hash, at: hub.hub.now() };
    let signed = hub.hub.keys.sign(chain::SIGNATURE_PREFIX, serde_json::to_string(&head).unwrap());
    serde_json::to_vec(&signed).unwrap()
}
