//! A client of the public API, as a script would be one.

use std::sync::Once;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, COOKIE, HOST, HeaderMap, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::secrets;
use crate::sse::EventStream;
use crate::wait;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// `error.code`, empty when the body holds none.
    #[must_use]
    pub fn code(&self) -> String {
        let value: Value = serde_json::from_str(&self.text).unwrap_or_default();
        value["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON body, when the status is the expected one.
    ///
    /// # Panics
    /// When it is another.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }
}

/// A client.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    host: String,
    client: reqwest::Client,
    cookie: Option<String>,
}

impl Api {
    /// A client that is nobody and talks to `base`, calling it by its public URL. The hub's self-signed certificate is
    /// accepted: pinning is the agent's business.
    ///
    /// # Panics
    /// When no client can be made.
    #[must_use]
    pub fn new(base: &str, public_url: &str) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            rustls::crypto::ring::default_provider().install_default().expect("the first TLS provider");
        });
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .timeout(Duration::from_secs(60))
            .build()
            .expect("an HTTP client");
        let host = public_url.split_once("://").map_or(public_url, |(_, host)| host).to_owned();
        Self { base: base.to_owned(), host, client, cookie: None }
    }

    /// Takes the session cookie of an answer.
    ///
    /// # Panics
    /// When there is none.
    pub fn keep_session(&mut self, answer: &Answer) {
        let cookie = answer.headers.get(SET_COOKIE).expect("a session cookie").to_str().expect("text");
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        secrets::issued(pair.split_once('=').expect("name=value").1);
        self.cookie = Some(pair);
    }

    /// The session cookie as `name=value`.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// A request to be completed by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base)).header(HOST, &self.host);
        match &self.cookie {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// When the hub cannot be reached or breaks off.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Ok(Answer { status, headers, text: response.text().await.context("the body")? })
    }

    /// GET.
    ///
    /// # Errors
    /// When the hub cannot be reached.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST with a JSON body.
    ///
    /// # Errors
    /// When the hub cannot be reached.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// PUT with a JSON body.
    ///
    /// # Errors
    /// When the hub cannot be reached.
    pub async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// When the hub cannot be reached.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Opens an SSE stream.
    ///
    /// # Panics
    /// When the hub refuses it.
    pub async fn events(&self, path: &str, last_id: Option<&str>) -> EventStream {
        let mut request = self.request(Method::GET, path).header(ACCEPT, "text/event-stream");
        request = request.timeout(Duration::from_secs(600));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an event stream");
        assert_eq!(response.status(), 200, "{path}");
        EventStream::new(response)
    }

    /// Makes an install token; its body is the route's request.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn install_token(&self, body: &Value) -> Value {
        let answer = self.post("/v1/servers/install-tokens", body).await.expect("an answer").expect(201);
        secrets::issued(answer["token"].as_str().expect("a token"));
        answer
    }

    /// Runs a command line as a job; the job.
    ///
    /// # Panics
    /// When the hub refuses.
    pub async fn exec(&self, server_id: &str, command: &str) -> Value {
        let body = json!({ "server_id": server_id, "kind": "exec", "args": { "command": command } });
        self.post("/v1/jobs", &body).await.expect("an answer").expect(201)
    }

    /// Runs a command with a secret variable; returns the job.
    ///
    /// # Panics
    /// When the hub does not take it.
    pub async fn exec_with_secret(&self, server_id: &str, command: &str, name: &str, secret: &str) -> Value {
        let args = json!({ "command": command, "secret_env": { name: secret } });
        let body = json!({ "server_id": server_id, "kind": "exec", "args": args });
        self.post("/v1/jobs", &body).await.expect("an answer").expect(201)
    }

    /// The job as it stands.
    ///
    /// # Panics
    /// When the hub cannot be asked.
    pub async fn job(&self, id: &str) -> Value {
        self.get(&format!("/v1/jobs/{id}")).await.expect("an answer").expect(200)
    }

    /// Waits until the job is in one of `states`.
    ///
    /// # Panics
    /// After `limit`.
    pub async fn job_in(&self, id: &str, states: &[&str], limit: Duration) -> Value {
        wait::until(&format!("job {id} to be one of {states:?}"), limit, async || {
            // The hub may be down for a moment in the middle of a test about just that.
            let answer = self.get(&format!("/v1/jobs/{id}")).await.map_err(|error| json!(format!("{error:#}")))?;
            let job = answer.expect(200);
            let state = job["state"].as_str().unwrap_or_default().to_owned();
            if states.contains(&state.as_str()) { Ok(job) } else { Err(job) }
        })
        .await
    }

    /// Waits until the job has ended.
    ///
    /// # Panics
    /// After `limit`.
    pub async fn job_end(&self, id: &str, limit: Duration) -> Value {
        let ends = ["succeeded", "failed", "cancelled", "timed_out", "interrupted", "rejected", "expired", "lost"];
        self.job_in(id, &ends, limit).await
    }

    /// The job's log as bare text.
    ///
    /// # Panics
    /// When the hub cannot be asked.
    pub async fn log_text(&self, id: &str) -> String {
        let request = self.request(Method::GET, &format!("/v1/jobs/{id}/log")).header(ACCEPT, "text/plain");
        let answer = self.send(request).await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    /// Waits until the server has `status`.
    ///
    /// # Panics
    /// After `limit`.
    pub async fn server_is(&self, id: &str, status: &str, limit: Duration) -> Value {
        wait::until(&format!("server {id} to be {status}"), limit, async || {
            let answer = self.get(&format!("/v1/servers/{id}")).await.map_err(|error| json!(format!("{error:#}")))?;
            let server = answer.expect(200);
            if server["status"] == status { Ok(server) } else { Err(server) }
        })
        .await
    }
}
