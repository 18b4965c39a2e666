//! No secret of the run lies where it can be stolen from.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use support::agent::Agent;
use support::api::Api;
use support::hub::Hub;
use support::secrets;

async fn hub_answer(api: &Api, path: &str) -> String {
    api.get(path).await.unwrap().expect(200).to_string()
}

#[tokio::test]
async fn no_secret_lies_in_database_log_or_data_dir() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let job = owner.exec(agent.server_id(), "echo hello").await;
    owner.job_end(job["id"].as_str().unwrap(), Duration::from_secs(10)).await;
    // A job that is told a secret and tells it to everybody, and one that waits with its own.
    let told = secrets::new_password();
    let script = "echo \"in the clear: $TOKEN\"; printf %s \"$TOKEN\" >&2; test -n \"$TOKEN\"";
    let job = owner.exec_with_secret(agent.server_id(), script, "TOKEN", &told).await;
    let id = job["id"].as_str().unwrap();
    let ended = owner.job_end(id, Duration::from_secs(10)).await;
    assert_eq!((&ended["state"], &ended["args"]["secret_env"]["TOKEN"]), (&"succeeded".into(), &"***".into()));
    let log = owner.log_text(id).await;
    assert!(log.contains("in the clear: ***\n") && log.matches("***").count() == 2, "{log}");
    let waiting = secrets::new_password();
    let sleeping = owner.exec_with_secret(agent.server_id(), "sleep 600", "TOKEN", &waiting).await;
    owner.job_in(sleeping["id"].as_str().unwrap(), &["running"], Duration::from_secs(10)).await;
    for path in ["/v1/jobs".to_owned(), format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/log"), "/v1/audit".to_owned()]
    {
        let shown = hub_answer(&owner, &path).await;
        assert!(!shown.contains(&told) && !shown.contains(&waiting), "{path}: {shown}");
    }
    // A wrong password and a wrong token must not end up in a log either.
    let wrong = secrets::new_password();
    let body = json!({ "email": support::hub::OWNER_EMAIL, "password": wrong });
    assert_eq!(hub.api().post("/v1/auth/login", &body).await.unwrap().status, 401);

    let hub_files = hub.data_dir().to_owned();
    let hub_log = hub.log_file();
    let agent_files = agent.state_dir();
    let agent_log = agent.log_file();
    // The agent's own credential file is where its token belongs.
    // So is the order as evidence, which only root can read.
    let allowed = |file: &Path| {
        file.ends_with("relay/agent.json") || file.parent().is_some_and(|parent| parent.ends_with("claims"))
    };
    let everywhere = [hub_files.as_path(), &hub_log, &agent_files, &agent_log];
    assert_eq!(secrets::scan(&everywhere, allowed), [], "while running, write-ahead log included");
    agent.stop().await;
    hub.stop().await;
    assert_eq!(secrets::scan(&everywhere, allowed), [], "after an orderly stop");

    let planted = hub_files.join("planted");
    for (form, content) in [("raw", wrong.clone()), ("hex", protocol::hex::encode(wrong.as_bytes()))] {
        std::fs::write(&planted, format!("noise {content} noise")).unwrap();
        let leaks = secrets::scan(&everywhere, allowed);
        assert!(leaks.len() == 1 && leaks[0].file == planted && leaks[0].form == form, "{leaks:?}");
    }
    // The hub looks itself through when it goes.
    std::fs::remove_file(planted).unwrap();
}

/// The six digits of now for a secret in base32: RFC 6238 with its defaults.
fn one_time_code(secret: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut key, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in secret.bytes().filter(|digit| *digit != b'=') {
        let value = DIGITS.iter().position(|known| *known == digit).expect("base32");
        bits = (bits << 5) | u32::try_from(value).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push(u8::try_from((bits >> held) & 0xff).unwrap());
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = ring::hmac::sign(&key, &(now / 30).to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 0xf);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

#[tokio::test]
async fn no_secret_of_people_and_programs_lies_in_database_log_or_data_dir() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let password = hub.password();
    let post = async |path: &str, body: Value, status: u16| owner.post(path, &body).await.unwrap().expect(status);
    let mut answers = Vec::new();
    let remember = |answer: &Value, fields: &[&str]| {
        for field in fields {
            secrets::issued(answer[field].as_str().unwrap_or_else(|| panic!("{field}: {answer}")));
        }
    };
    let session = owner.cookie().unwrap().split_once('=').unwrap().1;
    secrets::issued(session);
    let everywhere = json!({ "type": "workspace" });
    let key = json!({ "name": "script", "permissions": ["servers.read"], "scope": everywhere });
    let key = post("/v1/api-keys", key, 201).await;
    remember(&key, &["token"]);
    let rotated = post(&format!("/v1/api-keys/{}/rotate", key["id"].as_str().unwrap()), json!({}), 200).await;
    remember(&rotated, &["token"]);
    // Somebody uses it, and somebody else guesses one.
    let guess = format!("rsk_{}", secrets::new_password());
    for (token, status) in [(rotated["token"].as_str().unwrap(), 200), (&guess, 401)] {
        let request = hub.api().request(reqwest::Method::GET, "/v1/servers").bearer_auth(token);
        assert_eq!(hub.api().send(request).await.unwrap().status, status);
    }
    let invite = json!({ "email": "ann@example.org", "granted": { "role": "viewer" }, "scope": everywhere });
    let invite = post("/v1/team/invites", invite, 201).await;
    remember(&invite, &["token"]);
    let accept = json!({ "token": invite["token"], "name": "Ann", "password": secrets::new_password() });
    hub.api().post("/v1/invites/accept", &accept).await.unwrap().expect(200);
    let unused = json!({ "email": "bob@example.org", "granted": { "role": "viewer" }, "scope": everywhere });
    remember(&post("/v1/team/invites", unused, 201).await, &["token"]);
    remember(&post("/v1/servers/install-tokens", json!({}), 201).await, &["token"]);
    let webhook = json!({ "name": "chat", "url": "http://127.0.0.1:9/", "events": ["*"], "allow_private": true });
    remember(&post("/v1/outgoing-webhooks", webhook, 201).await, &["secret"]);
    let started = post("/v1/account/totp", json!({ "password": password }), 201).await;
    remember(&started, &["secret"]);
    let code = one_time_code(started["secret"].as_str().unwrap());
    let on = post("/v1/account/totp/confirm", json!({ "code": code }), 200).await;
    for code in on["recovery_codes"].as_array().unwrap() {
        secrets::issued(code.as_str().unwrap());
        secrets::issued(&code.as_str().unwrap().replace('-', ""));
    }
    for path in ["/v1/audit?limit=200", "/v1/api-keys", "/v1/team/invites", "/v1/outgoing-webhooks", "/v1/deliveries"] {
        answers.push(hub_answer(&owner, path).await);
    }

    // What the API shows once it never shows again, and the files do not have it.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("answers"), answers.join("\n")).unwrap();
    let (hub_files, hub_log) = (hub.data_dir().to_owned(), hub.log_file());
    let everywhere = [dir.path(), &hub_files, &hub_log];
    assert_eq!(secrets::scan(&everywhere, |_| false), [], "while running, write-ahead log included");
    hub.stop().await;
    assert_eq!(secrets::scan(&everywhere, |_| false), [], "after an orderly stop");
}
