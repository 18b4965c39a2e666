//! How the hub's key is replaced: the old key names the new one, and from then on the old one counts no more.
//!
//! A hub tells every agent the whole chain, oldest first; an agent that was away for several rotations follows it from the
//! key that it has pinned. Whoever holds the old key of an agent that has not followed yet can lead it astray: a rotation
//! is for a key that grows old, not for one that was stolen (then: register anew).

use std::io;

use protocol::session::KeyRotationBody;
use protocol::{Hex, Signed, signing};
use serde::{Deserialize, Serialize};

use super::{Trust, TrustError};
use crate::host::files::{self, Dir};
use crate::identity::{self, HubAnchor};
use crate::paths::Paths;

/// Rotations that a chain can have.
pub const MAX_ROTATIONS: usize = 64;
/// Keys remembered as evidence.
const MAX_HISTORY: usize = 16;
const MAX_FILE: usize = 256 << 10;

/// Why a chain of rotations leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// No link of it was signed by the pinned key.
    #[error("the pinned key names no successor")]
    NoSuccessor,
    /// One link is not what the key before it signed.
    #[error("the key {0} did not name its successor so")]
    Broken(Hex<8>),
    /// More links than a hub ever has.
    #[error("there are more than {MAX_ROTATIONS} rotations")]
    TooLong,
    /// What is believed cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The trust directory cannot be written.
    #[error("the hub's new key cannot be kept: {0}")]
    Store(#[from] io::Error),
}

/// A key that was pinned here, and how it named its successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The key.
    pub hub_key: Hex<32>,
    /// Its SHA-256.
    pub hub_fingerprint: Hex<32>,
    /// What it signed last.
    pub rotation: Signed,
}

/// The anchor at the end of the chain, from the one that is pinned, and the keys that were left behind.
///
/// # Errors
/// [`RotationError`] when no unbroken chain leads away from `pinned`.
pub fn follow(pinned: &HubAnchor, rotations: &[Signed]) -> Result<(HubAnchor, Vec<Superseded>), RotationError> {
    if rotations.len() > MAX_ROTATIONS {
        return Err(RotationError::TooLong);
    }
    // What lies before the pinned key was followed once, or never mattered here.
    let ours = rotations.iter().position(|rotation| rotation.key_id == pinned.hub_key_id);
    let ours = ours.and_then(|first| rotations.get(first..)).ok_or(RotationError::NoSuccessor)?;
    let (mut anchor, mut left) = (pinned.clone(), Vec::new());
    for rotation in ours {
        let broken = || RotationError::Broken(anchor.hub_key_id);
        anchor.verify(signing::KEY_ROTATION, rotation).map_err(|_| broken())?;
        let body: KeyRotationBody = serde_json::from_str(&rotation.body).map_err(|_| broken())?;
        if body.old_key_id != anchor.hub_key_id {
            return Err(broken());
        }
        left.push(Superseded {
            hub_key: anchor.hub_key,
            hub_fingerprint: anchor.hub_fingerprint,
            rotation: rotation.clone(),
        });
        let hub_fingerprint = identity::fingerprint(&body.new_key);
        let hub_key_id = identity::key_id(&hub_fingerprint);
        anchor = HubAnchor { hub_key: body.new_key, hub_key_id, hub_fingerprint, ..anchor };
    }
    Ok((anchor, left))
}

