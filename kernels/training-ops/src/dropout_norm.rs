//! Dropout, a residual and layer normalisation in one pass: what follows every block of a transformer with normalisation
//! after it.

use gpsimd::prelude::*;

use crate::dropout::{Dropout, expect_seed};

fn expect_weight(x: &TensorType, weight: &TensorType) -> Result<(), ShapeError> {
    x.expect_rank_at_least(1)?;
    weight.expect_rank(1)?.expect_dim(0, x.last_dim()).map(drop)
}

fn normalized(
    x: &TensorType,
    residual: &TensorType,
    gamma: &TensorType,
    beta: &TensorType,
    seed: &TensorType,
) -> Result<[TensorType; 4], ShapeError> {
    expect_weight(x, gamma)?;
    expect_weight(x, beta)?;
    residual.expect_shape_of(x)?;
    expect_seed(seed)?;
    let mut shape = x.shape();
    shape.pop();
    let of_rows = x.with_dtype::<f32>().with_shape(&shape)?;
    Ok([*x, *x, of_rows, of_rows])
}

fn expect_of_backward(
    dy: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
    seed: &TensorType,
) -> Result<(), ShapeError> {
    dy.expect_shape_of(sum)?;
    expect_weight(sum, gamma)?;
    let rank = sum.rank() - 1;
    mean.expect_rank(rank)?;
    (0..rank).try_for_each(|i| mean.expect_dim(i, sum.dim(i)).map(drop))?;
    rstd.expect_shape_of(mean)?;
    expect_seed(seed)
}

fn of_parts(
    dy: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
    seed: &TensorType,
) -> Result<[TensorType; 2], ShapeError> {
    expect_of_backward(dy, sum, gamma, mean, rstd, seed)?;
    Ok([gamma.with_dtype::<f32>().with_shape(&[PARTS, gamma.dim(0)])?; 2])
}

#[expect(clippy::too_many_arguments, reason = "eight operands")]
fn like_operands(
    dy: &TensorType,
    sum: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
    seed: &TensorType,
    of_gamma: &TensorType,
    of_beta: &TensorType,
) -> Result<[TensorType; 4], ShapeError> {
    expect_of_backward(dy, sum, gamma, mean, rstd, seed)?;
    of_gamma.expect_rank(2)?.expect_dim(0, PARTS)?.expect_dim(1, gamma.dim(0))?;
    of_beta.expect_shape_of(of_gamma)?;
    Ok([*sum, *sum, *gamma, *gamma])
}

/// sum = d + residual, where d is x / (1 - dropout) for an element that is kept, 0 for one that is dropped, with
/// probability `dropout`; and y = (sum - mean) rstd gamma + beta, with mean and rstd = 1 / sqrt(variance + eps) of a row
/// of sum, whose variance has the divisor H. Backward has no mask of what was dropped: it computes it anew.
///
/// x and residual: `[.., H]`, gamma and beta: `[H]`, y and sum: like x; f32, bf16 or f16, computed in f32 from sum as it is
/// stored. seed: `[2]`, i32, 64 bits with the low half first; dropout: from 0 to 1. mean and rstd: `[..]`, f32. Random
/// numbers: Philox4x32-10.
#[custom_op(
    shape = normalized,
    gradient(x, residual, gamma, beta) = dropout_norm_backward(grad(y), sum, gamma, mean, rstd, seed, dropout),
)]
#[expect(clippy::too_many_arguments, reason = "five operands, two scalars, four outputs")]
pub fn dropout_norm_forward<T: Float>(
    core: &Core,
    x: Input<T>,
    residual: Input<T>,
    gamma: Input<T>,
    beta: Input<T>,
    seed: Input<i32>,
    eps: f32,
    dropout: f32,
    y: Output<T>,
    sum: Output<T>,
    mean: Output<f32>,
    rstd: Output<f32>,
) -> OpResult {
    let (dropout, bits) = Dropout::new(core, &seed, dropout)?;
    core.rows((&x, &residual, &gamma, &beta, &bits), (y, sum)).keeping::<f32>().each_with((mean, rstd), |row| {
        let len = row.len() as f32;
        // As it is stored.
        let mut sum =
            row.keep(|(x, residual, .., bits)| T::from_f32(dropout.of(x.to_f32(), bits) + residual.to_f32()).to_f32());
        let rough = sum.fold(Lanes::splat(0.0), |all, sum| all + sum)?.sum() / len;
        // The mean of what is left is small, and so is its error: a row of one value has no variance.
        let rest = sum.fold(Lanes::splat(0.0), |all, sum| all + (sum - rough))?.sum() / len;
        let mean = rough + rest;
        let squares = sum.fold(Lanes::splat(0.0), |all, sum| math::fma(sum - mean, sum - mean, all))?.sum();
        let rstd = math::rsqrt(squares / len + eps);
        let written = sum.map(|sum, (_, _, gamma, beta, _)| {
            let y = math::fma((sum - mean) * rstd, gamma.to_f32(), beta.to_f32());
            (T::from_f32(y), T::from_f32(sum))
        })?;
        Ok((written, (mean, rstd)))
    })
}

