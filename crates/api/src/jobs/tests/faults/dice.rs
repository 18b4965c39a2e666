//! The only source of chance in a run: everything in it follows from its seed.

use crate::random::{Random, SeededRandom};

/// Throws of one seed.
#[derive(Debug)]
pub(super) struct Dice(SeededRandom);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A number below `bound`; 0 where there is none.
    pub(super) fn below(&self, bound: usize) -> usize {
        let random: &dyn Random = &self.0;
        usize::try_from(u64::from_be_bytes(random.bytes()) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// True once in so many throws.
    pub(super) fn one_in(&self, throws: usize) -> bool {
        self.below(throws) == 0
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len())).copied()
    }
}
