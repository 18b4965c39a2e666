//! What the relay says to a hub, what it believes, and what it does when the line breaks.

mod scripted;
mod support;

use std::time::Duration;

use agent::spool::Phase;
use protocol::event::{Event, SECURITY_BAD_MAC, SECURITY_BAD_WELCOME, SECURITY_REJECTED_COMMAND};
use protocol::heartbeat::{Heartbeat, Watch};
use protocol::job::{Ack, CmdOutcome, EndState, RejectCode, SpoolState};
use protocol::session::{Bye, ByeCode, ErrorCode, WireError};
use protocol::{JobId, MAX_UNACKED_LOG, Message, Signed};
use scripted::{AGENT_TOKEN, Agent, Gathered, Hub, Peer, Received, status, status_until};
use support::{Host, HubKey, command, new_id, now_ms, wait_for};
use tokio::time::Instant;

/// A registered host and its hub.
async fn pair() -> (Host, Hub) {
    let host = Host::new();
    let hub = Hub::start(host.server_id).await;
    hub.enrol(&host.paths);
    (host, hub)
}

fn heartbeat(message: Message) -> Option<Heartbeat> {
    if let Message::Heartbeat(beat) = message { Some(beat) } else { None }
}

fn event(message: Message) -> Option<Event> {
    if let Message::Event(event) = message { Some(event) } else { None }
}

fn error(message: Message) -> Option<WireError> {
    if let Message::Error(error) = message { Some(error) } else { None }
}

#[tokio::test]
async fn an_agent_introduces_itself_and_beats() {
    let (host, hub) = pair().await;
    let agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    assert_eq!(peer.authorization, format!("Bearer {AGENT_TOKEN}"));
    let hello = peer.said().clone();
    assert!(hello.agent.target.ends_with("-linux"), "{}", hello.agent.target);
    let program = std::path::Path::new(support::PROGRAM);
    assert_eq!(hello.agent.sha256, agent::host::digest::sha256_of_file(program).unwrap());
    assert_eq!(hello.host.boot_id, support::boot_id());
    assert!(hello.capabilities.contains(&"exec".to_owned()) && hello.jobs.is_empty());
    let beat = peer.expect(|_, message| heartbeat(message)).await;
    assert!(beat.memory.total_bytes > 0 && beat.seq == 0);
    let found = status_until(&host.paths, |code, _| code == 0).await;
    assert_eq!((&found["state"], &found["hub_version"]), (&"connected".into(), &"1.2.3".into()));
    assert!(!agent.log().contains(AGENT_TOKEN), "no secret in the log");
    let threads = support::read(std::path::Path::new(&format!("/proc/{}/status", agent.pid())));
    let threads = threads.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap().trim().to_owned();
    assert!(threads.parse::<u32>().unwrap() <= 3, "{threads} threads");
}

#[tokio::test]
async fn somebody_who_looks_gets_samples_faster() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    peer.expect(|_, message| heartbeat(message)).await;
    let started = Instant::now();
    peer.send(Watch { interval_ms: 500, ttl_s: 60 }).await;
    let first = peer.expect(|_, message| heartbeat(message)).await;
    let second = peer.expect(|_, message| heartbeat(message)).await;
    assert_eq!((first.seq, second.seq), (1, 2));
    assert!(started.elapsed() < Duration::from_secs(10), "the usual interval is an hour");
}

#[tokio::test]
async fn a_hub_with_another_certificate_is_not_talked_to() {
    let (host, hub) = pair().await;
    let stranger = Hub::start(host.server_id).await;
    let mut identity: serde_json::Value = serde_json::from_str(&support::read(&host.paths.identity_file())).unwrap();
    identity["tls_pin"] = stranger.pin.clone().into();
    agent::host::files::write_atomic(&host.paths.identity_file(), identity.to_string().as_bytes(), 0o600).unwrap();
    let _agent = Agent::run(&host.paths);
    assert!(hub.is_distrusted().await);
    let found = status_until(&host.paths, |_, value| value["state"] == "waiting").await;
    assert!(found["problem"].as_str().unwrap().contains("pinned key"), "{found}");
}

#[tokio::test]
async fn a_welcome_of_another_key_ends_the_connection_and_is_reported() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.hello().await;
    let body = peer.welcome_body(host.server_id);
    peer.welcome(&HubKey::new(8), body).await;
    let (messages, _) = peer.until_closed().await;
    assert!(messages.is_empty(), "a stranger learns nothing: {messages:?}");
    let mut peer = hub.session(&[]).await;
    let event = peer.expect(|_, message| event(message)).await;
    assert_eq!(event.kind, SECURITY_BAD_WELCOME);
}

