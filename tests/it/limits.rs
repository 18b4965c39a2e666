//! A job takes of its server what it was given, and the server's own tools show it: with systemd and without, ordered
//! through the API; and what a worker tells systemd in detail, where the hub is only a signing key.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::job::{Actor, Cmd, CmdBody};
use protocol::limits::JobLimits;
use protocol::{Hex, JobId, ServerId, Signed, signing};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use support::agent::{Agent, Registration};
use support::hub::{Hub, HubOptions};
use support::process;
use support::vps::Vps;
use support::wait;

const SOON: Duration = Duration::from_secs(10);
const SERVER: &str = "019a1f2e-7c55-7d3a-9f10-000000000002";
const AGENT_UNIT: &str = include_str!("../../systemd/roadstead-agent.service");
const UNITS: [(&str, &str); 3] = [
    ("roadstead-work.socket", include_str!("../../systemd/roadstead-work.socket")),
    ("roadstead-work@.service", include_str!("../../systemd/roadstead-work@.service")),
    ("roadstead-jobs.slice", include_str!("../../systemd/roadstead-jobs.slice")),
];

/// A machine whose workers believe `key`.
fn machine(key: &Ed25519KeyPair) -> Vps {
    let vps = machine_of_nobody();
    let anchor = json!({
        "hub_url": "https://hub.test",
        "server_id": SERVER,
        "hub_key": Hex::<32>(key.public_key().as_ref().try_into().unwrap()),
        "hub_key_id": key_id(key),
        "hub_fingerprint": fingerprint(key),
    });
    std::fs::write(vps.path("/var/lib/roadstead-agent/trust/hub.json"), anchor.to_string()).unwrap();
    vps
}

/// A machine with an agent that is not registered.
fn machine_of_nobody() -> Vps {
    let vps = Vps::start().unwrap();
    let agent =
        std::env::var_os("ROADSTEAD_TEST_AGENT").map_or(support::target_dir().join("roadstead-agent"), PathBuf::from);
    std::fs::copy(agent, vps.path("/usr/local/bin/roadstead-agent")).unwrap();
    for (name, unit) in UNITS {
        std::fs::write(vps.path("/etc/systemd/system").join(name), unit).unwrap();
    }
    vps.run(
        "groupadd --system roadstead && useradd --system --gid roadstead roadstead && cd /var/lib && \
         mkdir -p roadstead-agent/trust roadstead-agent/claims roadstead-agent/spool roadstead-agent/relay && \
         chmod 755 roadstead-agent/trust && chmod 700 roadstead-agent/claims && chown roadstead roadstead-agent/relay && \
         systemctl daemon-reload && systemctl start roadstead-work.socket",
    )
    .unwrap();
    vps
}

fn fingerprint(key: &Ed25519KeyPair) -> Hex<32> {
    Hex(ring::digest::digest(&ring::digest::SHA256, key.public_key().as_ref()).as_ref().try_into().unwrap())
}

fn key_id(key: &Ed25519KeyPair) -> Hex<8> {
    Hex(*fingerprint(key).0.first_chunk().unwrap())
}

/// Hands a job to a worker, as the relay does, and waits for its end.
fn run(vps: &Vps, key: &Ed25519KeyPair, number: u8, command: &str, limits: JobLimits) -> Value {
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let job_id: JobId = format!("019a1f2e-7c55-7d3a-9f10-0000000001{number:02}").parse().unwrap();
    let body = CmdBody {
        job_id,
        server_id: SERVER.parse::<ServerId>().unwrap(),
        kind: "exec".to_owned(),
        args: to_raw_value(&json!({"command": command})).unwrap(),
        timeout_s: 60,
        limits,
        expires_at_ms: now_ms + 600_000,
        actor: Actor { kind: "user".to_owned(), id: SERVER.to_owned(), name: "Ann".to_owned() },
        op_body_sha256: None,
    };
    let body = serde_json::to_string(&body).unwrap();
    let sig = key.sign(&signing::signed_bytes(signing::CMD, &body));
    let signed = Signed { key_id: key_id(key), sig: Hex(sig.as_ref().try_into().unwrap()), body };
    let cmd = Cmd { signed, op_body: None, op_sigs: Vec::new() };

    let mut worker = UnixStream::connect(vps.path("/run/roadstead/work.sock")).unwrap();
    worker.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    writeln!(worker, "{}", json!({"v": 1, "op": {"job": {"cmd": cmd}}})).unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(worker).lines() {
        let note: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(done) = note.get("done") {
            return done.clone();
        }
        said.push(note);
    }
    panic!("the worker hung up: {said:?}");
}