/// Pins the key at the end of the chain, durably. Where it is pinned already nothing changes.
///
/// # Errors
/// [`RotationError`]; what was believed is believed still.
pub fn take(paths: &Paths, rotations: &[Signed]) -> Result<(), RotationError> {
    // One at a time. Nobody but root can open that directory.
    let _lock = Dir::open(&paths.claims_dir())?.lock()?;
    let trust = Trust::load(paths)?;
    let ends_here = |rotation: &Signed| {
        let body = serde_json::from_str::<KeyRotationBody>(&rotation.body);
        body.is_ok_and(|body| body.new_key == trust.anchor().hub_key)
    };
    if rotations.last().is_some_and(ends_here) {
        return Ok(());
    }
    let (anchor, left) = follow(trust.anchor(), rotations)?;
    let mut known = history(paths);
    known.extend(left);
    let known = known.split_off(known.len().saturating_sub(MAX_HISTORY));
    // Evidence first: a machine that goes down in between finds one link of it twice.
    files::write_atomic(&paths.hub_history_file(), &json(&known)?, 0o644)?;
    files::write_atomic(&paths.hub_file(), &json(&anchor)?, 0o644)?;
    log::info!("the hub's key is {} from now on", anchor.hub_fingerprint);
    Ok(())
}

/// Keys that were pinned here before, the oldest first; empty where that cannot be read.
#[must_use]
pub fn history(paths: &Paths) -> Vec<Superseded> {
    let bytes = files::read(&paths.hub_history_file(), MAX_FILE).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Machine;

    fn rotation(old: &Machine, new: &Machine) -> Signed {
        let body = KeyRotationBody { old_key_id: old.anchor.hub_key_id, new_key: new.anchor.hub_key, at_ms: 1 };
        old.sign(signing::KEY_ROTATION, serde_json::to_string(&body).unwrap())
    }

    #[test]
    fn a_chain_is_followed_from_the_pinned_key_and_the_old_ones_are_kept_as_evidence() {
        let hubs: Vec<Machine> = (1..=4).map(Machine::new).collect();
        let chain: Vec<Signed> = hubs.windows(2).map(|pair| rotation(&pair[0], &pair[1])).collect();
        let host = &hubs[1];
        take(&host.paths, &chain).unwrap();
        let trust = Trust::load(&host.paths).unwrap();
        assert_eq!(trust.anchor().hub_fingerprint, hubs[3].anchor.hub_fingerprint);
        assert_eq!(trust.verify(signing::CMD, &hubs[3].sign(signing::CMD, "{}".into())), Ok(()));
        assert!(trust.verify(signing::CMD, &hubs[1].sign(signing::CMD, "{}".into())).is_err());
        let left: Vec<_> = history(&host.paths).into_iter().map(|superseded| superseded.hub_key).collect();
        assert_eq!(left, [hubs[1].anchor.hub_key, hubs[2].anchor.hub_key]);
        take(&host.paths, &chain).unwrap();
        assert_eq!(history(&host.paths).len(), 2, "the same chain again changes nothing");
    }

    #[test]
    fn any_other_chain_changes_nothing() {
        let (old, new, stranger) = (Machine::new(1), Machine::new(2), Machine::new(3));
        let good = rotation(&old, &new);
        let mut by_itself = rotation(&new, &new);
        by_itself.key_id = old.anchor.hub_key_id;
        let body = KeyRotationBody { old_key_id: stranger.anchor.hub_key_id, new_key: new.anchor.hub_key, at_ms: 1 };
        let misnamed = old.sign(signing::KEY_ROTATION, serde_json::to_string(&body).unwrap());
        let other_purpose = old.sign(signing::CMD, good.body.clone());
        for chain in [
            vec![],
            vec![by_itself],
            vec![misnamed],
            vec![other_purpose],
            vec![rotation(&stranger, &new)],
            vec![good.clone(), rotation(&stranger, &stranger)],
            vec![good.clone(), good.clone()],
            vec![rotation(&new, &stranger), good.clone(), rotation(&stranger, &new)],
            vec![good; MAX_ROTATIONS + 1],
        ] {
            // The last link may name the pinned key's place, but none of these ends at what is pinned.
            assert!(take(&old.paths, &chain).is_err(), "{chain:?}");
            assert_eq!(Trust::load(&old.paths).unwrap().anchor(), &old.anchor);
        }
        assert!(history(&old.paths).is_empty());
    }
}
