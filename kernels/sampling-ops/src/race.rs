//! Weighted draws without replacement, as a race.

use gpsimd::prelude::*;

use crate::seed::{expect_seed, exponential, numbers};

fn like_weights(weights: &TensorType, seed: &TensorType) -> Result<TensorType, ShapeError> {
    weights.expect_rank_at_least(1)?;
    expect_seed(seed)?;
    Ok(weights.with_dtype::<f32>())
}

/// How fast each category is in a race: weight / e, with e of the exponential distribution. The fastest are draws by weight
/// without replacement, in their order (Efraimidis, Spirakis: Weighted random sampling with a reservoir, 2006): `topk` of the
/// speeds. A weight of 0 has speed 0.
///
/// weights: `[.., N]`, f32, bf16 or f16, not negative; seed: `[2]`, i32, 64 bits with the low half first; speeds: like weights,
/// f32. draws: how many of a row are to be drawn; fewer positive weights are an error. Random numbers: Philox4x32-10.
#[custom_op(shape = like_weights)]
pub fn race<T: Float>(core: &Core, weights: Input<T>, seed: Input<i32>, draws: u32, speeds: Output<f32>) -> OpResult {
    let bits = core.random_bits(numbers(core, &seed)?);
    core.rows((&weights, &bits), speeds).each(|mut row| {
        let positive = row.fold(Lanes::splat(0), |count, (w, _)| count + i32::from(w.to_f32() > 0.0))?.wrapping_sum();
        let refused =
            row.fold(Lanes::splat(0), |count, (w, _)| count + i32::from(!is_weight(w.to_f32())))?.wrapping_sum();
        if refused > 0 {
            return Err(OpError::Refused("a weight is negative, infinite or NaN"));
        }
        if (positive as u32) < draws {
            return Err(OpError::Refused("a row has fewer positive weights than are to be drawn without replacement"));
        }
        row.map(|(weight, bits)| weight.to_f32() / exponential(bits))
    })
}

/// Whether this is a weight: finite, and not negative.
#[inline(always)]
#[expect(
    clippy::manual_range_contains,
    clippy::needless_bitwise_bool,
    reason = "operators that skip an operand are branches"
)]
pub(crate) fn is_weight(weight: f32) -> bool {
    (weight >= 0.0) & (weight <= f32::MAX)
}
