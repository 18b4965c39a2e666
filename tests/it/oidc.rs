//! Signing in through a real identity provider: oidc-provider, as a process, with a browser that is reduced to what counts
//! here: it keeps cookies, goes where it is sent, and sends forms.
//!
//! `ROADSTEAD_TEST_OIDC_PROVIDER` names the provider's script (`cargo xtask test` installs what it needs).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};
use support::hub::{Hub, HubOptions, free_port};
use support::process::Process;
use support::wait;

const PATIENCE: Duration = Duration::from_secs(30);
/// More than any sign-in takes.
const MAX_STEPS: usize = 20;

#[expect(clippy::print_stdout, reason = "a test that steps aside says so in its output")]
fn script() -> Option<PathBuf> {
    let script = std::env::var_os("ROADSTEAD_TEST_OIDC_PROVIDER").map(PathBuf::from);
    if script.is_none() {
        println!("skipped: ROADSTEAD_TEST_OIDC_PROVIDER is not set (`cargo xtask test` sets it)");
    }
    script
}

/// A hub on loopback that trusts a provider, which runs.
async fn pair(script: &Path) -> (Hub, Process, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let data = dir.path().join("hub");
    std::fs::create_dir_all(&data).unwrap();
    let settings = format!(
        "[oidc.company]\nissuer = \"http://127.0.0.1:{port}\"\nclient_id = \"roadstead\"\n\
         client_secret = \"a secret: of 30% & more+ signs\"\nscopes = [\"openid\", \"email\", \"profile\", \"groups\"]\n\
         mappings = [{{ group = \"ops\", workspace = \"Tests\", role = \"operator\" }}]\n"
    );
    std::fs::write(data.join("roadstead.toml"), settings).unwrap();
    let hub = Hub::start_with(HubOptions { tls: false, data_dir: Some(data), ..HubOptions::default() }).await;
    let callback = format!("{}/v1/auth/oidc/company/callback", hub.public_url());
    let arguments = [script.display().to_string(), port.to_string(), callback];
    let provider = Process::start(Path::new("node"), &arguments, &[], &dir.path().join("provider.log"));
    wait::until("the provider listens", PATIENCE, async || {
        let log = provider.log();
        if log.contains("listening on") { Ok(()) } else { Err(log) }
    })
    .await;
    (hub, provider, dir)
}

/// A browser without a screen.
struct Browser {
    client: reqwest::Client,
    /// By port, path and name.
    cookies: HashMap<(u16, String, String), String>,
}

/// What it shows, and where.
struct Page {
    url: Url,
    status: u16,
    text: String,
}

impl Browser {
    fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        Self { client: client.build().unwrap(), cookies: HashMap::new() }
    }

    async fn send(&mut self, method: Method, url: Url, body: Option<(&str, String)>) -> (Page, Option<Url>) {
        let port = url.port().unwrap();
        let fits = |of: &u16, path: &str| *of == port && url.path().starts_with(path);
        let cookies = self.cookies.iter().filter(|((of, path, _), _)| fits(of, path));
        let cookies: Vec<_> = cookies.map(|((_, _, name), value)| format!("{name}={value}")).collect();
        let mut request = self.client.request(method, url.clone()).header("cookie", cookies.join("; "));
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        let response = request.send().await.unwrap();
        for line in response.headers().get_all("set-cookie") {
            self.keep(port, line.to_str().unwrap());
        }
        let next = response.headers().get("location").map(|location| url.join(location.to_str().unwrap()).unwrap());
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        // The hub's pages go on by themselves.
        let refresh = text.split_once("content=\"0; url=").and_then(|(_, rest)| rest.split_once('"'));
        let refresh = refresh.map(|(path, _)| url.join(&path.replace("&amp;", "&")).unwrap());
        (Page { url, status, text }, next.or(refresh))
    }

    fn keep(&mut self, port: u16, line: &str) {
        let (pair, rest) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap();
        let attribute = |wanted: &str| {
            let mut pairs = rest.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
        };
        let key = (port, attribute("path").unwrap_or_else(|| "/".to_owned()), name.to_owned());
        let is_over = value.is_empty() || attribute("max-age").is_some_and(|age| age == "0");
        if is_over {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    /// Goes to a page, and on from there as `name` until nothing more is asked.
    async fn visit(&mut self, url: &str, name: &str) -> Page {
        let mut url = Url::parse(url).unwrap();
        let (mut method, mut body) = (Method::GET, None);
        for _ in 0..MAX_STEPS {
            let is_end = url.fragment().is_some_and(|fragment| fragment.contains("error="));
            let (page, next) = self.send(method, url.clone(), body.take()).await;
            method = Method::GET;
            if let Some(next) = next.filter(|_| !is_end) {
                url = next;
            } else if let Some((action, fields)) = form(&page.text).filter(|_| !is_end) {
                let fill = |(key, value): (String, String)| match key.as_str() {
                    "login" => (key, name.to_owned()),
                    "password" => (key, "any".to_owned()),
                    _ => (key, value),
                };
                let mut sent = Url::parse("http://form/").unwrap();
                sent.query_pairs_mut().extend_pairs(fields.into_iter().map(fill));
                url = page.url.join(&action).unwrap();
                body = Some(("application/x-www-form-urlencoded", sent.query().unwrap_or_default().to_owned()));
                method = Method::POST;
            } else {
                return page;
            }
        }
        panic!("the sign-in goes on and on: {url}");
    }

    async fn json(&mut self, method: Method, url: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| ("application/json", body.to_string()));
        let (page, _) = self.send(method, Url::parse(url).unwrap(), body).await;
        (page.status, serde_json::from_str(&page.text).unwrap_or_default())
    }
}

