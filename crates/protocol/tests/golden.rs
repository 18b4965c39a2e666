//! Pins every message: a change of the wire shows up as a changed golden file.
//!
//! A message that no longer matches its file writes `<name>.modified.json` beside it and fails; moving that file over the
//! golden one is a deliberate act that belongs in a commit of its own. Both directions are checked: what we write, and
//! what a peer that wrote the file meant.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::PathBuf;

use protocol::address::Reach;
use protocol::enroll::{RegisterRequest, RegisterResponse, Token};
use protocol::event::{Event, SECURITY_REJECTED_COMMAND, Severity};
use protocol::heartbeat::{AgentUsage, Containers, Cpu, DiskIo, Filesystem, Heartbeat, Interface, Memory, Watch};
use protocol::job::{
    Accepted, Ack, Actor, Already, Cancel, CancelBody, Cmd, CmdAck, CmdBody, CmdOutcome, EndState, JobDone, JobError,
    Log, LogStream, RejectCode, Rejected, SpoolState,
};
use protocol::license::LicenseBody;
use protocol::limits::JobLimits;
use protocol::message::Welcome;
use protocol::policy::{OperatorKey, PolicySource, PolicySummary, RestrictBody, Rules, Tier};
use protocol::probe::{
    Certificate, CertificateProblem, Der, DnsExpect, DnsProbe, Failure, FailureCode, HeaderField, HttpExpect,
    HttpProbe, HttpVersion, IcmpProbe, JsonCheck, JsonOp, Method, Packets, Phases, Probe, ProbeOutcome, ProbeSpec,
    RecordKind, StatusRange, TcpProbe, TlsProbe,
};
use protocol::request::{LICENSE_SET, POLICY_RESTRICT, PROBE, Request, Response, TOKEN_ROTATE};
use protocol::session::{
    AgentBuild, Bye, ByeCode, Desired, ErrorCode, Hello, HelloJob, Host, HubInfo, KeyRotationBody, WelcomeBody,
    WelcomeJob, WireError,
};
use protocol::version::VersionRange;
use protocol::{Envelope, EventId, Hex, JobId, Message, MessageId, Outgoing, ServerId, Signed, WorkspaceId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x019a_1f2e_7c55_7d3a_9f10_0000_0000_0000 + n)
}

fn job() -> JobId {
    JobId::new(uuid(3))
}

fn server() -> ServerId {
    ServerId::new(uuid(2))
}

fn signed(body: &impl Serialize) -> Signed {
    Signed { body: serde_json::to_string(body).unwrap(), key_id: Hex([7; 8]), sig: Hex([9; 64]) }
}

fn probe_of(probe: Probe) -> ProbeSpec {
    ProbeSpec { probe, timeout_ms: 10_000, reach: Reach::Public }
}

fn probe_http() -> ProbeSpec {
    let http = HttpProbe {
        url: "https://example.test/health".into(),
        method: Method::Post,
        headers: vec![
            HeaderField { name: "X-Key".into(), value: "k".into(), secret: true },
            HeaderField { name: "Accept".into(), value: "application/json".into(), secret: false },
        ],
        body: Some("{}".into()),
        follow: false,
        verify_tls: false,
        expect: HttpExpect {
            status: vec![StatusRange::SUCCESS, StatusRange::new(304, 304).unwrap()],
            contains: Some("ok".into()),
            lacks: Some("error".into()),
            json: vec![
                JsonCheck { path: "$.queue[0].length".into(), op: JsonOp::Lt, value: json!(100) },
                JsonCheck { path: "$.version".into(), op: JsonOp::Exists, value: Value::Null },
            ],
            max_latency_ms: Some(2_000),
        },
        known_leaf: Some(Hex([1; 32])),
    };
    ProbeSpec { reach: Reach::Private, ..probe_of(Probe::Http(http)) }
}

fn tcp() -> Probe {
    Probe::Tcp(TcpProbe { host: "example.test".into(), port: 22, max_latency_ms: None })
}

fn tls() -> Probe {
    Probe::Tls(TlsProbe {
        host: "192.0.2.1".into(),
        port: 443,
        server_name: Some("example.test".into()),
        verify: true,
        max_latency_ms: None,
        known_leaf: None,
    })
}

