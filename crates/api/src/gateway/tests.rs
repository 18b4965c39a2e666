//! The agent connection over a real socket: what a good agent gets, and what bad input is answered with.

use std::net::SocketAddr;

use protocol::event::{Event, SECURITY_BAD_MAC, Severity};
use protocol::heartbeat::{Heartbeat, Watch};
use protocol::job::{Ack, Log, LogStream};
use protocol::session::{ByeCode, ErrorCode, Hello};
use protocol::version::VersionRange;
use protocol::{EventId, Hex, JobId, MAX_BINARY_PAYLOAD, MAX_TEXT_FRAME, MAX_UNACKED_LOG, Message, WorkspaceId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::scripted::{Enrolled, RawSocket, Refused, ScriptedAgent, enroll, hello, listen};
use crate::servers;
use crate::testing::{Client, TestHub};

/// A hub that listens, its owner, and one server.
struct World {
    test: TestHub,
    owner: Client,
    workspace_id: WorkspaceId,
    address: SocketAddr,
    server: Enrolled,
}

impl World {
    async fn new(test: TestHub) -> Self {
        let owner = test.owner().await;
        let session = owner.get("/v1/auth/session").await.json();
        let workspace_id = session["workspaces"][0]["id"].as_str().unwrap().parse().unwrap();
        let address = listen(&test.hub).await;
        let server = enroll(&test.hub, workspace_id, "web").await;
        Self { test, owner, workspace_id, address, server }
    }

    async fn sqlite() -> Self {
        Self::new(TestHub::sqlite().await).await
    }

    async fn agent(&self) -> ScriptedAgent {
        ScriptedAgent::connect(&self.test.hub, self.address, &self.server).await
    }

    async fn raw(&self) -> RawSocket {
        let token = self.server.token.reveal();
        RawSocket::connect(&self.test.hub, self.address, Some(token)).await.unwrap()
    }

    async fn refused(&self, credential: Option<&str>) -> Refused {
        RawSocket::connect(&self.test.hub, self.address, credential).await.unwrap_err()
    }

    /// The server as the API shows it.
    async fn shown(&self) -> Value {
        servers::sweep(&self.test.hub).await.unwrap();
        self.owner.get(&format!("/v1/servers/{}", self.server.server_id)).await.json()
    }
}

fn error_code(message: &Message) -> Option<ErrorCode> {
    match message {
        Message::Error(error) => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn an_agent_is_welcomed_and_its_samples_are_shown() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        assert_eq!(world.shown().await["status"], "pending");
        let mut agent = world.agent().await;
        assert_eq!(agent.welcome.server_id, world.server.server_id);
        assert_eq!(agent.welcome.heartbeat_interval_s, 30);
        assert_eq!(agent.welcome.protocol, 1);
        let mut beat = Heartbeat { uptime_s: 77, load: [0.5, 0.4, 0.3], ..Heartbeat::default() };
        beat.cpu.percent = 12.5;
        agent.send(beat).await;
        agent.settle().await;

        let shown = world.shown().await;
        assert_eq!(shown["status"], "online");
        assert_eq!(shown["host"]["hostname"], "web-1");
        assert_eq!(shown["agent"]["target"], "x86_64-linux");
        assert_eq!(shown["policy"]["source"], "absent");
        assert_eq!(shown["live"]["cpu_percent"], 12.5);
        assert_eq!(shown["live"]["uptime_s"], 77);

        agent.leave().await;
        world.test.hub.tasks.shut_down().await;
        let shown = world.shown().await;
        assert_eq!((&shown["status"], &shown["live"]), (&json!("suspect"), &Value::Null));
    }
}

#[tokio::test]
async fn the_licence_is_signed_and_unlimited() {
    let world = World::sqlite().await;
    let agent = world.agent().await;
    let licence = &agent.welcome.license;
    let key = world.test.hub.keys.public();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key.as_ref());
    let signed = protocol::signing::signed_bytes(protocol::signing::LICENSE, &licence.body);
    key.verify(&signed, &licence.sig.0).unwrap();
    let body: protocol::license::LicenseBody = serde_json::from_str(&licence.body).unwrap();
    assert_eq!((body.plan.as_str(), body.server_id), ("unlimited", world.server.server_id));
    assert_eq!(body.expires_at_ms - body.issued_at_ms, 30 * 24 * 3_600_000);
}

