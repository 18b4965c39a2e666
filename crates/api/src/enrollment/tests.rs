//! Install tokens, registration and what is handed out, through the API on each engine.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use protocol::{Hex, ServerId};
use serde_json::{Value, json};

use super::{routes, store, task};
use crate::http::Trust;
use crate::hub::App;
use crate::secret::{TokenDigest, sha256};
use crate::servers;
use crate::testing::{Answer, Client, TestHub};

const TOKENS: &str = "/v1/servers/install-tokens";
const REGISTER: &str = "/v1/agent/register";

async fn mint(owner: &Client, form: Value) -> Value {
    let answer = owner.post(TOKENS, form).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json()
}

fn registration(token: &str, nonce: u8) -> Value {
    json!({
        "token": token, "nonce": Hex([nonce; 32]), "hostname": "web-1.example.com", "os": "debian", "arch": "x86_64",
        "machine_id_hash": Hex([7; 32]), "agent_version": "0.1.0",
    })
}

async fn register(test: &TestHub, token: &str, nonce: u8) -> Answer {
    test.anonymous().post(REGISTER, registration(token, nonce)).await
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}

#[tokio::test]
async fn a_pasted_line_admits_one_server() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let minted = mint(&owner, json!({ "name": "web", "labels": { "env": "prod" }, "ttl_s": 600 })).await;
        let token = text(&minted, "token");
        let fingerprint = test.hub.keys.fingerprint().to_string();
        assert_eq!(text(&minted, "hub_fingerprint"), fingerprint);
        assert_eq!(text(&minted, "expires_at"), "2026-01-01T00:10:00.000Z");
        let line = format!("curl -fsS http://127.0.0.1:8080/install.sh | RS_TOKEN={token} RS_HUB_KEY={fingerprint} sh");
        assert_eq!(text(&minted, "command"), line);

        let path = format!("{TOKENS}/{}", text(&minted, "id"));
        assert_eq!(owner.get(&path).await.json()["status"], "pending");
        let answer = register(&test, token, 1).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(text(&answer, "ws_url"), "ws://127.0.0.1:8080/v1/agent");
        let key: Hex<32> = text(&answer, "hub_key").parse().unwrap();
        assert_eq!(sha256(key.as_bytes()).to_string(), fingerprint);
        assert!(fingerprint.starts_with(text(&answer, "hub_key_id")));
        let digest = TokenDigest::of(text(&answer, "agent_token"));
        let identity = servers::by_agent_token(&test.hub, digest).await.unwrap().unwrap();
        assert_eq!(
            (identity.server_name.as_str(), identity.server_id.to_string().as_str()),
            ("web", text(&answer, "server_id"))
        );

        let used = owner.get(&path).await.json();
        assert_eq!((used["status"].as_str(), &used["server_id"]), (Some("used"), &answer["server_id"]));
        assert_eq!(used["used_at"], "2026-01-01T00:00:00.000Z");
    }
}

#[tokio::test]
async fn a_server_without_a_chosen_name_is_called_as_its_host() {
    let test = TestHub::sqlite().await;
    let minted = mint(&test.owner().await, json!({})).await;
    assert_eq!(text(&minted, "expires_at"), "2026-01-01T01:00:00.000Z");
    let answer = register(&test, text(&minted, "token"), 1).await.json();
    let digest = TokenDigest::of(text(&answer, "agent_token"));
    let identity = servers::by_agent_token(&test.hub, digest).await.unwrap().unwrap();
    assert_eq!(identity.server_name, "web-1.example.com");
}

#[tokio::test]
async fn the_line_pins_a_certificate_that_is_not_public() {
    let test = TestHub::with_config(|config| {
        config.public_url = crate::config::PublicUrl::parse("https://hub.example.com:8443").unwrap();
    })
    .await;
    let owner = test.owner().await;
    test.hub.http.set_trust(Trust::Pinned("ab+/=".to_owned()));
    let line = text(&mint(&owner, json!({})).await, "command").to_owned();
    let start = "curl -fsSk --pinnedpubkey 'sha256//ab+/=' https://hub.example.com:8443/install.sh | RS_TOKEN=rsi_";
    assert!(line.starts_with(start), "{line}");
    let script = owner.get("/install.sh").await.text();
    assert!(script.contains("TLS_PIN='ab+/='"));
    test.hub.http.set_trust(Trust::Public);
    let line = text(&mint(&owner, json!({})).await, "command").to_owned();
    assert!(line.starts_with("curl -fsS https://hub.example.com:8443/install.sh | RS_TOKEN=rsi_"), "{line}");
}