/// What a man in the middle sends, after the agent has been welcomed.
async fn is_noticed(forge: impl AsyncFnOnce(&mut Peer)) {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    peer.expect(|_, message| heartbeat(message)).await;
    forge(&mut peer).await;
    let (messages, code) = peer.until_closed().await;
    assert_eq!(code, Some(1008));
    assert!(messages.into_iter().filter_map(error).any(|error| error.code == ErrorCode::BadSignature));
    let mut peer = hub.session(&[]).await;
    let event = peer.expect(|_, message| event(message)).await;
    assert_eq!(event.kind, SECURITY_BAD_MAC);
    peer.send(Ack::Event { event_id: event.event_id }).await;
    wait_for("the event to be forgotten", || scripted::is_empty(&host.paths.events_dir()).then_some(()));
}

const FAST: Watch = Watch { interval_ms: 500, ttl_s: 60 };

#[tokio::test]
async fn a_changed_frame_is_noticed() {
    is_noticed(async |peer| {
        let text = peer.sealed(FAST).replace("500", "501");
        peer.text(text).await;
    })
    .await;
}

#[tokio::test]
async fn a_repeated_frame_is_noticed() {
    is_noticed(async |peer| {
        let text = peer.sealed(FAST);
        peer.text(text.clone()).await;
        peer.expect(|_, message| heartbeat(message)).await;
        peer.text(text).await;
    })
    .await;
}

#[tokio::test]
async fn a_left_out_frame_is_noticed() {
    is_noticed(async |peer| {
        let _swallowed = peer.sealed(FAST);
        peer.send(FAST).await;
    })
    .await;
}

#[tokio::test]
async fn a_frame_without_mac_is_noticed() {
    is_noticed(async |peer| {
        let mut frame: serde_json::Value = serde_json::from_str(&peer.sealed(FAST)).unwrap();
        frame.as_object_mut().unwrap().remove("mac");
        peer.text(frame.to_string()).await;
    })
    .await;
}

#[tokio::test]
async fn a_binary_frame_without_tag_is_noticed() {
    is_noticed(async |peer| peer.binary(vec![0; 64]).await).await;
}

