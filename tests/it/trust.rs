//! Whom a host obeys, end to end: operators' signatures, its own file, the hub's restrictions, and its credential.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use support::agent::Agent;
use support::api::{Answer, Api};
use support::gate::Gate;
use support::hub::Hub;
use support::{process, wait};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

/// A person's keys, made and used by the real ssh-keygen.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A new key pair; the public line.
    async fn make(&self, name: &str) -> String {
        let comment = format!("{name}@laptop");
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f", &self.path(name)]).await;
        std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    /// Signs a text as the documentation says.
    async fn sign(&self, name: &str, text: &Value) -> String {
        let (file, signature) = (self.path("text"), self.path("text.sig"));
        std::fs::write(&file, text.as_str().unwrap()).unwrap();
        let _absent = std::fs::remove_file(&signature);
        keygen(&["-q", "-Y", "sign", "-n", "roadstead-job", "-f", &self.path(name), &file]).await;
        std::fs::read_to_string(signature).unwrap()
    }
}

async fn keygen(arguments: &[&str]) {
    let (status, output) = process::run(Path::new("ssh-keygen"), arguments, "").await;
    assert!(status.success(), "ssh-keygen {arguments:?}: {output}");
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

/// An agent whose host has this policy file.
async fn agent_with_policy(hub: &Hub, owner: &Api, policy: &str) -> Agent {
    let mut agent = Agent::registered(hub, owner).await;
    agent.write_policy(policy);
    agent.start();
    owner.server_is(agent.server_id(), "online", SOON).await;
    agent
}

async fn end_of(owner: &Api, agent: &Agent, command: &str) -> Value {
    owner.job_end(id(&owner.exec(agent.server_id(), command).await), SOON).await
}

async fn is_denied(owner: &Api, agent: &Agent, command: &str, says: &str) {
    let end = end_of(owner, agent, command).await;
    assert_eq!((&end["state"], &end["error"]["code"]), (&"rejected".into(), &"policy_denied".into()), "{end:#}");
    assert!(end["error"]["message"].as_str().unwrap().contains(says), "{end:#}");
}

async fn server_shows(owner: &Api, agent: &Agent, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, SOON, async || {
        let server = owner.get(&format!("/v1/servers/{}", agent.server_id())).await.unwrap().expect(200);
        if wanted(&server) { Ok(server) } else { Err(server) }
    })
    .await
}

#[tokio::test]
async fn what_a_host_reserves_runs_with_an_operators_signature_and_not_without() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let keys = Keys::new();
    let (ada, eve) = (keys.make("ada").await, keys.make("eve").await);
    for key in [&ada, &eve] {
        owner.post("/v1/account/operator-keys", &json!({ "public_key": key })).await.unwrap().expect(201);
    }
    let policy = format!("require_operator_signature = [\"root\"]\noperators = [\"{ada}\"]\n");
    let agent = agent_with_policy(&hub, &owner, &policy).await;

    let dir = tempfile::tempdir().unwrap();
    let command = |name: &str| format!("echo ran >>{}", dir.path().join(name).display());
    let unsigned = owner.exec(agent.server_id(), &command("unsigned")).await;
    let job = owner.exec(agent.server_id(), &format!("{}; echo signed", command("signed"))).await;
    assert_eq!((&unsigned["state"], &job["state"]), (&"awaiting_signature".into(), &"awaiting_signature".into()));
    let signing =
        async |job: &Value| -> Value { owner.get(&format!("/v1/jobs/{}/signing", id(job))).await.unwrap().expect(200) };
    let wanted = signing(&job).await;
    assert_eq!(
        (&wanted["namespace"], &wanted["operators"][0]["comment"]),
        (&"roadstead-job".into(), &"ada@laptop".into())
    );
    assert!(wanted["op_body"].as_str().unwrap().contains("echo signed"), "{wanted:#}");

    let give = async |signature: &str| -> Answer {
        let body = json!({ "signature": signature });
        owner.post(&format!("/v1/jobs/{}/signatures", id(&job)), &body).await.unwrap()
    };
    let others = signing(&unsigned).await["op_body"].clone();
    for (signature, says) in [
        (keys.sign("eve", &wanted["op_body"]).await, "policy of the server does not list"),
        (keys.sign("ada", &others).await, "signature"),
    ] {
        let refused = give(&signature).await;
        assert!(refused.status == 422 && refused.text.contains(says), "{}", refused.text);
    }
    assert_eq!(owner.job(id(&job)).await["state"], "awaiting_signature");

    give(&keys.sign("ada", &wanted["op_body"]).await).await.expect(200);
    let end = owner.job_end(id(&job), SOON).await;
    assert_eq!(end["state"], "succeeded", "{end:#}");
    assert_eq!(owner.log_text(id(&job)).await, "signed\n");
    assert_eq!(std::fs::read_to_string(dir.path().join("signed")).unwrap(), "ran\n");
    // The one that was ordered before it still waits, and never runs.
    assert_eq!(owner.job(id(&unsigned)).await["state"], "awaiting_signature");
    owner.post(&format!("/v1/jobs/{}/cancel", id(&unsigned)), &json!({})).await.unwrap().expect(202);
    assert_eq!(owner.job_end(id(&unsigned), SOON).await["state"], "cancelled");
    assert!(!dir.path().join("unsigned").exists());
}

