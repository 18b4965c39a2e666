//! Promises to whoever runs the hub: what was set is shown without secrets, and a test says what the mail server says.

use axum::http::StatusCode;
use serde_json::json;

use crate::config::MailLogin;
use crate::mail::tests::Catcher;
use crate::secret::Secret;
use crate::testing::TestHub;

#[tokio::test]
async fn settings_are_shown_without_secrets_to_whoever_runs_the_hub() {
    let catcher = Catcher::new().await;
    let configure = |config: &mut crate::config::Config| {
        catcher.configure(config);
        let login = MailLogin { username: "hub".to_owned(), password: Secret::new("hunter2".to_owned()) };
        config.mail.as_mut().unwrap().login = Some(login);
    };
    for hub in TestHub::each_engine_with(configure).await {
        let owner = hub.owner().await;
        let shown = owner.get("/v1/installation").await;
        assert_eq!(shown.status, StatusCode::OK, "{}", shown.text());
        assert!(!shown.text().contains("hunter2"));
        let shown = shown.json();
        assert_eq!(shown["mail"]["from"], "Roadstead <hub@example.com>");
        assert_eq!((&shown["mail"]["tls"], &shown["passkeys"]), (&json!("none"), &json!(false)));
        let engine = if hub.engine() == crate::db::Engine::Sqlite { "sqlite" } else { "postgresql" };
        assert_eq!(shown["database"], engine);
        let stranger = hub.stranger().await;
        assert_eq!(stranger.get("/v1/installation").await.status, StatusCode::FORBIDDEN);
        let form = json!({ "to": "ann@example.com" });
        assert_eq!(stranger.post("/v1/installation/mail-test", form).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_test_says_what_the_mail_server_says() {
    let catcher = Catcher::new().await;
    let hub = TestHub::with_config(|config| catcher.configure(config)).await;
    let owner = hub.owner().await;
    let ask = async || owner.post("/v1/installation/mail-test", json!({ "to": "ann@example.com" })).await;
    let accepted = ask().await;
    assert_eq!(accepted.status, StatusCode::OK, "{}", accepted.text());
    assert_eq!(accepted.json(), json!({ "accepted": true, "response": "250 kept as number 1" }));
    assert_eq!(catcher.take()[0].to, ["ann@example.com"]);
    catcher.refuse(Some("550 not here"));
    let refused = ask().await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("not here"), "{}", refused.text());
    catcher.refuse(Some("451 later"));
    let later = ask().await;
    assert_eq!(later.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(later.text().contains("later"), "{}", later.text());
    drop(catcher);
    let away = ask().await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{}", away.text());
}

#[tokio::test]
async fn a_hub_without_mail_says_so() {
    let hub = TestHub::sqlite().await;
    let owner = hub.owner().await;
    assert!(owner.get("/v1/installation").await.json()["mail"].is_null());
    let answer = owner.post("/v1/installation/mail-test", json!({ "to": "ann@example.com" })).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text().contains("[mail]"), "{}", answer.text());
}
