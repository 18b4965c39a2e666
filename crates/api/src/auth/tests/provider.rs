//! An identity provider of the test's own: it signs what the test says, truth or not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::config::OidcProvider;
use crate::secret::{Secret, sha256};
use crate::testing::{Answer, Client};

pub(super) const CLIENT_ID: &str = "roadstead";
const CLIENT_SECRET: &str = "provider's secret";

/// What the provider says of whoever comes next, and how it lies.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) claims: Value,
    /// Put over the token's claims; null takes one away.
    pub(super) lies: Value,
    pub(super) userinfo: Value,
    /// In place of ES256.
    pub(super) algorithm: &'static str,
    /// Signs with a key that it does not publish.
    pub(super) foreign_key: bool,
    pub(super) auth_time: Option<i64>,
}

pub(super) struct Provider {
    pub(super) issuer: String,
    pub(super) script: Mutex<Script>,
    codes: Mutex<HashMap<String, (String, String)>>,
    issued: AtomicUsize,
    /// The key of now, and whether it was replaced.
    keys: Mutex<Vec<Arc<EcdsaKeyPair>>>,
    random: ring::rand::SystemRandom,
    clock: Mutex<Option<Arc<dyn Clock>>>,
}

impl Provider {
    /// Listens on loopback. `clock`: of the hub, once there is one.
    #[expect(clippy::disallowed_methods, reason = "a provider is a program of its own")]
    pub(super) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let random = ring::rand::SystemRandom::new();
        let provider = Arc::new(Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            script: Mutex::new(Script {
                claims: json!({ "sub": "ann", "email": "ann@example.net", "email_verified": true, "name": "Ann" }),
                lies: json!({}),
                userinfo: json!({ "sub": "ann" }),
                algorithm: "ES256",
                foreign_key: false,
                auth_time: None,
            }),
            codes: Mutex::default(),
            issued: AtomicUsize::default(),
            keys: Mutex::new(vec![key(&random), key(&random)]),
            random,
            clock: Mutex::default(),
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&provider));
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    pub(super) fn follow(&self, clock: Arc<dyn Clock>) {
        *self.clock.lock().unwrap() = Some(clock);
    }

    /// As the settings name it.
    pub(super) fn settings(&self, id: &str) -> OidcProvider {
        OidcProvider {
            id: id.to_owned(),
            name: "Company".to_owned(),
            issuer: self.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(Secret::new(CLIENT_SECRET.to_owned())),
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            groups_claim: "groups".to_owned(),
            both_factors: false,
            mappings: Vec::new(),
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// Another key in the place of the one that it signs with.
    pub(super) fn rotate(&self) {
        self.keys.lock().unwrap()[0] = key(&self.random);
    }

    /// The person says yes: where the provider sends the browser back to, for what it was asked.
    pub(super) fn agree(&self, asked: &str) -> String {
        let url = url::Url::parse(asked).unwrap();
        assert!(asked.starts_with(&format!("{}/authorize?", self.issuer)), "{asked}");
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
        assert_eq!(query["client_id"], CLIENT_ID);
        let code = format!("code-{}", self.issued.fetch_add(1, Ordering::SeqCst));
        let expected = (query["nonce"].clone(), query["code_challenge"].clone());
        self.codes.lock().unwrap().insert(code.clone(), expected);
        let back = url::Url::parse(&query["redirect_uri"]).unwrap();
        format!("{}?code={code}&state={}&iss={}", back.path(), query["state"], self.issuer)
    }

    fn now(&self) -> i64 {
        self.clock.lock().unwrap().as_ref().unwrap().now().as_s()
    }

    fn id_token(&self, nonce: &str) -> String {
        let script = self.script.lock().unwrap().clone();
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "iat": self.now(), "exp": self.now() + 300, "nonce": nonce,
        });
        for (name, value) in script.claims.as_object().unwrap().iter().chain(script.lies.as_object().unwrap()) {
            claims[name] = value.clone();
        }
        if let Some(at) = script.auth_time {
            claims["auth_time"] = json!(at);
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let head = json!({ "alg": script.algorithm, "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        if script.algorithm == "none" {
            return format!("{signed}.");
        }
        let key = Arc::clone(&self.keys.lock().unwrap()[usize::from(script.foreign_key)]);
        let signature = key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn key(random: &ring::rand::SystemRandom) -> Arc<EcdsaKeyPair> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random).unwrap();
    Arc::new(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), random).unwrap())
}

fn answer(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Response {
    let at = |path: &str| format!("{}/{path}", provider.issuer);
    answer(&json!({
        "issuer": provider.issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "jwks_uri": at("jwks"), "userinfo_endpoint": at("userinfo"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256", "none", "HS256"],
    }))
}

async fn jwks(State(provider): State<Arc<Provider>>) -> Response {
    let key = Arc::clone(&provider.keys.lock().unwrap()[0]);
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    answer(
        &json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "x": text(x), "y": text(y) }] }),
    )
}

/// Each code once, for whoever has the secret of the client and of the flow.
async fn token(State(provider): State<Arc<Provider>>, headers: HeaderMap, body: Bytes) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let secret: String = url::form_urlencoded::byte_serialize(CLIENT_SECRET.as_bytes()).collect();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{secret}")));
    let known = provider.codes.lock().unwrap().remove(&form["code"]);
    let verifier = URL_SAFE_NO_PAD.encode(sha256(form["code_verifier"].as_bytes()).as_bytes());
    match known {
        Some((nonce, challenge)) if headers[header::AUTHORIZATION] == basic && challenge == verifier => {
            answer(&json!({
                "access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": provider.id_token(&nonce),
            }))
        }
        _ => (StatusCode::BAD_REQUEST, answer(&json!({ "error": "invalid_grant" }))).into_response(),
    }
}

async fn userinfo(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    assert_eq!(headers[header::AUTHORIZATION], "Bearer access");
    answer(&provider.script.lock().unwrap().userinfo)
}

/// Where a page of the hub goes on to.
pub(super) fn goes_to(page: &Answer) -> String {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let text = page.text();
    let (_, rest) = text.split_once("content=\"0; url=").unwrap_or_else(|| panic!("{text}"));
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

/// Begins to sign in; where the hub sends the browser.
pub(super) async fn begin(client: &Client, path: &str) -> String {
    let sent = client.get(path).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text());
    sent.header("location")
}

/// Signs in at the provider, which says yes; where the hub goes on to.
pub(super) async fn sign_in(client: &Client, provider: &Provider) -> String {
    let asked = begin(client, "/v1/auth/oidc/company/start?return_to=/servers").await;
    goes_to(&client.get(&provider.agree(&asked)).await)
}
