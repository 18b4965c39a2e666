//! A registered machine for tests.

use protocol::enroll::{AGENT_TOKEN_PREFIX, Token};
use protocol::{Hex, ServerId, Signed, signing};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use uuid::Uuid;

use crate::handover::Workers;
use crate::host::clock::Clock;
use crate::host::files;
use crate::host::random::Random;
use crate::identity::{self, HubAnchor, Identity};
use crate::notify::Notifier;
use crate::paths::Paths;
use crate::relay::Relay;
use crate::trust::Trust;

/// A state directory after `register`, and the hub's signing key.
pub(crate) struct Machine {
    pub(crate) paths: Paths,
    pub(crate) anchor: HubAnchor,
    pub(crate) trust: Trust,
    key: Ed25519KeyPair,
    _directory: tempfile::TempDir,
}

impl Machine {
    /// Registered with the hub whose key has this seed.
    pub(crate) fn new(seed: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::new(directory.path());
        for made in [paths.trust_dir(), paths.claims_dir(), paths.spool_dir(), paths.relay_dir()] {
            files::make_dir(&made, 0o755).unwrap();
        }
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let hub_key = Hex(key.public_key().as_ref().try_into().unwrap());
        let hub_fingerprint = identity::fingerprint(&hub_key);
        let anchor = HubAnchor {
            hub_url: "https://hub".into(),
            server_id: ServerId::new(Uuid::from_u128(1)),
            hub_key,
            hub_key_id: identity::key_id(&hub_fingerprint),
            hub_fingerprint,
        };
        let identity = Identity {
            hub_url: anchor.hub_url.clone(),
            ws_url: "wss://hub/v1/agent".into(),
            server_id: anchor.server_id,
            agent_token: Token::parse(AGENT_TOKEN_PREFIX, &format!("rsa_{}", "a".repeat(43))).unwrap(),
            next_token: None,
            previous_token: None,
            tls_pin: None,
            install_token_sha256: Hex([0; 32]),
        };
        files::write_atomic(&paths.hub_file(), &serde_json::to_vec(&anchor).unwrap(), 0o644).unwrap();
        files::write_atomic(&paths.identity_file(), &serde_json::to_vec(&identity).unwrap(), 0o600).unwrap();
        let trust = Trust::load(&paths).unwrap();
        Self { paths, anchor, trust, key, _directory: directory }
    }

    /// What the hub signs.
    pub(crate) fn sign(&self, prefix: &str, body: String) -> Signed {
        let sig = self.key.sign(&signing::signed_bytes(prefix, &body));
        Signed { body, key_id: self.anchor.hub_key_id, sig: Hex(sig.as_ref().try_into().unwrap()) }
    }

    /// Its relay, whose workers never start.
    pub(crate) fn relay(&self) -> Relay {
        let workers = Workers::forked(self.paths.clone(), "/bin/false");
        Relay::open(self.paths.clone(), workers, Clock::system(), Random::system(), Notifier::none()).unwrap()
    }
}
