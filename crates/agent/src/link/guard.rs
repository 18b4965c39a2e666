//! Whether a frame comes from the hub that signed the welcome: session key, `mac` and tag.
//!
//! Whoever terminates TLS between hub and agent can read what passes, but every hub → agent frame after the welcome
//! carries an HMAC under a key that only the two ends know, over a counter that never repeats. So no frame can be
//! changed, repeated, moved, left out or taken from an older session without being noticed here.

use protocol::frame::{BinaryFrame, FrameError, TAG_LEN};
use protocol::{Envelope, Hex, signing};
use ring::{agreement, hkdf, hmac};

use crate::host::random::{NoRandomness, Random};

/// The agent's half of the key agreement of one connection.
#[derive(Debug)]
pub struct Ephemeral {
    private: agreement::EphemeralPrivateKey,
    public: Hex<32>,
}

impl Ephemeral {
    /// A new X25519 pair.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate(random: &Random) -> Result<Self, NoRandomness> {
        let private =
            agreement::EphemeralPrivateKey::generate(&agreement::X25519, random.ring()).map_err(|_| NoRandomness)?;
        let public = private.compute_public_key().map_err(|_| NoRandomness)?;
        let public = <[u8; 32]>::try_from(public.as_ref()).map_err(|_| NoRandomness)?;
        Ok(Self { private, public: Hex(public) })
    }

    /// The half that travels in `hello`.
    #[must_use]
    pub const fn public(&self) -> Hex<32> {
        self.public
    }

    /// Derives the guard of the session with the hub's half. `None` for a point that gives no secret.
    #[must_use]
    pub fn agree(self, nonce: Hex<32>, hub: Hex<32>) -> Option<FrameGuard> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, hub.0);
        let public = self.public;
        agreement::agree_ephemeral(self.private, &peer, |secret| FrameGuard::derive(secret, nonce, public, hub)).ok()?
    }
}

/// Checks each hub → agent frame of one session, in the order of arrival.
#[derive(Debug)]
pub struct FrameGuard {
    key: hmac::Key,
    counter: u64,
}

/// A frame that the hub did not send, or not here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// A text frame without `mac`.
    #[error("frame carries no mac")]
    Missing,
    /// Wrong `mac` or tag.
    #[error("mac does not verify")]
    Wrong,
    /// No binary frame.
    #[error("{0}")]
    Frame(FrameError),
}

impl FrameGuard {
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

    /// Checks the next text frame.
    ///
    /// # Errors
    /// [`GuardError`]: the session must end.
    pub fn check_text(&mut self, envelope: &Envelope<'_>) -> Result<(), GuardError> {
        let mac = envelope.mac.ok_or(GuardError::Missing)?;
        // ring compares in constant time.
        hmac::verify(&self.key, &envelope.mac_input(self.counter), &mac.0).map_err(|_| GuardError::Wrong)?;
        self.counter += 1;
        Ok(())
    }

    /// Checks the next binary frame and gives what is inside.
    ///
    /// # Errors
    /// [`GuardError`]: the session must end.
    pub fn check_binary<'a>(&mut self, frame: &'a [u8]) -> Result<BinaryFrame<'a>, GuardError> {
        let (parsed, tag) = BinaryFrame::parse_tagged(frame).map_err(GuardError::Frame)?;
        let untagged = frame.strip_suffix(&tag).unwrap_or_default();
        let expected = hmac::sign(&self.key, &signing::tag_input(self.counter, untagged));
        let expected = expected.as_ref().first_chunk::<TAG_LEN>().copied().unwrap_or_default();
        if !same(&expected, &tag) {
            return Err(GuardError::Wrong);
        }
        self.counter += 1;
        Ok(parsed)
    }
}

