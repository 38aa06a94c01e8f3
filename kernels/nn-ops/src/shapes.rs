//! Shapes of normalisation: `[.., H]`, weights `[H]`, and a number for every row.

use gpsimd::prelude::*;

/// Fails unless `weight` is `[H]`, of `x` `[.., H]`.
pub(crate) fn expect_weight(x: &TensorType, weight: &TensorType) -> Result<(), ShapeError> {
    x.expect_rank_at_least(1)?;
    weight.expect_rank(1)?.expect_dim(0, x.last_dim()).map(drop)
}

/// Fails unless `numbers` has one for each row of `x`, `[.., H]`.
pub(crate) fn expect_per_row(x: &TensorType, numbers: &TensorType) -> Result<(), ShapeError> {
    let rank = x.expect_rank_at_least(1)?.rank() - 1;
    numbers.expect_rank(rank)?;
    (0..rank).try_for_each(|i| numbers.expect_dim(i, x.dim(i)).map(drop))
}

/// f32, one for each row of `x`, `[.., H]`.
pub(crate) fn per_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = x.shape();
    shape.pop();
    x.with_dtype::<f32>().with_shape(&shape)
}

/// Fails unless `partials` is what a first phase leaves of a sum over rows for `weight`.
pub(crate) fn expect_partials(weight: &TensorType, partials: &TensorType) -> Result<(), ShapeError> {
    partials.expect_rank(2)?.expect_dim(0, PARTS)?.expect_dim(1, weight.dim(0)).map(drop)
}

/// What a first phase leaves of a sum over rows, `[8, H]` in f32.
pub(crate) fn partials(weight: &TensorType) -> Result<TensorType, ShapeError> {
    weight.with_dtype::<f32>().with_shape(&[PARTS, weight.dim(0)])
}