fn dns() -> Probe {
    Probe::Dns(DnsProbe {
        name: "example.test".into(),
        record: RecordKind::Mx,
        server: Some("192.0.2.53:5353".into()),
        expect: Some(DnsExpect::All(vec!["10 mail.example.test".into()])),
        max_latency_ms: None,
    })
}

fn icmp() -> Probe {
    Probe::Icmp(IcmpProbe { host: "example.test".into(), max_latency_ms: Some(50) })
}

fn seen() -> ProbeOutcome {
    ProbeOutcome {
        ok: true,
        phases: Phases {
            dns_ms: Some(1.25),
            connect_ms: Some(10.5),
            tls_ms: Some(21.0),
            first_byte_ms: Some(40.125),
            total_ms: 75.5,
        },
        status: Some(200),
        address: Some("192.0.2.1:443".into()),
        http_version: Some(HttpVersion::Http11),
        certificate: Some(Certificate {
            chain_der: vec![Der(vec![0x30, 0x03]), Der(vec![0x30, 0x04])],
            leaf_sha256: Hex([1; 32]),
            problem: None,
        }),
        answers: Some(vec!["10 mail.example.test".into()]),
        packets: Some(Packets { sent: 3, received: 2 }),
        ..ProbeOutcome::default()
    }
}

fn failed() -> ProbeOutcome {
    ProbeOutcome {
        failure: Some(Failure::new(FailureCode::Certificate, "the certificate of example.test has expired")),
        phases: Phases { total_ms: 31.5, ..Phases::default() },
        excerpt: Some("<html>".into()),
        certificate: Some(Certificate {
            chain_der: vec![],
            leaf_sha256: Hex([1; 32]),
            problem: Some(CertificateProblem::Expired),
        }),
        ..ProbeOutcome::default()
    }
}

