//! The key that a session's hub → agent frames carry their `mac` by.

use protocol::{Hex, Outgoing, signing};
use ring::{agreement, hkdf, hmac};

/// The hub's half of a key agreement, and what came out of it.
#[derive(Debug)]
pub(super) struct Agreed {
    /// The hub's ephemeral public key, for the welcome.
    pub(super) public: Hex<32>,
    /// Seals what is sent after the welcome.
    pub(super) sealer: Sealer,
}

/// Makes an ephemeral key and agrees with the agent's; `None` for a point that gives no secret.
#[expect(clippy::disallowed_methods, reason = "ring makes ephemeral keys with its own generator only")]
pub(super) fn agree(nonce: Hex<32>, agent: Hex<32>) -> Option<Agreed> {
    let random = ring::rand::SystemRandom::new();
    let private = agreement::EphemeralPrivateKey::generate(&agreement::X25519, &random).ok()?;
    let public = private.compute_public_key().ok()?;
    let public = Hex(<[u8; 32]>::try_from(public.as_ref()).ok()?);
    let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, agent.0);
    let sealer =
        agreement::agree_ephemeral(private, &peer, |secret| Sealer::derive(secret, nonce, agent, public)).ok()??;
    Some(Agreed { public, sealer })
}

/// Counts and authenticates every frame of one session, in the order in which they are written.
#[derive(Debug)]
pub(super) struct Sealer {
    key: hmac::Key,
    counter: u64,
}

impl Sealer {
    /// HKDF-SHA256 with the hello's nonce as salt and the X25519 secret as input.
    fn derive(secret: &[u8], nonce: Hex<32>, agent: Hex<32>, hub: Hex<32>) -> Option<Self> {
        let info = [signing::SESSION_KEY_INFO.as_bytes(), agent.0.as_slice(), hub.0.as_slice()];
        let mut key = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, &nonce.0)
            .extract(secret)
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut key))
            .ok()?;
        Some(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), counter: 0 })
    }

    /// The next text frame.
    pub(super) fn seal(&mut self, outgoing: &Outgoing) -> Result<String, serde_json::Error> {
        let tag = hmac::sign(&self.key, &outgoing.mac_input(self.counter));
        self.counter += 1;
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        outgoing.to_text(Some(Hex(mac)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::heartbeat::Watch;
    use protocol::{Envelope, Message, MessageId};
    use uuid::Uuid;

    #[test]
    fn the_key_is_the_documented_one() {
        // The agent's end, written from the text of protocol.md.
        let (nonce, hub) = (Hex([7; 32]), Hex([3; 32]));
        let mut sealer = Sealer::derive(b"shared", nonce, Hex([2; 32]), hub).unwrap();
        let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &nonce.0), b"shared");
        let expand = [b"roadstead-session-v1".as_slice(), &[2; 32], &[3; 32], &[1]].concat();
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, prk.as_ref()), &expand);
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());

        let message = Message::Watch(Watch { interval_ms: 500, ttl_s: 1 });
        let outgoing = Outgoing::new(&message, MessageId::new(Uuid::from_u128(1)), 0, None).unwrap();
        for counter in 0..3 {
            let text = sealer.seal(&outgoing).unwrap();
            let envelope = Envelope::decode(&text).unwrap();
            assert!(hmac::verify(&key, &envelope.mac_input(counter), &envelope.mac.unwrap().0).is_ok());
        }
    }

    #[test]
    fn a_point_without_a_secret_is_refused() {
        assert!(agree(Hex([1; 32]), Hex([0; 32])).is_none());
    }
}
