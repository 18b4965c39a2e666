//! An agent whose clock is an hour off: it works, jobs do not expire, and the hub says what is wrong.

use std::path::PathBuf;
use std::time::Duration;

use support::agent::Agent;
use support::hub::Hub;
use support::process::Process;
use support::target_dir;

/// libfaketime moves the clock of one process tree; it needs the dynamically linked development build.
fn faketime() -> Option<PathBuf> {
    let library = PathBuf::from("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1");
    library.exists().then_some(library)
}

async fn works_with_offset(offset: &str) {
    let library = faketime().expect("the package faketime, which `cargo xtask test` installs");
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut events = owner.events("/v1/events", None).await;
    let agent = Agent::registered(&hub, &owner).await;
    let state = agent.state_dir().display().to_string();
    let env = [("LD_PRELOAD", library.to_str().unwrap()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    let binary = target_dir().join("roadstead-agent");
    let _process = Process::start(&binary, &["run", "--state-dir", &state], &env, &agent.log_file());
    owner.server_is(agent.server_id(), "online", Duration::from_secs(20)).await;
    let job = owner.exec(agent.server_id(), "echo fine").await;
    let id = job["id"].as_str().unwrap();
    let end = owner.job_end(id, Duration::from_secs(20)).await;
    assert_eq!(end["state"], "succeeded", "{end}");
    assert_eq!(owner.log_text(id).await, "fine\n");
    events
        .find(Duration::from_secs(20), |event| {
            event.kind == "security.event" && event.data.to_string().contains("clock.skew")
        })
        .await;
}

#[tokio::test]
async fn an_hour_ahead_is_reported_and_harmless() {
    works_with_offset("+1h").await;
}

#[tokio::test]
async fn an_hour_behind_is_reported_and_harmless() {
    works_with_offset("-1h").await;
}