#[tokio::test]
async fn a_message_of_the_future_is_answered_and_the_connection_stays() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    for (kind, payload, code) in [
        ("teleport", r#"{"where":"moon"}"#, ErrorCode::UnknownType),
        ("watch", r#"{"interval_ms":"soon"}"#, ErrorCode::BadPayload),
        ("heartbeat", &serde_json::to_string(&Heartbeat::default()).unwrap(), ErrorCode::Unexpected),
        ("cmd", r#"{"body":"{}","key_id":"0000000000000000","sig":"SIG"}"#, ErrorCode::BadPayload),
    ] {
        let payload = payload.replace("SIG", &"00".repeat(64));
        let id = peer.send_raw(kind, &payload).await;
        let (reference, error) = peer.expect(|reference, message| error(message).map(|error| (reference, error))).await;
        assert_eq!((reference, error.code), (Some(id), code), "{kind}");
    }
    peer.round_trip().await;
}

#[tokio::test]
async fn what_is_no_message_closes_the_connection_with_the_right_code() {
    let envelope = r#"{"v":2,"id":"019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70","ts":0,"type":"watch","payload":{}}"#;
    let large = format!(r#"{{"v":1,"x":"{}"}}"#, "x".repeat(protocol::MAX_TEXT_FRAME));
    let cases = [
        ("not json".to_owned(), ErrorCode::Malformed, 1007),
        (envelope.to_owned(), ErrorCode::WrongVersion, 1002),
        (large, ErrorCode::TooLarge, 1009),
    ];
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    for (text, code, close) in cases {
        let mut peer = hub.session(&[]).await;
        peer.expect(|_, message| heartbeat(message)).await;
        peer.text(text).await;
        let (messages, closed) = peer.until_closed().await;
        let found = messages.into_iter().find_map(error).expect("an error before the close");
        assert_eq!((found.code, closed), (code, Some(close)));
    }
}

#[tokio::test]
async fn a_job_runs_and_is_forgotten_once_the_hub_has_it() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let body = host.body(&command("echo hello; exit 7"));
    let id = peer.send(host.cmd(&body)).await;
    let (reference, ack) = peer
        .expect(|reference, message| if let Message::CmdAck(ack) = message { Some((reference, ack)) } else { None })
        .await;
    assert_eq!((reference, ack.job_id), (Some(id), body.job_id));
    assert!(matches!(ack.outcome, CmdOutcome::Accepted(_)), "{ack:?}");
    let mut gathered = Gathered::default();
    peer.follow(body.job_id, &mut gathered).await;
    let done = gathered.done.unwrap();
    assert_eq!(
        (done.state, done.exit_code, gathered.log.as_slice()),
        (EndState::Failed, Some(7), b"hello\n".as_slice())
    );

    let again = peer.send(host.cmd(&body)).await;
    let ack = peer
        .expect(|reference, message| match message {
            Message::CmdAck(ack) if reference == Some(again) => Some(ack),
            _ => None,
        })
        .await;
    let CmdOutcome::Already(already) = ack.outcome else { panic!("{ack:?}") };
    assert_eq!(already.state, SpoolState::Failed);

    wait_for("the spool to forget the job", || host.spool().jobs().unwrap().is_empty().then_some(()));
    peer.close().await;
    assert_eq!(hub.hello().await.said().jobs, []);
}

#[tokio::test]
async fn a_forged_order_is_refused_and_reported() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let mark = host.dir.path().join("ran");
    let body = host.body(&command(&format!("touch {}", mark.display())));
    let mut flipped = host.cmd(&body);
    flipped.signed.body = flipped.signed.body.replacen("touch", "touCh", 1);
    let mut foreign = host.body(&command("true"));
    foreign.server_id = new_id().parse().unwrap();
    let mut expired = host.body(&command("true"));
    expired.expires_at_ms = now_ms() - 1;
    for (cmd, code, name) in [
        (flipped, RejectCode::BadSignature, "bad_signature"),
        (host.cmd(&foreign), RejectCode::WrongServer, "wrong_server"),
        (host.cmd(&expired), RejectCode::Expired, "expired"),
    ] {
        peer.send(cmd).await;
        let (mut rejected, mut reported) = (None, None);
        while rejected.is_none() || reported.is_none() {
            match peer.message().await.2 {
                Message::CmdAck(ack) => rejected = Some(ack),
                Message::Event(event) => reported = Some(event),
                _ => {}
            }
        }
        assert_eq!(support::rejection(&rejected.unwrap()), Some(code));
        let event = reported.unwrap();
        assert_eq!((event.kind.as_str(), &event.data["code"]), (SECURITY_REJECTED_COMMAND, &name.into()));
        peer.send(Ack::Event { event_id: event.event_id }).await;
    }
    assert!(!mark.exists());
}

#[tokio::test]
async fn after_a_cut_the_log_goes_on_where_the_hub_is() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let gate = host.dir.path().join("gate");
    let script = format!(
        "for i in $(seq 1 2000); do echo line $i; done; until [ -e {} ]; do sleep 0.05; done; echo end",
        gate.display()
    );
    let body = host.body(&command(&script));
    peer.send(host.cmd(&body)).await;
    let mut gathered = Gathered::default();
    let (log, bytes) = peer.log().await;
    gathered.add(&log, bytes);
    // Cut without a word; what was not acknowledged counts as not received.
    let stored = gathered.log.len() as u64;
    drop(peer);
    scripted::write(&gate, "");

    let mut peer = hub.hello().await;
    let named = peer.said().jobs.iter().find(|job| job.job_id == body.job_id).expect("the job is named").clone();
    assert!(named.next_offset >= stored);
    let mut welcome = peer.welcome_body(host.server_id);
    welcome.jobs = vec![protocol::session::WelcomeJob { job_id: body.job_id, next_offset: stored, done: false }];
    peer.welcome(&hub.key, welcome).await;
    peer.follow(body.job_id, &mut gathered).await;
    let expected: String = (1..=2000).map(|line| format!("line {line}\n")).chain(["end\n".to_owned()]).collect();
    assert_eq!(String::from_utf8(gathered.out).unwrap(), expected);
}

#[tokio::test]
async fn the_agent_may_be_killed_and_the_job_goes_on() {
    let (host, hub) = pair().await;
    let agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let gate = host.dir.path().join("gate");
    let body =
        host.body(&command(&format!("echo one; until [ -e {} ]; do sleep 0.05; done; echo two", gate.display())));
    peer.send(host.cmd(&body)).await;
    let mut gathered = Gathered::default();
    let (log, bytes) = peer.log().await;
    gathered.add(&log, bytes);
    agent.kill();
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[(body.job_id, 4, false)]).await;
    assert_eq!(peer.said().jobs[0].state, SpoolState::Running);
    scripted::write(&gate, "");
    peer.follow(body.job_id, &mut gathered).await;
    assert_eq!(
        (gathered.out.as_slice(), gathered.done.unwrap().state),
        (b"one\ntwo\n".as_slice(), EndState::Succeeded)
    );
}

