//! Layer normalisation (Ba, Kiros, Hinton: Layer Normalization, 2016), as `torch.nn.LayerNorm` computes it.

use gpsimd::prelude::*;

fn expect_gamma(x: &TensorType, gamma: &TensorType) -> Result<(), ShapeError> {
    x.expect_rank_at_least(1)?;
    gamma.expect_rank(1)?.expect_dim(0, x.last_dim()).map(drop)
}

/// f32, one for each row of `x`.
fn per_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = x.shape();
    shape.pop();
    x.with_dtype::<f32>().with_shape(&shape)
}

fn normalized(x: &TensorType, gamma: &TensorType, beta: &TensorType) -> Result<[TensorType; 3], ShapeError> {
    expect_gamma(x, gamma)?;
    expect_gamma(x, beta)?;
    let of_rows = per_row(x)?;
    Ok([*x, of_rows, of_rows])
}

fn expect_of_backward(
    dy: &TensorType,
    x: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
) -> Result<(), ShapeError> {
    dy.expect_shape_of(x)?;
    expect_gamma(x, gamma)?;
    let rank = x.rank() - 1;
    mean.expect_rank(rank)?;
    (0..rank).try_for_each(|i| mean.expect_dim(i, x.dim(i)).map(drop))?;
    rstd.expect_shape_of(mean).map(drop)
}

fn of_parts(
    dy: &TensorType,
    x: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
) -> Result<[TensorType; 2], ShapeError> {
    expect_of_backward(dy, x, gamma, mean, rstd)?;
    Ok([gamma.with_dtype::<f32>().with_shape(&[PARTS, gamma.dim(0)])?; 2])
}

fn like_operands(
    dy: &TensorType,
    x: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
    of_gamma: &TensorType,
    of_beta: &TensorType,
) -> Result<[TensorType; 3], ShapeError> {
    expect_of_backward(dy, x, gamma, mean, rstd)?;
    of_gamma.expect_rank(2)?.expect_dim(0, PARTS)?.expect_dim(1, gamma.dim(0))?;
    of_beta.expect_shape_of(of_gamma)?;
    Ok([*x, *gamma, *gamma])
}

/// y = (x - mean) rstd gamma + beta, with the mean over H and rstd = 1 / sqrt(variance + eps), the variance over H with
/// divisor H.
///
/// x: `[.., H]`, gamma and beta: `[H]`, y: like x; f32, bf16 or f16, computed in f32. mean and rstd: `[..]`, f32.
#[custom_op(
    shape = normalized,
    gradient(x, gamma, beta) = layer_norm_backward(grad(y), x, gamma, mean, rstd),
)]
#[expect(clippy::too_many_arguments, reason = "three operands, three outputs")]
pub fn layer_norm_forward<T: Float>(
    core: &Core,
    x: Input<T>,
    gamma: Input<T>,
    beta: Input<T>,
    eps: f32,
    y: Output<T>,
    mean: Output<f32>,
    rstd: Output<f32>,
) -> OpResult {
    core.rows((&x, &gamma, &beta), y).blocks_with((mean, rstd), |mut rows| {
        let (len, zero) = (rows.len() as f32, Lanes::splat(0.0));
        let rough = rows.fold(zero, |sum, (x, ..)| sum + x.to_f32())?.map(|sum| sum.sum() / len);
        // The mean of what is left is small, and so is its error: a row of one value has no variance.
        let rest = rows.fold_with(zero, rough, |sum, rough, (x, ..)| sum + (x.to_f32() - rough))?;
        let mean = rough.zip(rest).map(|(rough, rest)| rough + rest.sum() / len);
        let deviation = |x: T, mean| x.to_f32() - mean;
        let square = |sum, mean, (x, ..): (T, T, T)| math::fma(deviation(x, mean), deviation(x, mean), sum);
        let rstd = rows.fold_with(zero, mean, square)?.map(|squares| math::rsqrt(squares.sum() / len + eps));
        let of_rows = mean.zip(rstd);
        let y = rows.map_with(of_rows, |(mean, rstd), (x, gamma, beta)| {
            T::from_f32(math::fma(deviation(x, mean) * rstd, gamma.to_f32(), beta.to_f32()))
        })?;
        Ok((y, of_rows))
    })
}

/// The gradients of `layer_norm_forward`, in two phases: `layer_norm_gradients` is the second. This one sums what rows add to
/// those of gamma and beta, dy (x - mean) rstd and dy, over each of 8 parts of the rows.
///
/// dy: like x, the others as there; `of_gamma` and `of_beta`: `[8, H]`, f32.
#[custom_op(shape = of_parts, then = layer_norm_gradients(dy, x, gamma, mean, rstd, of_gamma, of_beta))]
#[expect(unused_variables, reason = "gamma is the second phase's")]
#[expect(clippy::too_many_arguments, reason = "five operands, two outputs")]
pub fn layer_norm_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    x: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    of_gamma: Output<f32>,
    of_beta: Output<f32>,
) -> OpResult {
    let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
    core.fold_rows((&dy, &x), (of_gamma, of_beta), (0.0, 0.0), |row| {
        let (mean, rstd) = (mean.get(row)?, rstd.get(row)?);
        Ok(move |(of_gamma, of_beta), (dy, x): (T, T)| {
            (math::fma(dy.to_f32(), (x.to_f32() - mean) * rstd, of_gamma), of_beta + dy.to_f32())
        })
    })
}

/// With u = (x - mean) rstd and g = dy gamma:
///
/// ```text
/// dx     = rstd (g - mean of g - u mean of g u)
/// dgamma = sum over rows of dy u, dbeta = sum over rows of dy
/// ```
///
/// The second phase of `layer_norm_backward`. dx: like x, dgamma and dbeta: like gamma.
#[custom_op(shape = like_operands)]
#[expect(clippy::too_many_arguments, reason = "seven operands, three outputs")]
pub fn layer_norm_gradients<T: Float>(
    core: &Core,
    dy: Input<T>,
    x: Input<T>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    of_gamma: Input<f32>,
    of_beta: Input<f32>,
    dx: Output<T>,
    dgamma: Output<T>,
    dbeta: Output<T>,
) -> OpResult {
    let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
    core.rows((&dy, &x, &gamma), dx).blocks(|mut rows| {
        let (len, zero) = (rows.len() as f32, Lanes::splat(0.0));
        let of_rows = rows.per_row(|row| Ok((mean.get(row)?, rstd.get(row)?)))?;
        let g = |dy: T, gamma: T| dy.to_f32() * gamma.to_f32();
        let u = |x: T, (mean, rstd)| (x.to_f32() - mean) * rstd;
        let of_g = rows.fold(zero, |sum, (dy, _, gamma)| sum + g(dy, gamma))?.map(|sum| sum.sum() / len);
        let of_gu = rows
            .fold_with(zero, of_rows, |sum, row, (dy, x, gamma)| math::fma(g(dy, gamma), u(x, row), sum))?
            .map(|sum| sum.sum() / len);
        rows.map_with(of_rows.zip(of_g.zip(of_gu)), |(row, (of_g, of_gu)), (dy, x, gamma)| {
            T::from_f32(row.1 * (g(dy, gamma) - of_g - u(x, row) * of_gu))
        })
    })?;
    let add = |a: f32, b: f32| a + b;
    core.combine(&of_gamma, dgamma, add, T::from_f32)?;
    core.combine(&of_beta, dbeta, add, T::from_f32)
}
