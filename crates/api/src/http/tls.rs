//! The listener's certificate: made here and pinned by agents, or read from files.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType};
use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::{CryptoProvider, ring as ring_provider};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

use crate::clock::Timestamp;
use crate::config::{Config, PublicUrl, Tls};
use crate::data_dir;

const MAX_PEM_BYTES: u64 = 1 << 20;
const VALID_YEARS: i16 = 10;

/// How clients come to trust the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// As they trust any other: it is a public one, a proxy holds it, or the hub listens on loopback without TLS.
    Public,
    /// By its key: SHA-256 of the public key's SubjectPublicKeyInfo in base64, as `curl --pinnedpubkey` takes it.
    Pinned(String),
}

/// The certificate in use; it can be exchanged while the listener runs.
#[derive(Debug)]
pub(super) struct Certificate {
    current: RwLock<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificate {
    /// The certificate of the settings; `None` without TLS.
    pub(super) fn load(config: &Config, now: Timestamp) -> Result<Option<Arc<Self>>> {
        let provider = Arc::new(ring_provider::default_provider());
        let key = match &config.tls {
            Tls::Off => return Ok(None),
            Tls::SelfSigned => self_signed(config, now, &provider)?,
            Tls::Files { cert, key } => from_files(cert, key, &provider)?,
        };
        Ok(Some(Arc::new(Self { current: RwLock::new(Arc::new(key)), provider })))
    }

    /// Reads given files again; says whether they changed.
    pub(super) fn reload(&self, config: &Config) -> Result<bool> {
        let Tls::Files { cert, key } = &config.tls else { return Ok(false) };
        let fresh = from_files(cert, key, &self.provider)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if fresh.cert == current.cert {
            return Ok(false);
        }
        *current = Arc::new(fresh);
        Ok(true)
    }

    /// How clients come to trust it: a chain that ends at a public root needs no pin.
    pub(super) fn trust(&self, public_url: &PublicUrl, now: Timestamp) -> Result<Trust> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let (leaf, rest) = current.cert.split_first().context("the certificate file holds no certificate")?;
        if is_public(leaf, rest, public_url, now, Arc::clone(&self.provider)) {
            return Ok(Trust::Public);
        }
        let spki = ParsedCertificate::try_from(leaf)?.subject_public_key_info();
        Ok(Trust::Pinned(BASE64_STANDARD.encode(digest::digest(&digest::SHA256, &spki))))
    }

    /// What the acceptor needs: HTTP/2 and HTTP/1.1, sessions resumed by tickets, which cost no memory here.
    pub(super) fn server_config(self: &Arc<Self>) -> Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = ring_provider::Ticketer::new()?;
        Ok(config)
    }
}

fn is_public(
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    public_url: &PublicUrl,
    now: Timestamp,
    provider: Arc<CryptoProvider>,
) -> bool {
    let roots = Arc::new(RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()));
    let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(roots, provider).build() else { return false };
    let Ok(name) = server_name(public_url) else { return false };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_s()).unwrap_or(0)));
    match verifier.verify_server_cert(leaf, rest, &name, &[], now) {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(%error, "the certificate is not a public one; agents pin its key");
            false
        }
    }
}

fn server_name(public_url: &PublicUrl) -> Result<ServerName<'static>> {
    match public_url.ip() {
        Some(ip) => Ok(ServerName::from(ip)),
        None => Ok(ServerName::try_from(public_url.host().to_owned())?),
    }
}

fn from_files(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey> {
    let read = |path: &Path| -> Result<Vec<u8>> {
        let pem = data_dir::read(path, MAX_PEM_BYTES)?;
        pem.with_context(|| format!("there is no file {}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(cert)?).collect();
    let chain = chain.with_context(|| format!("{} is not a certificate in PEM", cert.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate", cert.display());
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?);
    let private = private.with_context(|| format!("{} is not a private key in PEM", key.display()))?;
    let certified = CertifiedKey::from_der(chain, private, provider);
    certified
        .with_context(|| format!("the key in {} does not fit the certificate in {}", key.display(), cert.display()))
}

/// The key is made once: agents pin it. The certificate around it is made again when the hub's name changes.
fn self_signed(config: &Config, now: Timestamp, provider: &CryptoProvider) -> Result<CertifiedKey> {
    let dir = config.data_dir.join("tls");
    data_dir::ensure_private_dir(&dir)?;
    let (key_path, cert_path) = (dir.join("key.pem"), dir.join("cert.pem"));
    let key = match data_dir::read_text(&key_path, MAX_PEM_BYTES)? {
        Some(pem) => {
            data_dir::require_private(&key_path)?;
            KeyPair::from_pem(&pem).with_context(|| format!("{} is not a private key in PEM", key_path.display()))?
        }
        None => {
            let key = KeyPair::generate()?;
            data_dir::write_private(&key_path, key.serialize_pem().as_bytes())?;
            key
        }
    };
    let certify = |certificate: CertificateDer<'static>| {
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        CertifiedKey::from_der(vec![certificate], private, provider)
    };
    if let Some(pem) = data_dir::read(&cert_path, MAX_PEM_BYTES)?
        && let Ok(certificate) = CertificateDer::from_pem_slice(&pem)
        && names_hub(&certificate, &config.public_url)
        && let Ok(certified) = certify(certificate)
    {
        return Ok(certified);
    }
    let certificate = certificate_for(config, now)?.self_signed(&key)?;
    data_dir::write_private(&cert_path, certificate.pem().as_bytes())?;
    tracing::info!(public_url = %config.public_url, "made a certificate; agents pin its key");
    Ok(certify(certificate.der().clone())?)
}

fn names_hub(certificate: &CertificateDer<'_>, public_url: &PublicUrl) -> bool {
    let Ok(name) = server_name(public_url) else { return false };
    let parsed = ParsedCertificate::try_from(certificate);
    parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
}

fn certificate_for(config: &Config, now: Timestamp) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    let mut names = vec![match config.public_url.ip() {
        Some(ip) => SanType::IpAddress(ip),
        None => SanType::DnsName(config.public_url.host().try_into()?),
    }];
    let listen: IpAddr = config.listen.ip();
    if !listen.is_unspecified() && config.public_url.ip() != Some(listen) {
        names.push(SanType::IpAddress(listen));
    }
    params.subject_alt_names = names;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Roadstead hub");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let day = |moment: jiff::Timestamp| {
        let date = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (month, day) = (u8::try_from(date.month()).unwrap_or(1), u8::try_from(date.day()).unwrap_or(1));
        (date.year(), month, day)
    };
    // A day of slack for clients whose clock is behind.
    let (year, month, first) = day(jiff::Timestamp::from_second(now.as_s().saturating_sub(86_400))?);
    params.not_before = rcgen::date_time_ymd(year.into(), month, first);
    params.not_after = rcgen::date_time_ymd(year.saturating_add(VALID_YEARS).into(), month, first.min(28));
    Ok(params)
}