#[tokio::test]
async fn a_job_that_ends_while_the_hub_is_away_is_delivered_later() {
    let (host, hub) = pair().await;
    let agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let body = host.body(&command("read line < gate; echo done"));
    let mut args = command("cat gate; echo done");
    args.cwd = Some(host.dir.path().display().to_string());
    let body = protocol::job::CmdBody { args: serde_json::value::to_raw_value(&args).unwrap(), ..body };
    let gate = host.dir.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    peer.send(host.cmd(&body)).await;
    peer.expect(|_, message| if let Message::CmdAck(ack) = message { Some(ack) } else { None }).await;
    drop(agent);
    drop(peer);
    tokio::task::spawn_blocking(move || scripted::write(&gate, "open\n")).await.unwrap();
    host.ended(body.job_id);
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[(body.job_id, 0, false)]).await;
    let mut gathered = Gathered::default();
    peer.follow(body.job_id, &mut gathered).await;
    assert_eq!(gathered.out, b"open\ndone\n");
}

#[tokio::test]
async fn no_more_than_a_window_is_in_flight_and_beats_pass_it() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let body = host.body(&command("head -c 3000000 /dev/zero | tr '\\0' x"));
    peer.send(host.cmd(&body)).await;
    let mut gathered = Gathered::default();
    // The whole log is in the spool; the hub acknowledges nothing.
    host.ended(body.job_id);
    let window = usize::try_from(MAX_UNACKED_LOG).unwrap();
    while gathered.log.len() + protocol::MAX_BINARY_PAYLOAD <= window {
        let (log, bytes) = peer.log().await;
        gathered.add(&log, bytes);
    }
    peer.send(Watch { interval_ms: 500, ttl_s: 2 }).await;
    for _ in 0..2 {
        match peer.message().await.2 {
            Message::Heartbeat(_) => {}
            other => panic!("beyond the window: {other:?}"),
        }
    }
    let stored = gathered.log.len() as u64;
    peer.send(Ack::Job { job_id: body.job_id, next_offset: stored, done: false }).await;
    peer.follow(body.job_id, &mut gathered).await;
    assert_eq!(gathered.log.len(), 3_000_000);
}

#[tokio::test]
async fn cancel_ends_a_job_and_one_for_nobody_is_answered() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let stray = peer.send(host.cancel(new_id().parse::<JobId>().unwrap())).await;
    let (reference, found) = peer.expect(|reference, message| error(message).map(|error| (reference, error))).await;
    assert_eq!((reference, found.code), (Some(stray), ErrorCode::Unexpected));

    let body = host.body(&command("echo started; sleep 600"));
    peer.send(host.cmd(&body)).await;
    let mut gathered = Gathered::default();
    let (log, bytes) = peer.log().await;
    gathered.add(&log, bytes);
    peer.send(host.cancel(body.job_id)).await;
    peer.follow(body.job_id, &mut gathered).await;
    assert_eq!(gathered.done.unwrap().state, EndState::Cancelled);
}

#[tokio::test]
async fn a_forged_cancel_ends_nothing_and_is_reported() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let body = host.body(&command("echo started; sleep 600"));
    peer.send(host.cmd(&body)).await;
    peer.log().await;
    let mut forged = host.cancel(body.job_id);
    forged.0 = Signed { key_id: forged.0.key_id, ..HubKey::new(8).sign(protocol::signing::CANCEL, forged.0.body) };
    peer.send(forged).await;
    let event = peer.expect(|_, message| event(message)).await;
    assert_eq!((event.kind.as_str(), &event.data["code"]), (SECURITY_REJECTED_COMMAND, &"bad_signature".into()));
    assert_eq!(host.spool().job(body.job_id).unwrap().unwrap().phase, Phase::Running);
    peer.send(host.cancel(body.job_id)).await;
    peer.expect(|_, message| matches!(message, Message::JobDone(_)).then_some(())).await;
}

#[tokio::test]
async fn a_revoked_agent_says_so_and_keeps_away() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    hub.refuse("401 Unauthorized").await;
    let found = status_until(&host.paths, |code, value| code == 1 && value["state"] == "revoked").await;
    assert!(found["problem"].as_str().unwrap().contains("revoked"));
    let wait = found["next_try_at_ms"].as_i64().unwrap() - now_ms();
    assert!(wait > 280_000, "{wait} ms");
}

