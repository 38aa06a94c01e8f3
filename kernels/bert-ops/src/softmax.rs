//! Softmax of attention scores with scale and additive mask.

use gpsimd::greater;
use gpsimd::prelude::*;

fn like_scores(scores: &TensorType, mask: &TensorType) -> Result<TensorType, ShapeError> {
    scores.expect_rank(4)?;
    mask.expect_rank(4)?.expect_dim(3, scores.dim(3))?;
    for i in 0..3 {
        mask.expect_broadcast(i, scores.dim(i))?;
    }
    Ok(*scores)
}

fn like_p(dp: &TensorType, p: &TensorType) -> Result<TensorType, ShapeError> {
    p.expect_rank_at_least(1)?;
    dp.expect_shape_of(p)?;
    Ok(*p)
}

/// p = softmax over K of scale * scores + mask.
///
/// scores: `[B, h, Q, K]`, mask: `[B or 1, h or 1, Q or 1, K]`, p: like scores. f32, bf16 or f16, computed in f32. A row that is
/// negative infinity throughout, or has a NaN or a positive infinity, is NaN throughout.
#[custom_op(
    shape = like_scores,
    gradient(scores) = masked_softmax_backward(grad, p, scale),
    gradient(mask) = masked_softmax_backward(grad, p, 1.0),
)]
pub fn masked_softmax_forward<T: Float>(
    core: &Core,
    scores: Input<T>,
    mask: Input<T>,
    scale: f32,
    p: Output<T>,
) -> OpResult {
    let logit = |score: T, mask: T| math::fma(scale, score.to_f32(), mask.to_f32());
    core.rows((&scores, &mask), p).keeping::<f32>().each(|mut row| {
        let max = row.fold(Lanes::splat(f32::NEG_INFINITY), |max, (s, m)| greater(max, logit(s, m)))?.max();
        let mut exponentials = row.keep(|(s, m)| math::exp_nonpositive(logit(s, m) - max));
        let sum = exponentials.fold(Lanes::splat(0.0), |sum, e| sum + e)?.sum();
        exponentials.map(|e, _| T::from_f32(e / sum))
    })
}

/// dscores = scale * p (dp - sum over K of dp p): the gradient of `masked_softmax_forward` with respect to the scores.
///
/// dp: like p, p: `[.., K]`, dscores: like p. f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_p)]
pub fn masked_softmax_backward<T: Float>(
    core: &Core,
    dp: Input<T>,
    p: Input<T>,
    scale: f32,
    dscores: Output<T>,
) -> OpResult {
    core.rows((&dp, &p), dscores).blocks(|mut rows| {
        let dots = rows.fold(Lanes::splat(0.0), |dot, (dp, p)| math::fma(dp.to_f32(), p.to_f32(), dot))?;
        rows.map_with(dots.map(Lanes::sum), |dot, (dp, p)| T::from_f32(scale * p.to_f32() * (dp.to_f32() - dot)))
    })
}
