//! The embeddings of a BERT: rows of three tables, their sum's layer norm, and dropout, in one pass.

use gpsimd::prelude::*;
use index_ops::add_rows;
use training_ops::{Dropout, expect_seed};

fn expect_indices(table: &TensorType, indices: &TensorType, ids: &TensorType) -> Result<(), ShapeError> {
    table.expect_rank(2)?;
    indices.expect_shape_of(ids).map(drop)
}

#[expect(clippy::too_many_arguments, reason = "nine operands")]
fn normalized(
    word: &TensorType,
    position: &TensorType,
    token_type: &TensorType,
    ids: &TensorType,
    positions: &TensorType,
    token_types: &TensorType,
    gamma: &TensorType,
    beta: &TensorType,
    seed: &TensorType,
) -> Result<[TensorType; 4], ShapeError> {
    expect_indices(word, ids, ids)?;
    expect_indices(position, positions, ids)?;
    expect_indices(token_type, token_types, ids)?;
    let columns = word.dim(1);
    position.expect_dim(1, columns)?;
    token_type.expect_dim(1, columns)?;
    gamma.expect_rank(1)?.expect_dim(0, columns)?;
    beta.expect_rank(1)?.expect_dim(0, columns)?;
    expect_seed(seed)?;
    let mut shape = ids.shape();
    let of_rows = word.with_dtype::<f32>().with_shape(&shape)?;
    shape.push(columns).map_err(|_| ShapeError::new("the output has more than 8 dimensions"))?;
    let y = word.with_shape(&shape)?;
    Ok([y, y, of_rows, of_rows])
}

#[expect(clippy::too_many_arguments, reason = "twelve operands")]
fn of_parts(
    dy: &TensorType,
    sum: &TensorType,
    word: &TensorType,
    position: &TensorType,
    token_type: &TensorType,
    ids: &TensorType,
    positions: &TensorType,
    token_types: &TensorType,
    gamma: &TensorType,
    mean: &TensorType,
    rstd: &TensorType,
    seed: &TensorType,
) -> Result<[TensorType; 3], ShapeError> {
    let [y, _, of_rows, _] = normalized(word, position, token_type, ids, positions, token_types, gamma, gamma, seed)?;
    dy.expect_shape_of(&y)?;
    sum.expect_shape_of(&y)?;
    mean.expect_shape_of(&of_rows)?;
    rstd.expect_shape_of(&of_rows)?;
    let of_parts = gamma.with_dtype::<f32>().with_shape(&[PARTS, gamma.dim(0)])?;
    Ok([y, of_parts, of_parts])
}

#[expect(clippy::too_many_arguments, reason = "ten operands")]
fn like_weights(
    dsum: &TensorType,
    word: &TensorType,
    position: &TensorType,
    token_type: &TensorType,
    ids: &TensorType,
    positions: &TensorType,
    token_types: &TensorType,
    gamma: &TensorType,
    of_gamma: &TensorType,
    of_beta: &TensorType,
) -> Result<[TensorType; 5], ShapeError> {
    for (table, indices) in [(word, ids), (position, positions), (token_type, token_types)] {
        expect_indices(table, indices, ids)?;
        table.expect_dim(1, gamma.dim(0))?;
    }
    dsum.expect_rank(ids.rank() + 1)?.expect_dim(ids.rank(), word.dim(1))?;
    (0..ids.rank()).try_for_each(|i| dsum.expect_dim(i, ids.dim(i)).map(drop))?;
    of_gamma.expect_rank(2)?.expect_dim(0, PARTS)?.expect_dim(1, gamma.dim(0))?;
    of_beta.expect_shape_of(of_gamma)?;
    Ok([*word, *position, *token_type, *gamma, *gamma])
}

