//! What a session can change of what this host believes: credential, licence, restrictions, the hub's key.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod scripted;
mod support;

use agent::paths::Paths;
use protocol::enroll::{AGENT_TOKEN_PREFIX, Token};
use protocol::event::{
    Event, SECURITY_BAD_LICENSE, SECURITY_BAD_RESTRICTION, SECURITY_BAD_WELCOME, SECURITY_HUB_KEY_ROTATED,
};
use protocol::job::{CancelBody, EndState, RejectCode};
use protocol::policy::{PolicySummary, Rules, Tier};
use protocol::request::{LICENSE_SET, POLICY_RESTRICT, Request, Response, TOKEN_ROTATE, TokenRotate};
use protocol::{JobId, Message, MessageId, signing};
use scripted::{AGENT_TOKEN, Agent, Gathered, Hub, Peer, mode_of, status_until};
use serde::Serialize;
use support::{Host, HubKey, command, new_id, now_ms, rejection, signed_cmd};

/// A registered host and its hub.
async fn pair() -> (Host, Hub) {
    let host = Host::new();
    let hub = Hub::start(host.server_id).await;
    hub.enrol(&host.paths);
    (host, hub)
}

fn request(method: &str, params: &impl Serialize) -> Request {
    let params = serde_json::to_value(params).unwrap();
    Request { method: method.to_owned(), params, deadline_ms: now_ms() + 60_000 }
}

/// The answer to `request`.
async fn ask(peer: &mut Peer, request: Request) -> Response {
    let id = peer.send(request).await;
    peer.expect(|reference, message| response(reference, message, id)).await
}

fn response(reference: Option<MessageId>, message: Message, id: MessageId) -> Option<Response> {
    if let Message::Response(response) = message { (reference == Some(id)).then_some(response) } else { None }
}

/// The answer and the event that goes with it, in whatever order they come.
async fn ask_and_report(peer: &mut Peer, request: Request) -> (Response, Event) {
    let id = peer.send(request).await;
    let (mut answer, mut reported) = (None, None);
    while answer.is_none() || reported.is_none() {
        match peer.message().await {
            (_, reference, Message::Response(response)) if reference == Some(id) => answer = Some(response),
            (_, _, Message::Event(event)) => reported = Some(event),
            _ => {}
        }
    }
    (answer.unwrap(), reported.unwrap())
}

fn event(message: Message) -> Option<Event> {
    if let Message::Event(event) = message { Some(event) } else { None }
}

fn code(response: &Response) -> &str {
    response.error.as_ref().map_or("", |error| error.code.as_str())
}

fn token(digit: char) -> Token {
    Token::parse(AGENT_TOKEN_PREFIX, &format!("rsa_{}", digit.to_string().repeat(43))).unwrap()
}

fn bearer(token: &Token) -> String {
    format!("Bearer {}", token.reveal())
}

fn identity(paths: &Paths) -> agent::identity::Identity {
    agent::identity::Identity::load(paths).unwrap()
}

#[tokio::test]
async fn a_new_credential_is_used_at_once_and_the_old_one_dies_only_after_it_was_taken() {
    let (host, hub) = pair().await;
    let agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let id = peer.send(request(TOKEN_ROTATE, &TokenRotate { token: token('b') })).await;
    let (messages, closed) = peer.until_closed().await;
    let answered = messages.iter().any(|message| matches!(message, Message::Response(response) if response.ok));
    assert!(answered && closed == Some(1000), "{id}: {messages:?} {closed:?}");
    let kept = identity(&host.paths);
    assert_eq!((kept.agent_token.reveal(), kept.next_token), (AGENT_TOKEN, Some(token('b'))));
    assert_eq!(mode_of(&host.paths.identity_file()), 0o600);

    let mut peer = hub.session(&[]).await;
    assert_eq!(peer.authorization, bearer(&token('b')));
    peer.round_trip().await;
    let kept = identity(&host.paths);
    assert_eq!((kept.agent_token, kept.next_token), (token('b'), None));
    assert_eq!(kept.previous_token.unwrap().reveal(), AGENT_TOKEN);

    // It survives a restart, and the hub is shown it first.
    agent.kill();
    let agent = Agent::run(&host.paths);
    assert_eq!(hub.refuse("401 Unauthorized").await["authorization"], bearer(&token('b')));
    // A hub that was restored from a backup knows only the one before.
    let peer = hub.session(&[]).await;
    assert_eq!(peer.authorization, format!("Bearer {AGENT_TOKEN}"));
    status_until(&host.paths, |code, _| code == 0).await;
    let kept = identity(&host.paths);
    assert_eq!((kept.agent_token.reveal(), kept.previous_token), (AGENT_TOKEN, Some(token('b'))));
    assert!(!agent.log().contains("rsa_"), "no secret in the log");
}

