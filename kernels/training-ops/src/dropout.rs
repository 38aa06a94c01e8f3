//! Which elements a dropout keeps.

use gpsimd::RandomBits;
use gpsimd::prelude::*;
use gpsimd::random::{Philox, kept, threshold};

/// Fails unless `seed` is `[2]`.
pub(crate) fn expect_seed(seed: &TensorType) -> Result<(), ShapeError> {
    seed.expect_rank(1)?.expect_dim(0, 2).map(drop)
}

/// A dropout with its probability.
#[derive(Clone, Copy)]
pub(crate) struct Dropout {
    threshold: u32,
    /// What is kept is multiplied by this.
    scale: f32,
}

impl Dropout {
    /// Drops with probability `p`, and the random bits of that, for a walk; `seed` has 64 bits, the low half first.
    ///
    /// # Errors
    /// When `p` is no probability.
    #[inline(never)]
    pub(crate) fn new<'l>(core: &'l Core, seed: &Input<'l, i32>, p: f32) -> OpResult<(Self, RandomBits<'l>)> {
        if !(0.0..=1.0).contains(&p) {
            return Err(OpError::Refused("`p` is a probability, from 0 to 1"));
        }
        let numbers = Philox::of_halves(&core.tcm().load(seed, ..2)?);
        // Of p = 1 nothing is kept, and nothing is divided by 0.
        let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
        // Where all is kept, no number is needed.
        let bits = core.random_bits((p > 0.0).then_some(numbers));
        Ok((Self { threshold: threshold(1.0 - p), scale }, bits))
    }

    /// The element with these random bits after dropout.
    #[inline(always)]
    pub(crate) fn of(self, x: f32, bits: u32) -> f32 {
        kept(bits, self.threshold, self.scale * x)
    }
}