#[tokio::test]
async fn a_host_asks_for_the_signature_itself_whatever_the_hub_believes() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    let ada = Keys::new().make("ada").await;
    // The hub has been told of no policy and asks nobody for a signature.
    agent.write_policy(&format!("require_operator_signature = [\"root\"]\noperators = [\"{ada}\"]\n"));
    let dir = tempfile::tempdir().unwrap();
    let end = end_of(&owner, &agent, &format!("touch {}", dir.path().join("ran").display())).await;
    let (state, code) = (&end["state"], &end["error"]["code"]);
    assert_eq!((state, code), (&"rejected".into(), &"operator_signature".into()), "{end:#}");
    assert!(!dir.path().join("ran").exists());
}

#[tokio::test]
async fn the_hub_can_lift_its_own_restrictions_and_not_the_hosts() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = agent_with_policy(&hub, &owner, "users = [\"root\"]\n").await;
    let path = format!("/v1/servers/{}/restrictions", agent.server_id());
    let is_in_force = |server: &Value| server["restrictions"]["in_force"] == true;

    owner.put(&path, &json!({ "tiers": ["read"] })).await.unwrap().expect(200);
    let server = server_shows(&owner, &agent, "the restrictions to be in force", is_in_force).await;
    assert_eq!(server["policy"]["hub"], json!({ "tiers": ["read"] }), "{server:#}");
    is_denied(&owner, &agent, "id", "a restriction that the hub has set").await;
    // Written down by the host: a relay that was killed has not forgotten it.
    agent.kill_9().await;
    agent.start();
    is_denied(&owner, &agent, "id", "a restriction that the hub has set").await;

    owner.put(&path, &json!({})).await.unwrap().expect(200);
    server_shows(&owner, &agent, "the lifting to be in force", is_in_force).await;
    assert_eq!(end_of(&owner, &agent, "id").await["state"], "succeeded");
    let body = json!({
        "server_id": agent.server_id(), "kind": "exec", "args": { "command": "id", "user": "nobody" },
    });
    let job = owner.post("/v1/jobs", &body).await.unwrap().expect(201);
    let end = owner.job_end(id(&job), SOON).await;
    assert_eq!((&end["state"], &end["error"]["code"]), (&"rejected".into(), &"policy_denied".into()), "{end:#}");
    assert!(end["error"]["message"].as_str().unwrap().contains("the policy file of this server"), "{end:#}");
}