/// sum = `word[ids] + token_type[token_types] + position[positions]`, u = (sum - mean) rstd gamma + beta, with mean and
/// rstd = 1 / sqrt(variance + eps) of a row of sum, whose variance has the divisor H; and y = u / (1 - dropout) for an
/// element that is kept, 0 for one that is dropped, with probability `dropout`. Backward has no mask of what was dropped: it
/// computes it anew.
///
/// word: `[V, H]`, position: `[P, H]`, `token_type`: `[K, H]`; ids, positions and `token_types`: of one shape, i32, each the number
/// of a row of its table; gamma and beta: `[H]`; y and sum: `[.., H]`; f32, bf16 or f16, computed in f32 from sum as it is
/// stored. seed: `[2]`, i32, 64 bits with the low half first; `word_padding` and
/// `position_padding`: the row of each table that has no gradient, -1 for none; dropout: from 0 to 1. mean and rstd: like ids, f32. Random numbers: Philox4x32-10.
#[custom_op(
    shape = normalized,
    gradient(word, position, token_type, gamma, beta) = embedding_norm_backward(
        grad(y), sum, word, position, token_type, ids, positions, token_types, gamma, mean, rstd, seed, word_padding,
        position_padding, dropout
    ),
)]
#[expect(unused_variables, reason = "the paddings are the gradient's")]
#[expect(clippy::too_many_arguments, reason = "nine operands, four scalars, four outputs")]
pub fn embedding_norm_forward<T: Float>(
    core: &Core,
    word: Input<T>,
    position: Input<T>,
    token_type: Input<T>,
    ids: Input<i32>,
    positions: Input<i32>,
    token_types: Input<i32>,
    gamma: Input<T>,
    beta: Input<T>,
    seed: Input<i32>,
    word_padding: i32,
    position_padding: i32,
    eps: f32,
    dropout: f32,
    y: Output<T>,
    sum: Output<T>,
    mean: Output<f32>,
    rstd: Output<f32>,
) -> OpResult {
    let (dropout, bits) = Dropout::new(core, &seed, dropout)?;
    let tables = (word.rows_at(&ids), position.rows_at(&positions), token_type.rows_at(&token_types));
    let operands = (&tables.0, &tables.1, &tables.2, &gamma, &beta, &bits);
    core.rows(operands, (y, sum)).keeping::<f32>().each_with((mean, rstd), |row| {
        let len = row.len() as f32;
        // In transformers' order, and as it is stored.
        let mut sum = row.keep(|(word, position, token_type, ..)| {
            T::from_f32(word.to_f32() + token_type.to_f32() + position.to_f32()).to_f32()
        });
        let rough = sum.fold(Lanes::splat(0.0), |all, sum| all + sum)?.sum() / len;
        // The mean of what is left is small, and so is its error: a row of one value has no variance.
        let rest = sum.fold(Lanes::splat(0.0), |all, sum| all + (sum - rough))?.sum() / len;
        let mean = rough + rest;
        let squares = sum.fold(Lanes::splat(0.0), |all, sum| math::fma(sum - mean, sum - mean, all))?.sum();
        let rstd = math::rsqrt(squares / len + eps);
        let written = sum.map(|sum, (.., gamma, beta, bits)| {
            let u = math::fma((sum - mean) * rstd, gamma.to_f32(), beta.to_f32());
            (T::from_f32(dropout.of(u, bits)), T::from_f32(sum))
        })?;
        Ok((written, (mean, rstd)))
    })
}

