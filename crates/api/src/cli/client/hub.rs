//! A hub as seen from outside: requests with who one is, and its errors in words.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::pin::{KeyPin, Verifier};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams say something at least every 15 seconds; a hub that is silent for longer is gone.
const READ_TIMEOUT: Duration = Duration::from_secs(90);
/// More of an answer that has to be understood as a whole is not read.
const MAX_ANSWER: usize = 16 << 20;

/// A hub that can be asked.
#[derive(Debug)]
pub(super) struct HubClient {
    address: Url,
    client: Client,
    verifier: Arc<Verifier>,
}

/// What kept the hub from answering.
#[derive(Debug)]
pub(super) enum Unreachable {
    /// Nobody vouches for its certificate, or it is not the pinned one; this is its key.
    Untrusted(KeyPin),
    /// Anything else.
    Failed(anyhow::Error),
}

impl From<Unreachable> for anyhow::Error {
    fn from(unreachable: Unreachable) -> Self {
        match unreachable {
            Unreachable::Untrusted(pin) => anyhow!(
                "the hub's certificate is not the one that was trusted: its key is {pin} now. If the hub has got a new one, \
                 sign in again with --pinned-key; if not, somebody is between you and it"
            ),
            Unreachable::Failed(error) => error,
        }
    }
}

/// An address as people write it, in its one form: no path, no slash at the end.
pub(super) fn address(text: &str) -> anyhow::Result<String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url: Url =
        text.parse().with_context(|| format!("{text} is no address of a hub, such as https://hub.example.com"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() || !url.username().is_empty() {
        bail!("{text} is no address of a hub, such as https://hub.example.com");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        bail!("{text} must be the address of the hub alone, without a path");
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        bail!(
            "{text} is not encrypted: a password or a key would be there for everybody on the way to read. Use https://"
        );
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether nobody but this machine is on the way.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl HubClient {
    /// Nothing is sent yet.
    pub(super) fn new(address: &str, pin: Option<KeyPin>, api_key: Option<&str>) -> anyhow::Result<Self> {
        let verifier = Verifier::new(pin)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = api_key {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {key}")).context("the API key is not one line of ASCII")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the door out of the hub is not this program's: it asks the hub from outside"
        )]
        let builder = Client::builder();
        let address: Url = address.parse()?;
        // Through a proxy goes what only the hub can read; without TLS there is no way but the short one on this machine.
        let builder = if address.scheme() == "http" { builder.no_proxy() } else { builder };
        let client = builder
            .tls_backend_preconfigured(verifier.client_config()?)
            .user_agent(concat!("roadstead/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A key goes to the hub that it was made for and nowhere else.
            .redirect(Policy::none())
            .build()?;
        Ok(Self { address, client, verifier })
    }

    /// A request for a path of this hub.
    ///
    /// # Errors
    /// When the path leads elsewhere.
    pub(super) fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let url = self.address.join(path).with_context(|| format!("{path} is no path"))?;
        if !path.starts_with('/') || url.origin() != self.address.origin() {
            bail!("{path} is no path of this hub: it begins with one slash, such as /v1/servers");
        }
        Ok(self.client.request(method, url))
    }

    /// Sends it; any answer is one.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Unreachable> {
        request.send().await.map_err(|error| match self.verifier.refused() {
            Some(pin) => Unreachable::Untrusted(pin),
            None => Unreachable::Failed(anyhow!("{} cannot be reached: {}", self.address, innermost(&error))),
        })
    }

    /// Sends it; anything but success is an error in the hub's words.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        match self.reply(request).await? {
            Ok(reply) => reply.body(),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Sends it; what the hub has to say against it is an answer too.
    pub(super) async fn reply(&self, request: RequestBuilder) -> anyhow::Result<Result<Reply, Refusal>> {
        let response = self.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = bounded(response).await?;
        if status.is_success() {
            return Ok(Ok(Reply { headers, bytes }));
        }
        match serde_json::from_slice(&bytes) {
            Ok(ErrorBody { error }) => Ok(Err(Refusal { status, code: error.code, message: error.message })),
            Err(_) => {
                bail!("{} answered {status} and is no hub, or stands behind something that is none", self.address)
            }
        }
    }
}

/// What a hub answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Reply {
    /// Its body as what it should be; an empty one is `null`.
    pub(super) fn body<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let bytes: &[u8] = if self.bytes.is_empty() { b"null" } else { &self.bytes };
        serde_json::from_slice(bytes).context("the hub's answer is not what it should be; is it of another version?")
    }
}

/// Why the hub did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the hub said no ({status}): {message}")]
pub(super) struct Refusal {
    status: StatusCode,
    pub(super) code: String,
    message: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorWords,
}

#[derive(Deserialize)]
struct ErrorWords {
    code: String,
    message: String,
}

/// A whole body.
///
/// # Errors
/// When there is more than anybody would want in one piece, or the connection breaks.
pub(super) async fn bounded(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| anyhow!("the answer broke off: {}", innermost(&error)))?
    {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            bail!("the answer is longer than {MAX_ANSWER} bytes; ask for less at once");
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What lies at the ground of an error: "connection refused" and not "error sending request".
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (text, expected) in [
            ("hub.example.com", "https://hub.example.com"),
            ("https://Hub.example.com/", "https://hub.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://hub.example.com:443", "https://hub.example.com"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(address(text).unwrap(), expected);
        }
        for bad in [
            "",
            "ftp://hub",
            "https://hub/v1",
            "https://u:p@hub",
            "https://hub?x",
            "https://",
            "a b",
            "http://hub.example.com",
            "http://10.0.0.5",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_goes_nowhere_but_to_its_hub() {
        let hub = HubClient::new("https://hub.example.com", None, Some("rsk_x")).unwrap();
        for bad in [
            "//evil.example/v1",
            "https://evil.example/",
            "v1/servers",
            "@evil.example",
            "/\\evil.example",
            "\\\\evil.example",
        ] {
            let request = hub.request(Method::GET, bad).and_then(|request| Ok(request.build()?));
            assert!(request.is_err(), "{bad}: {request:?}");
        }
        let request = hub.request(Method::GET, "/v1/servers?limit=2").unwrap().build().unwrap();
        assert_eq!(request.url().as_str(), "https://hub.example.com/v1/servers?limit=2");
    }
}
