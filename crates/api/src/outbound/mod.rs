//! The only door to HTTP that others wish for: webhooks, providers of identities.
//!
//! A [`Target`] says where to and how far; every address that its name has is checked where the connection is made, so
//! a name that changes between check and connection gains nothing. No redirects, no proxies, no cookies, no connection
//! kept, no answer longer than asked for.

mod address;
mod resolver;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod tests;

pub use address::{Class, Reach, class};
pub use resolver::{Lookup, SystemLookup};
pub use target::{BadUrl, MAX_URL_BYTES, Target};

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::data_dir;
use resolver::{Guard, Refused};

/// Longest file of further certificates, in bytes.
const MAX_CA_BYTES: u64 = 1 << 20;
const CONNECT: Duration = Duration::from_secs(5);
const MAX_HEADERS: usize = 64;
const USER_AGENT: &str = concat!("Roadstead/", env!("CARGO_PKG_VERSION"));

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its headers; `host` and `user-agent` are the client's own.
    pub headers: HeaderMap,
    /// Its body; empty: none.
    pub body: Bytes,
    /// For all of it, from the name to the last byte of the answer.
    pub timeout: Duration,
    /// How much of the answer is read; the rest is left.
    pub max_answer: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status; redirects are answers as any other.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, or the beginning of it.
    pub body: Bytes,
    /// Whether there was more.
    pub cut: bool,
}

/// Why nothing came back. The texts are shown to whoever named the URL, and tell nothing about the hub's networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name has no address.
    #[error("the name of the host cannot be resolved")]
    Unresolved,
    /// It lies beyond the reach of whoever named it.
    #[error("the host has a private or reserved address, which this URL may not lead to")]
    Beyond,
    /// Nobody took the connection.
    #[error("no connection to the host could be made")]
    Connect,
    /// Its certificate is not one that the hub trusts, or it does not speak TLS.
    #[error("no secure connection to the host could be made: {0}")]
    Tls(String),
    /// It took too long.
    #[error("the host did not answer in time")]
    Timeout,
    /// The connection broke, or it does not speak HTTP.
    #[error("the host broke off, or its answer is not HTTP")]
    Broken,
}

/// The door. One per hub.
#[derive(Debug, Clone)]
pub struct Outbound {
    public: reqwest::Client,
    private: reqwest::Client,
    roots: Arc<RootCertStore>,
}

impl Outbound {
    /// One that asks `lookup` for addresses and trusts `roots`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(lookup: &Arc<dyn Lookup>, roots: RootCertStore) -> anyhow::Result<Self> {
        let roots = Arc::new(roots);
        let client = |reach| client(Guard { lookup: Arc::clone(lookup), reach }, &roots);
        Ok(Self { public: client(Reach::Public)?, private: client(Reach::Private)?, roots: Arc::clone(&roots) })
    }

    /// The certificates that peers are trusted by.
    #[must_use]
    pub fn roots(&self) -> &Arc<RootCertStore> {
        &self.roots
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn send(&self, target: &Target, request: Request) -> Result<Answer, Failure> {
        let Request { method, headers, body, timeout, max_answer } = request;
        let reach = target.reach();
        if target.address().is_some_and(|address| !reach.covers(class(address))) {
            return Err(Failure::Beyond);
        }
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        let exchange = async {
            let sent = client.request(method, target.url()).headers(headers).body(body).send();
            let mut response = sent.await.map_err(|error| failure(&error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut read = Vec::new();
            let mut cut = false;
            while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
                let room = max_answer - read.len();
                read.extend(chunk.iter().take(room));
                if chunk.len() > room {
                    cut = true;
                    break;
                }
            }
            Ok(Answer { status, headers, body: read.into(), cut })
        };
        tokio::time::timeout(timeout, exchange).await.map_err(|_| Failure::Timeout)?
    }
}

/// The certificates of public authorities, and those of a PEM file.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn roots(further: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(path) = further else { return Ok(roots) };
    let text = data_dir::read(path, MAX_CA_BYTES)?;
    let text = text.with_context(|| format!("there is no file {} with certificates", path.display()))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.with_context(|| format!("{} is not a PEM file", path.display()))?;
        roots
            .add(certificate)
            .with_context(|| format!("{} holds a certificate that cannot be used", path.display()))?;
        count += 1;
    }
    anyhow::ensure!(count > 0, "{} holds no certificate; write PEM with BEGIN CERTIFICATE lines", path.display());
    Ok(roots)
}

#[expect(clippy::disallowed_methods, reason = "this is the replacement that the ban names")]
fn client(guard: Guard, roots: &Arc<RootCertStore>) -> anyhow::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(guard)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .http1_only()
        .http1_max_headers(MAX_HEADERS)
        // A connection that is kept would be one whose address nobody checks again.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT)
        .user_agent(USER_AGENT);
    client.build().context("an HTTP client")
}

fn failure(error: &reqwest::Error) -> Failure {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return match refused {
                Refused::Unknown => Failure::Unresolved,
                Refused::Beyond => Failure::Beyond,
            };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Failure::Tls(tls.to_string());
        }
        // `io::Error::source` passes over what it wraps.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        Failure::Connect
    } else {
        Failure::Broken
    }
}
