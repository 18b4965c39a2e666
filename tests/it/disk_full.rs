//! A full disk on either side: refused in words, nothing corrupted, and all is well once there is space again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use support::agent::Agent;
use support::hub::{Hub, HubOptions};
use support::wait;

/// A small file system of its own.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).status();
        assert!(status.unwrap().success(), "mounting needs root");
        Self(dir)
    }

    fn fill(&self) {
        // Ends with "no space left", which is the point.
        let file = self.0.path().join("ballast");
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k", "status=none"])
            .arg(format!("of={}", file.display()))
            .status();
        assert!(file.metadata().unwrap().len() > 0);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn path(disk: &SmallDisk) -> &Path {
    disk.0.path()
}

#[tokio::test]
async fn a_full_disk_under_the_hub_refuses_and_recovers() {
    let disk = SmallDisk::mount("64m");
    let options = HubOptions { data_dir: Some(path(&disk).join("data")), ..HubOptions::default() };
    let hub = Hub::start_with(options).await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let running = owner.exec(agent.server_id(), "for i in $(seq 1 50); do echo tick $i; sleep 0.1; done").await;
    disk.fill();
    let body = json!({ "server_id": agent.server_id(), "kind": "exec", "args": { "command": "echo x", "stdin": "y".repeat(60_000) } });
    let refused = wait::until("a refusal", Duration::from_secs(20), async || {
        let answer = owner.post("/v1/jobs", &body).await.unwrap();
        if answer.status == 503 { Ok(answer) } else { Err(answer.text) }
    })
    .await;
    assert_eq!(refused.code(), "unavailable");
    assert_eq!(hub.api().get("/healthz").await.unwrap().status, 200, "the process lives");
    disk.free();
    let id = running["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, Duration::from_secs(60)).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, (1..=50).map(|n| format!("tick {n}\n")).collect::<String>());
}

#[tokio::test]
async fn a_full_disk_under_the_agent_never_blocks_a_job() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::registered(&hub, &owner).await;
    let disk = SmallDisk::mount("96m");
    // The agent's state moves to the small disk.
    let state = agent.state_dir();
    let copy = Command::new("cp").arg("-a").arg(format!("{}/.", state.display())).arg(path(&disk)).status();
    assert!(copy.unwrap().success());
    std::fs::remove_dir_all(&state).unwrap();
    std::os::unix::fs::symlink(path(&disk), &state).unwrap();
    agent.start();
    owner.server_is(agent.server_id(), "online", Duration::from_secs(20)).await;

    disk.fill();
    let refused = owner.exec(agent.server_id(), "echo never").await;
    let refused = owner.job_end(refused["id"].as_str().unwrap(), Duration::from_secs(20)).await;
    assert_eq!(refused["state"], "rejected", "{refused}");
    assert_eq!(refused["error"]["code"], "no_space", "{refused}");
    disk.free();
    let accepted = owner.exec(agent.server_id(), "echo again").await;
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, Duration::from_secs(20)).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await, "again\n");
}
