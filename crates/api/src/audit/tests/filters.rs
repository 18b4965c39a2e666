//! What lists and exports are narrowed to.

use super::*;

#[tokio::test]
async fn results_periods_and_texts_narrow_the_list() {
    for hub in TestHub::each_engine().await {
        let owner = hub.owner().await;
        record_some(&hub, 3).await;
        hub.clock.advance(std::time::Duration::from_secs(3600));
        owner.post("/v1/projects", json!({ "name": "Ärger & Söhne" })).await;
        let wrong = json!({ "current_password": "not that one, is it", "new_password": "correct horse battery 2" });
        owner.post("/v1/account/password", wrong).await;

        let actions = async |query: &str| {
            let answer = owner.get(&format!("/v1/audit{query}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
            let records = answer.json()["data"].as_array().unwrap().clone();
            records.iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(actions("?result=failed").await, ["account.password"]);
        assert_eq!(actions("?result=denied").await, [""; 0]);
        assert_eq!(actions("?from=2026-01-01T01:00:00Z").await, ["account.password", "project.create"]);
        assert_eq!(actions("?from=2026-01-01T01:00:00Z&result=ok").await, ["project.create"]);
        let early = actions("?to=2026-01-01T00:00:00.001Z&action=thing.change").await;
        assert_eq!(early, ["thing.change"]);
        assert_eq!(actions("?from=2026-01-01T02:00:00Z").await, [""; 0]);
        assert_eq!(actions("?to=1969-01-01T00:00:00Z").await, [""; 0]);
        assert_eq!(actions("?q=%C3%A4RGER%20%26%20s").await, ["project.create"]);
        assert_eq!(actions("?q=PROJECT.").await, ["project.create"]);
        assert_eq!(actions("?q=olga&result=failed").await, ["account.password"]);
        assert_eq!(actions("?q=%25").await, [""; 0]);
        let long = "x".repeat(101);
        for bad in ["from=yesterday", "result=perhaps", &format!("q={long}"), &format!("action={long}{long}"), "q=%00"]
        {
            assert_eq!(owner.get(&format!("/v1/audit?{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
            assert_eq!(owner.get(&format!("/v1/audit/export?{bad}")).await.status, StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
