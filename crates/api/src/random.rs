//! The only source of randomness: injected, so that tests can repeat themselves.

use std::fmt;

/// Fills bytes with randomness good enough for keys.
pub trait Random: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Random + '_ {
    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's generator.
#[derive(Debug)]
pub struct SystemRandom(ring::rand::SystemRandom);

impl Default for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement that the ban names")]
    fn default() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Random for SystemRandom {
    #[expect(
        clippy::panic,
        reason = "without randomness every token would be guessable: stopping is the only safe end"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        use ring::rand::SecureRandom as _;
        if self.0.fill(bytes).is_err() {
            panic!("the operating system gave no randomness");
        }
    }
}

/// A repeatable stream for tests: SHA-256 over seed and counter.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    counter: std::sync::atomic::AtomicU64,
}

impl SeededRandom {
    /// The stream that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let counter = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let input = [self.seed.to_be_bytes(), counter.to_be_bytes()].concat();
            let digest = ring::digest::digest(&ring::digest::SHA256, &input);
            for (byte, value) in chunk.iter_mut().zip(digest.as_ref()) {
                *byte = *value;
            }
        }
    }
}