#[tokio::test]
async fn a_hub_that_revokes_within_a_session_is_left_alone() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    peer.send(Bye { code: ByeCode::Revoked, retry_after_s: None }).await;
    let found = status_until(&host.paths, |code, value| code == 1 && value["state"] == "revoked").await;
    assert!(found["next_try_at_ms"].as_i64().unwrap() - now_ms() > 280_000);
}

#[tokio::test]
async fn a_hub_that_restarts_says_when_to_come_back() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    peer.send(Bye { code: ByeCode::Shutdown, retry_after_s: Some(2) }).await;
    let left = Instant::now();
    hub.session(&[]).await;
    assert!(left.elapsed() >= Duration::from_secs(2), "{:?}", left.elapsed());
}

#[tokio::test]
async fn an_agent_that_is_stopped_says_goodbye_and_leaves_its_jobs_running() {
    let (host, hub) = pair().await;
    let mut agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let body = host.body(&command("echo started; sleep 600"));
    peer.send(host.cmd(&body)).await;
    peer.log().await;
    assert_eq!(agent.terminate().await, Some(0));
    let (messages, code) = peer.until_closed().await;
    let byes: Vec<ByeCode> = messages
        .iter()
        .filter_map(|message| if let Message::Bye(bye) = message { Some(bye.code) } else { None })
        .collect();
    assert_eq!((byes, code), (vec![ByeCode::Shutdown], Some(1000)));
    assert_eq!(status(&host.paths).await.0, 2);
    assert_eq!(host.spool().job(body.job_id).unwrap().unwrap().phase, Phase::Running);
    let mut job = host.attach(body.job_id).await;
    job.cancel(&host.cancel(body.job_id)).await.unwrap();
    support::end_of(&mut job).await;
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_reported_once_and_stops_nothing() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    for round in 0..2 {
        let mut peer = hub.hello().await;
        let mut body = peer.welcome_body(host.server_id);
        body.hub.time_ms += 3_600_000;
        peer.welcome(&hub.key, body).await;
        if round == 0 {
            let event = peer.expect(|_, message| event(message)).await;
            assert_eq!(event.kind, protocol::event::CLOCK_SKEW);
            let offset = event.data["offset_ms"].as_i64().unwrap();
            assert!((offset + 3_600_000).abs() < 60_000, "{offset}");
            peer.send(Ack::Event { event_id: event.event_id }).await;
        }
        peer.round_trip().await;
        peer.send(Bye { code: ByeCode::Shutdown, retry_after_s: Some(0) }).await;
        let (messages, _) = peer.until_closed().await;
        assert!(messages.into_iter().filter_map(event).next().is_none());
    }
}

#[tokio::test]
async fn a_licence_is_kept_and_a_forged_one_is_reported_and_stops_nothing() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    peer.round_trip().await;
    let kept = support::read(&host.paths.license_file());
    peer.send(Bye { code: ByeCode::Shutdown, retry_after_s: Some(0) }).await;
    let mut peer = hub.hello().await;
    let mut body = peer.welcome_body(host.server_id);
    body.license = HubKey::new(8).sign(protocol::signing::LICENSE, body.license.body);
    peer.welcome(&hub.key, body).await;
    let event = peer.expect(|_, message| event(message)).await;
    assert_eq!(event.kind, protocol::event::SECURITY_BAD_LICENSE);
    peer.round_trip().await;
    assert_eq!(support::read(&host.paths.license_file()), kept);
}

#[tokio::test]
async fn a_flood_of_strange_messages_is_survived() {
    let (host, hub) = pair().await;
    let agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    for _ in 0..10_000 {
        peer.send_raw("teleport", "{}").await;
    }
    peer.round_trip().await;
    let statm = support::read(std::path::Path::new(&format!("/proc/{}/status", agent.pid())));
    let rss = statm.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
    let kib: u64 = rss.split(' ').next().unwrap().parse().unwrap();
    assert!(kib < 64 << 10, "{rss}");
}

#[tokio::test]
async fn before_the_welcome_only_error_and_bye_count() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.hello().await;
    let watch = protocol::Outgoing::new(&Message::Watch(FAST), scripted::message_id(), 0, None).unwrap();
    peer.text(watch.to_text(None).unwrap()).await;
    assert!(matches!(peer.next().await, Received::Closed(_)));
    let mut peer = hub.hello().await;
    let bye = Message::Bye(Bye { code: ByeCode::Shutdown, retry_after_s: Some(1) });
    let bye = protocol::Outgoing::new(&bye, scripted::message_id(), 0, None).unwrap();
    peer.text(bye.to_text(None).unwrap()).await;
    hub.session(&[]).await.round_trip().await;
}
