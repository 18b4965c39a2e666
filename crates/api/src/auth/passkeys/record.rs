//! A passkey as it is stored: JSON in a form of the hub's own, which outlives the library that checks signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use webauthn_rs_core::proto::{
    AttestationFormat, AuthenticatorTransport, COSEAlgorithm, COSEEC2Key, COSEKey, COSEKeyType, COSERSAKey, Credential,
    ECDSACurve, ParsedAttestation, RegisteredExtensions, UserVerificationPolicy,
};

use crate::auth::store::PasskeyRow;

/// What the hub keeps of a device's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct Record {
    key: PublicKey,
    /// How a browser reaches the device: a hint for it, no promise.
    #[serde(default)]
    transports: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm")]
enum PublicKey {
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256 { x: Bytes, y: Bytes },
    /// ECDSA over P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384 { x: Bytes, y: Bytes },
    /// RSA, PKCS #1 v1.5, with SHA-256.
    #[serde(rename = "RS256")]
    Rs256 { n: Bytes, e: Bytes },
}

/// Bytes, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Bytes(Vec<u8>);

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        URL_SAFE_NO_PAD.encode(bytes.0)
    }
}

impl TryFrom<String> for Bytes {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        URL_SAFE_NO_PAD.decode(text).map(Self)
    }
}

/// What a device calls a passkey, as it is stored.
pub(super) fn credential_id(raw: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(raw)
}

impl Record {
    /// Of a passkey that was just made; `None` when its key is of a kind that was not asked for.
    pub(super) fn of(credential: &Credential) -> Option<Self> {
        let COSEKey { type_: algorithm, key } = &credential.cred;
        let key = match (algorithm, key) {
            (COSEAlgorithm::ES256, COSEKeyType::EC_EC2(COSEEC2Key { curve: ECDSACurve::SECP256R1, x, y })) => {
                PublicKey::Es256 { x: Bytes(x.clone()), y: Bytes(y.clone()) }
            }
            (COSEAlgorithm::ES384, COSEKeyType::EC_EC2(COSEEC2Key { curve: ECDSACurve::SECP384R1, x, y })) => {
                PublicKey::Es384 { x: Bytes(x.clone()), y: Bytes(y.clone()) }
            }
            (COSEAlgorithm::RS256, COSEKeyType::RSA(COSERSAKey { n, e })) => {
                PublicKey::Rs256 { n: Bytes(n.clone()), e: Bytes(e.to_vec()) }
            }
            _ => return None,
        };
        let transports = credential.transports.iter().flatten().filter_map(name_of).map(str::to_owned).collect();
        Some(Self { key, transports })
    }

    /// The passkey of a row for the library; `None` when it cannot be read.
    pub(super) fn credential(row: &PasskeyRow) -> Option<Credential> {
        let ec = |curve, x, y| COSEKeyType::EC_EC2(COSEEC2Key { curve, x, y });
        let Self { key, transports } = row.record.0.clone();
        let (type_, key) = match key {
            PublicKey::Es256 { x: Bytes(x), y: Bytes(y) } => (COSEAlgorithm::ES256, ec(ECDSACurve::SECP256R1, x, y)),
            PublicKey::Es384 { x: Bytes(x), y: Bytes(y) } => (COSEAlgorithm::ES384, ec(ECDSACurve::SECP384R1, x, y)),
            PublicKey::Rs256 { n: Bytes(n), e: Bytes(e) } => {
                (COSEAlgorithm::RS256, COSEKeyType::RSA(COSERSAKey { n, e: e.try_into().ok()? }))
            }
        };
        Some(Credential {
            cred_id: URL_SAFE_NO_PAD.decode(&row.credential_id).ok()?,
            cred: COSEKey { type_, key },
            counter: u32::try_from(row.sign_count).ok()?,
            transports: (!transports.is_empty())
                .then(|| transports.iter().filter_map(|name| name.parse().ok()).collect()),
            user_verified: true,
            backup_eligible: row.backup_eligible,
            backup_state: row.backed_up,
            // Every passkey was made with the person verified, and every signature of it says so again.
            registration_policy: UserVerificationPolicy::Required,
            extensions: RegisteredExtensions::none(),
            attestation: ParsedAttestation::default(),
            attestation_format: AttestationFormat::None,
        })
    }
}

const fn name_of(transport: &AuthenticatorTransport) -> Option<&'static str> {
    match transport {
        AuthenticatorTransport::Usb => Some("usb"),
        AuthenticatorTransport::Nfc => Some("nfc"),
        AuthenticatorTransport::Ble => Some("ble"),
        AuthenticatorTransport::Internal => Some("internal"),
        AuthenticatorTransport::Hybrid => Some("hybrid"),
        AuthenticatorTransport::Test | AuthenticatorTransport::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored is read by every later version.
    #[test]
    fn records_of_every_algorithm_are_read() {
        for text in [
            r#"{"key":{"algorithm":"ES256","x":"AQI","y":"AwQ"},"transports":["internal","hybrid"]}"#,
            r#"{"key":{"algorithm":"ES384","x":"AQI","y":"AwQ"},"transports":[]}"#,
            r#"{"key":{"algorithm":"RS256","n":"AQI","e":"AQAB"},"transports":["usb"]}"#,
        ] {
            let record: Record = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&record).unwrap(), text);
        }
        assert!(serde_json::from_str::<Record>(r#"{"key":{"algorithm":"ES256","x":"!","y":""}}"#).is_err());
    }
}
