//! The seed of an op, and what its random bits become.

use gpsimd::prelude::*;
use gpsimd::random::Philox;

/// Fails unless `seed` is `[2]`.
pub(crate) fn expect_seed(seed: &TensorType) -> Result<(), ShapeError> {
    seed.expect_rank(1)?.expect_dim(0, 2).map(drop)
}

/// The numbers of a seed, 64 bits with the low half first.
pub(crate) fn numbers(core: &Core, seed: &Input<'_, i32>) -> OpResult<Philox> {
    Ok(Philox::of_halves(&core.tcm().load(seed, ..2)?))
}

/// A number of the exponential distribution with mean 1: -log(1 - v), v from 32 bits, from 2^-32 to 1 - 2^-24. Its small values,
/// by which races are won, are the finest.
#[inline(always)]
pub(crate) fn exponential(bits: u32) -> f32 {
    let v = math::fma((bits >> 1) as i32 as f32, TWO_TO_MINUS_31, 0.5 * TWO_TO_MINUS_31);
    -math::log1p(-(if v < LARGEST { v } else { LARGEST }))
}

const TWO_TO_MINUS_31: f32 = 1.0 / 2_147_483_648.0;
const LARGEST: f32 = 1.0 - 1.0 / 16_777_216.0;
