//! Shapes of normalisation: `[.., H]`, weights `[H]`, and a number for every row.

use gpsimd::prelude::*;

/// Fails unless `weight` is `[H]`, of `x` `[.., H]`.
pub(crate) fn expect_weight(x: &TensorType, weight: &TensorType) -> Result<(), ShapeError> {
    x.expect_rank_at_least(1)?;
    weight.expect_rank(1)?.expect_dim(0, x.last_dim()).map(drop)
}

/// f32, one for each row of `x`, `[.., H]`.
pub(crate) fn per_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_dtype::<f32>().with_shape(&x.shape()[..x.rank() - 1])
}

/// What a first phase leaves of a sum over rows, `[8, H]` in f32.
pub(crate) fn partials(weight: &TensorType) -> Result<TensorType, ShapeError> {
    weight.with_dtype::<f32>().with_shape(&[PARTS, weight.dim(0)])
}
