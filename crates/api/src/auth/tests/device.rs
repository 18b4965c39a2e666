//! A device that keeps passkeys, in software: it answers as a browser and its authenticator do, and can lie.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::secret::sha256;

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

/// One passkey, and how whoever holds it behaves. Everything public may be changed into a lie.
pub(super) struct Device {
    key: EcdsaKeyPair,
    random: ring::rand::SystemRandom,
    pub(super) credential_id: Vec<u8>,
    pub(super) user_handle: Vec<u8>,
    /// Where the browser is.
    pub(super) origin: String,
    /// The site that the passkey is for.
    pub(super) rp_id: String,
    /// Whether the device verifies its user: a PIN, a finger.
    pub(super) verifies: bool,
    /// Goes up by one before each signature; 0 where the device does not count.
    pub(super) counter: u32,
    pub(super) backed_up: bool,
    /// What is answered in place of the challenge that was asked.
    pub(super) challenge: Option<String>,
}

impl Device {
    /// A device without a passkey yet, at a browser that shows the hub.
    #[expect(clippy::disallowed_methods, reason = "a device has randomness of its own")]
    pub(super) fn new(origin: &str) -> Self {
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let credential_id = sha256(key.public_key().as_ref()).as_bytes().to_vec();
        let rp_id = origin.split("://").nth(1).unwrap().split(':').next().unwrap().to_owned();
        Self {
            key,
            random,
            credential_id,
            user_handle: Vec::new(),
            origin: origin.to_owned(),
            rp_id,
            verifies: true,
            counter: 1,
            backed_up: false,
            challenge: None,
        }
    }

    /// What `navigator.credentials.create()` gives.
    pub(super) fn create(&mut self, options: &Value) -> Value {
        assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
        assert!(options["pubKeyCredParams"].as_array().unwrap().iter().any(|one| one["alg"] == -7));
        self.user_handle = bytes(&options["user"]["id"]);
        let client_data = self.client_data("webauthn.create", options);
        let mut auth_data = self.auth_data(ATTESTED);
        auth_data.extend([0; 16]);
        auth_data.extend(u16::try_from(self.credential_id.len()).unwrap().to_be_bytes());
        auth_data.extend(&self.credential_id);
        // COSE: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        auth_data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        auth_data.extend(x);
        auth_data.extend([0x22, 0x58, 0x20]);
        auth_data.extend(y);
        // CBOR: {"fmt": "none", "attStmt": {}, "authData": …}.
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        attestation.extend(u16::try_from(auth_data.len()).unwrap().to_be_bytes());
        attestation.extend(auth_data);
        json!({
            "id": text(&self.credential_id), "rawId": text(&self.credential_id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": { "credProps": { "rk": true } },
            "response": {
                "clientDataJSON": text(&client_data), "attestationObject": text(&attestation),
                "transports": ["internal", "hybrid", "smart-card"], "publicKeyAlgorithm": -7,
            },
        })
    }

    /// What `navigator.credentials.get()` gives.
    pub(super) fn get(&mut self, options: &Value) -> Value {
        assert_eq!(options["userVerification"], "required");
        if self.counter > 0 {
            self.counter += 1;
        }
        let client_data = self.client_data("webauthn.get", options);
        let auth_data = self.auth_data(0);
        let signed = [auth_data.as_slice(), sha256(&client_data).as_bytes()].concat();
        let signature = self.key.sign(&self.random, &signed).unwrap();
        json!({
            "id": text(&self.credential_id), "rawId": text(&self.credential_id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(&client_data), "authenticatorData": text(&auth_data),
                "signature": text(signature.as_ref()), "userHandle": text(&self.user_handle),
            },
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = self.challenge.as_ref().map_or_else(|| options["challenge"].clone(), |lie| json!(lie));
        let data = json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false });
        data.to_string().into_bytes()
    }

    fn auth_data(&self, more: u8) -> Vec<u8> {
        let backup = if self.backed_up { BACKUP_ELIGIBLE | BACKED_UP } else { 0 };
        let flags = PRESENT | if self.verifies { VERIFIED } else { 0 } | backup | more;
        [sha256(self.rp_id.as_bytes()).as_bytes().as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}
