//! [`Random`]: what a check draws from, the same for the same seed.

use std::hash::{DefaultHasher, Hash, Hasher};

use gpsimd_emulator::random_bits;

/// Numbers that follow from a seed.
pub(crate) struct Random(Box<dyn Iterator<Item = u64>>);

impl Random {
    /// Those of a seed and of what they are for: an op, a number.
    pub(crate) fn new(seed: u64, of: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, of).hash(&mut hasher);
        Self(Box::new(random_bits(hasher.finish())))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        let bits = self.0.next().unwrap_or_default();
        bits ^ (bits >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() >> 16) as usize % end.max(1)
    }

    /// Whether something of this many in a hundred happens.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// From -1 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        ((self.bits() >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
    }
}
