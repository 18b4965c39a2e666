//! Keys and signatures as the real ssh-keygen makes them.
#![expect(clippy::disallowed_methods, reason = "ssh-keygen is started, and its files are read")]

use std::fs;
use std::path::Path;
use std::process::Command;

use axum::http::StatusCode;
use protocol::operator::OpBody;
use protocol::policy::{OperatorKey, PolicySource, PolicySummary, Rules, Tier};
use protocol::session::Hello;
use protocol::{JobId, Message};
use serde_json::{Value, json};

use super::Signature;
use crate::gateway::scripted::{self, Enrolled, ScriptedAgent, enroll, listen};
use crate::jobs;
use crate::jobs::tests::support::{World, worlds};

fn keygen(dir: &Path, arguments: &[&str]) {
    let output = Command::new("ssh-keygen").args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A new key pair in `dir`; the public line.
fn new_key(dir: &Path, name: &str, kind: &str) -> String {
    keygen(dir, &["-q", "-t", kind, "-N", "", "-C", "ada@laptop", "-f", name]);
    fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap()
}

fn sign(dir: &Path, key: &str, namespace: &str, text: &str) -> String {
    fs::write(dir.join("text"), text).unwrap();
    let _ = fs::remove_file(dir.join("text.sig"));
    keygen(dir, &["-q", "-Y", "sign", "-n", namespace, "-f", key, "text"]);
    fs::read_to_string(dir.join("text.sig")).unwrap()
}

#[test]
fn what_ssh_keygen_signed_is_taken_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    new_key(dir, "ada", "ed25519");
    new_key(dir, "rsa", "rsa");
    let genuine = sign(dir, "ada", "roadstead-job", "the text");
    let signature = Signature::parse(&genuine).unwrap();
    assert_eq!(signature.verify("the text"), Ok(()));
    assert!(signature.verify("the text\n").is_err());
    assert!(signature.verify("another text").is_err());
    assert!(Signature::parse(&sign(dir, "ada", "file", "the text")).unwrap_err().contains("-n roadstead-job"));
    let rsa = Signature::parse(&sign(dir, "rsa", "roadstead-job", "the text")).unwrap();
    assert!(rsa.verify("the text").unwrap_err().contains("ed25519"));
    for damaged in ["", "x", "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----", &"A".repeat(10_000)] {
        assert!(Signature::parse(damaged).is_err(), "{damaged:.40}");
    }
    // Every damage to the armour is noticed somewhere.
    let body_starts = genuine.find("-----\n").unwrap() + 6;
    for at in (body_starts..genuine.len() - 40).step_by(7) {
        let mut bytes = genuine.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(bytes).unwrap();
        let taken = Signature::parse(&damaged).is_ok_and(|signature| {
            signature.fingerprint() == super::Signature::parse(&genuine).unwrap().fingerprint()
                && signature.verify("the text").is_ok()
        });
        assert!(!taken, "byte {at}");
    }
}

#[tokio::test]
async fn a_person_registers_keys_and_removes_them() {
    for world in worlds().await {
        let dir = tempfile::tempdir().unwrap();
        let line = new_key(dir.path(), "ada", "ed25519");
        let path = "/v1/account/operator-keys";
        let made = world.owner.post(path, json!({ "public_key": line })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        let key = made.json();
        assert_eq!((key["name"].as_str(), key["public_key"].as_str()), (Some("ada@laptop"), Some(line.trim())));
        let output = Command::new("ssh-keygen").args(["-l", "-f", "ada.pub"]).current_dir(dir.path()).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(key["fingerprint"].as_str().unwrap()));
        assert_eq!(world.owner.post(path, json!({ "public_key": line })).await.status, StatusCode::CONFLICT);
        let private = fs::read_to_string(dir.path().join("ada")).unwrap();
        let rsa = new_key(dir.path(), "rsa", "rsa");
        for (bad, problem) in [
            (private.as_str(), "private key"),
            (rsa.as_str(), "ed25519"),
            ("", "ssh-ed25519"),
            ("ssh-ed25519 AAAA", "OpenSSH"),
        ] {
            let answer = world.owner.post(path, json!({ "public_key": bad })).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(answer.text().contains(problem), "{}", answer.text());
        }
        assert_eq!(world.owner.get(path).await.json()["data"].as_array().unwrap().len(), 1);
        let own = format!("{path}/{}", key["id"].as_str().unwrap());
        assert_eq!(world.owner.delete(&own).await.status, StatusCode::NO_CONTENT);
        assert_eq!(world.owner.delete(&own).await.status, StatusCode::NOT_FOUND);
        assert_eq!(world.owner.get(path).await.json()["data"], json!([]));
    }
}