#[tokio::test]
async fn wrong_and_revoked_tokens_are_refused_alike() {
    let world = World::sqlite().await;
    let unknown = format!("rsa_{}", "x".repeat(43));
    for credential in [None, Some(""), Some("nonsense"), Some(unknown.as_str()), Some(&"x".repeat(4096))] {
        assert_eq!(world.refused(credential).await, Refused::Status(401), "{credential:?}");
    }
    let revoke = format!("/v1/servers/{}/revoke", world.server.server_id);
    assert_eq!(world.owner.post(&revoke, json!({})).await.status, 200);
    assert_eq!(world.refused(Some(world.server.token.reveal())).await, Refused::Status(401));
}

#[tokio::test]
async fn revoking_closes_the_live_connection() {
    let world = World::sqlite().await;
    let agent = world.agent().await;
    let revoke = format!("/v1/servers/{}/revoke", world.server.server_id);
    let answer = world.owner.post(&revoke, json!({})).await;
    assert_eq!(answer.json()["status"], "revoked");
    let closed = agent.closed().await;
    assert_eq!(closed.code, Some(1008));
    assert!(matches!(&closed.last[..], [Message::Bye(bye)] if bye.code == ByeCode::Revoked), "{closed:?}");
}

#[tokio::test]
async fn a_second_agent_with_the_same_token_replaces_the_first() {
    let world = World::sqlite().await;
    let first = world.agent().await;
    let mut second = world.agent().await;
    let closed = first.closed().await;
    assert!(matches!(&closed.last[..], [Message::Bye(bye)] if bye.code == ByeCode::Replaced), "{closed:?}");
    second.settle().await;
    assert_eq!(world.shown().await["status"], "online");
}

#[tokio::test]
async fn two_agents_with_one_token_raise_an_alarm() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let mut agents = Vec::new();
        for _ in 0..7 {
            agents.push(world.agent().await);
        }
        let audit = world.owner.get("/v1/audit?action=security.event").await.json();
        let records = audit["data"].as_array().unwrap();
        assert_eq!(records.len(), 1, "{audit}");
        assert_eq!(records[0]["details"]["kind"], "security.cloned_credential");
        assert_eq!(records[0]["details"]["data"]["replacements"], 5);
    }
}

#[tokio::test]
async fn bad_first_frames_are_answered_and_closed() {
    let world = World::sqlite().await;
    let check = async |frame: Result<String, Vec<u8>>, code: u16, error: ErrorCode| {
        let mut socket = world.raw().await;
        let shown: String = format!("{frame:?}").chars().take(60).collect();
        match frame {
            Ok(text) => socket.send_text(text).await,
            Err(bytes) => socket.send_binary(bytes).await,
        }
        let closed = socket.closed().await;
        assert_eq!(closed.code, Some(code), "{shown}");
        assert_eq!(closed.last.first().and_then(error_code), Some(error), "{shown}");
    };
    let envelope = |v: u32, kind: &str, payload: Value| {
        json!({ "v": v, "id": Uuid::from_u128(9), "ts": 0, "type": kind, "payload": payload }).to_string()
    };
    check(Ok("{".into()), 1007, ErrorCode::Malformed).await;
    check(Ok(String::new()), 1007, ErrorCode::Malformed).await;
    check(Ok("[]".into()), 1007, ErrorCode::Malformed).await;
    check(Ok(envelope(2, "hello", json!({}))), 1002, ErrorCode::WrongVersion).await;
    check(Ok(envelope(1, "hello", json!({}))), 1002, ErrorCode::Unexpected).await;
    check(Ok(envelope(1, "nonsense", json!({}))), 1002, ErrorCode::Unexpected).await;
    check(Ok(envelope(1, "heartbeat", json!({}))), 1002, ErrorCode::Unexpected).await;
    check(Err(vec![0, 0, 0, 0, 1, 2, 3]), 1002, ErrorCode::Unexpected).await;
    check(Ok("x".repeat(MAX_TEXT_FRAME + 1)), 1009, ErrorCode::TooLarge).await;
    check(Err(vec![0; MAX_TEXT_FRAME + 1]), 1009, ErrorCode::TooLarge).await;

    let mut stranger = hello();
    stranger.protocol = VersionRange { min: 7, max: 9 };
    stranger.ephemeral_key = Hex([9; 32]);
    let text = |hello: Hello| envelope(1, "hello", serde_json::to_value(hello).unwrap());
    check(Ok(text(stranger)), 1002, ErrorCode::WrongVersion).await;
    check(Ok(text(hello())), 1002, ErrorCode::Unexpected).await;
    assert!(world.test.hub.gateway.is_empty());
}

