//! A residual and layer normalisation in one pass: what follows every block of a transformer with normalisation after it.

use gpsimd::prelude::*;

use crate::shapes::{expect_partials, expect_per_row, expect_weight, partials, per_row};

fn normalized(
    x: &TensorType,
    residual: &TensorType,
    gamma: &TensorType,
    beta: &TensorType,
) -> Result<[TensorType; 4], ShapeError> {
    expect_weight(x, gamma)?;
    expect_weight(x, beta)?;
    residual.expect_shape_of(x)?;
    let of_rows = per_row(x)?;
    Ok([*x, *x, of_rows, of_rows])
}

fn like_sum(
    dy: &TensorType,
    dsum: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
) -> Result<TensorType, ShapeError> {
    dsum.expect_shape_of(sum)?;
    of_parts(dy, sum, gamma, mean, rstd)?;
    Ok(*sum)
}

fn of_parts(
    dy: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
) -> Result<[TensorType; 2], ShapeError> {
    dy.expect_shape_of(sum)?;
    expect_weight(sum, gamma)?;
    expect_per_row(sum, mean)?;
    rstd.expect_shape_of(mean)?;
    Ok([partials(gamma)?; 2])
}

fn like_gamma(gamma: &TensorType, of_gamma: &TensorType, of_beta: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    expect_partials(gamma, of_gamma)?;
    expect_partials(gamma, of_beta)?;
    Ok([*gamma; 2])
}

/// sum = x + residual, and y = (sum - mean) rstd gamma + beta with mean and rstd = 1 / sqrt(variance + eps) of a row of
/// sum, whose variance has the divisor H.
///
/// x and residual: `[.., H]`, gamma and beta: `[H]`, y and sum: like x; f32, bf16 or f16, computed in f32 from sum as it is
/// stored. mean and rstd: `[..]`, f32.
#[custom_op(
    shape = normalized,
    gradient(x, residual) = residual_layer_norm_backward(grad(y), grad(sum), sum, gamma, mean, rstd),
    gradient(gamma, beta) = residual_layer_norm_weights(grad(y), sum, gamma, mean, rstd),
)]
pub fn residual_layer_norm_forward<T: Float>(
    core: &Core,
    x: Input<T>,
    residual: Input<T>,
    gamma: Input<T>,
    beta: Input<T>,
    eps: f32,
    y: Output<T>,
    sum: Output<T>,
    mean: Output<f32>,
    rstd: Output<f32>,
) -> OpResult {
    core.rows((&x, &residual, &gamma, &beta), (y, sum)).each_with((mean, rstd), |mut row| {
        let len = row.len() as f32;
        let sum = |x: T, residual: T| T::from_f32(x.to_f32() + residual.to_f32());
        let rough = row.fold(Lanes::splat(0.0), |all, (x, r, ..)| all + sum(x, r).to_f32())?.sum() / len;
        // The mean of what is left is small, and so is its error: a row of one value has no variance.
        let rest = row.fold(Lanes::splat(0.0), |all, (x, r, ..)| all + (sum(x, r).to_f32() - rough))?.sum() / len;
        let mean = rough + rest;
        let deviation = |sum: T| sum.to_f32() - mean;
        let squares =
            row.fold(Lanes::splat(0.0), |all, (x, r, ..)| math::fma(deviation(sum(x, r)), deviation(sum(x, r)), all))?;
        let rstd = math::rsqrt(squares.sum() / len + eps);
        let written = row.map(|(x, r, gamma, beta)| {
            let sum = sum(x, r);
            (T::from_f32(math::fma(deviation(sum) * rstd, gamma.to_f32(), beta.to_f32())), sum)
        })?;
        Ok((written, (mean, rstd)))
    })
}

/// With u = (sum - mean) rstd and g = dy gamma, dx = dsum + rstd (g - mean of g - u mean of g u): the gradient of
/// `residual_layer_norm_forward` with respect to x, and to residual.
///
/// dy and dsum: like sum, the others as there; dx: like sum.
#[custom_op(shape = like_sum)]
pub fn residual_layer_norm_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    dsum: Input<T>,
    sum: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    dx: Output<T>,
) -> OpResult {
    let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
    core.rows((&dy, &dsum, &sum, &gamma), dx).each(|mut row| {
        let (len, mean, rstd) = (row.len() as f32, mean.get(row.index())?, rstd.get(row.index())?);
        let g = |dy: T, gamma: T| dy.to_f32() * gamma.to_f32();
        let u = |sum: T| (sum.to_f32() - mean) * rstd;
        let of_g = row.fold(Lanes::splat(0.0), |all, (dy, .., gamma)| all + g(dy, gamma))?.sum() / len;
        let of_gu =
            row.fold(Lanes::splat(0.0), |all, (dy, _, sum, gamma)| math::fma(g(dy, gamma), u(sum), all))?.sum() / len;
        row.map(|(dy, dsum, sum, gamma)| {
            T::from_f32(math::fma(rstd, g(dy, gamma) - of_g - u(sum) * of_gu, dsum.to_f32()))
        })
    })
}

/// dgamma = sum over rows of dy (sum - mean) rstd, dbeta = sum over rows of dy: the gradients of
/// `residual_layer_norm_forward` with respect to its weights, in two phases, of which `residual_layer_norm_sums` is the
/// second. This one sums each of 8 parts of the rows.
///
/// dy: like sum, the others as there; `of_gamma` and `of_beta`: `[8, H]`, f32.
#[custom_op(shape = of_parts, then = residual_layer_norm_sums(gamma, of_gamma, of_beta))]
#[expect(unused_variables, reason = "gamma is the second phase's")]
pub fn residual_layer_norm_weights<T: Float>(
    core: &Core,
    dy: Input<T>,
    sum: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    of_gamma: Output<f32>,
    of_beta: Output<f32>,
) -> OpResult {
    let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
    core.fold_rows((&dy, &sum), (of_gamma, of_beta), (0.0, 0.0), |row| {
        let (mean, rstd) = (mean.get(row)?, rstd.get(row)?);
        Ok(move |(of_gamma, of_beta), (dy, sum): (T, T)| {
            (math::fma(dy.to_f32(), (sum.to_f32() - mean) * rstd, of_gamma), of_beta + dy.to_f32())
        })
    })
}

/// The second phase of `residual_layer_norm_weights`: the parts added up. Of gamma it takes the type alone.
#[custom_op(shape = like_gamma)]
#[expect(unused_variables, reason = "gamma says what the outputs are")]
pub fn residual_layer_norm_sums<T: Float>(
    core: &Core,
    gamma: Input<T>,
    of_gamma: Input<f32>,
    of_beta: Input<f32>,
    dgamma: Output<T>,
    dbeta: Output<T>,
) -> OpResult {
    let add = |a: f32, b: f32| a + b;
    core.combine(&of_gamma, dgamma, add, T::from_f32)?;
    core.combine(&of_beta, dbeta, add, T::from_f32)
}
