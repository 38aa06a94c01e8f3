//! RMS norm (Zhang, Sennrich: Root Mean Square Layer Normalization, 2019), as `torch.nn.RMSNorm` computes it.

use gpsimd::prelude::*;

use crate::shapes::{expect_partials, expect_per_row, expect_weight, partials, per_row};

fn normalized(x: &TensorType, gamma: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    expect_weight(x, gamma)?;
    Ok([*x, per_row(x)?])
}

fn expect_of_backward(
    dy: &TensorType,
    x: &TensorType,
    gamma: &TensorType,
    rstd: &TensorType,
) -> Result<(), ShapeError> {
    dy.expect_shape_of(x)?;
    expect_weight(x, gamma)?;
    expect_per_row(x, rstd)
}

fn of_parts(dy: &TensorType, x: &TensorType, gamma: &TensorType, rstd: &TensorType) -> Result<TensorType, ShapeError> {
    expect_of_backward(dy, x, gamma, rstd)?;
    partials(gamma)
}

fn like_operands(
    dy: &TensorType,
    x: &TensorType,
    gamma: &TensorType,
    rstd: &TensorType,
    of_gamma: &TensorType,
) -> Result<[TensorType; 2], ShapeError> {
    expect_of_backward(dy, x, gamma, rstd)?;
    expect_partials(gamma, of_gamma)?;
    Ok([*x, *gamma])
}

/// y = x rstd gamma, with rstd = 1 / sqrt(mean over H of x^2 + eps).
///
/// x: `[.., H]`, gamma: `[H]`, y: like x; f32, bf16 or f16, computed in f32. rstd: `[..]`, f32.
#[custom_op(shape = normalized, gradient(x, gamma) = rms_norm_backward(grad(y), x, gamma, rstd))]
pub fn rms_norm_forward<T: Float>(
    core: &Core,
    x: Input<T>,
    gamma: Input<T>,
    eps: f32,
    y: Output<T>,
    rstd: Output<f32>,
) -> OpResult {
    core.rows((&x, &gamma), y).blocks_with(rstd, |mut rows| {
        let len = rows.len() as f32;
        let squares = rows.fold(Lanes::splat(0.0), |sum, (x, _)| math::fma(x.to_f32(), x.to_f32(), sum))?;
        let rstd = squares.map(|squares| math::rsqrt(squares.sum() / len + eps));
        let y = rows.map_with(rstd, |rstd, (x, gamma)| T::from_f32(x.to_f32() * rstd * gamma.to_f32()))?;
        Ok((y, rstd))
    })
}

/// The gradients of `rms_norm_forward`, in two phases: `rms_norm_gradients` is the second. This one sums what rows add to
/// that of gamma, dy x rstd, over each of 8 parts of the rows.
///
/// dy: like x, the others as there; `of_gamma`: `[8, H]`, f32.
#[custom_op(shape = of_parts, then = rms_norm_gradients(dy, x, gamma, rstd, of_gamma))]
#[expect(unused_variables, reason = "gamma is the second phase's")]
pub fn rms_norm_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    x: Input<T>,
    gamma: Input<T>,
    rstd: Input<f32>,
    of_gamma: Output<f32>,
) -> OpResult {
    let mut rstd = core.tcm().window(&rstd)?;
    core.fold_rows((&dy, &x), of_gamma, 0.0, |row| {
        let rstd = rstd.get(row)?;
        Ok(move |of_gamma, (dy, x): (T, T)| math::fma(dy.to_f32(), x.to_f32() * rstd, of_gamma))
    })
}

/// With u = x rstd and g = dy gamma:
///
/// ```text
/// dx     = rstd (g - u mean of g u)
/// dgamma = sum over rows of dy u
/// ```
///
/// The second phase of `rms_norm_backward`. dx: like x, dgamma: like gamma.
#[custom_op(shape = like_operands)]
pub fn rms_norm_gradients<T: Float>(
    core: &Core,
    dy: Input<T>,
    x: Input<T>,
    gamma: Input<T>,
    rstd: Input<f32>,
    of_gamma: Input<f32>,
    dx: Output<T>,
    dgamma: Output<T>,
) -> OpResult {
    let mut rstd = core.tcm().window(&rstd)?;
    core.rows((&dy, &x, &gamma), dx).blocks(|mut rows| {
        let (len, rstd) = (rows.len() as f32, rows.per_row(|row| rstd.get(row))?);
        let g = |dy: T, gamma: T| dy.to_f32() * gamma.to_f32();
        let u = |x: T, rstd| x.to_f32() * rstd;
        let product = |sum, rstd, (dy, x, gamma)| math::fma(g(dy, gamma), u(x, rstd), sum);
        let of_gu = rows.fold_with(Lanes::splat(0.0), rstd, product)?.map(|sum| sum.sum() / len);
        rows.map_with(rstd.zip(of_gu), |(rstd, of_gu), (dy, x, gamma)| {
            T::from_f32(rstd * (g(dy, gamma) - u(x, rstd) * of_gu))
        })
    })?;
    let add = |a: f32, b: f32| a + b;
    core.combine(&of_gamma, dgamma, add, T::from_f32)
}
