//! TLS to a hub that may have made its certificate itself: then its key is pinned, as agents do.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};

/// SHA-256 of a certificate's public key (SPKI), written as curl's `--pinnedpubkey` does: `sha256//` and base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct KeyPin([u8; 32]);

impl FromStr for KeyPin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256//").unwrap_or(text);
        let bytes = BASE64_STANDARD.decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a pinned key is sha256// and 44 characters of base64")
    }
}

impl TryFrom<String> for KeyPin {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyPin> for String {
    fn from(pin: KeyPin) -> Self {
        pin.to_string()
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256//{}", BASE64_STANDARD.encode(self.0))
    }
}

/// Judges a hub's certificate: by the pin where there is one, by the public authorities otherwise.
#[derive(Debug)]
pub(super) struct Verifier {
    pin: Option<KeyPin>,
    public: Arc<WebPkiServerVerifier>,
    refused: Mutex<Option<KeyPin>>,
}

impl Verifier {
    pub(super) fn new(pin: Option<KeyPin>) -> anyhow::Result<Arc<Self>> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let public = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        Ok(Arc::new(Self { pin, public, refused: Mutex::new(None) }))
    }

    /// The key of the certificate that was refused last: what one would have to pin.
    pub(super) fn refused(&self) -> Option<KeyPin> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client_config(self: &Arc<Self>) -> anyhow::Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(self);
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let spki = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let presented = digest(&SHA256, spki.as_ref()).as_ref().try_into().map(KeyPin).ok();
        let verdict = match self.pin {
            Some(pin) if presented == Some(pin) => Ok(ServerCertVerified::assertion()),
            Some(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            None => self.public.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
        };
        if verdict.is_err() {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = presented;
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.public.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.public.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.public.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_and_written_as_curl_does() {
        let text = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let pin: KeyPin = text.parse().unwrap();
        assert_eq!(pin.to_string(), text);
        assert_eq!(text.trim_start_matches("sha256//").parse(), Ok(pin));
        for bad in ["", "abc", "sha256//", "sha256//AAAA"] {
            assert!(bad.parse::<KeyPin>().is_err(), "{bad}");
        }
    }
}
