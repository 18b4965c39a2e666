//! What becomes of an install token, whatever the hub and the line do.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod scripted;
mod support;

use std::path::Path;
use std::process::Output;

use agent::paths::Paths;
use protocol::ServerId;
use scripted::{AGENT_TOKEN, Agent, Hub, mode_of, program, start_program, status};
use support::{HubKey, new_id, read};
use tokio::net::TcpListener;

const TOKEN: &str = "rsi_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const OTHER_TOKEN: &str = "rsi_9876543210abcdefghijklmnopqrstuvwxyzABCDEFG";

/// A machine that knows no hub.
struct Machine {
    _dir: tempfile::TempDir,
    paths: Paths,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("roadstead-register-").tempdir().unwrap();
        Self { paths: Paths::new(dir.path().join("state")), _dir: dir }
    }

    fn line(&self, hub: &Hub, token: &str) -> Vec<String> {
        let file = self.paths.state_dir().with_extension("token");
        agent::host::files::write_atomic(&file, format!("{token}\n").as_bytes(), 0o600).unwrap();
        let mut line = vec!["register".to_owned()];
        for (flag, value) in [
            ("--hub", hub.url()),
            ("--token-file", file.display().to_string()),
            ("--hub-fingerprint", hub.key.fingerprint().to_string()),
            ("--tls-pin", hub.pin.clone()),
            ("--state-dir", self.paths.state_dir().display().to_string()),
        ] {
            line.extend([flag.to_owned(), value]);
        }
        line
    }

    fn is_untouched(&self) -> bool {
        !self.paths.hub_file().exists() && !self.paths.identity_file().exists()
    }
}

fn server_id() -> ServerId {
    new_id().parse().unwrap()
}

/// What a hub answers to a good token.
fn answer(hub: &Hub, key: &HubKey) -> String {
    serde_json::json!({
        "server_id": hub.server_id,
        "agent_token": AGENT_TOKEN,
        "hub_key": key.public(),
        "hub_key_id": agent::identity::key_id(&key.fingerprint()),
        "ws_url": format!("wss://127.0.0.1:{}/v1/agent", hub.port()),
    })
    .to_string()
}

fn set(line: &mut [String], flag: &str, value: &str) {
    let at = line.iter().position(|argument| argument == flag).unwrap();
    line[at + 1] = value.to_owned();
}

fn said(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains(TOKEN) && !text.contains(AGENT_TOKEN), "a secret was printed: {text}");
    text
}

/// Runs the line beside a hub that takes the token.
async fn register(machine: &Machine, hub: &Hub, token: &str) -> Output {
    let line = machine.line(hub, token);
    let (output, ()) = tokio::join!(program(line), async {
        let request = hub.request().await;
        request.answer("201 Created", &answer(hub, &hub.key)).await;
    });
    output
}

#[tokio::test]
async fn a_good_line_registers_and_leaves_each_file_to_its_owner() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let line = machine.line(&hub, TOKEN);
    let (output, request) = tokio::join!(program(line), async {
        let request = hub.request().await;
        let found = (request.path.clone(), request.headers.clone(), request.json());
        request.answer("201 Created", &answer(&hub, &hub.key)).await;
        found
    });
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains(&hub.server_id.to_string()));
    let (path, headers, body) = request;
    assert_eq!(path, "/v1/agent/register");
    assert_eq!((headers["host"].as_str(), headers["content-type"].as_str()), (&hub.url()[8..], "application/json"));
    assert_eq!(body["token"], TOKEN);
    assert_eq!(body["nonce"].as_str().unwrap().len(), 64);
    assert!(["x86_64", "aarch64"].contains(&body["arch"].as_str().unwrap()));

    let paths = &machine.paths;
    let anchor = read(&paths.hub_file());
    assert!(anchor.contains(&hub.key.fingerprint().to_string()), "the installer looks for the fingerprint");
    assert!(!anchor.contains(AGENT_TOKEN));
    assert!(!paths.registration_file().exists());
    for (path, mode) in [
        (paths.state_dir().to_owned(), 0o755),
        (paths.trust_dir(), 0o755),
        (paths.hub_file(), 0o644),
        (paths.claims_dir(), 0o700),
        (paths.spool_dir(), 0o2750),
        (paths.relay_dir(), 0o700),
        (paths.identity_file(), 0o600),
    ] {
        assert_eq!(mode_of(&path), mode, "{}", path.display());
    }
    assert_eq!(status(paths).await.0, 2, "registered, not running");
    let _agent = Agent::run(paths);
    let mut peer = hub.session(&[]).await;
    peer.round_trip().await;
    assert_eq!(status(paths).await.0, 0);
}