fn samples() -> Vec<(&'static str, Message)> {
    let license = LicenseBody {
        server_id: server(),
        workspace_id: WorkspaceId::new(uuid(1)),
        plan: "unlimited".into(),
        features: vec![],
        limits: [("servers".to_owned(), 50)].into(),
        issued_at_ms: 1_763_700_000_000,
        expires_at_ms: 1_766_292_000_000,
    };
    let welcome = WelcomeBody {
        server_id: server(),
        protocol: 1,
        nonce: Hex([1; 32]),
        agent_ephemeral_key: Hex([2; 32]),
        ephemeral_key: Hex([3; 32]),
        hub: HubInfo { version: "0.1.0".into(), time_ms: 1_763_700_000_000 },
        heartbeat_interval_s: 30,
        license: signed(&license),
        jobs: vec![WelcomeJob { job_id: job(), next_offset: 4096, done: false }],
        desired: Desired { agent_version: Some("0.1.1".into()), config_rev: 4 },
    };
    let cmd = CmdBody {
        job_id: job(),
        server_id: server(),
        kind: "exec".into(),
        args: to_raw_value(&json!({ "command": "uname -a" })).unwrap(),
        timeout_s: 3600,
        limits: JobLimits::NONE,
        expires_at_ms: 1_763_786_400_000,
        actor: Actor { kind: "user".into(), id: uuid(9).to_string(), name: "Ada".into() },
        op_body_sha256: None,
    };
    let limited = CmdBody {
        limits: JobLimits {
            cpu_percent: Some(150),
            memory_bytes: Some(268_435_456),
            pids: Some(64),
            io_weight: Some(10),
            nice: Some(5),
        },
        ..cmd.clone()
    };
    let rotation = KeyRotationBody { old_key_id: Hex([7; 8]), new_key: Hex([6; 32]), at_ms: 1_763_700_000_000 };
    let rules = Rules {
        tiers: Some(vec![Tier::Read, Tier::Typed]),
        kinds: Some(vec!["exec".into()]),
        users: Some(vec!["www-data".into()]),
        paths: Some(vec!["/srv".into()]),
        require_operator_signature: vec![Tier::Root],
    };
    let restrict = RestrictBody { server_id: server(), seq: 3, rules: rules.clone() };
    let request =
        |method: &str, params: Value| Request { method: method.into(), params, deadline_ms: 1_763_700_030_000 };
    let host = Host {
        hostname: "vps-1".into(),
        os: "debian".into(),
        os_version: "12".into(),
        kernel: "6.1.0-28-amd64".into(),
        arch: "x86_64".into(),
        cpus: 2,
        memory_bytes: 4_294_967_296,
        machine_id_hash: Hex([4; 32]),
        boot_id: "2f7a3c1e-0d7c-4a57-8f57-0c2f8f3f7a11".into(),
    };
    let policy = |source| PolicySummary {
        source,
        tiers: vec![Tier::Read, Tier::Typed],
        denied_kinds: vec!["exec".into()],
        require_operator_signature: vec![Tier::Root],
        file: None,
        hub: None,
        hub_seq: 0,
        operators: vec![],
        problem: None,
    };
    let restricted = PolicySummary {
        file: Some(Rules::default()),
        hub: Some(rules),
        hub_seq: 3,
        operators: vec![OperatorKey { fingerprint: "SHA256:abc".into(), comment: "ada@example.test".into() }],
        ..policy(PolicySource::File)
    };
    let hello = |full: bool| Hello {
        agent: AgentBuild { version: "0.1.0".into(), target: "x86_64-linux".into(), sha256: Hex([5; 32]) },
        protocol: VersionRange { min: 1, max: 1 },
        nonce: Hex([1; 32]),
        ephemeral_key: Hex([2; 32]),
        host: host.clone(),
        capabilities: if full { vec!["exec".into(), "workers.systemd".into()] } else { vec![] },
        policy: policy(if full { PolicySource::File } else { PolicySource::Absent }),
        jobs: if full {
            vec![HelloJob { job_id: job(), state: SpoolState::Running, next_offset: 8192 }]
        } else {
            vec![]
        },
    };
    let heartbeat = Heartbeat {
        seq: 12,
        cpu: Cpu { percent: 12.5, per_core_percent: vec![20.0, 5.0], iowait_percent: 0.5, steal_percent: 0.0 },
        load: [0.25, 0.5, 0.75],
        memory: Memory {
            total_bytes: 4_294_967_296,
            used_bytes: 1_073_741_824,
            available_bytes: 3_221_225_472,
            cached_bytes: 536_870_912,
            swap_total_bytes: 0,
            swap_used_bytes: 0,
        },
        filesystems: vec![Filesystem {
            mount: "/".into(),
            fs: "ext4".into(),
            total_bytes: 40_000_000_000,
            used_bytes: 10_000_000_000,
            inodes_total: 2_621_440,
            inodes_used: 120_000,
        }],
        disk_io: DiskIo { read_bytes: 1, write_bytes: 2, read_ops: 3, write_ops: 4 },
        network: vec![Interface { name: "eth0".into(), rx_bytes: 5, tx_bytes: 6, rx_errors: 0, tx_errors: 0 }],
        uptime_s: 86_400,
        processes: 120,
        containers: Some(Containers { running: 3, total: 5 }),
        sites: Some(2),
        agent: AgentUsage { rss_bytes: 4_000_000, cpu_ms: 1_200, spool_bytes: 0 },
    };
    let ack = |outcome| CmdAck { job_id: job(), outcome };
    let log = Log {
        job_id: job(),
        offset: 4096,
        s: LogStream::Out,
        at_ms: 1_763_700_001_000,
        text: Some("line 1\nline 2\n".into()),
        bytes: None,
        gap_bytes: None,
    };
    let done = JobDone {
        job_id: job(),
        state: EndState::Succeeded,
        exit_code: Some(0),
        signal: None,
        started_at_ms: 1_763_700_001_000,
        duration_ms: 1_500,
        next_offset: 8192,
        result: None,
        error: None,
    };
    vec![
        ("hello", hello(true).into()),
        ("hello.minimal", hello(false).into()),
        ("welcome", Welcome { signed: signed(&welcome), rotations: vec![] }.into()),
        ("welcome.rotated", Welcome { signed: signed(&welcome), rotations: vec![signed(&rotation)] }.into()),
        ("heartbeat", heartbeat.clone().into()),
        ("heartbeat.plain", Heartbeat { containers: None, sites: None, ..heartbeat }.into()),
        ("watch", Watch { interval_ms: 1000, ttl_s: 30 }.into()),
        ("cmd", Cmd { signed: signed(&cmd), op_body: None, op_sigs: vec![] }.into()),
        (
            "cmd.operator",
            Cmd { signed: signed(&cmd), op_body: Some("{}".into()), op_sigs: vec!["-----BEGIN SSH".into()] }.into(),
        ),
        ("cmd.limits", Cmd { signed: signed(&limited), op_body: None, op_sigs: vec![] }.into()),
        ("request.license_set", request(LICENSE_SET, serde_json::to_value(signed(&license)).unwrap()).into()),
        ("request.policy_restrict", request(POLICY_RESTRICT, serde_json::to_value(signed(&restrict)).unwrap()).into()),
        ("request.token_rotate", request(TOKEN_ROTATE, json!({ "token": format!("rsa_{}", "x".repeat(43)) })).into()),
        ("request.probe_http", request(PROBE, serde_json::to_value(probe_http()).unwrap()).into()),
        ("request.probe_tcp", request(PROBE, serde_json::to_value(probe_of(tcp())).unwrap()).into()),
        ("request.probe_tls", request(PROBE, serde_json::to_value(probe_of(tls())).unwrap()).into()),
        ("request.probe_dns", request(PROBE, serde_json::to_value(probe_of(dns())).unwrap()).into()),
        ("request.probe_icmp", request(PROBE, serde_json::to_value(probe_of(icmp())).unwrap()).into()),
        ("response.probe", Response::with(serde_json::to_value(seen()).unwrap()).into()),
        ("response.probe_failed", Response::with(serde_json::to_value(failed()).unwrap()).into()),
        ("response", Response::done().into()),
        ("response.policy", Response::with(serde_json::to_value(&restricted).unwrap()).into()),
        ("response.error", Response::refused("unknown_method", "unknown method \"dance\"").into()),
        ("cmd_ack.accepted", ack(CmdOutcome::Accepted(Accepted { started_at_ms: 1_763_700_001_000 })).into()),
        (
            "cmd_ack.rejected",
            ack(CmdOutcome::Rejected(Rejected {
                code: RejectCode::PolicyDenied,
                message: "this host's policy does not allow exec".into(),
            }))
            .into(),
        ),
        ("cmd_ack.already", ack(CmdOutcome::Already(Already { state: SpoolState::TimedOut, next_offset: 17 })).into()),
        ("cancel", Cancel(signed(&CancelBody { job_id: job(), server_id: server(), at_ms: 1_763_700_002_000 })).into()),
        ("log.text", log.clone().into()),
        ("log.bytes", Log { s: LogStream::Err, text: None, bytes: Some(65_536), ..log.clone() }.into()),
        ("log.gap", Log { s: LogStream::Sys, gap_bytes: Some(1_000_000), ..log }.into()),
        ("job_done", done.clone().into()),
        (
            "job_done.failed",
            JobDone {
                state: EndState::Failed,
                exit_code: None,
                signal: Some(9),
                result: Some(json!({ "changed": 3 })),
                error: Some(JobError { code: "no_such_user".into(), message: "user www is not known here".into() }),
                ..done
            }
            .into(),
        ),
        (
            "event",
            Event {
                event_id: EventId::new(uuid(5)),
                kind: SECURITY_REJECTED_COMMAND.into(),
                severity: Severity::Critical,
                subject: Some(job().to_string()),
                at_ms: 1_763_700_003_000,
                data: json!({ "code": "bad_signature" }),
            }
            .into(),
        ),
        ("ack.job", Ack::Job { job_id: job(), next_offset: 8192, done: true }.into()),
        ("ack.event", Ack::Event { event_id: EventId::new(uuid(5)) }.into()),
        ("error", WireError { code: ErrorCode::UnknownType, message: "unknown message type \"dance\"".into() }.into()),
        ("bye", Bye { code: ByeCode::Shutdown, retry_after_s: Some(5) }.into()),
    ]
}