#[tokio::test]
async fn without_systemd_the_process_carries_its_limits_and_the_log_says_so() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let body = json!({
        "server_id": agent.server_id(),
        "kind": "exec",
        "args": {
            "command": "nice; grep -E '^Max (address|processes)' /proc/self/limits", "user": "nobody", "cwd": "/",
        },
        "limits": { "memory_bytes": 512 << 20, "pids": 4000, "nice": 7, "cpu_percent": 50 },
    });
    let job = owner.post("/v1/jobs", &body).await.unwrap().expect(201);
    assert_eq!(job["limits"], body["limits"], "{job:#}");
    let id = job["id"].as_str().unwrap();
    let end = owner.job_end(id, SOON).await;
    let log = owner.log_text(id).await;
    assert_eq!(end["state"], "succeeded", "{end:#}\n{log}");
    let lines: Vec<Vec<&str>> = log.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        log.lines().next().unwrap(),
        "[limits without systemd: each process at most 512 MiB of address space, user nobody at most 4000 processes, \
         nice 7; processor time is not limited]"
    );
    assert_eq!(lines[0], ["7"], "{log}");
    assert_eq!(lines[1], ["Max", "processes", "4000", "4000", "processes"], "{log}");
    assert_eq!(lines[2], ["Max", "address", "space", "536870912", "536870912", "bytes"], "{log}");

    // The next job has none of it: it is as nice as the agent, and that as this test.
    let (_, own) = process::run(Path::new("nice"), &[] as &[&str], "").await;
    let job = owner.exec(agent.server_id(), "nice").await;
    let id = job["id"].as_str().unwrap();
    assert_eq!(owner.job_end(id, SOON).await["state"], "succeeded");
    assert_eq!(owner.log_text(id).await.trim(), own.trim());
}

#[tokio::test]
async fn limits_that_the_api_was_told_are_properties_of_the_jobs_unit() {
    if !Vps::available() {
        return;
    }
    let vps = machine_of_nobody();
    let hub = Hub::start_with(HubOptions { address: vps.hub_address(), ..HubOptions::default() }).await;
    let owner = hub.owner().await;
    let Registration { token, fingerprint, tls_pin, url } =
        Registration::with(&hub, &owner.install_token(&json!({ "name": "vps" })).await);
    std::fs::write(vps.path("/etc/systemd/system/roadstead-agent.service"), AGENT_UNIT).unwrap();
    let pin = tls_pin.unwrap();
    let registered = vps
        .paste(&format!(
            "echo {token} | roadstead-agent register --hub {url} --token-file - --hub-fingerprint {fingerprint} \
             --tls-pin '{pin}' --state-dir /var/lib/roadstead-agent && systemctl daemon-reload && \
             systemctl start roadstead-agent.service"
        ))
        .unwrap();
    assert!(registered.status.success(), "{registered:?}");
    let servers = owner.get("/v1/servers").await.unwrap().expect(200);
    let server = servers["data"][0]["id"].as_str().unwrap();
    owner.server_is(server, "online", SOON).await;

    let body = json!({
        "server_id": server,
        "kind": "exec",
        "args": { "command":
            "unit=$(sed -n 's|.*/\\(roadstead-work@[^/]*\\.service\\).*|\\1|p' /proc/self/cgroup | head -n 1); \
             systemctl show -p CPUQuotaPerSecUSec,MemoryMax,TasksMax,IOWeight $unit; nice" },
        "limits": { "cpu_percent": 150, "memory_bytes": 256 << 20, "pids": 64, "io_weight": 10, "nice": 5 },
    });
    let job = owner.post("/v1/jobs", &body).await.unwrap().expect(201);
    let id = job["id"].as_str().unwrap();
    let end = owner.job_end(id, SOON).await;
    let log = owner.log_text(id).await;
    assert_eq!(end["state"], "succeeded", "{end:#}\n{log}");
    assert!(
        log.starts_with("[limits: processor time 150 %, memory 256 MiB, 64 processes and disk weight 10 by "),
        "{log}"
    );
    for line in ["CPUQuotaPerSecUSec=1.500000s", "MemoryMax=268435456", "TasksMax=65", "IOWeight=10", "5"] {
        assert!(log.lines().any(|said| said == line), "no {line}:\n{log}");
    }
}

