//! Dropout whose mask nobody stores.

use gpsimd::prelude::*;
use gpsimd::random::{Philox, kept, threshold};

fn like_x(x: &TensorType, seed: &TensorType) -> Result<TensorType, ShapeError> {
    seed.expect_rank(1)?.expect_dim(0, 2)?;
    Ok(*x)
}

/// y = x / (1 - p) where an element is kept, 0 where it is dropped, with probability p; the mask is a function of `seed` and
/// of the element's index, so that the gradient is the same op on the gradient.
///
/// x: any shape, f32, bf16 or f16; seed: `[2]`, i32, 64 bits with the low half first; p: from 0 to 1. Computed in f32.
/// Random numbers: Philox4x32-10.
#[custom_op(shape = like_x, gradient(x) = dropout(grad, seed, p))]
pub fn dropout<T: Float>(core: &Core, x: Input<T>, seed: Input<i32>, p: f32, y: Output<T>) -> OpResult {
    if !(0.0..=1.0).contains(&p) {
        return Err(OpError::Refused("`p` is a probability, from 0 to 1"));
    }
    let numbers = Philox::of_halves(&core.tcm().load(&seed, ..2)?);
    // Of p = 1 nothing is kept, and nothing is divided by 0.
    let (keep, scale) = (threshold(1.0 - p), if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 });
    core.map_random(numbers, &x, y, |x, bits| T::from_f32(kept(bits, keep, scale * x.to_f32())))
}