fn dir() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1"))
}

/// Compares with the golden file; on a difference writes the new text beside it.
fn pinned(name: &str, value: &impl Serialize) -> Result<Value, String> {
    let value = serde_json::to_value(value).unwrap();
    let path = dir().join(format!("{name}.json"));
    let golden = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    if golden.as_ref() == Some(&value) {
        return Ok(value);
    }
    let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
    fs::write(dir().join(format!("{name}.modified.json")), text).unwrap();
    Err(name.to_owned())
}

fn envelope_of(message: &Message) -> Value {
    let outgoing = Outgoing::new(message, MessageId::new(uuid(7)), 1_763_700_000_123, Some(MessageId::new(uuid(6))));
    serde_json::from_str(&outgoing.unwrap().to_text(Some(Hex([8; 32]))).unwrap()).unwrap()
}

#[test]
fn every_message_matches_its_golden_file() {
    let mut changed = Vec::new();
    for (name, message) in samples() {
        match pinned(name, &envelope_of(&message)) {
            Ok(golden) => {
                let text = golden.to_string();
                let envelope = Envelope::decode(&text).unwrap();
                assert_eq!(envelope.message().as_ref(), Ok(&message), "{name} reads back as what was written");
                assert_eq!(envelope.reference, Some(MessageId::new(uuid(6))));
            }
            Err(name) => changed.push(name),
        }
    }
    assert!(changed.is_empty(), "the wire changed, see the .modified.json files of {changed:?}");
}

