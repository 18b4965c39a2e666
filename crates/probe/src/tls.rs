//! A handshake that does not give up on a bad certificate: what was presented is recorded, whether it verifies is told
//! apart. Nothing is sent over the connection before that was judged.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::Hex;
use protocol::address::Reach;
use protocol::probe::{Certificate, CertificateProblem, Der, Failure, FailureCode, TlsProbe};
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Env;
use crate::dial::dial;
use crate::host::Host;
use crate::tcp::host;
use crate::watch::{Phase, Watch, fail, short};

/// Of a handshake, by whom it is made.
pub(crate) struct Ask<'a> {
    /// Who is to be there.
    pub(crate) name: &'a Host,
    /// Whether a certificate that does not verify is a failure.
    pub(crate) verify: bool,
    /// The leaf that whoever asks knows.
    pub(crate) known_leaf: Option<Hex<32>>,
}

pub(crate) async fn probe(probe: &TlsProbe, reach: Reach, env: &Env, watch: &mut Watch) -> Result<(), Failure> {
    let target = host(&probe.host)?;
    let name = probe.server_name.as_deref().map(host).transpose()?;
    let stream = dial(&target, probe.port, reach, env, watch).await?;
    let ask = Ask { name: name.as_ref().unwrap_or(&target), verify: probe.verify, known_leaf: probe.known_leaf };
    handshake(stream, &ask, &[], env, watch).await?;
    watch.judge_latency(probe.max_latency_ms)
}

