//! A whole hub in memory, and somebody who talks to it: for tests of this and other crates.
//!
//! Requests go through the real router. Time stands still until the test moves it, ids and tokens repeat with the
//! seed, and no background task runs unless the test runs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::access::Actor;
use crate::auth::{NewOwner, prepare_setup};
use crate::clock::{ManualClock, Timestamp};
use crate::config::{Config, Log, LogFormat, PublicUrl, Retention, Tls};
use crate::db::Engine;
use crate::db::testing::{Backup, TestDb, both, sqlite};
use crate::http;
use crate::hub::App;
use crate::keys::Keys;
use crate::outbound::testing::Names;
use crate::outbound::{Lookup, Outbound};
use crate::random::{Random, SeededRandom};
use crate::sealing::Sealing;
use crate::start::{Parts, assemble};

/// Where the test hub believes to be reached.
pub const PUBLIC_URL: &str = "http://127.0.0.1:8080";
/// The owner that [`TestHub::owner`] makes.
pub const OWNER_EMAIL: &str = "owner@example.com";
/// The owner's password.
pub const OWNER_PASSWORD: &str = "correct horse battery";
/// When every test begins: 2026-01-01 00:00 UTC.
pub const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// A hub on an empty database. Its parts are public, so that tests reach what the API does not show.
#[derive(Debug)]
pub struct TestHub {
    /// The hub.
    pub hub: App,
    /// Its time of day.
    pub clock: Arc<ManualClock>,
    /// Where names lead to, for its way out.
    pub names: Arc<Names>,
    database: TestDb,
    data_dir: tempfile::TempDir,
}

#[expect(clippy::expect_used, reason = "a test without its hub has nothing to test")]
fn sealing(seed: u8) -> Sealing {
    Sealing::new(&[seed; 32]).expect("32 bytes")
}

impl TestHub {
    /// On SQLite.
    pub async fn sqlite() -> Self {
        Self::on(sqlite().await, |_| {})
    }

