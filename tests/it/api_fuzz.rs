//! Requests made up from the hub's own description of its API: whatever comes, no answer is a failure of the hub, and every
//! answer is one that the description knows.
//!
//! `ROADSTEAD_TEST_SCHEMATHESIS` names the program (`cargo xtask test` installs it). There is no agent: what a made-up job
//! would do must not happen.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use support::api::Api;
use support::hub::{Hub, HubOptions};
use support::{process, secrets};

/// Made-up requests for each operation.
const EXAMPLES: &str = "15";
const PATIENCE: Duration = Duration::from_secs(240);
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method";
/// Streams and sockets, which have no end; what ends the session, after which nothing is allowed.
const LEFT_OUT: [&str; 5] =
    ["/v1/agent", "/v1/events", "/v1/jobs/{id}/log", "/v1/auth/logout", "/v1/account/sessions/{id}"];
/// Of other paths only this: what ends the key, and how an owner leaves once another was made.
const METHODS_LEFT_OUT: [&str; 2] = ["DELETE /v1/api-keys/current", "DELETE /v1/team/members/{id}"];

#[expect(clippy::print_stdout, reason = "a test that steps aside says so in its output")]
fn program() -> Option<PathBuf> {
    let program = std::env::var_os("ROADSTEAD_TEST_SCHEMATHESIS").map(PathBuf::from);
    if program.is_none() {
        println!("skipped: ROADSTEAD_TEST_SCHEMATHESIS is not set (`cargo xtask test` sets it)");
    }
    program
}

/// What paths name, so that requests get past "no such thing": the path before the id, and an id.
async fn furnish(owner: &Api, hub: &Hub) -> Vec<(&'static str, String)> {
    let id = |answer: &Value, field: &str| answer[field].as_str().expect("an id").to_owned();
    let everywhere = json!({ "type": "workspace" });
    let project = owner.post("/v1/projects", &json!({ "name": "Shop" })).await.unwrap().expect(201);
    let token = owner.post("/v1/servers/install-tokens", &json!({})).await.unwrap().expect(201);
    let registration = json!({
        "token": token["token"], "nonce": "00".repeat(32), "hostname": "host", "os": "linux", "arch": "x86_64",
        "machine_id_hash": "11".repeat(32), "agent_version": "0.1.0",
    });
    let server = hub.api().post("/v1/agent/register", &registration).await.unwrap().expect(201);
    let server = id(&server, "server_id");
    let exec = json!({ "command": "true" });
    let job = json!({ "server_id": server, "kind": "exec", "args": exec });
    let job = owner.post("/v1/jobs", &job).await.unwrap().expect(201);
    let batch = json!({ "selector": { "server_ids": [server] }, "kind": "exec", "args": exec });
    let batch = owner.post("/v1/job-batches", &batch).await.unwrap().expect(201);
    let role = json!({ "name": "Reader", "permissions": ["servers.read"] });
    let role = owner.post("/v1/team/roles", &role).await.unwrap().expect(201);
    let invite = json!({ "email": "ann@example.org", "granted": { "role": "viewer" }, "scope": everywhere });
    let invite = owner.post("/v1/team/invites", &invite).await.unwrap().expect(201);
    let accept = json!({ "token": invite["token"], "name": "Ann", "password": secrets::new_password() });
    let member = hub.api().post("/v1/invites/accept", &accept).await.unwrap().expect(200);
    let key = json!({ "name": "other", "permissions": ["servers.read"], "scope": everywhere });
    let key = owner.post("/v1/api-keys", &key).await.unwrap().expect(201);
    let webhook = json!({ "name": "Chat", "url": "https://hooks.invalid/", "events": ["nothing.happens"] });
    let webhook = owner.post("/v1/outgoing-webhooks", &webhook).await.unwrap().expect(201);
    let test = format!("/v1/outgoing-webhooks/{}/test", id(&webhook, "id"));
    let delivery = owner.post(&test, &json!({})).await.unwrap().expect(202);
    vec![
        ("/v1/outgoing-webhooks/", id(&webhook, "id")),
        ("/v1/deliveries/", id(&delivery, "id")),
        ("/v1/projects/", id(&project, "id")),
        ("/v1/servers/install-tokens/", id(&token, "id")),
        ("/v1/servers/", server),
        ("/v1/jobs/", id(&job, "id")),
        ("/v1/job-batches/", id(&batch, "id")),
        ("/v1/team/roles/", id(&role, "id")),
        ("/v1/team/members/", id(&member["user"], "id")),
        ("/v1/api-keys/", id(&key, "id")),
    ]
}