#[tokio::test]
async fn a_new_credential_that_the_hub_refuses_is_given_up_for_the_old_one() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    peer.send(request(TOKEN_ROTATE, &TokenRotate { token: token('b') })).await;
    peer.until_closed().await;
    assert_eq!(hub.refuse("401 Unauthorized").await["authorization"], bearer(&token('b')));
    let mut peer = hub.session(&[]).await;
    assert_eq!(peer.authorization, format!("Bearer {AGENT_TOKEN}"));
    peer.round_trip().await;
    let kept = identity(&host.paths);
    assert_eq!((kept.agent_token.reveal(), kept.next_token, kept.previous_token), (AGENT_TOKEN, None, None));

    // When every one is refused, the agent keeps away.
    drop(peer);
    hub.refuse("401 Unauthorized").await;
    let found = status_until(&host.paths, |_, value| value["state"] == "revoked").await;
    assert!(found["next_try_at_ms"].as_i64().unwrap() > now_ms() + 200_000, "{found}");
}

#[tokio::test]
async fn requests_that_cannot_be_carried_out_are_answered_and_change_nothing() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let late = Request { deadline_ms: now_ms() - 60_000, ..request(LICENSE_SET, &hub.license(host.server_id)) };
    for (asked, expected) in [
        (request("moon.landing", &1), "unknown_method"),
        (request(TOKEN_ROTATE, &"rsa_short"), "bad_params"),
        (request(TOKEN_ROTATE, &serde_json::json!({"token": "rsa_short"})), "bad_params"),
        (request(POLICY_RESTRICT, &serde_json::json!({"body": "{}"})), "bad_params"),
        (late, "deadline"),
    ] {
        let answer = ask(&mut peer, asked.clone()).await;
        assert_eq!((answer.ok, code(&answer)), (false, expected), "{asked:?}");
    }
    peer.round_trip().await;
    assert_eq!(identity(&host.paths).next_token, None);
}