#[tokio::test]
async fn the_wrong_hub_is_refused_and_nothing_changes() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let stranger = HubKey::new(8);
    let line = machine.line(&hub, TOKEN);
    let (output, ()) = tokio::join!(program(line), async {
        hub.request().await.answer("201 Created", &answer(&hub, &stranger)).await;
    });
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(&hub.key.fingerprint().to_string()), "{text}");
    assert!(text.contains(&stranger.fingerprint().to_string()), "{text}");
    assert!(text.contains("Nothing was changed"), "{text}");
    assert!(machine.is_untouched());
}

#[tokio::test]
async fn a_certificate_with_another_key_gets_no_token() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let mut line = machine.line(&hub, TOKEN);
    set(&mut line, "--tls-pin", &Hub::start(server_id()).await.pin);
    let (output, distrusted) = tokio::join!(program(line), hub.is_distrusted());
    assert!(distrusted);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("pinned key"), "{}", said(&output));
    assert!(machine.is_untouched());
}

#[tokio::test]
async fn a_self_signed_hub_without_a_pin_gets_no_token() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let mut line = machine.line(&hub, TOKEN);
    let at = line.iter().position(|argument| argument == "--tls-pin").unwrap();
    line.drain(at..at + 2);
    let (output, distrusted) = tokio::join!(program(line), hub.is_distrusted());
    assert!(distrusted);
    assert!(said(&output).contains("not publicly trusted"), "{}", said(&output));
}

#[tokio::test]
async fn a_lost_answer_strands_nobody() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let line = machine.line(&hub, TOKEN);
    let (output, nonces) = tokio::join!(program(line), async {
        let mut nonces = Vec::new();
        // The hub restarts twice in the middle.
        for _ in 0..2 {
            let request = hub.request().await;
            nonces.push(request.json()["nonce"].clone());
            drop(request);
        }
        let request = hub.request().await;
        nonces.push(request.json()["nonce"].clone());
        request.answer("503 Service Unavailable", "").await;
        let request = hub.request().await;
        nonces.push(request.json()["nonce"].clone());
        request.answer("201 Created", &answer(&hub, &hub.key)).await;
        nonces
    });
    assert!(output.status.success(), "{}", said(&output));
    assert!(nonces.windows(2).all(|pair| pair[0] == pair[1]), "{nonces:?}");
}

#[tokio::test]
async fn a_second_run_of_the_same_line_sends_the_same_nonce_and_another_token_another() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let mut nonces = Vec::new();
    for token in [TOKEN, TOKEN, OTHER_TOKEN] {
        let line = machine.line(&hub, token);
        let (output, nonce) = tokio::join!(program(line), async {
            let request = hub.request().await;
            let nonce = request.json()["nonce"].clone();
            request.answer("200 OK", "what?").await;
            nonce
        });
        assert_eq!(output.status.code(), Some(1));
        nonces.push(nonce);
    }
    assert_eq!(nonces[0], nonces[1]);
    assert_ne!(nonces[1], nonces[2]);
    assert!(!read(&machine.paths.registration_file()).contains(TOKEN), "only its digest is kept");
}

#[tokio::test]
async fn a_refusal_is_said_in_words_with_the_next_step() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    for (status, code, message, advice) in [
        ("410 Gone", "install_token_used", "this install token was used", "Make a new line"),
        ("410 Gone", "install_token_expired", "this install token has expired", "Make a new line"),
        ("401 Unauthorized", "unauthenticated", "unknown install token", "Make a new line"),
        ("422 Unprocessable Content", "validation_failed", "malformed token", "Copy the whole line"),
        ("403 Forbidden", "quota_exceeded", "the plan allows 3 servers", "Ask an owner"),
        ("429 Too Many Requests", "rate_limited", "too many tries", "Wait a minute"),
    ] {
        let line = machine.line(&hub, TOKEN);
        let (output, ()) = tokio::join!(program(line), async {
            let body = serde_json::json!({"error": {"code": code, "message": format!("{message}\u{1b}[31m")}});
            hub.request().await.answer(status, &body.to_string()).await;
        });
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(message) && text.contains(code) && text.contains(advice), "{text}");
        assert!(!text.contains('\u{1b}'), "a hub does not paint on our terminal");
        assert!(machine.is_untouched());
    }
}