/// Names the things above to every operation that leaves them there.
fn configuration(document: &Value, things: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let thing = things.iter().find(|(prefix, _)| path.starts_with(&format!("{prefix}{{id}}")));
        let Some((_, id)) = thing else { continue };
        let methods = item.as_object().unwrap().keys().filter(|method| *method != "delete");
        for method in methods {
            let name = format!("{} {path}", method.to_uppercase());
            write!(text, "[[operations]]\ninclude-name = \"{name}\"\nparameters = {{ id = \"{id}\" }}\n\n").unwrap();
        }
    }
    text
}

async fn fuzz(program: &Path, hub: &Hub, header: &str, configuration: &Path) -> (bool, String) {
    let document = format!("{}/v1/openapi.json", hub.url());
    // It keeps what it found beside where it runs.
    let place = configuration.parent().expect("a directory");
    let mut args = vec!["-C".to_owned(), place.display().to_string(), program.display().to_string()];
    args.extend(["--config-file".to_owned(), configuration.display().to_string(), "run".to_owned(), document]);
    args.extend(
        ["--header", header, "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES].map(str::to_owned),
    );
    args.extend(["--checks", CHECKS, "--seed", "1", "--continue-on-failure"].map(str::to_owned));
    args.extend(["--no-shrink", "--warnings", "off", "--request-timeout", "30"].map(str::to_owned));
    for path in LEFT_OUT {
        args.extend(["--exclude-path".to_owned(), path.to_owned()]);
    }
    for name in METHODS_LEFT_OUT {
        args.extend(["--exclude-name".to_owned(), name.to_owned()]);
    }
    let (status, output) = process::run_for(Path::new("/usr/bin/env"), &args, "", PATIENCE).await;
    (status.success(), output)
}

/// Judges every example by its schema, with the interpreter and the validator that the fuzzer itself uses.
const JUDGE: &str = r"
import json, sys, jsonschema_rs
document = json.load(open(sys.argv[1]))
judged = wrong = 0
def contents(operation):
    yield operation.get('requestBody', {}).get('content', {})
    for response in operation['responses'].values():
        yield response.get('content', {})
for path, item in document['paths'].items():
    for method, operation in item.items():
        for kinds in contents(operation):
            content = kinds.get('application/json', {})
            if 'example' not in content:
                continue
            judged += 1
            schema = {**content['schema'], 'components': document['components']}
            for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(content['example']):
                wrong += 1
                print(method, path, '/'.join(map(str, error.instance_path)), error.message)
print(judged, 'examples')
sys.exit(1 if wrong or judged < 80 else 0)
";

#[tokio::test]
async fn every_example_in_the_description_fits_its_schema() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (status, document) = process::run(&support::hub::binary(), &["openapi"], "").await;
    assert!(status.success(), "{document}");
    let [judge, file] = ["judge.py", "openapi.json"].map(|name| dir.path().join(name));
    std::fs::write(&judge, JUDGE).unwrap();
    std::fs::write(&file, document).unwrap();
    let (status, output) = process::run(&program.with_file_name("python"), &[judge, file], "").await;
    assert!(status.success(), "{output}");
}

#[tokio::test]
async fn made_up_requests_get_answers_that_the_description_knows() {
    let Some(program) = program() else { return };
    let hub = Hub::start_with(HubOptions { tls: false, ..HubOptions::without_rate_limit() }).await;
    let owner = hub.owner().await;
    let document = owner.get("/v1/openapi.json").await.unwrap().expect(200);
    let things = furnish(&owner, &hub).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("schemathesis.toml");
    std::fs::write(&path, configuration(&document, &things)).unwrap();

    let session = owner.get("/v1/auth/session").await.unwrap().expect(200);
    let scope = json!({ "type": "workspace" });
    let form = json!({ "name": "fuzz", "permissions": session["permissions"], "scope": scope });
    let key = owner.post("/v1/api-keys", &form).await.unwrap().expect(201);
    let key = format!("Authorization: Bearer {}", key["token"].as_str().unwrap());
    let cookie = format!("Cookie: {}", owner.cookie().unwrap());
    for header in [key, cookie] {
        let (good, output) = fuzz(&program, &hub, &header, &path).await;
        assert!(good, "{output}");
        // What cannot be seen from an answer: the hub is whole.
        let ready = hub.api().get("/readyz").await.unwrap();
        assert_eq!(ready.status, 200, "{}", ready.text);
    }
    let verified = owner.get("/v1/audit/verify").await.unwrap().expect(200);
    assert_eq!(verified["ok"], true, "{verified}");
}