/// A server whose host reserves jobs as good as root for these keys, and its agent.
async fn reserved(world: &World, fingerprints: &[&str]) -> (Enrolled, ScriptedAgent) {
    let listed = |fingerprint: &&str| OperatorKey { fingerprint: (*fingerprint).to_owned(), comment: String::new() };
    let policy = PolicySummary {
        source: PolicySource::File,
        require_operator_signature: vec![Tier::Root],
        file: Some(Rules::default()),
        operators: fingerprints.iter().map(listed).collect(),
        ..PolicySummary::open()
    };
    let enrolled = enroll(&world.hub, world.server.workspace_id, "reserved").await;
    let address = listen(&world.hub).await;
    let agent =
        ScriptedAgent::connect_with(&world.hub, address, &enrolled, Hello { policy, ..scripted::hello() }).await;
    (enrolled, agent)
}

async fn create(world: &World, server: &Enrolled, command: &str) -> Value {
    let body = json!({ "server_id": server.server_id, "kind": "exec", "args": { "command": command } });
    world.owner.post("/v1/jobs", body).await.json()
}

#[tokio::test]
async fn a_reserved_job_waits_for_its_signature_and_goes_out_with_it() {
    for world in worlds().await {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let line = new_key(dir, "ada", "ed25519");
        let key = world.owner.post("/v1/account/operator-keys", json!({ "public_key": line })).await.json();
        let fingerprint = key["fingerprint"].as_str().unwrap();
        let unlisted = new_key(dir, "bob", "ed25519");
        world.owner.post("/v1/account/operator-keys", json!({ "public_key": unlisted })).await;
        new_key(dir, "eve", "ed25519");

        let (server, mut agent) = reserved(&world, &[fingerprint]).await;
        let job = create(&world, &server, "reboot").await;
        assert_eq!(job["state"], "awaiting_signature", "{job}");
        jobs::reconcile(&world.hub).await.unwrap();

        let id = job["id"].as_str().unwrap();
        let signing = world.owner.get(&format!("/v1/jobs/{id}/signing")).await.json();
        let op_body = signing["op_body"].as_str().unwrap();
        assert_eq!(signing["operators"][0]["fingerprint"], fingerprint);
        let body: OpBody = serde_json::from_str(op_body).unwrap();
        assert_eq!((body.job_id.to_string().as_str(), body.user.as_str()), (id, "root"));
        assert_eq!(body.args.get(), r#"{"command":"reboot"}"#);

        let path = format!("/v1/jobs/{id}/signatures");
        for (signature, problem) in [
            (sign(dir, "eve", "roadstead-job", op_body), "no member"),
            (sign(dir, "bob", "roadstead-job", op_body), "does not list"),
            (sign(dir, "ada", "roadstead-job", "reboot"), "does not fit"),
            (sign(dir, "ada", "file", op_body), "-n roadstead-job"),
            ("rubbish".to_owned(), "ssh-keygen"),
        ] {
            let answer = world.owner.post(&path, json!({ "signature": signature })).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
            assert!(answer.text().contains(problem), "{problem}: {}", answer.text());
        }
        assert_eq!(world.job(id.parse().unwrap()).await["state"], "awaiting_signature");

        let genuine = sign(dir, "ada", "roadstead-job", op_body);
        let answer = world.owner.post(&path, json!({ "signature": genuine })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        // The first order that this agent ever gets: nothing went out before.
        let cmd = agent
            .expect(|received| match &received.message {
                Message::Cmd(cmd) => Some(cmd.clone()),
                _ => None,
            })
            .await;
        assert_eq!(cmd.op_body.as_deref(), Some(op_body));
        assert_eq!(cmd.op_sigs, [genuine.trim()]);
        assert_eq!(world.owner.post(&path, json!({ "signature": genuine })).await.status, StatusCode::CONFLICT);
        let signing = world.owner.get(&format!("/v1/jobs/{id}/signing")).await.json();
        assert_eq!(signing["signatures"][0]["key_name"], "ada@laptop");
        let audit = world.owner.get("/v1/audit?action=job.sign").await.json();
        assert_eq!(audit["data"][0]["details"]["fingerprint"], fingerprint, "{audit}");
    }
}

#[tokio::test]
async fn an_unsigned_job_can_be_cancelled_and_expires() {
    for world in worlds().await {
        let (server, _agent) = reserved(&world, &[]).await;
        let cancelled = create(&world, &server, "true").await;
        let expired = create(&world, &server, "true").await;
        let id = |job: &Value| job["id"].as_str().unwrap().parse::<JobId>().unwrap();
        world.owner.post(&format!("/v1/jobs/{}/cancel", id(&cancelled)), json!({})).await;
        assert_eq!(world.state(id(&cancelled)).await, "cancelled");
        world.test.clock.advance(std::time::Duration::from_secs(86_401));
        jobs::reconcile(&world.hub).await.unwrap();
        assert_eq!(world.state(id(&expired)).await, "expired");
        let unreserved = world.owner.get(&format!("/v1/jobs/{}/signing", id(&expired))).await;
        assert_eq!(unreserved.status, StatusCode::OK);
    }
}
