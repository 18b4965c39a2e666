//! The command-line client: `roadstead login`, `logout` and `api`, as scripts and people use them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use support::hub::{self, Hub, HubOptions, OWNER_EMAIL};
use support::process;
use tempfile::TempDir;

/// Somebody's machine: a home of its own.
struct Machine {
    home: TempDir,
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn done(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.out
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.done()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It failed and said why.
    fn refused(&self, why: &str) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.err.contains(why), "{why:?} is missing: {self:?}");
    }
}

impl Machine {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn settings(&self) -> PathBuf {
        self.home.path().join(".config/roadstead/hubs.json")
    }

    async fn run(&self, arguments: &[&str], stdin: &str) -> Ran {
        self.run_as(arguments, stdin, &[]).await
    }

    async fn run_as(&self, arguments: &[&str], stdin: &str, env: &[(&str, &str)]) -> Ran {
        let home = self.home.path().to_str().unwrap();
        let env = [&[("HOME", home), ("XDG_CONFIG_HOME", "")], env].concat();
        let output = process::run_with(&hub::binary(), arguments, &env, stdin, Duration::from_secs(60)).await;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Signs in as the owner; the first attempt says which key the hub has.
    async fn login(&self, hub: &Hub) {
        let url = hub.url();
        let login = ["login", &url, "--email", OWNER_EMAIL, "--password-stdin"];
        let untrusted = self.run(&login, hub.password()).await;
        untrusted.refused("no public authority vouches for the hub's certificate");
        assert!(!self.settings().exists(), "nothing is kept of an attempt");
        let pin = untrusted.err.split_whitespace().last().unwrap();
        let signed_in = self.run(&[&login[..], &["--pinned-key", pin]].concat(), hub.password()).await;
        assert!(signed_in.done().contains("Signed in to"), "{signed_in:?}");
    }

    async fn api(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["api"], arguments].concat(), "").await
    }
}