#[test]
fn every_type_has_a_golden_file_and_no_file_is_left_over() {
    let names: Vec<_> = samples().into_iter().map(|(name, _)| format!("{name}.json")).collect();
    for kind in Message::KINDS {
        assert!(samples().iter().any(|(_, message)| message.kind() == *kind), "no sample of {kind}");
    }
    for entry in fs::read_dir(dir()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let known = names.contains(&file) || file.starts_with("register") || file.ends_with(".modified.json");
        assert!(known, "{file} belongs to no sample");
    }
}

#[test]
fn unknown_fields_are_ignored_everywhere() {
    fn sprinkle(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.values_mut().for_each(sprinkle);
                map.insert("field_of_a_later_version".into(), json!({ "x": [1, 2] }));
            }
            Value::Array(list) => list.iter_mut().for_each(sprinkle),
            _ => {}
        }
    }
    for (name, message) in samples() {
        let mut value = envelope_of(&message);
        // Free-form JSON and one-of objects keep what they are given.
        let free_form = matches!(name, "event" | "job_done.failed")
            || ["cmd_ack", "request", "response"].iter().any(|prefix| name.starts_with(prefix));
        if free_form {
            value["extra"] = json!(1);
            value["payload"]["extra"] = json!(1);
        } else {
            sprinkle(&mut value);
        }
        let text = value.to_string();
        assert_eq!(Envelope::decode(&text).unwrap().message().as_ref(), Ok(&message), "{name}");
    }
}

#[test]
fn registration_matches_its_golden_files() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
        let golden = pinned(name, value).unwrap_or_else(|name| panic!("{name} changed, see its .modified.json"));
        assert_eq!(&serde_json::from_value::<T>(golden).unwrap(), value);
    }
    let token = |prefix: &str| Token::parse(prefix, &format!("{prefix}{}", "x".repeat(43))).unwrap();
    check(
        "register.request",
        &RegisterRequest {
            token: token("rsi_"),
            nonce: Hex([1; 32]),
            hostname: "vps-1".into(),
            os: "debian".into(),
            arch: "x86_64".into(),
            machine_id_hash: Hex([4; 32]),
            agent_version: "0.1.0".into(),
            hub_fingerprint: Some(Hex([6; 32])),
        },
    );
    check(
        "register.response",
        &RegisterResponse {
            server_id: server(),
            agent_token: token("rsa_"),
            hub_key: Hex([6; 32]),
            hub_key_id: Hex([7; 8]),
            ws_url: "wss://hub.example.test/v1/agent".into(),
        },
    );
}

#[test]
fn probes_read_back_as_what_was_written() {
    for spec in [probe_http(), probe_of(tcp()), probe_of(tls()), probe_of(dns()), probe_of(icmp())] {
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ProbeSpec>(&text).unwrap(), spec);
    }
    for outcome in [seen(), failed()] {
        let mut value = serde_json::to_value(&outcome).unwrap();
        value["field_of_a_later_version"] = json!(1);
        assert_eq!(serde_json::from_value::<ProbeOutcome>(value).unwrap(), outcome);
        assert_eq!(outcome.clone().bounded(), outcome, "a sample is within its limits");
    }
}