/// The gradients of `dropout_norm_forward`, in two phases: `dropout_norm_gradients` is the second. This one sums what rows
/// add to those of gamma and beta, dy (sum - mean) rstd and dy, over each of 8 parts of the rows.
///
/// dy: like sum, the others as there; `of_gamma` and `of_beta`: `[8, H]`, f32.
#[custom_op(
    shape = of_parts,
    then = dropout_norm_gradients(dy, sum, gamma, mean, rstd, seed, of_gamma, of_beta, dropout),
)]
#[expect(unused_variables, reason = "gamma, seed and dropout are the second phase's")]
#[expect(clippy::too_many_arguments, reason = "six operands, a scalar, two outputs")]
pub fn dropout_norm_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    sum: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    seed: Input<i32>,
    dropout: f32,
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
/// dresidual = rstd (g - mean of g - u mean of g u)
/// dx        = dresidual / (1 - dropout) where an element was kept, 0 where it was dropped
/// dgamma    = sum over rows of dy u, dbeta = sum over rows of dy
/// ```
///
/// The second phase of `dropout_norm_backward`. dx and dresidual: like sum, dgamma and dbeta: like gamma.
#[custom_op(shape = like_operands)]
#[expect(clippy::too_many_arguments, reason = "eight operands, a scalar, four outputs")]
pub fn dropout_norm_gradients<T: Float>(
    core: &Core,
    dy: Input<T>,
    sum: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    seed: Input<i32>,
    of_gamma: Input<f32>,
    of_beta: Input<f32>,
    dropout: f32,
    dx: Output<T>,
    dresidual: Output<T>,
    dgamma: Output<T>,
    dbeta: Output<T>,
) -> OpResult {
    {
        let (dropout, bits) = Dropout::new(core, &seed, dropout)?;
        let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
        core.rows((&dy, &sum, &gamma, &bits), (dx, dresidual)).each(|mut row| {
            let (len, mean, rstd) = (row.len() as f32, mean.get(row.index())?, rstd.get(row.index())?);
            let g = |dy: T, gamma: T| dy.to_f32() * gamma.to_f32();
            let u = |sum: T| (sum.to_f32() - mean) * rstd;
            let of_g = row.fold(Lanes::splat(0.0), |all, (dy, _, gamma, _)| all + g(dy, gamma))?.sum() / len;
            let of_gu =
                row.fold(Lanes::splat(0.0), |all, (dy, sum, gamma, _)| math::fma(g(dy, gamma), u(sum), all))?.sum()
                    / len;
            row.map(|(dy, sum, gamma, bits)| {
                let d = rstd * (g(dy, gamma) - of_g - u(sum) * of_gu);
                (T::from_f32(dropout.of(d, bits)), T::from_f32(d))
            })
        })?;
    }
    let add = |a: f32, b: f32| a + b;
    core.combine(&of_gamma, dgamma, add, T::from_f32)?;
    core.combine(&of_beta, dbeta, add, T::from_f32)
}