#[tokio::test]
async fn a_hub_that_is_not_there_yet_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let hub = Hub::on(listener, server_id());
    let machine = Machine::new();
    let mut line = machine.line(&hub, TOKEN);
    // Nobody listens at first: the address is free until the program has failed there once.
    let vacant = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    set(&mut line, "--hub", &format!("https://127.0.0.1:{}", vacant.port()));
    assert_ne!(address, vacant);
    let running = start_program(line);
    support::wait_for("the first try", || machine.paths.registration_file().exists().then_some(()));
    let mut late = Hub::on(TcpListener::bind(vacant).await.unwrap(), hub.server_id);
    // The certificate of the hub that the line was made for.
    late.take_certificate(&hub);
    late.request().await.answer("201 Created", &answer(&late, &late.key)).await;
    let output = running.await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn the_same_line_again_changes_nothing_and_asks_nobody() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    assert!(register(&machine, &hub, TOKEN).await.status.success());
    let before = read(&machine.paths.identity_file());
    let output = program(machine.line(&hub, TOKEN)).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("already registered"));
    assert_eq!(read(&machine.paths.identity_file()), before);
}

#[tokio::test]
async fn a_new_token_of_the_same_hub_enrols_again_and_another_hub_is_refused() {
    let (machine, mut hub) = (Machine::new(), Hub::start(server_id()).await);
    assert!(register(&machine, &hub, TOKEN).await.status.success());
    hub.server_id = server_id();
    assert!(register(&machine, &hub, OTHER_TOKEN).await.status.success());
    let (identity, anchor) = agent::identity::load_both(&machine.paths).unwrap();
    assert_eq!((identity.server_id, anchor.server_id), (hub.server_id, hub.server_id));

    let before = read(&machine.paths.hub_file());
    let mut line = machine.line(&hub, OTHER_TOKEN);
    set(&mut line, "--hub-fingerprint", &HubKey::new(8).fingerprint().to_string());
    let output = program(line).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("another hub"), "{}", said(&output));
    assert_eq!(read(&machine.paths.hub_file()), before);
}

#[tokio::test]
async fn a_damaged_token_and_a_plain_address_never_leave_the_machine() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    for token in ["", "rsi_short", AGENT_TOKEN, &format!("{TOKEN}x")] {
        let output = program(machine.line(&hub, token)).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("no install token"), "{}", said(&output));
    }
    let mut line = machine.line(&hub, TOKEN);
    set(&mut line, "--hub", "http://192.0.2.1");
    let output = program(line).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not encrypted"), "{}", said(&output));
    assert!(machine.is_untouched());
}

#[tokio::test]
async fn a_hub_that_sends_other_things_is_no_hub() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let mut downgrade: serde_json::Value = serde_json::from_str(&answer(&hub, &hub.key)).unwrap();
    downgrade["ws_url"] = "ws://192.0.2.1/v1/agent".into();
    let mut key_id: serde_json::Value = serde_json::from_str(&answer(&hub, &hub.key)).unwrap();
    key_id["hub_key_id"] = "0000000000000000".into();
    for (status, body) in [
        ("200 OK", "<html>a login page</html>".to_owned()),
        ("302 Found", String::new()),
        ("200 OK", "x".repeat(100_000)),
        ("201 Created", downgrade.to_string()),
        ("201 Created", key_id.to_string()),
    ] {
        let line = machine.line(&hub, TOKEN);
        let (output, ()) = tokio::join!(program(line), async { hub.request().await.answer(status, &body).await });
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("not as a hub does"), "{}", said(&output));
        assert!(machine.is_untouched());
    }
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_says_so_before_the_token_is_used() {
    let (machine, hub) = (Machine::new(), Hub::start(server_id()).await);
    let mut line = machine.line(&hub, TOKEN);
    set(&mut line, "--state-dir", "/proc/roadstead");
    let output = program(line).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot be written"), "{}", said(&output));
    assert!(!Path::new("/proc/roadstead").exists());
}
