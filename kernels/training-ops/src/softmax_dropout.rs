//! Softmax of attention scores with scale, additive mask and dropout.

use gpsimd::greater;
use gpsimd::prelude::*;

use crate::dropout::{Dropout, expect_seed};

fn expect_scores(scores: &TensorType, mask: &TensorType, seed: &TensorType) -> Result<(), ShapeError> {
    scores.expect_rank(4)?;
    mask.expect_rank(4)?.expect_dim(3, scores.dim(3))?;
    (0..3).try_for_each(|i| mask.expect_broadcast(i, scores.dim(i)).map(drop))?;
    expect_seed(seed)
}

fn probabilities(scores: &TensorType, mask: &TensorType, seed: &TensorType) -> Result<[TensorType; 3], ShapeError> {
    expect_scores(scores, mask, seed)?;
    let mut rows = scores.shape();
    rows.pop();
    let of_rows = scores.with_dtype::<f32>().with_shape(&rows)?;
    Ok([*scores, of_rows, of_rows])
}

fn like_scores(
    dy: &TensorType,
    scores: &TensorType,
    mask: &TensorType,
    seed: &TensorType,
    max: &TensorType,
    sum: &TensorType,
) -> Result<TensorType, ShapeError> {
    expect_scores(scores, mask, seed)?;
    dy.expect_shape_of(scores)?;
    max.expect_rank(3)?;
    (0..3).try_for_each(|i| max.expect_dim(i, scores.dim(i)).map(drop))?;
    sum.expect_shape_of(max)?;
    Ok(*scores)
}

/// With logits = scale * scores + mask and p = softmax of the logits over K, y = p / (1 - dropout) where an element is
/// kept, 0 where it is dropped, with probability `dropout`. Backward has neither p nor a mask of what was dropped: it
/// computes both from scores, from the greatest logit of each row, `max`, and from the `sum` over the row of
/// exp(logit - max).
///
/// scores: `[B, h, Q, K]`, mask: `[B or 1, h or 1, Q or 1, K]`, y: like scores; f32, bf16 or f16, computed in f32. seed:
/// `[2]`, i32, 64 bits with the low half first; dropout: from 0 to 1. max, sum: `[B, h, Q]`, f32. A row that is negative
/// infinity throughout, or has a NaN or a positive infinity, is NaN where it is kept. Random numbers: Philox4x32-10.
#[custom_op(
    shape = probabilities,
    gradient(scores) = softmax_dropout_backward(grad(y), scores, mask, seed, max, sum, scale, dropout, scale),
    gradient(mask) = softmax_dropout_backward(grad(y), scores, mask, seed, max, sum, scale, dropout, 1.0),
)]
#[expect(clippy::too_many_arguments, reason = "three operands, two scalars, three outputs")]
pub fn softmax_dropout_forward<T: Float>(
    core: &Core,
    scores: Input<T>,
    mask: Input<T>,
    seed: Input<i32>,
    scale: f32,
    dropout: f32,
    y: Output<T>,
    max: Output<f32>,
    sum: Output<f32>,
) -> OpResult {
    let (dropout, bits) = Dropout::new(core, &seed, dropout)?;
    let logit = |score: T, mask: T| math::fma(scale, score.to_f32(), mask.to_f32());
    core.rows((&scores, &mask, &bits), y).keeping::<f32>().each_with((max, sum), |mut row| {
        let max = row.fold(Lanes::splat(f32::NEG_INFINITY), |max, (s, m, _)| greater(max, logit(s, m)))?.max();
        let mut exponentials = row.keep(|(s, m, _)| math::exp_nonpositive(logit(s, m) - max));
        let sum = exponentials.fold(Lanes::splat(0.0), |sum, e| sum + e)?.sum();
        let written = exponentials.map(|e, (.., bits)| T::from_f32(dropout.of(e / sum, bits)))?;
        Ok((written, (max, sum)))
    })
}

/// With p as in `softmax_dropout_forward` and dp = dy / (1 - dropout) where an element is kept, 0 where it was dropped,
/// dlogits = p (dp - sum over K of dp p), and dx = factor * dlogits: the gradient of `softmax_dropout_forward` with
/// respect to the scores for the factor `scale`, to the mask for the factor 1.
///
/// dy: like scores, the others as there; dx: like scores.
#[custom_op(shape = like_scores)]
#[expect(clippy::too_many_arguments, reason = "six operands, three scalars, one output")]
pub fn softmax_dropout_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    scores: Input<T>,
    mask: Input<T>,
    seed: Input<i32>,
    max: Input<f32>,
    sum: Input<f32>,
    scale: f32,
    dropout: f32,
    factor: f32,
    dx: Output<T>,
) -> OpResult {
    let (dropout, bits) = Dropout::new(core, &seed, dropout)?;
    let (mut max, mut sum) = (core.tcm().window(&max)?, core.tcm().window(&sum)?);
    core.rows((&dy, &scores, &mask, &bits), dx).keeping::<f32>().each(|row| {
        let (max, sum) = (max.get(row.index())?, sum.get(row.index())?);
        let mut p =
            row.keep(|(_, s, m, _)| math::exp_nonpositive(math::fma(scale, s.to_f32(), m.to_f32()) - max) / sum);
        let dp = |dy: T, bits| dropout.of(dy.to_f32(), bits);
        let dot = p.fold_with(Lanes::splat(0.0), |dot, p, (dy, .., bits)| math::fma(dp(dy, bits), p, dot))?.sum();
        p.map(|p, (dy, .., bits)| T::from_f32(factor * p * (dp(dy, bits) - dot)))
    })
}