/// Compares every byte, whatever the first difference.
fn same(one: &[u8; TAG_LEN], other: &[u8; TAG_LEN]) -> bool {
    u128::from_be_bytes(*one) ^ u128::from_be_bytes(*other) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::envelope::Outgoing;
    use protocol::heartbeat::Watch;
    use protocol::{Message, MessageId};
    use uuid::Uuid;

    use super::*;

    fn guard() -> FrameGuard {
        FrameGuard::derive(b"secret", Hex([1; 32]), Hex([2; 32]), Hex([3; 32])).unwrap()
    }

    /// What a hub sends as its `counter`th frame.
    fn text(counter: u64, interval_ms: u32) -> String {
        let message = Message::Watch(Watch { interval_ms, ttl_s: 60 });
        let outgoing = Outgoing::new(&message, MessageId::new(Uuid::from_u128(7)), 0, None).unwrap();
        let mac = hmac::sign(&guard().key, &outgoing.mac_input(counter));
        outgoing.to_text(Some(Hex(mac.as_ref().try_into().unwrap()))).unwrap()
    }

    fn binary(counter: u64, bytes: &[u8]) -> Vec<u8> {
        let mut frame = BinaryFrame { stream: 1, bytes }.encode();
        let tag = hmac::sign(&guard().key, &signing::tag_input(counter, &frame));
        frame.extend_from_slice(&tag.as_ref()[..TAG_LEN]);
        frame
    }

    fn check(guard: &mut FrameGuard, text: &str) -> Result<(), GuardError> {
        guard.check_text(&Envelope::decode(text).unwrap())
    }

    #[test]
    fn frames_in_order_pass() {
        let mut guard = guard();
        assert_eq!(check(&mut guard, &text(0, 500)), Ok(()));
        assert_eq!(guard.check_binary(&binary(1, b"abc")).unwrap().bytes, b"abc");
        assert_eq!(check(&mut guard, &text(2, 500)), Ok(()));
    }

    #[test]
    fn replayed_reordered_and_bare_frames_do_not() {
        let mut guard = guard();
        assert_eq!(check(&mut guard, &text(1, 500)), Err(GuardError::Wrong), "reordered");
        assert_eq!(check(&mut guard, &text(0, 500)), Ok(()));
        assert_eq!(check(&mut guard, &text(0, 500)), Err(GuardError::Wrong), "replayed");
        let bare = Outgoing::new(
            &Message::Watch(Watch { interval_ms: 500, ttl_s: 1 }),
            MessageId::new(Uuid::from_u128(7)),
            0,
            None,
        );
        assert_eq!(check(&mut guard, &bare.unwrap().to_text(None).unwrap()), Err(GuardError::Missing));
        assert_eq!(guard.check_binary(&[0; 5]), Err(GuardError::Frame(FrameError::TooShort)));
        assert_eq!(guard.check_binary(&binary(0, b"abc")), Err(GuardError::Wrong));
    }

    #[test]
    fn both_ends_derive_the_same_key() {
        let random = Random::system();
        let agent = Ephemeral::generate(&random).unwrap();
        let hub = Ephemeral::generate(&random).unwrap();
        let (agent_public, hub_public) = (agent.public(), hub.public());
        let nonce = Hex([9; 32]);
        let ours = agent.agree(nonce, hub_public).unwrap();
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, agent_public.0);
        let theirs = agreement::agree_ephemeral(hub.private, &peer, |secret| {
            FrameGuard::derive(secret, nonce, agent_public, hub_public).unwrap()
        })
        .unwrap();
        let tag = hmac::sign(&theirs.key, b"x");
        assert!(hmac::verify(&ours.key, b"x", tag.as_ref()).is_ok());
    }

    #[test]
    fn a_point_without_a_secret_is_refused() {
        let agent = Ephemeral::generate(&Random::system()).unwrap();
        assert!(agent.agree(Hex([9; 32]), Hex([0; 32])).is_none());
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_a_binary_frame_is_noticed(bytes in prop::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0..8_u8) {
            let mut frame = binary(0, &bytes);
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            prop_assert_eq!(guard().check_binary(&frame), Err(GuardError::Wrong));
        }

        #[test]
        fn another_payload_under_the_same_mac_is_noticed(interval in 501..u32::MAX) {
            let forged = text(0, 500).replace("500", &interval.to_string());
            prop_assert_eq!(check(&mut guard(), &forged), Err(GuardError::Wrong));
        }

        #[test]
        fn rubbish_never_panics(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(guard().check_binary(&frame).is_err());
        }
    }
}
