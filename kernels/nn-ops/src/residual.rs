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

fn expect_of_backward(
    dy: &TensorType,
    dsum: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
) -> Result<(), ShapeError> {
    dy.expect_shape_of(sum)?;
    dsum.expect_shape_of(sum)?;
    expect_weight(sum, gamma)?;
    expect_per_row(sum, mean)?;
    expect_per_row(sum, rstd)
}

fn of_parts(
    dy: &TensorType,
    dsum: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
) -> Result<[TensorType; 2], ShapeError> {
    expect_of_backward(dy, dsum, sum, gamma, mean, rstd)?;
    Ok([partials(gamma)?; 2])
}

#[expect(clippy::too_many_arguments, reason = "one for each operand")]
fn like_operands(
    dy: &TensorType,
    dsum: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
    of_gamma: &TensorType,
    of_beta: &TensorType,
) -> Result<[TensorType; 4], ShapeError> {
    expect_of_backward(dy, dsum, sum, gamma, mean, rstd)?;
    expect_partials(gamma, of_gamma)?;
    expect_partials(gamma, of_beta)?;
    Ok([*sum, *sum, *gamma, *gamma])
}

/// sum = x + residual, and y = (sum - mean) rstd gamma + beta with mean and rstd = 1 / sqrt(variance + eps) of a row of
/// sum, whose variance has the divisor H.
///
/// x and residual: `[.., H]`, gamma and beta: `[H]`, y and sum: like x; f32, bf16 or f16, computed in f32 from sum as it is
/// stored. mean and rstd: `[..]`, f32.
#[custom_op(
    shape = normalized,
    gradient(x, residual, gamma, beta) = residual_layer_norm_backward(grad(y), grad(sum), sum, gamma, mean, rstd),
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

/// The gradients of `residual_layer_norm_forward`, in two phases: `residual_layer_norm_gradients` is the second. This one
/// sums what rows add to those of gamma and beta, dy (sum - mean) rstd and dy, over each of 8 parts of the rows.
///
/// dy and dsum: like sum, the others as there; `of_gamma` and `of_beta`: `[8, H]`, f32.
#[custom_op(
    shape = of_parts,
    then = residual_layer_norm_gradients(dy, dsum, sum, gamma, mean, rstd, of_gamma, of_beta),
)]
#[expect(unused_variables, reason = "dsum and gamma are the second phase's")]
pub fn residual_layer_norm_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    dsum: Input<T>,
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

/// With u = (sum - mean) rstd and g = dy gamma:
///
/// ```text
/// dx     = dresidual = dsum + rstd (g - mean of g - u mean of g u)
/// dgamma = sum over rows of dy u, dbeta = sum over rows of dy
/// ```
///
/// The second phase of `residual_layer_norm_backward`. dx and dresidual: like sum, dgamma and dbeta: like gamma.
#[custom_op(shape = like_operands)]
pub fn residual_layer_norm_gradients<T: Float>(
    core: &Core,
    dy: Input<T>,
    dsum: Input<T>,
    sum: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    of_gamma: Input<f32>,
    of_beta: Input<f32>,
    dx: Output<T>,
    dresidual: Output<T>,
    dgamma: Output<T>,
    dbeta: Output<T>,
) -> OpResult {
    let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
    core.rows((&dy, &dsum, &sum, &gamma), (dx, dresidual)).each(|mut row| {
        let (len, mean, rstd) = (row.len() as f32, mean.get(row.index())?, rstd.get(row.index())?);
        let g = |dy: T, gamma: T| dy.to_f32() * gamma.to_f32();
        let u = |sum: T| (sum.to_f32() - mean) * rstd;
        let of_g = row.fold(Lanes::splat(0.0), |all, (dy, .., gamma)| all + g(dy, gamma))?.sum() / len;
        let of_gu =
            row.fold(Lanes::splat(0.0), |all, (dy, _, sum, gamma)| math::fma(g(dy, gamma), u(sum), all))?.sum() / len;
        row.map(|(dy, dsum, sum, gamma)| {
            let dx = math::fma(rstd, g(dy, gamma) - of_g - u(sum) * of_gu, dsum.to_f32());
            (T::from_f32(dx), T::from_f32(dx))
        })
    })?;
    let add = |a: f32, b: f32| a + b;
    core.combine(&of_gamma, dgamma, add, T::from_f32)?;
    core.combine(&of_beta, dbeta, add, T::from_f32)
}