#[tokio::test]
async fn bad_frames_of_a_session_are_answered_as_the_protocol_says() {
    let world = World::sqlite().await;
    let id = Uuid::from_u128(9);
    let envelope = |v: u32, kind: &str, payload: &str| {
        format!(r#"{{"v":{v},"id":"{id}","ts":0,"type":"{kind}","payload":{payload},"future":1}}"#)
    };
    // The connection stays up.
    let mut agent = world.agent().await;
    for (text, code) in [
        (envelope(1, "nonsense", "{}"), ErrorCode::UnknownType),
        (envelope(1, "heartbeat", r#"{"cpu":7}"#), ErrorCode::BadPayload),
        (envelope(1, "job_done", "null"), ErrorCode::BadPayload),
        (envelope(1, "welcome", r#"{"body":"","key_id":"0000000000000000","sig":""}"#), ErrorCode::BadPayload),
        (envelope(1, "ack", &format!(r#"{{"event_id":"{id}"}}"#)), ErrorCode::Unexpected),
        (envelope(1, "hello", &serde_json::to_string(&hello()).unwrap()), ErrorCode::Unexpected),
        (envelope(1, "log", &format!(r#"{{"job_id":"{id}","offset":0,"s":"out","at_ms":0}}"#)), ErrorCode::BadPayload),
        (
            envelope(1, "event", &format!(r#"{{"event_id":"{id}","kind":"A B","severity":"info","at_ms":0}}"#)),
            ErrorCode::BadPayload,
        ),
    ] {
        agent.send_text(text.clone()).await;
        let answer = agent.next().await;
        assert_eq!(error_code(&answer.message), Some(code), "{text}");
        assert_eq!(answer.reference.map(|reference| reference.uuid()), Some(id), "{text}");
    }
    agent.settle().await;

    // The connection is closed.
    for (frame, code, error) in [
        (Ok("rubbish".to_owned()), 1007, ErrorCode::Malformed),
        (Ok(envelope(3, "heartbeat", "{}")), 1002, ErrorCode::WrongVersion),
        (Ok("x".repeat(MAX_TEXT_FRAME + 1)), 1009, ErrorCode::TooLarge),
        (Err(vec![0; MAX_BINARY_PAYLOAD + 5]), 1009, ErrorCode::TooLarge),
        (Err(vec![1, 2]), 1002, ErrorCode::Unexpected),
        (Err(vec![0, 0, 0, 0, 7]), 1002, ErrorCode::Unexpected),
    ] {
        let mut agent = world.agent().await;
        let shown: String = format!("{frame:?}").chars().take(60).collect();
        match frame {
            Ok(text) => agent.send_text(text).await,
            Err(bytes) => agent.send_binary(bytes).await,
        }
        let closed = agent.closed().await;
        assert_eq!(closed.code, Some(code), "{shown}");
        assert_eq!(closed.last.first().and_then(error_code), Some(error), "{shown}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_are_closed() {
    let world = World::sqlite().await;
    // A reserved opcode, a frame that is not masked, a text that is no UTF-8.
    for (bytes, code) in [
        (&[0x8f, 0x80, 0, 0, 0, 0][..], 1002),
        (&[0x81, 0x02, b'{', b'}'], 1002),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
    ] {
        let mut socket = world.raw().await;
        socket.send_rubbish(bytes).await;
        assert_eq!(socket.closed().await.code, Some(code), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_shown() {
    let world = World::sqlite().await;
    let mut socket = world.raw().await;
    socket.clock_offset_ms = -3_600_000;
    let mut agent = socket.say_hello(hello()).await;
    agent.send(Heartbeat::default()).await;
    agent.settle().await;
    let shown = world.shown().await;
    assert_eq!(shown["clock_offset_ms"], -3_600_000);
    assert_eq!(shown["live"]["at"], json!(world.test.hub.now()), "samples have the hub's time");
}

fn log(offset: u64, bytes: Option<u32>, text: Option<String>) -> Log {
    let job_id = JobId::new(Uuid::from_u128(77));
    Log { job_id, offset, s: LogStream::Out, at_ms: 0, text, bytes, gap_bytes: None }
}

#[tokio::test]
async fn announced_log_bytes_must_follow_exactly() {
    let world = World::sqlite().await;
    for (bytes, stream) in [(&b"1234"[..], 0_u32), (b"12345", 1), (b"123456", 0), (b"", 0)] {
        let mut agent = world.agent().await;
        agent.send(log(0, Some(5), None)).await;
        agent.send_binary([&stream.to_be_bytes(), bytes].concat()).await;
        assert_eq!(agent.closed().await.code, Some(1002), "{bytes:?} of stream {stream}");
    }
    let mut agent = world.agent().await;
    agent.send(log(0, Some(5), None)).await;
    agent.send(Heartbeat::default()).await;
    assert_eq!(agent.closed().await.code, Some(1002), "a text frame in between");
}

#[tokio::test]
async fn a_flood_is_closed_and_hurts_nobody_else() {
    let world = World::sqlite().await;
    let quiet = enroll(&world.test.hub, world.workspace_id, "quiet").await;
    let mut quiet = ScriptedAgent::connect(&world.test.hub, world.address, &quiet).await;
    let mut flood = world.agent().await;
    let rubbish = format!(r#"{{"v":1,"id":"{}","ts":0,"type":"rubbish","payload":{{}}}}"#, Uuid::from_u128(1));
    for _ in 0..10_000 {
        if !flood.try_send_text(rubbish.clone()).await {
            break;
        }
    }
    let closed = flood.closed().await;
    assert_eq!(closed.code, Some(1008));
    assert_eq!(closed.last.last().and_then(error_code), Some(ErrorCode::RateLimited));
    quiet.send(Heartbeat::default()).await;
    quiet.settle().await;
    let shown = world.owner.get("/v1/servers?sort=name").await.json();
    assert_eq!(shown["data"][0]["name"], "quiet");
    assert_eq!(shown["data"][0]["live"]["uptime_s"], 0);
}

#[tokio::test]
async fn more_unacknowledged_log_than_allowed_is_closed() {
    let world = World::sqlite().await;
    let mut agent = world.agent().await;
    // The hub knows nothing of this job; what it does not acknowledge counts until the window is full.
    let piece = vec![b'x'; MAX_BINARY_PAYLOAD];
    let hub = &world.test.hub;
    let link = hub.gateway.link(world.server.server_id).unwrap();
    let mut window = 0;
    while window <= MAX_UNACKED_LOG {
        let piece = log(window, Some(u32::try_from(piece.len()).unwrap()), None);
        assert!(link.log_sent(&piece, MAX_BINARY_PAYLOAD as u64).is_ok());
        window += MAX_BINARY_PAYLOAD as u64;
    }
    agent.send(log(window, Some(u32::try_from(piece.len()).unwrap()), None)).await;
    let closed = agent.closed().await;
    assert_eq!(closed.code, Some(1008));
    assert_eq!(closed.last.last().and_then(error_code), Some(ErrorCode::RateLimited));
}

#[tokio::test]
async fn events_are_stored_once_and_acknowledged() {
    for test in TestHub::each_engine().await {
        let world = World::new(test).await;
        let mut agent = world.agent().await;
        let event = Event {
            event_id: EventId::new(Uuid::from_u128(42)),
            kind: SECURITY_BAD_MAC.to_owned(),
            severity: Severity::Critical,
            subject: Some("frame\0 of\nnobody".to_owned()),
            at_ms: 1_700_000_000_000,
            data: json!({ "type": "cmd", "odd": "\0" }),
        };
        let mut changes = world.test.hub.bus.subscribe();
        for _ in 0..2 {
            let id = agent.send(event.clone()).await;
            let answer = agent.next().await;
            assert_eq!(answer.reference, Some(id));
            assert_eq!(answer.message, Message::Ack(Ack::Event { event_id: event.event_id }));
        }
        let audit = world.owner.get("/v1/audit?action=security.event").await.json();
        let records = audit["data"].as_array().unwrap();
        assert_eq!(records.len(), 1, "{audit}");
        assert_eq!(records[0]["actor"]["type"], "agent");
        assert_eq!(records[0]["details"]["subject"], "frame ofnobody");
        let mut announced = 0;
        while let Ok(change) = changes.try_recv() {
            announced += u32::from(change.change.kind == "security.event");
        }
        assert_eq!(announced, 1);
    }
}

#[tokio::test]
async fn a_hostile_agent_cannot_fill_the_audit_log() {
    let world = World::sqlite().await;
    let mut agent = world.agent().await;
    for number in 0..100 {
        let event_id = EventId::new(Uuid::from_u128(number));
        let kind = SECURITY_BAD_MAC.to_owned();
        let event = Event { event_id, kind, severity: Severity::Info, subject: None, at_ms: 0, data: Value::Null };
        agent.send(event).await;
    }
    agent.settle().await;
    let audit = world.owner.get("/v1/audit?action=security.event&limit=200").await.json();
    assert_eq!(audit["data"].as_array().unwrap().len(), 60);
}

#[tokio::test]
async fn stopping_says_goodbye_with_a_time_to_come_back() {
    let world = World::sqlite().await;
    let agent = world.agent().await;
    let hub = world.test.hub.clone();
    let stopping = tokio::join!(agent.closed(), hub.tasks.shut_down());
    let closed = stopping.0;
    assert_eq!(closed.code, Some(1012));
    let [Message::Bye(bye)] = &closed.last[..] else { panic!("{closed:?}") };
    assert_eq!(bye.code, ByeCode::Shutdown);
    assert!(bye.retry_after_s.is_some_and(|seconds| (1..=60).contains(&seconds)));
    assert!(world.test.hub.gateway.is_empty());
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_hello() {
    let world = World::sqlite().await;
    let socket = world.raw().await;
    let hub = world.test.hub.clone();
    let (closed, ()) = tokio::join!(socket.closed(), hub.tasks.shut_down());
    assert_eq!(closed.code, Some(1012));
}

#[tokio::test]
async fn what_the_hub_works_on_counts_as_heard() {
    let world = World::sqlite().await;
    let _agent = world.agent().await;
    let link = world.test.hub.gateway.link(world.server.server_id).unwrap();
    let connected_at = link.heard_at();
    world.test.clock.advance(std::time::Duration::from_secs(20));
    assert_eq!(link.heard_at(), connected_at);
    link.set_busy(true);
    assert_eq!(link.heard_at(), world.test.hub.now());
}

#[tokio::test]
async fn watchers_reach_the_agent_and_one_that_comes_later() {
    let world = World::sqlite().await;
    let watch = format!("/v1/servers/{}/watch", world.server.server_id);
    assert_eq!(world.owner.post(&watch, json!({ "interval_ms": 500 })).await.status, 204, "offline servers too");
    let mut agent = world.agent().await;
    assert_eq!(agent.next().await.message, Message::Watch(Watch { interval_ms: 500, ttl_s: 30 }));
    assert_eq!(world.owner.post(&watch, json!({ "interval_ms": 500, "ttl_s": 120 })).await.status, 204);
    assert_eq!(agent.next().await.message, Message::Watch(Watch { interval_ms: 500, ttl_s: 120 }));
    for bad in [json!({ "interval_ms": 499 }), json!({ "ttl_s": 121 }), json!({ "ttl_s": 4 }), json!({ "every": 1 })] {
        assert_eq!(world.owner.post(&watch, bad.clone()).await.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn a_silent_agent_is_given_up() {
    let world = World::sqlite().await;
    let mut agent = world.agent().await;
    agent.settle().await;
    // From here on nobody reads its end of the socket, so pings are not answered.
    let link = world.test.hub.gateway.link(world.server.server_id).unwrap();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(link.closing().await, super::closing::Closing::silent());
    assert!((30..=40).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_closed_visibly() {
    let world = World::sqlite().await;
    let _agent = world.agent().await;
    let link = world.test.hub.gateway.link(world.server.server_id).unwrap();
    let text = "x".repeat(200 << 10);
    let mut sent = 0;
    let refused = loop {
        let message = Message::Error(protocol::session::WireError { code: ErrorCode::Other, message: text.clone() });
        if let Err(closed) = link.send(message, None) {
            break closed;
        }
        sent += 1;
        assert!(sent < 1000, "the queue is bounded");
    };
    assert_eq!(refused, super::LinkClosed);
    assert_eq!(link.closing().await.code, 1008);
}