#[tokio::test]
async fn only_a_digest_of_the_token_is_kept() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let minted = mint(&owner, json!({})).await;
    let listed = owner.get(TOKENS).await.text();
    let shown = owner.get(&format!("{TOKENS}/{}", text(&minted, "id"))).await.text();
    for answer in [listed, shown] {
        assert!(!answer.contains("rsi_"), "{answer}");
    }
}

#[tokio::test]
async fn unacceptable_wishes_name_their_field() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let foreign = {
            let stranger = test.stranger().await;
            let minted = mint(&stranger, json!({})).await;
            register(&test, text(&minted, "token"), 1).await.json()["server_id"].clone()
        };
        for (form, status, field) in [
            (json!({ "ttl_s": 59 }), 422, "ttl_s"),
            (json!({ "ttl_s": 86_401 }), 422, "ttl_s"),
            (json!({ "ttl_s": "3600" }), 422, "ttl_s"),
            (json!({ "name": "" }), 422, "name"),
            (json!({ "name": "a\u{0}b" }), 422, "name"),
            (json!({ "name": "x".repeat(81) }), 422, "name"),
            (json!({ "labels": { "Env": "prod" } }), 422, "labels"),
            (json!({ "labels": ["env"] }), 422, "labels"),
            (json!({ "server_id": "nonsense" }), 422, "server_id"),
            (json!({ "nmae": "web" }), 422, "nmae"),
            (json!({ "server_id": foreign }), 404, ""),
            (json!({ "server_id": "019a1f2e-7c55-7d3a-9f10-2b3c4d5e6f70" }), 404, ""),
        ] {
            let answer = owner.post(TOKENS, form.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{form}: {}", answer.text());
            if status == 422 {
                assert!(answer.json()["error"]["details"]["fields"][field].is_array(), "{form}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn tokens_are_listed_in_pages_and_withdrawn() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            test.clock.advance(Duration::from_secs(1));
            ids.push(text(&mint(&owner, json!({})).await, "id").to_owned());
        }
        ids.reverse();
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = owner.get(&format!("{TOKENS}?limit=2{cursor}")).await.json();
            listed.extend(page["data"].as_array().unwrap().iter().map(|token| text(token, "id").to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(listed, ids);
        for query in ["limit=0", "limit=x", "lmit=2", "cursor=nonsense", "cursor=Im5vbnNlbnNlIg"] {
            assert_eq!(owner.get(&format!("{TOKENS}?{query}")).await.code(), "bad_request", "{query}");
        }

        let path = format!("{TOKENS}/{}", ids[0]);
        assert_eq!(owner.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(owner.get(&path).await.code(), "not_found");
        let minted = mint(&owner, json!({})).await;
        register(&test, text(&minted, "token"), 1).await;
        assert_eq!(owner.delete(&format!("{TOKENS}/{}", text(&minted, "id"))).await.code(), "conflict");
    }
}

#[tokio::test]
async fn strangers_and_nobody_have_no_tokens() {
    for test in TestHub::each_engine().await {
        let path = format!("{TOKENS}/{}", text(&mint(&test.owner().await, json!({})).await, "id"));
        let stranger = test.stranger().await;
        for path in [path.as_str(), "/v1/servers/install-tokens/nonsense"] {
            assert_eq!(stranger.get(path).await.code(), "not_found");
            assert_eq!(stranger.delete(path).await.code(), "not_found");
        }
        assert_eq!(stranger.get(TOKENS).await.json()["data"], json!([]));
        let nobody = test.anonymous();
        assert_eq!(nobody.get(&path).await.code(), "unauthenticated");
        assert_eq!(nobody.delete(&path).await.code(), "unauthenticated");
        assert_eq!(nobody.get(TOKENS).await.code(), "unauthenticated");
        assert_eq!(nobody.post(TOKENS, json!({})).await.code(), "unauthenticated");
    }
}

#[tokio::test]
async fn bad_install_tokens_are_told_apart() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let used = text(&mint(&owner, json!({})).await, "token").to_owned();
        assert_eq!(register(&test, &used, 1).await.status, StatusCode::CREATED);
        let withdrawn = mint(&owner, json!({})).await;
        owner.delete(&format!("{TOKENS}/{}", text(&withdrawn, "id"))).await;
        let expired = text(&mint(&owner, json!({ "ttl_s": 60 })).await, "token").to_owned();
        let unknown = format!("rsi_{}", "x".repeat(43));
        test.clock.advance(Duration::from_secs(60));
        for (token, status, code) in [
            (used.as_str(), 410, "gone"),
            (expired.as_str(), 410, "gone"),
            (text(&withdrawn, "token"), 401, "unauthenticated"),
            (unknown.as_str(), 401, "unauthenticated"),
            ("", 401, "unauthenticated"),
            ("rsi_", 401, "unauthenticated"),
            ("rsa_0000000000000000000000000000000000000000000", 401, "unauthenticated"),
            ("rsi_' or 1=1 --", 401, "unauthenticated"),
        ] {
            let answer = register(&test, token, 2).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{token}");
        }
    }
}

#[tokio::test]
async fn bad_registrations_are_refused_before_the_token_is_used() {
    let test = TestHub::sqlite().await;
    let owner = test.owner().await;
    let minted = mint(&owner, json!({})).await;
    let good = registration(text(&minted, "token"), 1);
    let with = |field: &str, value: Value| {
        let mut form = good.clone();
        form[field] = value;
        form
    };
    for (form, field) in [
        (with("nonce", json!("ab")), "nonce"),
        (with("nonce", json!(7)), "nonce"),
        (with("machine_id_hash", json!("zz")), "machine_id_hash"),
        (with("hostname", json!("h".repeat(256))), "hostname"),
        (with("hostname", json!("a\u{0}")), "hostname"),
        (with("hostname", Value::Null), "hostname"),
        (with("os", json!("o".repeat(1_000))), "os"),
        (with("extra", json!(1)), "extra"),
    ] {
        let answer = test.anonymous().post(REGISTER, form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{field}: {}", answer.text());
        assert!(answer.json()["error"]["details"]["fields"][field].is_array(), "{field}: {}", answer.text());
    }
    let plain = Request::post(REGISTER).header("content-type", "text/plain");
    let answer = test.anonymous().send_raw(plain, Body::from(good.to_string())).await.collected().await;
    assert_eq!(answer.code(), "unsupported_media_type");
    let huge = Request::post(REGISTER).header("content-type", "application/json");
    let answer = test.anonymous().send_raw(huge, Body::from(vec![b' '; (1 << 20) + 1])).await.collected().await;
    assert_eq!(answer.code(), "payload_too_large");
    assert_eq!(test.anonymous().post(REGISTER, good).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_wrong_fingerprint_does_not_use_the_token_up() {
    let test = TestHub::sqlite().await;
    let minted = mint(&test.owner().await, json!({})).await;
    let mut form = registration(text(&minted, "token"), 1);
    form["hub_fingerprint"] = json!(Hex([9; 32]));
    assert_eq!(test.anonymous().post(REGISTER, form.clone()).await.code(), "conflict");
    form["hub_fingerprint"] = json!(test.hub.keys.fingerprint());
    assert_eq!(test.anonymous().post(REGISTER, form).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn of_a_hundred_at_once_one_wins() {
    for test in TestHub::each_engine().await {
        let token = text(&mint(&test.owner().await, json!({})).await, "token").to_owned();
        let test = Arc::new(test);
        let tries: Vec<_> = (0..100)
            .map(|nonce| {
                let (test, token) = (Arc::clone(&test), token.clone());
                let tasks = test.hub.tasks.clone();
                tasks.spawn(async move { register(&test, &token, nonce).await })
            })
            .collect();
        let mut statuses = Vec::new();
        for one in tries {
            statuses.push(one.await.unwrap().status.as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 410).count(), 99, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_given_again_until_the_agent_has_connected() {
    for test in TestHub::each_engine().await {
        let token = text(&mint(&test.owner().await, json!({ "ttl_s": 60 })).await, "token").to_owned();
        let first = register(&test, &token, 1).await.json();
        test.clock.advance(Duration::from_secs(120));
        let second = register(&test, &token, 1).await.json();
        assert_eq!(first["server_id"], second["server_id"]);
        let known = async |answer: &Value| {
            servers::by_agent_token(&test.hub, TokenDigest::of(text(answer, "agent_token"))).await.unwrap().is_some()
        };
        assert!(!known(&first).await, "the lost agent token is worthless");
        assert!(known(&second).await);

        let id: ServerId = text(&second, "server_id").parse().unwrap();
        test.clock.advance(Duration::from_secs(1));
        let mut tx = test.hub.db.write().await.unwrap();
        store::pretend_connected(&mut tx.conn(), id, test.hub.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(register(&test, &token, 1).await.code(), "gone");
        assert!(known(&second).await, "the agent that is connected keeps its token");
    }
}

#[tokio::test]
async fn a_known_server_is_connected_again_under_a_new_token() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        let first = register(&test, text(&mint(&owner, json!({})).await, "token"), 1).await.json();
        let again = mint(&owner, json!({ "server_id": first["server_id"] })).await;
        let second = register(&test, text(&again, "token"), 2).await.json();
        assert_eq!(first["server_id"], second["server_id"]);
        for (answer, works) in [(&first, false), (&second, true)] {
            let digest = TokenDigest::of(text(answer, "agent_token"));
            assert_eq!(servers::by_agent_token(&test.hub, digest).await.unwrap().is_some(), works);
        }
    }
}

#[tokio::test]
async fn registrations_are_limited_by_address() {
    let test = TestHub::sqlite().await;
    let mut codes = BTreeSet::new();
    // A slow machine is given new ones while it uses up the old ones.
    for _ in 0..20 * super::registration::LIMIT.burst {
        codes.insert(register(&test, "rsi_", 1).await.code());
        if codes.contains("rate_limited") {
            break;
        }
    }
    assert!(codes.contains("rate_limited"), "{codes:?}");
}

#[tokio::test]
async fn expired_tokens_are_forgotten_after_a_week() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await;
        mint(&owner, json!({})).await;
        for (hours, left) in [(24, 1), (24 * 6, 1), (2, 0)] {
            test.clock.advance(Duration::from_hours(hours));
            owner.get("/v1/auth/session").await;
            task::forget_expired(App::clone(&test.hub)).await.unwrap();
            assert_eq!(owner.get(TOKENS).await.json()["data"].as_array().unwrap().len(), left);
        }
    }
}

#[tokio::test]
async fn an_answer_with_a_secret_is_not_repeated() {
    for test in TestHub::each_engine().await {
        let owner = test.owner().await.with_header("idempotency-key", "one");
        let first = owner.post(TOKENS, json!({ "name": "a" })).await;
        assert_eq!(first.status, StatusCode::CREATED);
        let again = owner.post(TOKENS, json!({ "name": "a" })).await;
        assert_eq!(again.code(), "conflict");
        assert_eq!(again.json()["error"]["details"]["id"], first.json()["id"]);
        assert!(!again.text().contains("rsi_"));
    }
}

fn write_agents(dir: &Path, content: &[u8], sha256: &str) {
    std::fs::create_dir_all(dir).unwrap();
    let agent = json!({
        "target": "x86_64-linux", "sha256": sha256, "size_bytes": content.len(), "signature": "c2ln", "key_id": "0011223344556677",
    });
    let other = json!({
        "target": "sparc-linux", "sha256": sha256, "size_bytes": 1, "signature": "c2ln", "key_id": "0011223344556677",
    });
    let manifest = json!({ "version": "9.8.7", "agents": [agent, other] });
    #[expect(clippy::disallowed_methods, reason = "files of this test")]
    {
        std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
        std::fs::write(dir.join("roadstead-agent-x86_64-linux"), content).unwrap();
    }
}

#[tokio::test]
async fn agent_builds_are_handed_out_when_their_digest_is_right() {
    let test = TestHub::sqlite().await;
    let dir = test.hub.config.agents_dir.clone();
    let content = vec![b'a'; 200_000];
    let digest = sha256(&content).to_string();
    let path = "/v1/agent/binary/x86_64-linux";
    let nobody = test.anonymous();
    assert_eq!(nobody.get(path).await.code(), "not_found");

    write_agents(&dir, &content, &digest);
    test.hub.enrollment.builds.refresh(&dir).await;
    let answer = nobody.get(path).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.bytes(), content);
    for (name, value) in [
        ("x-roadstead-sha256", digest.as_str()),
        ("x-roadstead-signature", "c2ln"),
        ("x-roadstead-key-id", "0011223344556677"),
        ("x-roadstead-version", "9.8.7"),
        ("content-length", "200000"),
        ("content-type", "application/octet-stream"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let tagged = nobody.with_header("if-none-match", &answer.header("etag"));
    assert_eq!(tagged.get(path).await.status, StatusCode::NOT_MODIFIED);

    let script = nobody.get("/install.sh").await;
    assert!(script.header("content-type").starts_with("text/x-shellscript"));
    let script = script.text();
    assert!(script.contains(&format!("SHA256_X86_64='{digest}'")));
    assert!(script.contains("SHA256_AARCH64=''"));
    assert!(script.contains("VERSION='9.8.7'"));
    assert!(script.contains("HUB_URL='http://127.0.0.1:8080'"));
    assert!(script.contains("[Service]") && script.contains("[Socket]"));
    assert!(!script.contains("#@UNIT") && !script.contains("_URL@"), "every place is filled in");

    for target in
        ["aarch64-linux", "sparc-linux", "x86_64-linux.sig", "..%2f..%2fetc%2fpasswd", "%2e%2e", "manifest.json"]
    {
        assert_eq!(nobody.get(&format!("/v1/agent/binary/{target}")).await.code(), "not_found", "{target}");
    }

    // Replaced without its manifest: not handed out, neither now nor after the next look.
    write_agents(&dir, &[b'b'; 10], &digest);
    assert_eq!(nobody.get(path).await.code(), "unavailable");
    test.hub.enrollment.builds.refresh(&dir).await;
    assert_eq!(nobody.get(path).await.code(), "not_found");
    assert!(nobody.get("/install.sh").await.text().contains("SHA256_X86_64=''"));
}

#[tokio::test]
async fn a_rubbish_manifest_hands_out_nothing() {
    let test = TestHub::sqlite().await;
    let dir = test.hub.config.agents_dir.clone();
    std::fs::create_dir_all(&dir).unwrap();
    for manifest in [
        "".to_owned(),
        "not json".to_owned(),
        json!({ "version": "1'; rm -rf /", "agents": [] }).to_string(),
        json!({ "version": "1", "agents": [{ "target": "x86_64-linux" }] }).to_string(),
        " ".repeat(100_000),
    ] {
        #[expect(clippy::disallowed_methods, reason = "files of this test")]
        std::fs::write(dir.join("manifest.json"), &manifest).unwrap();
        test.hub.enrollment.builds.refresh(&dir).await;
        assert!(test.hub.enrollment.builds().is_empty(), "{manifest}");
        assert!(!test.anonymous().get("/install.sh").await.text().contains("rm -rf /\n"));
    }
}

#[test]
fn the_document_describes_the_registration_that_the_protocol_has() {
    let fields = |schema: utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>| -> BTreeSet<String> {
        let schema = serde_json::to_value(schema).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let keys = |value: Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    use utoipa::PartialSchema as _;
    let mut form = registration("rsi_", 1);
    form["hub_fingerprint"] = json!(Hex([1; 32]));
    let request: protocol::enroll::RegisterRequest = serde_json::from_value(form).unwrap();
    assert_eq!(fields(routes::RegisterBody::schema()), keys(serde_json::to_value(request).unwrap()));
    let answer = json!({ "server_id": "", "agent_token": "", "hub_key": "", "hub_key_id": "", "ws_url": "" });
    assert_eq!(fields(routes::RegisterAnswer::schema()), keys(answer));
}