/// What the hub answers to somebody with this credential.
async fn knock(hub: &Hub, token: &str) -> u16 {
    let api = hub.api();
    let request = api
        .request(Method::GET, "/v1/agent")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "roadstead.v1");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_is_replaced_under_a_running_job() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let mut agent = Agent::online(&hub, &owner).await;
    let dir = tempfile::tempdir().unwrap();
    let mut gate = Gate::new(&dir.path().join("gate"));
    let job = owner.exec(agent.server_id(), &format!("echo before; {}; echo after", gate.wait())).await;
    owner.job_in(id(&job), &["running"], SOON).await;

    let old = agent.token();
    let path = format!("/v1/servers/{}/rotate-token", agent.server_id());
    let answer = owner.post(&path, &json!({})).await.unwrap().expect(202);
    assert!(answer["token"]["rotation"].is_object() || agent.token() != old, "{answer:#}");
    server_shows(&owner, &agent, "the new token to be in use", |server| server["token"]["rotation"].is_null()).await;
    let new = agent.token();
    assert_ne!(new, old);
    assert_eq!(knock(&hub, &old).await, 401, "the old one is dead");

    agent.kill_9().await;
    agent.start();
    owner.server_is(agent.server_id(), "online", SOON).await;
    gate.open();
    assert_eq!(owner.job_end(id(&job), SOON).await["state"], "succeeded");
    assert_eq!(owner.log_text(id(&job)).await, "before\nafter\n");
    assert_eq!(end_of(&owner, &agent, "true").await["state"], "succeeded");
    assert_eq!(agent.token(), new);
}

#[tokio::test]
async fn revocation_ends_the_live_connection() {
    let hub = Hub::start().await;
    let owner = hub.owner().await;
    let agent = Agent::online(&hub, &owner).await;
    assert_eq!(agent.status()["state"], "connected");
    owner.post(&format!("/v1/servers/{}/revoke", agent.server_id()), &json!({})).await.unwrap().expect(200);
    let status = wait::until("the agent to know", SOON, async || {
        let status = agent.status();
        if status["state"] == "revoked" { Ok(status) } else { Err(status) }
    })
    .await;
    assert!(status["problem"].as_str().unwrap().contains("revoked"), "{status:#}");
    let server = server_shows(&owner, &agent, "the server to be away", |server| server["status"] != "online").await;
    assert_eq!(knock(&hub, &agent.token()).await, 401, "{server:#}");
    let body = json!({ "server_id": agent.server_id(), "kind": "exec", "args": { "command": "true" } });
    let refused = owner.post("/v1/jobs", &body).await.unwrap();
    assert!(refused.status == 409 && refused.text.contains("revoked"), "{}", refused.text);
}

#[tokio::test]
async fn the_hubs_key_is_rotated_and_agents_follow_even_those_that_slept() {
    let mut hub = Hub::start().await;
    let owner = hub.owner().await;
    let awake = Agent::online(&hub, &owner).await;
    let mut sleeper = Agent::online(&hub, &owner).await;
    sleeper.stop().await;

    let pinned = |agent: &Agent| {
        let text = std::fs::read_to_string(agent.state_dir().join("trust/hub.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["hub_key"].clone()
    };
    let before = pinned(&awake);
    let data_dir = hub.data_dir().display().to_string();
    let rotate = ["admin", "rotate-key", "--data-dir", &data_dir];
    let (refused, output) = process::run(&support::hub::binary(), &rotate, "").await;
    assert!(
        !refused.success() && output.contains("stop the hub first"),
        "a running hub would go on with the old key: {output}"
    );
    for _ in 0..2 {
        hub.stop().await;
        let (status, output) = process::run(&support::hub::binary(), &rotate, "").await;
        assert!(status.success(), "{output}");
        hub.start_again().await;
        owner.server_is(awake.server_id(), "online", SOON).await;
        assert_eq!(end_of(&owner, &awake, "true").await["state"], "succeeded");
    }
    assert_ne!(pinned(&awake), before, "it trusts the new key");

    assert_eq!(pinned(&sleeper), before);
    sleeper.start();
    owner.server_is(sleeper.server_id(), "online", SOON).await;
    assert_eq!(end_of(&owner, &sleeper, "true").await["state"], "succeeded", "two steps at once");
    assert_eq!(pinned(&sleeper), pinned(&awake));
}
