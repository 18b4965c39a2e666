//! Randomness from the kernel.

use ring::rand::{SecureRandom, SystemRandom};

/// The kernel gave no random bytes: nothing that needs secrecy may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kernel gave no random bytes")]
pub struct NoRandomness;

/// Source of random bytes.
#[derive(Debug, Clone)]
pub struct Random {
    system: SystemRandom,
}

impl Random {
    /// The kernel's generator.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the injected randomness")]
    pub fn system() -> Self {
        Self { system: SystemRandom::new() }
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        self.system.fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(bytes)
    }

    /// Uniform in `0..bound`, 0 for a `bound` of 0. Not for secrets: a bias of 2⁻³² is accepted.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        let word = self.bytes::<16>().map_or(0, u128::from_be_bytes);
        u64::try_from(word.checked_rem(u128::from(bound)).unwrap_or(0)).unwrap_or(0)
    }

    /// ring's own trait, for key generation.
    #[must_use]
    pub fn ring(&self) -> &dyn SecureRandom {
        &self.system
    }
}
