//! An authority, one below it, and certificates of all sorts that they issue.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use super::{Server, read_request};

struct Authority {
    root: Certificate,
    middle: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| make("Test"))
}

/// The authority that `env` trusts.
pub(crate) fn root() -> &'static Certificate {
    &authority().root
}

/// A certificate of the one below.
pub(crate) fn middle() -> CertificateDer<'static> {
    authority().middle.der().clone()
}

fn make(name: &str) -> Authority {
    let of = |rank: &str| {
        let mut params = params(&format!("{name} {rank}"), (2024, 2030));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let root = of("Root").self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(of("Root"), root_key);
    let middle_key = KeyPair::generate().unwrap();
    let middle = of("Middle").signed_by(&middle_key, &root_issuer).unwrap();
    Authority { root, middle, issuer: Issuer::new(of("Middle"), middle_key) }
}

fn params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 12, 1);
    params
}

/// What a server presents.
pub(crate) struct Presented {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A certificate of `name` that begins in January of one year and ends in December of another, issued by the one below.
pub(crate) fn leaf(name: &str, years: (i32, i32)) -> Presented {
    let (params, key) = (leaf_params(name, years), KeyPair::generate().unwrap());
    let leaf = params.signed_by(&key, &authority().issuer).unwrap();
    presented(vec![leaf.der().clone(), middle()], &key)
}

/// One that vouches for itself.
pub(crate) fn self_signed(name: &str) -> Presented {
    let (params, key) = (leaf_params(name, (2025, 2027)), KeyPair::generate().unwrap());
    let leaf = params.self_signed(&key).unwrap();
    presented(vec![leaf.der().clone()], &key)
}

/// One of an authority that nobody knows, whose certificate is there.
pub(crate) fn of_a_stranger(name: &str) -> Presented {
    let (root, key) = (make("Stranger"), KeyPair::generate().unwrap());
    let leaf = leaf_params(name, (2025, 2027)).signed_by(&key, &root.issuer).unwrap();
    presented(vec![leaf.der().clone(), root.middle.der().clone(), root.root.der().clone()], &key)
}

fn leaf_params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let params = params(name, years);
    (leaf.distinguished_name, leaf.not_before, leaf.not_after) =
        (params.distinguished_name, params.not_before, params.not_after);
    leaf
}

fn presented(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Presented {
    Presented { chain, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
}

/// Speaks TLS, reads a request, writes `answer` and closes.
pub(crate) async fn serve(presented: Presented, answer: impl Into<Vec<u8>>) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(presented.chain, presented.key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let answer = Arc::new(answer.into());
    Server::start(move |stream, requests| {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        async move {
            let mut stream = acceptor.accept(stream).await?;
            read_request(&mut stream, &requests).await?;
            stream.write_all(&answer).await?;
            stream.shutdown().await
        }
    })
    .await
}
