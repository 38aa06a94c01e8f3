//! Bias and GELU in one pass: what follows the first linear layer of a BERT feed-forward block.

use gpsimd::prelude::*;

use crate::rows::{pieces, width};

fn like_x(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    bias.expect_rank(1)?.expect_dim(0, x.last_dim())?;
    Ok(*x)
}

fn like_x_and_dy(dy: &TensorType, x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    like_x(x, bias)
}

/// y = u/2 (1 + erf(u/sqrt 2)) with u = x + bias: GELU in its exact form.
///
/// x: [.., H], bias: [H], y: like x. f32 or bf16, computed in f32.
#[custom_op(shape = like_x, gradient(x, bias) = bias_gelu_backward(grad, x, bias))]
pub fn bias_gelu_forward<T: Float>(core: &Core, x: Input<T>, bias: Input<T>, mut y: Output<T>) -> OpResult {
    let width = width(bias.len(), core.tcm().tile_len::<T>(2));
    let mut bias_tile = core.tcm().buffer::<T>(width)?;
    let mut resident = 0..0;
    let room = core.tcm().tile_len::<T>(1);
    for piece in pieces(core, x.len(), bias.len(), width, room) {
        if piece.columns != resident {
            bias_tile.load(&bias, piece.columns.clone())?;
            resident = piece.columns;
        }
        let bias = &bias_tile[..resident.len()];
        let mut tile = core.tcm().transform(&x, &mut y, piece.elements)?;
        for row in tile.rows(bias.len()) {
            row.map(bias, |x, b| T::from_f32(math::gelu(x.to_f32() + b.to_f32())));
        }
        tile.store()?;
    }
    Ok(())
}

/// dx = dy (Phi(u) + u phi(u)) with u = x + bias, Phi and phi the normal distribution and its density: the gradient of
/// `bias_gelu_forward` with respect to x, and, summed over all but the last dimension, to bias.
///
/// dy: like x, x: [.., H], bias: [H], dx: like x. f32 or bf16, computed in f32.
#[custom_op(shape = like_x_and_dy)]
pub fn bias_gelu_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    x: Input<T>,
    bias: Input<T>,
    mut dx: Output<T>,
) -> OpResult {
    let width = width(bias.len(), core.tcm().tile_len::<T>(3));
    let mut bias_tile = core.tcm().buffer::<T>(width)?;
    let mut resident = 0..0;
    let room = core.tcm().tile_len::<T>(2);
    for piece in pieces(core, x.len(), bias.len(), width, room) {
        if piece.columns != resident {
            bias_tile.load(&bias, piece.columns.clone())?;
            resident = piece.columns;
        }
        let bias = &bias_tile[..resident.len()];
        let x = core.tcm().load(&x, piece.elements.clone())?;
        let mut tile = core.tcm().transform(&dy, &mut dx, piece.elements)?;
        for (row, x) in tile.rows(bias.len()).zip(x.chunks_exact(bias.len())) {
            row.map2(x, bias, |dy, x, b| T::from_f32(dy.to_f32() * math::gelu_derivative(x.to_f32() + b.to_f32())));
        }
        tile.store()?;
    }
    Ok(())
}