/// The test machine enforces none of them, so what is asserted is what systemd was told.
#[tokio::test]
async fn limits_of_a_job_are_properties_of_its_unit_and_go_with_it() {
    if !Vps::available() {
        return;
    }
    let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let vps = machine(&key);
    let show = "exec >/root/shown; \
                unit=$(sed -n 's|.*/\\(roadstead-work@[^/]*\\.service\\).*|\\1|p' /proc/self/cgroup | head -n 1); echo $unit; \
                systemctl show -p CPUQuotaPerSecUSec,MemoryMax,MemorySwapMax,TasksMax,IOWeight $unit; \
                ls -d /run/systemd/system.control/$unit.d; nice";
    let limits = JobLimits {
        cpu_percent: Some(150),
        memory_bytes: Some(256 << 20),
        pids: Some(64),
        io_weight: Some(10),
        nice: Some(5),
    };
    let done = run(&vps, &key, 1, show, limits);
    let shown = vps.run("cat /root/shown").unwrap();
    assert_eq!(done["state"], "succeeded", "{done:#}\n{shown}");
    let expected =
        ["CPUQuotaPerSecUSec=1.500000s", "MemoryMax=268435456", "MemorySwapMax=0", "TasksMax=65", "IOWeight=10", "5"];
    for line in expected {
        assert!(shown.lines().any(|said| said == line), "no {line}:\n{shown}");
    }
    let unit = shown.lines().next().unwrap();
    let remark = format!(
        "[limits: processor time 150 %, memory 256 MiB, 64 processes and disk weight 10 by the unit {unit}; nice 5"
    );
    let spool = format!("grep -raF '{remark}' /var/lib/roadstead-agent/spool | wc -l");
    assert_eq!(vps.run(&spool).unwrap().trim(), "1", "the log says so");
    // Kept by systemd for as long as the unit lives, and by nobody afterwards.
    assert!(shown.contains(&format!("/run/systemd/system.control/{unit}.d")), "{shown}");
    wait::until("what systemd was told to be gone", SOON, async || {
        let left = vps.run("ls /run/systemd/system.control").unwrap();
        if left.contains(unit) { Err(left) } else { Ok(()) }
    })
    .await;

    // The next job has none of it.
    let done = run(&vps, &key, 2, show, JobLimits::NONE);
    let shown = vps.run("cat /root/shown").unwrap();
    assert_eq!(done["state"], "succeeded", "{done:#}\n{shown}");
    assert!(!shown.contains("system.control"), "{shown}");
    assert!(shown.contains("MemoryMax=infinity") && shown.contains("CPUQuotaPerSecUSec=infinity"), "{shown}");
}

#[tokio::test]
async fn a_job_whose_limits_cannot_be_told_to_systemd_is_not_run() {
    if !Vps::available() {
        return;
    }
    let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let vps = machine(&key);
    vps.run("ln -sf /bin/false /usr/bin/systemctl").unwrap();
    let done = run(&vps, &key, 1, "touch /root/ran", JobLimits { pids: Some(5), ..JobLimits::NONE });
    assert_eq!((&done["state"], &done["error"]["code"]), (&json!("failed"), &json!("limits_unavailable")), "{done:#}");
    assert!(done["error"]["message"].as_str().unwrap().contains("nothing was run"), "{done:#}");
    assert!(!vps.path("/root/ran").exists());
}