#[tokio::test]
async fn somebody_signs_in_asks_and_signs_out() {
    let hub = Hub::start().await;
    let machine = Machine::new();
    machine.api(&["GET", "/v1/servers"]).await.refused("you are not signed in to any hub");
    machine.login(&hub).await;
    let mode = fs::metadata(machine.settings()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");

    // Requests of every kind.
    let made = machine.api(&["POST", "/v1/projects", "-f", "name=First"]).await.json();
    let project = format!("/v1/projects/{}", made["id"].as_str().unwrap());
    let changes = machine.home.path().join("changes.json");
    fs::write(&changes, r#"{"name":"Renamed"}"#).unwrap();
    let patched = machine.api(&["PATCH", &project, "--input", changes.to_str().unwrap()]).await.json();
    assert_eq!(patched["name"], "Renamed");
    let piped = machine.run(&["api", "patch", &project, "--input", "-"], r#"{"name":"Piped"}"#).await.json();
    assert_eq!(piped["name"], "Piped");
    let included = machine.api(&["GET", &project, "--include"]).await;
    assert!(included.done().starts_with("HTTP 200"), "{included:?}");
    assert!(included.out.contains("content-type: application/json"), "{included:?}");

    // A list in small pages comes as one.
    for number in 0..4 {
        machine.api(&["POST", "/v1/projects", "-f", &format!("name=P{number}")]).await.done();
    }
    let page = machine.api(&["GET", "/v1/projects", "-j", "limit=2"]).await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    let whole = machine.api(&["GET", "/v1/projects?limit=2", "--paginate"]).await.json();
    assert_eq!((whole["data"].as_array().unwrap().len(), &whole["next_cursor"]), (5, &Value::Null));

    // What the hub refuses is printed in its own words, and the exit code tells scripts.
    let missing = machine.api(&["GET", "/v1/projects/018f0000-0000-7000-8000-000000000000"]).await;
    missing.refused("the hub said no");
    let error: Value = serde_json::from_str(&missing.out).unwrap();
    assert_eq!(error["error"]["code"], "not_found");
    assert_eq!(machine.api(&["FETCH", "/v1/servers"]).await.code, Some(2));
    for elsewhere in ["//evil.example/", "https://evil.example/", "v1/servers"] {
        machine.api(&["GET", elsewhere]).await.refused("no path");
    }

    // The key is this machine's: it dies when it signs in again, and when it signs out.
    let owner = hub.owner().await;
    let keys = async || owner.get("/v1/api-keys").await.unwrap().expect(200)["data"].as_array().unwrap().clone();
    let [first] = <[Value; 1]>::try_from(keys().await).unwrap();
    assert!(first["name"].as_str().unwrap().starts_with("roadstead login on "), "{first}");
    assert!(!first["expires_at"].is_null(), "{first}");
    let again = ["login", &hub.url(), "--email", OWNER_EMAIL, "--password-stdin"];
    machine.run(&again, hub.password()).await.done();
    let [second] = <[Value; 1]>::try_from(keys().await).unwrap();
    assert_ne!(first["id"], second["id"]);
    machine.run(&["logout"], "").await.done();
    assert_eq!(keys().await, Vec::<Value>::new());
    machine.api(&["GET", "/v1/servers"]).await.refused("you are not signed in to any hub");
}

#[tokio::test]
async fn a_wrong_password_key_or_certificate_signs_nobody_in() {
    let hub = Hub::start().await;
    let machine = Machine::new();
    machine.login(&hub).await;
    let kept = fs::read_to_string(machine.settings()).unwrap();
    let url = hub.url();
    let login = ["login", &url, "--email", OWNER_EMAIL, "--password-stdin"];
    machine.run(&login, "not the password\n").await.refused("the hub said no (401 Unauthorized)");
    machine.run(&login, "").await.refused("standard input is empty");
    machine.run(&["login", &url, "--with-key"], "rsk_nothing\n").await.refused("the hub does not know this key");
    let other = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let pinned = [&login[..], &["--pinned-key", other]].concat();
    machine.run(&pinned, hub.password()).await.refused("the hub's key is not the pinned one");
    machine.run(&["login", "http://127.0.0.1:9"], "").await.refused("cannot be reached");
    assert_eq!(fs::read_to_string(machine.settings()).unwrap(), kept, "what was kept stays as it was");

    // Somebody between them: the same address with another key gets nothing, and no request.
    let pin = kept.split("sha256//").nth(1).unwrap().split('"').next().unwrap();
    fs::write(machine.settings(), kept.replace(pin, other.trim_start_matches("sha256//"))).unwrap();
    machine.api(&["GET", "/v1/servers"]).await.refused("somebody is between you and it");

    // Settings that others could read are not used: there is a key in them.
    fs::write(machine.settings(), kept).unwrap();
    fs::set_permissions(machine.settings(), fs::Permissions::from_mode(0o644)).unwrap();
    machine.api(&["GET", "/v1/servers"]).await.refused("hubs.json");
}

#[tokio::test]
async fn a_key_from_a_script_needs_no_sign_in() {
    let hub = Hub::start_with(HubOptions { tls: false, ..HubOptions::default() }).await;
    let owner = hub.owner().await;
    let new = json!({ "name": "script", "permissions": ["servers.read"], "scope": { "type": "workspace" } });
    let made = owner.post("/v1/api-keys", &new).await.unwrap().expect(201);
    let token = made["token"].as_str().unwrap();
    let machine = Machine::new();
    let url = hub.url();
    let env = [("ROADSTEAD_URL", url.as_str()), ("ROADSTEAD_API_KEY", token)];
    let listed = machine.run_as(&["api", "GET", "/v1/servers"], "", &env).await.json();
    assert_eq!(listed["data"], json!([]));
    let refused = machine.run_as(&["api", "POST", "/v1/projects", "-f", "name=No"], "", &env).await;
    refused.refused("the hub said no");
    machine.run_as(&["api", "GET", "/v1/servers"], "", &env[1..]).await.refused("ROADSTEAD_URL");

    let signed_in = machine.run(&["login", &url, "--with-key"], &format!("{token}\n")).await;
    assert!(!signed_in.done().contains(token) && !signed_in.err.contains(token), "{signed_in:?}");
    machine.api(&["GET", "/v1/servers"]).await.json();
    // A key that somebody brought stays theirs.
    machine.run(&["logout", &url], "").await.done();
    let keys = owner.get("/v1/api-keys").await.unwrap().expect(200);
    assert_eq!(keys["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_viewer_leaves_no_key_behind() {
    let hub = Hub::start_with(HubOptions { tls: false, ..HubOptions::default() }).await;
    let owner = hub.owner().await;
    let password = "a password of the viewer's";
    let form = json!({ "email": "ann@example.org", "granted": { "role": "viewer" }, "scope": { "type": "workspace" } });
    let invite = owner.post("/v1/team/invites", &form).await.unwrap().expect(201);
    let form = json!({ "token": invite["token"], "password": password, "name": "Ann" });
    hub.api().post("/v1/invites/accept", &form).await.unwrap().expect(200);

    let machine = Machine::new();
    let url = hub.url();
    let login = ["login", &url, "--email", "ann@example.org", "--password-stdin"];
    let key_of = || {
        let kept: Value = serde_json::from_str(&fs::read_to_string(machine.settings()).unwrap()).unwrap();
        kept["hubs"][&url]["api_key"].as_str().unwrap().to_owned()
    };
    machine.run(&login, password).await.done();
    let first = key_of();
    machine.run(&login, password).await.done();
    let second = key_of();
    let signed_out = machine.run(&["logout"], "").await;
    assert!(signed_out.done().contains("Signed out") && signed_out.err.is_empty(), "{signed_out:?}");
    for key in [first, second] {
        let machine = Machine::new();
        machine.run(&["login", &url, "--with-key"], &key).await.refused("the hub does not know this key");
    }
}

#[tokio::test]
async fn a_password_goes_through_no_proxy_that_could_read_it() {
    let hub = Hub::start_with(HubOptions { tls: false, ..HubOptions::default() }).await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let machine = Machine::new();
    let url = hub.url();
    let env = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, address.as_str()));
    let arguments = ["login", &url, "--email", OWNER_EMAIL, "--password-stdin"];
    let login = machine.run_as(&arguments, hub.password(), &env);
    tokio::select! {
        ran = login => drop(ran.done()),
        came = proxy.accept() => panic!("the proxy was asked: {came:?}"),
    }
}
