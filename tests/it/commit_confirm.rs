//! A change that nobody confirmed, under a real systemd: its guard is started again when it is killed, and at boot
//! everything is as it was.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use support::vps::Vps;
use support::wait;

const SOON: Duration = Duration::from_secs(30);
const ID: &str = "019a1f2e-7c55-7d3a-9f10-000000000003";
const UNIT: &str = include_str!("../../systemd/roadstead-revert.service");

/// A machine on which /etc/precious was changed, by a worker that is gone.
fn machine() -> Vps {
    let vps = Vps::start().unwrap();
    let agent = std::env::var_os("ROADSTEAD_TEST_AGENT");
    let agent = agent.map_or_else(|| support::target_dir().join("roadstead-agent"), PathBuf::from);
    std::fs::copy(agent, vps.path("/usr/local/bin/roadstead-agent")).unwrap();
    std::fs::write(vps.path("/etc/systemd/system/roadstead-revert.service"), UNIT).unwrap();
    let change = format!("/var/lib/roadstead-agent/pending/{ID}.applied");
    vps.run(&format!(
        "mkdir -p {change} && chmod 700 {change}/.. && echo new >/etc/precious && echo old >{change}/file-0"
    ))
    .unwrap();
    vps.run(&format!("touch {change}/lock && systemctl daemon-reload && systemctl enable roadstead-revert.service"))
        .unwrap();
    let record = json!({
        "version": 1,
        "boot_id": vps.run("cat /proc/sys/kernel/random/boot_id").unwrap().trim(),
        "deadline_uptime_ms": i64::MAX,
        "deadline_ms": i64::MAX,
        "applier": {"pid": 999_999, "started": 1},
        "files": [{"path": "/etc/precious", "before": {"file": {"saved": "file-0", "mode": 0o640, "uid": 0, "gid": 0}}}],
        "after": [["cp", "/etc/precious", "/root/seen"]],
    });
    std::fs::write(vps.path(&change).join("record.json"), record.to_string()).unwrap();
    vps
}

#[tokio::test]
async fn a_guard_outlives_its_death_and_a_reboot_brings_the_old_state_back() {
    if !Vps::available() {
        return;
    }
    let mut vps = machine();
    let show = |vps: &Vps, property: &str| {
        vps.run(&format!("systemctl show -P {property} roadstead-revert.service")).unwrap().trim().to_owned()
    };
    vps.run("systemctl start roadstead-revert.service").unwrap();
    let first = show(&vps, "MainPID");
    assert_eq!(show(&vps, "ActiveState"), "active");
    vps.run("systemctl kill --signal=KILL roadstead-revert.service").unwrap();
    wait::until("another guard", SOON, async || {
        let state = format!("{} {}", show(&vps, "ActiveState"), show(&vps, "MainPID"));
        if state.starts_with("active ") && !state.ends_with(&format!(" {first}")) { Ok(()) } else { Err(state) }
    })
    .await;
    assert_eq!(vps.run("cat /etc/precious").unwrap(), "new\n", "it has time");
    let listed = vps.run("roadstead-agent change list").unwrap();
    assert!(listed.contains(ID) && listed.contains("applied") && listed.contains("s left"), "{listed}");

    vps.reboot().unwrap();
    assert_eq!(vps.run("cat /etc/precious; stat -c %a /etc/precious").unwrap(), "old\n640\n");
    wait::until("the command that follows", SOON, async || {
        let seen = vps.run("cat /root/seen 2>&1 || :").unwrap();
        if seen == "old\n" { Ok(()) } else { Err(seen) }
    })
    .await;
    wait::until("the guard to be done", SOON, async || {
        let state = show(&vps, "ActiveState");
        if state == "inactive" { Ok(()) } else { Err(state) }
    })
    .await;
    let listed = vps.run("roadstead-agent change list").unwrap();
    assert!(listed.contains("reverted: the host was started again"), "{listed}");
    // The network of the machine is set up after the files are back.
    assert!(show(&vps, "Before").contains("network-pre.target"));
}