/// The form of a page: where it goes, and its fields.
fn form(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.replace("&amp;", "&"))
    };
    let (_, form) = page.split_once("<form")?;
    let form = form.split_once("</form>").map_or(form, |(form, _)| form);
    let action = attribute(form.split_once('>')?.0, "action")?;
    let inputs = form.split("<input").skip(1).filter_map(|input| {
        let tag = input.split_once('>').map_or(input, |(tag, _)| tag);
        Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default()))
    });
    Some((action, inputs.collect()))
}

#[tokio::test]
async fn people_sign_in_through_a_real_provider_and_prove_there_again_who_they_are() {
    let Some(script) = script() else { return };
    let (hub, provider, _dir) = pair(&script).await;
    let at = |path: &str| format!("{}{path}", hub.public_url());
    let start = at("/v1/auth/oidc/company/start?return_to=/v1/auth/session");

    // In a group that gives something.
    let mut browser = Browser::new();
    let page = browser.visit(&start, "ops-ann").await;
    assert_eq!((page.url.path(), page.status), ("/v1/auth/session", 200), "{} {}", page.text, provider.log_tail());
    let session: Value = serde_json::from_str(&page.text).unwrap();
    assert_eq!(session["user"]["email"], "ops-ann@example.net");
    assert!(session["permissions"].as_array().unwrap().contains(&json!("servers.exec")), "{session}");
    let (_, identities) = browser.json(Method::GET, &at("/v1/account/identities"), None).await;
    assert_eq!(identities["data"][0]["subject_hint"], "ops-ann@example.net");

    // Whose session it is: the provider asks again, though she is signed in there.
    let (_, before) = browser.json(Method::GET, &at("/v1/auth/session"), None).await;
    let step_up = at("/v1/auth/oidc/company/start?step_up=true&return_to=/v1/auth/session");
    let page = browser.visit(&step_up, "ops-ann").await;
    assert_eq!((page.url.fragment(), page.status), (None, 200), "{}", page.text);
    let after: Value = serde_json::from_str(&page.text).unwrap();
    assert!(after["verified_until"].as_str() > before["verified_until"].as_str(), "{before} {after}");
    let page = browser.visit(&step_up, "ops-bob").await;
    assert_eq!(page.url.fragment(), Some("error=oidc_unknown_account"), "somebody else proves nothing");

    // In none.
    let mut browser = Browser::new();
    let page = browser.visit(&start, "carl").await;
    let said = page.url.fragment().unwrap_or_default();
    assert!(page.url.path() == "/sign-in" && said.starts_with("error=oidc_unknown_account"), "{}", page.url);
    let (status, _) = browser.json(Method::GET, &at("/v1/auth/session"), None).await;
    assert_eq!(status, 401);
    provider.kill_9().await;
}

#[tokio::test]
async fn an_owner_links_a_real_provider() {
    let Some(script) = script() else { return };
    let (hub, provider, _dir) = pair(&script).await;
    let at = |path: &str| format!("{}{path}", hub.public_url());
    let mut browser = Browser::new();
    let form = json!({ "email": support::hub::OWNER_EMAIL, "password": hub.password() });
    let (status, _) = browser.json(Method::POST, &at("/v1/auth/login"), Some(form)).await;
    assert_eq!(status, 200);
    let link = at("/v1/account/identities/company/link");
    let (status, begun) = browser.json(Method::POST, &link, Some(json!({}))).await;
    assert_eq!(status, 200, "{begun}");
    let page = browser.visit(begun["location"].as_str().unwrap(), "olga").await;
    assert_eq!((page.url.path(), page.url.fragment()), ("/account", None), "{}", provider.log_tail());

    let mut other = Browser::new();
    let page = other.visit(&at("/v1/auth/oidc/company/start?return_to=/v1/auth/session"), "olga").await;
    let session: Value = serde_json::from_str(&page.text).unwrap();
    assert_eq!(session["user"]["email"], support::hub::OWNER_EMAIL);
    provider.kill_9().await;
}