/// Makes the handshake, and puts the certificate into the outcome, also when it fails.
pub(crate) async fn handshake(
    stream: TcpStream,
    ask: &Ask<'_>,
    alpn: &[&[u8]],
    env: &Env,
    watch: &mut Watch,
) -> Result<TlsStream<TcpStream>, Failure> {
    let unsupported = |why: String| fail(FailureCode::Unsupported, format!("no TLS can be spoken here: {why}"));
    let name = ask.name.server_name().ok_or_else(|| unsupported(format!("{} is no name for TLS", ask.name)))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&env.roots), Arc::clone(&provider)).build();
    let verifier = verifier.map_err(|error| unsupported(error.to_string()))?;
    let recorder = Arc::new(Recorder { verifier, now: (env.clock)(), presented: Mutex::new(None) });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(|error| unsupported(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    // Nothing of an earlier look may spare this one the certificate.
    config.resumption = rustls::client::Resumption::disabled();

    watch.stage(format!("during the TLS handshake with {}", ask.name));
    let since = Instant::now();
    let done = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    if done.is_ok() {
        watch.ended(Phase::Tls, since);
    }
    let presented = recorder.presented.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut verdict = Ok(());
    if let Some(Presented { chain, verified }) = presented {
        let problem = verified.as_ref().err().map(|error| problem(error, &chain));
        watch.seen.certificate = Some(told(&chain, problem, ask.known_leaf));
        if let (Err(error), Some(problem)) = (&verified, problem) {
            verdict = Err(fail(FailureCode::Certificate, words(problem, error, ask.name)));
        }
    }
    let stream = done.map_err(|error| match &verdict {
        // Whoever is not verified may break off as they like: the certificate is the news.
        Err(failure) if ask.verify => failure.clone(),
        _ => handshake_failure(&error, ask.name),
    })?;
    if ask.verify {
        verdict?;
    }
    Ok(stream)
}

/// What a server presented.
#[derive(Debug)]
struct Presented {
    chain: Vec<CertificateDer<'static>>,
    verified: Result<(), Error>,
}

/// Verifies as rustls does, and lets the handshake go on whatever comes of it. Signatures of the handshake must be right
/// all the same: a certificate without its key says nothing about the server.
#[derive(Debug)]
struct Recorder {
    verifier: Arc<WebPkiServerVerifier>,
    now: UnixTime,
    presented: Mutex<Option<Presented>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, self.now);
        let all = std::iter::once(end_entity).chain(intermediates);
        let chain = all.map(|certificate| certificate.clone().into_owned()).collect();
        let presented = Presented { chain, verified: verified.map(drop) };
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn told(chain: &[CertificateDer<'static>], problem: Option<CertificateProblem>, known: Option<Hex<32>>) -> Certificate {
    let leaf = chain.first().map_or(&[][..], |leaf| leaf.as_ref());
    let mut leaf_sha256 = [0; 32];
    for (to, from) in leaf_sha256.iter_mut().zip(digest(&SHA256, leaf).as_ref()) {
        *to = *from;
    }
    let leaf_sha256 = Hex(leaf_sha256);
    let chain_der = match known {
        Some(known) if known == leaf_sha256 => Vec::new(),
        _ => chain.iter().map(|certificate| Der(certificate.to_vec())).collect(),
    };
    Certificate { chain_der, leaf_sha256, problem }
}

fn problem(error: &Error, chain: &[CertificateDer<'static>]) -> CertificateProblem {
    let Error::InvalidCertificate(error) = error else { return CertificateProblem::Other };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateProblem::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        CertificateError::Revoked => CertificateProblem::Revoked,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            CertificateProblem::WrongPurpose
        }
        CertificateError::BadEncoding | CertificateError::BadSignature => CertificateProblem::Malformed,
        _ if is_self_signed(chain) => CertificateProblem::SelfSigned,
        CertificateError::UnknownIssuer if chain.len() < 2 => CertificateProblem::IncompleteChain,
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        _ => CertificateProblem::Other,
    }
}

/// Whether the leaf names itself as its issuer.
fn is_self_signed(chain: &[CertificateDer<'static>]) -> bool {
    let leaf = chain.first().and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
    leaf.is_some_and(|leaf| leaf.issuer() == leaf.subject())
}

fn words(problem: CertificateProblem, error: &Error, name: &Host) -> String {
    let days = |from: &UnixTime, to: &UnixTime| to.as_secs().saturating_sub(from.as_secs()) / 86_400;
    match (problem, error) {
        (
            CertificateProblem::Expired,
            Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }),
        ) => {
            let days = days(not_after, time);
            format!("the certificate of {name}, or one that it rests on, expired {days} days ago; renew it")
        }
        (CertificateProblem::Expired, _) => format!("the certificate of {name} has expired; renew it"),
        (CertificateProblem::NotYetValid, _) => {
            format!(
                "the certificate of {name} is not valid yet; look at the clocks of whoever issued it and of this machine"
            )
        }
        (
            CertificateProblem::WrongName,
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }),
        ) => {
            let names: Vec<_> = presented.iter().take(3).map(|name| bare_name(name)).collect();
            format!("the certificate is for {}, not for {name}", short(&names.join(", "), 100))
        }
        (CertificateProblem::WrongName, _) => format!("the certificate is not for {name}"),
        (CertificateProblem::SelfSigned, _) => {
            format!("the certificate of {name} is self-signed: nobody vouches for it; get one of an authority")
        }
        (CertificateProblem::IncompleteChain, _) => format!(
            "{name} sends its certificate alone, and its issuer is not known here; let it send the intermediate certificates too"
        ),
        (CertificateProblem::UnknownIssuer, _) => {
            format!("the certificate of {name} was issued by an authority that is not trusted here")
        }
        (_, error) => format!("the certificate of {name} does not verify: {error}"),
    }
}

/// `DnsName("x.example")` is how the library puts it.
fn bare_name(presented: &str) -> String {
    presented.split('"').nth(1).unwrap_or(presented).to_owned()
}

fn handshake_failure(error: &io::Error, name: &Host) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let text = match inner {
        Some(Error::InvalidCertificate(why)) => {
            return fail(FailureCode::Certificate, format!("the certificate of {name} cannot be used: {why:?}"));
        }
        Some(Error::InvalidMessage(_)) => {
            format!("{name} does not answer with TLS; does this port speak it, or does it speak plain HTTP?")
        }
        Some(Error::AlertReceived(AlertDescription::UnrecognisedName)) => {
            format!("{name} refused the TLS handshake: it does not know that name; look at the names it serves")
        }
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_)) => {
            format!("{name} speaks neither TLS 1.2 nor 1.3 with a common cipher; look at its TLS settings")
        }
        Some(Error::AlertReceived(alert)) => {
            format!("{name} refused the TLS handshake ({alert:?}); look at its TLS settings and its log")
        }
        _ => format!("the TLS handshake with {name} broke off: {error}; look at its log"),
    };
    fail(FailureCode::Tls, text)
}