    /// On SQLite, with other settings.
    pub async fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(sqlite().await, change)
    }

    /// One hub per engine that is here: SQLite, and PostgreSQL where `ROADSTEAD_TEST_POSTGRES` names a server.
    pub async fn each_engine() -> Vec<Self> {
        Self::each_engine_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn each_engine_with(change: impl Fn(&mut Config)) -> Vec<Self> {
        both().await.into_iter().map(|database| Self::on(database, &change)).collect()
    }

    /// # Panics
    /// When the hub cannot be made: the test cannot go on.
    #[expect(clippy::expect_used, reason = "a test without its hub has nothing to test")]
    fn on(database: TestDb, change: impl FnOnce(&mut Config)) -> Self {
        let data_dir = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(ManualClock::new(START));
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let mut config = Config {
            data_dir: data_dir.path().to_owned(),
            keys_dir: data_dir.path().join("keys"),
            agents_dir: data_dir.path().join("agents"),
            database: database.options.clone(),
            history: database.options.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: PublicUrl::parse(PUBLIC_URL).expect("a valid URL"),
            tls: Tls::Off,
            trusted_proxies: Vec::new(),
            heartbeat_interval_s: 30,
            offline_after_s: 30,
            requests_per_minute: 600,
            log: Log { format: LogFormat::Text, level: "info".to_owned() },
            metrics_token: None,
            mail: None,
            trusted_ca_file: None,
            retention: Retention::default(),
            oidc: Vec::new(),
        };
        change(&mut config);
        let keys = Keys::from_pkcs8(&Keys::generate_pkcs8(random.as_ref())).expect("a key that was just made");
        let (db, history) = (database.main.clone(), database.history.clone());
        let names = Arc::new(Names::default());
        let lookup: Arc<dyn Lookup> = names.clone();
        let outbound = Outbound::new(&lookup, Vec::new()).expect("a client");
        let hub =
            assemble(config, Parts { db, history, keys, sealing: sealing(1), clock: clock.clone(), random, outbound });
        Self { hub, clock, names, database, data_dir }
    }

    /// The engine below.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.hub.db.engine()
    }

    /// The hub's data directory; its database lies elsewhere.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }

    /// A hub on the same database and data directory, as after a restart: nothing that was only in memory is left.
    #[must_use]
    pub fn restarted(&self) -> App {
        self.restarted_with(self.hub.sealing.clone())
    }

    /// As [`TestHub::restarted`], but the key that seals secrets was lost and made anew.
    #[must_use]
    pub fn restarted_without_sealing_key(&self) -> App {
        self.restarted_with(sealing(2))
    }

    /// As [`TestHub::restarted`], with other identity providers in the settings.
    #[must_use]
    pub fn restarted_with_providers(&self, providers: Vec<crate::config::OidcProvider>) -> App {
        self.assembled(Config { oidc: providers, ..self.hub.config.clone() }, self.hub.sealing.clone())
    }

    fn restarted_with(&self, sealing: Sealing) -> App {
        self.assembled(self.hub.config.clone(), sealing)
    }

    fn assembled(&self, config: Config, sealing: Sealing) -> App {
        let (db, history) = (self.database.main.clone(), self.database.history.clone());
        let keys = self.hub.keys.clone();
        let clock = self.clock.clone();
        assemble(
            config,
            Parts {
                db,
                history,
                keys,
                sealing,
                clock,
                random: Arc::clone(&self.hub.random),
                outbound: self.hub.outbound.clone(),
            },
        )
    }

    /// The database as it is now. On SQLite only, and while nobody writes.
    #[must_use]
    pub fn backup(&self) -> Backup {
        self.database.backup()
    }

    /// A hub on the database of a backup, as after a disaster.
    pub async fn restored(&mut self, backup: Backup) -> App {
        self.database = TestDb::restored(backup).await;
        self.hub = self.restarted();
        self.restarted()
    }

    /// Nobody.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(Arc::clone(&self.hub))
    }

    /// The first owner, set up through the API and signed in.
    ///
    /// # Panics
    /// When set-up does not work: the test cannot go on.
    #[expect(clippy::expect_used, reason = "a test without its owner has nothing to test")]
    pub async fn owner(&self) -> Client {
        let code = prepare_setup(&self.hub).await.expect("a database").expect("a hub without an owner");
        let client = self.anonymous();
        let form = json!({
            "code": code.reveal(), "email": OWNER_EMAIL, "name": "Olga Owner",
            "password": OWNER_PASSWORD, "workspace": "Home",
        });
        let answer = client.post("/v1/setup", form).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        client
    }

    /// Somebody who was invited by `by` and has accepted, signed in.
    ///
    /// # Panics
    /// When that does not work: the test cannot go on.
    #[expect(clippy::expect_used, reason = "a test without its member has nothing to test")]
    pub async fn member(&self, by: &Client, email: &str, granted: Value, scope: Value) -> Client {
        let form = json!({ "email": email, "granted": granted, "scope": scope });
        let mut answer = by.post("/v1/team/invites", form.clone()).await;
        if answer.code() == "step_up_required" {
            by.step_up().await;
            answer = by.post("/v1/team/invites", form).await;
        }
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let invite = answer.json();
        let token = invite.get("token").and_then(Value::as_str).expect("a token");
        let client = self.anonymous();
        // Everybody here comes from one address, which may try ten times a minute.
        self.clock.advance(Duration::from_mins(1));
        let form = json!({ "token": token, "password": OWNER_PASSWORD, "name": "Mia Member" });
        let answer = client.post("/v1/invites/accept", form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        client
    }

    /// The owner of another workspace, signed in: a stranger to everything that [`TestHub::owner`] has.
    ///
    /// # Panics
    /// When they cannot be made: the test cannot go on.
    #[expect(clippy::expect_used, reason = "a test without its stranger has nothing to test")]
    pub async fn stranger(&self) -> Client {
        let text = |text: &str| text.to_owned();
        let owner = NewOwner {
            email: text("stranger@example.org").try_into().expect("an address"),
            name: text("Sam Stranger").try_into().expect("a name"),
            password: text(OWNER_PASSWORD).try_into().expect("a password"),
            workspace: text("Elsewhere").try_into().expect("a name"),
        };
        crate::auth::create_owner(&self.hub, owner).await.expect("a new account");
        let client = self.anonymous();
        let form = json!({ "email": "stranger@example.org", "password": OWNER_PASSWORD });
        let answer = client.post("/v1/auth/login", form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        client
    }
}

/// Somebody who talks to the hub and keeps its cookies.
#[derive(Debug, Clone)]
pub struct Client {
    hub: App,
    cookies: Arc<Mutex<Vec<(String, String)>>>,
    headers: HeaderMap,
}

impl Client {
    /// Talks to `hub`, signed in as nobody.
    #[must_use]
    pub fn new(hub: App) -> Self {
        Self { hub, cookies: Arc::default(), headers: HeaderMap::new() }
    }

    /// The same person talking to another hub, as after a restart.
    #[must_use]
    pub fn at(&self, hub: App) -> Self {
        Self { hub, ..self.clone() }
    }

    /// The same person with one more header on every request.
    ///
    /// # Panics
    /// When it is no header.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, value.parse().expect("a header value"));
        client
    }

    /// Says the password again, so that dangerous things are done for the next ten minutes.
    ///
    /// # Panics
    /// When it is not [`OWNER_PASSWORD`].
    pub async fn step_up(&self) {
        let answer = self.post("/v1/auth/step-up", json!({ "password": OWNER_PASSWORD })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }

    /// As whom the hub sees this person now.
    ///
    /// # Panics
    /// When it knows nobody of the kind.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub async fn actor(&self) -> Actor {
        let request = Request::builder().header(header::COOKIE, self.cookies());
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        parts.headers.extend(self.headers.clone());
        crate::auth::authenticate(&self.hub, &parts).await.expect("somebody")
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Any method, with a JSON body when there is one.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send_raw(request, body).await.collected().await
    }

    /// A request as it is; host, cookies and this client's headers are added. The answer's body is not read: for
    /// streams.
    ///
    /// # Panics
    /// When it is no request.
    #[expect(clippy::expect_used, reason = "a mistake of the test")]
    pub async fn send_raw(&self, mut request: axum::http::request::Builder, body: Body) -> Streaming {
        request = request.header(header::HOST, self.hub.config.public_url.authority());
        let cookies = self.cookies();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let mut request = request.body(body).expect("a request");
        request.headers_mut().extend(self.headers.clone());
        let response = http::router(Arc::clone(&self.hub)).oneshot(request).await;
        let (parts, body) = match response {
            Ok(response) => response.into_parts(),
            Err(never) => match never {},
        };
        self.keep_cookies(&parts.headers);
        Streaming { status: parts.status, headers: parts.headers, body }
    }

    fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep_cookies(&self, headers: &HeaderMap) {
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for line in headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            let Ok(cookie) = cookie::Cookie::parse(line.to_owned()) else { continue };
            cookies.retain(|(name, _)| name != cookie.name());
            if cookie.max_age() != Some(cookie::time::Duration::ZERO) {
                cookies.push((cookie.name().to_owned(), cookie.value().to_owned()));
            }
        }
    }
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Streaming {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Body,
}

impl Streaming {
    /// Reads the body to its end.
    ///
    /// # Panics
    /// When the body breaks off.
    #[expect(clippy::expect_used, reason = "a body of this process does not break off")]
    pub async fn collected(self) -> Answer {
        let body = self.body.collect().await.expect("a whole body").to_bytes();
        Answer { status: self.status, headers: self.headers, body: body.to_vec() }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        self.parsed()
    }

    /// The body as a value.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[expect(clippy::panic, reason = "a test that expects JSON fails without it")]
    pub fn parsed<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {} {}", self.status, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// `error.code` of an error, empty for anything else.
    #[must_use]
    pub fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json.pointer("/error/code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A header's value, empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }
}