/// The gradients of `embedding_norm_forward`, in two phases: `embedding_norm_gradients` is the second. With
/// u = (sum - mean) rstd, du = dy / (1 - dropout) where an element was kept, 0 where it was dropped, and g = du gamma, this
/// one computes
///
/// ```text
/// dsum = rstd (g - mean of g - u mean of g u)
/// ```
///
/// and sums what rows add to the gradients of gamma and beta, du u and du, over each of 8 parts of the rows.
///
/// dy and dsum: like sum, the others as there; `of_gamma` and `of_beta`: `[8, H]`, f32.
#[custom_op(
    shape = of_parts,
    then = embedding_norm_gradients(
        dsum, word, position, token_type, ids, positions, token_types, gamma, of_gamma, of_beta, word_padding,
        position_padding
    ),
)]
#[expect(unused_variables, reason = "the tables, their indices and paddings are the second phase's")]
#[expect(clippy::too_many_arguments, reason = "twelve operands, three scalars, three outputs")]
pub fn embedding_norm_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    sum: Input<T>,
    word: Input<T>,
    position: Input<T>,
    token_type: Input<T>,
    ids: Input<i32>,
    positions: Input<i32>,
    token_types: Input<i32>,
    gamma: Input<T>,
    mean: Input<f32>,
    rstd: Input<f32>,
    seed: Input<i32>,
    word_padding: i32,
    position_padding: i32,
    dropout: f32,
    dsum: Output<T>,
    of_gamma: Output<f32>,
    of_beta: Output<f32>,
) -> OpResult {
    let (dropout, bits) = Dropout::new(core, &seed, dropout)?;
    let du = |dy: T, bits: u32| dropout.of(dy.to_f32(), bits);
    {
        let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
        core.rows((&dy, &sum, &gamma, &bits), dsum).each(|mut row| {
            let (len, mean, rstd) = (row.len() as f32, mean.get(row.index())?, rstd.get(row.index())?);
            let g = |dy, gamma: T, bits| du(dy, bits) * gamma.to_f32();
            let u = |sum: T| (sum.to_f32() - mean) * rstd;
            let zero = Lanes::splat(0.0);
            let of_g = row.fold(zero, |all, (dy, _, gamma, bits)| all + g(dy, gamma, bits))?.sum() / len;
            let of_gu =
                row.fold(zero, |all, (dy, sum, gamma, bits)| math::fma(g(dy, gamma, bits), u(sum), all))?.sum() / len;
            row.map(|(dy, sum, gamma, bits)| T::from_f32(rstd * (g(dy, gamma, bits) - of_g - u(sum) * of_gu)))
        })?;
    }
    let (mut mean, mut rstd) = (core.tcm().window(&mean)?, core.tcm().window(&rstd)?);
    core.fold_rows((&dy, &sum, &bits), (of_gamma, of_beta), (0.0, 0.0), |row| {
        let (mean, rstd) = (mean.get(row)?, rstd.get(row)?);
        Ok(move |(of_gamma, of_beta), (dy, sum, bits): (T, T, u32)| {
            let du = du(dy, bits);
            (math::fma(du, (sum.to_f32() - mean) * rstd, of_gamma), of_beta + du)
        })
    })
}

/// The gradient of a row of a table is the sum of dsum over all places where the row is named, in their order; those of
/// the rows `word_padding` and `position_padding` are 0. Those of gamma and beta are the sums of the parts.
///
/// The second phase of `embedding_norm_backward`. dword: like word, and so on.
#[custom_op(shape = like_weights)]
#[expect(clippy::too_many_arguments, reason = "ten operands, two scalars, five outputs")]
pub fn embedding_norm_gradients<T: Float>(
    core: &Core,
    dsum: Input<T>,
    word: Input<T>,
    position: Input<T>,
    token_type: Input<T>,
    ids: Input<i32>,
    positions: Input<i32>,
    token_types: Input<i32>,
    gamma: Input<T>,
    of_gamma: Input<f32>,
    of_beta: Input<f32>,
    word_padding: i32,
    position_padding: i32,
    dword: Output<T>,
    dposition: Output<T>,
    dtoken_type: Output<T>,
    dgamma: Output<T>,
    dbeta: Output<T>,
) -> OpResult {
    let columns = gamma.dim(0);
    add_rows(core, &dsum, &ids, dword, (word.dim(0), columns), word_padding)?;
    add_rows(core, &dsum, &positions, dposition, (position.dim(0), columns), position_padding)?;
    add_rows(core, &dsum, &token_types, dtoken_type, (token_type.dim(0), columns), -1)?;
    let add = |a: f32, b: f32| a + b;
    core.combine(&of_gamma, dgamma, add, T::from_f32)?;
    core.combine(&of_beta, dbeta, add, T::from_f32)
}
