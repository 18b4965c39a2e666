//! Admission: every way in that must stay shut, and what the person at the terminal is told.

use std::time::Duration;

use serde_json::json;
use support::agent::{self, Agent, Registration};
use support::hub::Hub;
use support::wait;

#[tokio::test]
async fn bad_attempts_change_nothing_and_say_why() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let token = owner.install_token(&json!({})).await;
    let good = Registration::with(&hub, &token);
    let spoilt = [
        ("a malformed token", Registration { token: "rsi_short".into(), ..good.clone() }, "token"),
        ("an unknown token", Registration { token: format!("rsi_{}", "A".repeat(43)), ..good.clone() }, "token"),
        ("another fingerprint", Registration { fingerprint: "0".repeat(64), ..good.clone() }, "fingerprint"),
        (
            "another TLS key",
            Registration { tls_pin: Some(format!("{}=", "A".repeat(43))), ..good.clone() },
            "certificate",
        ),
    ];
    for (what, registration, word) in spoilt {
        let dir = tempfile::tempdir().unwrap();
        let (ok, output) = registration.run(dir.path()).await;
        assert!(!ok, "{what} was accepted: {output}");
        assert!(output.to_lowercase().contains(word), "{what}: {output}");
        assert!(!dir.path().join("state/trust/hub.json").exists(), "{what} left a trusted key behind");
    }
    let servers = owner.get("/v1/servers").await.unwrap().expect(200);
    assert_eq!(servers["data"], json!([]), "nothing was admitted");

    let dir = tempfile::tempdir().unwrap();
    let (ok, output) = good.run(dir.path()).await;
    assert!(ok, "the token is still good: {output}");
}

#[tokio::test]
async fn a_used_token_admits_nobody_else() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let token = owner.install_token(&json!({})).await;
    let first = tempfile::tempdir().unwrap();
    let (ok, output) = agent::register(&hub, &token, first.path()).await;
    assert!(ok, "{output}");
    let second = tempfile::tempdir().unwrap();
    let (ok, output) = agent::register(&hub, &token, second.path()).await;
    assert!(!ok && output.contains("used"), "{output}");
}

#[tokio::test]
async fn a_hub_that_restarts_in_the_middle_of_register_strands_nobody() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let token = owner.install_token(&json!({})).await;
    let registration = Registration::with(&hub, &token);
    hub.kill_9().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let register = tokio::spawn(async move { registration.run(&path).await });
    hub.start_again().await;
    let (ok, output) = register.await.unwrap();
    assert!(ok, "{output}");
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let copy = tempfile::tempdir().unwrap();
    let (status, output) = support::process::run(
        "cp".as_ref(),
        &["-a", &agent.state_dir().display().to_string(), &copy.path().join("state").display().to_string()],
        "",
    )
    .await;
    assert!(status.success(), "{output}");
    let args = ["run".to_owned(), "--state-dir".to_owned(), copy.path().join("state").display().to_string()];
    let _clone = support::process::Process::start(&agent::binary(), &args, &[], &copy.path().join("clone.log"));
    let mut events = owner.events("/v1/events", None).await;
    events
        .find(Duration::from_secs(90), |event| {
            event.kind == "security.event" && event.data.to_string().contains("cloned")
        })
        .await;
    drop(agent);
}

#[tokio::test]
async fn revoking_closes_the_socket_and_keeps_it_closed() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let id = agent.server_id();
    owner.post(&format!("/v1/servers/{id}/revoke"), &json!({})).await.unwrap().expect(200);
    owner.server_is(id, "revoked", Duration::from_secs(2)).await;
    wait::until("the agent to know", Duration::from_secs(20), async || {
        let log = agent.process().log();
        if log.contains("revoked") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(owner.get(&format!("/v1/servers/{id}")).await.unwrap().expect(200)["status"], "revoked");
    let job = json!({ "server_id": id, "kind": "exec", "args": { "command": "true" } });
    assert_eq!(owner.post("/v1/jobs", &job).await.unwrap().status, 409);
}