#[tokio::test]
async fn a_renewed_licence_is_kept_and_a_forged_one_is_not() {
    let (host, hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let license = hub.license(host.server_id);
    assert!(ask(&mut peer, request(LICENSE_SET, &license)).await.ok);
    let kept: protocol::Signed = serde_json::from_str(&support::read(&host.paths.license_file())).unwrap();
    assert_eq!(kept, license);
    let other_server = hub.license(new_id().parse().unwrap());
    let (answer, event) = ask_and_report(&mut peer, request(LICENSE_SET, &other_server)).await;
    assert_eq!((code(&answer), event.kind.as_str()), ("bad_signature", SECURITY_BAD_LICENSE));
    let kept: protocol::Signed = serde_json::from_str(&support::read(&host.paths.license_file())).unwrap();
    assert_eq!(kept, license);
}

#[tokio::test]
async fn the_hub_restricts_itself_and_lifts_only_that() {
    let (host, hub) = pair().await;
    host.policy("users = [\"root\", \"nobody\"]\n");
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    let strict = Rules { tiers: Some(vec![Tier::Read]), ..Rules::default() };
    let order = hub.key.restrict(host.server_id, 7, strict.clone());
    let answer = ask(&mut peer, request(POLICY_RESTRICT, &order)).await;
    assert!(answer.ok, "{answer:?}");
    let summary: PolicySummary = serde_json::from_value(answer.result.unwrap()).unwrap();
    assert_eq!((summary.tiers, summary.hub, summary.hub_seq), (vec![Tier::Read], Some(strict), 7));
    assert!(summary.file.unwrap().users.is_some());
    let (ack, _) = host.submit(&host.body(&command("true"))).await;
    assert_eq!(rejection(&ack), Some(RejectCode::PolicyDenied));
    assert!(format!("{ack:?}").contains("a restriction that the hub has set"), "{ack:?}");

    for (forged, expected) in [
        (HubKey::new(8).restrict(host.server_id, 8, Rules::default()), "bad_signature"),
        (hub.key.restrict(new_id().parse().unwrap(), 8, Rules::default()), "wrong_server"),
        (hub.key.restrict(host.server_id, 6, Rules::default()), "old_seq"),
    ] {
        let (answer, event) = ask_and_report(&mut peer, request(POLICY_RESTRICT, &forged)).await;
        assert_eq!((code(&answer), event.kind.as_str()), (expected, SECURITY_BAD_RESTRICTION));
        assert_eq!(event.data["code"], expected);
        peer.send(protocol::job::Ack::Event { event_id: event.event_id }).await;
    }
    drop(peer);
    let mut peer = hub.session(&[]).await;
    assert_eq!(peer.said().policy.hub_seq, 7, "the next hello says it too");
    let lifted = hub.key.restrict(host.server_id, 8, Rules::default());
    assert!(ask(&mut peer, request(POLICY_RESTRICT, &lifted)).await.ok);
    assert_eq!(host.sh("echo ok").await.log.out(), "ok\n");
    let daemon = host.body(&protocol::exec::ExecArgs { user: Some("daemon".to_owned()), ..command("true") });
    let (ack, _) = host.submit(&daemon).await;
    assert!(format!("{ack:?}").contains("the policy file of this server"), "{ack:?}");
}

#[tokio::test]
async fn the_hubs_key_is_replaced_by_the_one_it_named_and_counts_no_more() {
    let (host, mut hub) = pair().await;
    let _agent = Agent::run(&host.paths);
    let mut peer = hub.session(&[]).await;
    // A job that outlives the key that ordered it.
    let long = host.body(&command("echo up; sleep 1000"));
    peer.send(host.cmd(&long)).await;
    let mut gathered = Gathered::default();
    let (log, bytes) = peer.log().await;
    gathered.add(&log, bytes);
    drop(peer);

    let (middle, new) = (HubKey::new(8), HubKey::new(9));
    let chain = vec![hub.key.rotate(&middle), middle.rotate(&new)];
    let mut peer = hub.hello().await;
    let mut welcome = peer.welcome_body(host.server_id);
    welcome.jobs = vec![protocol::session::WelcomeJob { job_id: long.job_id, next_offset: 3, done: false }];
    welcome.license = new.sign(signing::LICENSE, welcome.license.body);
    peer.welcome_with(&new, welcome, chain).await;
    let event = peer.expect(|_, message| event(message)).await;
    assert_eq!(event.kind, SECURITY_HUB_KEY_ROTATED);
    peer.send(protocol::job::Ack::Event { event_id: event.event_id }).await;
    let anchor = agent::identity::HubAnchor::load(&host.paths).unwrap();
    assert_eq!((anchor.hub_key, anchor.hub_fingerprint), (new.public(), new.fingerprint()));
    let left: Vec<_> = agent::trust::rotation::history(&host.paths).into_iter().map(|left| left.hub_key).collect();
    assert_eq!(left, [hub.key.public(), middle.public()]);

    // In the same connection orders of the new key count, those of the old one do not.
    let body = host.body(&command("echo new"));
    let old_order = host.cmd(&host.body(&command("echo old")));
    let id = peer.send(old_order).await;
    let ack = peer
        .expect(|reference, message| match message {
            Message::CmdAck(ack) if reference == Some(id) => Some(ack),
            _ => None,
        })
        .await;
    assert_eq!(rejection(&ack), Some(RejectCode::BadSignature));
    peer.send(signed_cmd(&new, &body)).await;
    let mut ran = Gathered::default();
    peer.follow(body.job_id, &mut ran).await;
    assert_eq!(ran.out, b"new\n");
    let cancel = CancelBody { job_id: long.job_id, server_id: host.server_id, at_ms: now_ms() };
    let cancel = new.sign(signing::CANCEL, serde_json::to_string(&cancel).unwrap());
    peer.send(protocol::job::Cancel(cancel)).await;
    assert_eq!(end_of(&mut peer, long.job_id).await, EndState::Cancelled);
    drop(peer);

    // The old key answers no hello any more.
    let mut peer = hub.hello().await;
    let body = peer.welcome_body(host.server_id);
    peer.welcome(&hub.key, body).await;
    assert_eq!(peer.until_closed().await.0, []);
    hub.key = new;
    let mut peer = hub.session(&[]).await;
    loop {
        let found = peer.expect(|_, message| self::event(message)).await;
        if found.kind == SECURITY_BAD_WELCOME {
            break;
        }
    }
}

async fn end_of(peer: &mut Peer, job_id: JobId) -> EndState {
    peer.expect(|_, message| match message {
        Message::JobDone(done) if done.job_id == job_id => Some(done.state),
        _ => None,
    })
    .await
}
