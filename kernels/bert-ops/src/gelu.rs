//! Bias and GELU in one pass: what follows the first linear layer of a BERT feed-forward block.

use gpsimd::prelude::*;

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
/// x: `[.., H]`, bias: `[H]`, y: like x. f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_x, gradient(x, bias) = bias_gelu_backward(grad, x, bias))]
pub fn bias_gelu_forward<T: Float>(core: &Core, x: Input<T>, bias: Input<T>, y: Output<T>) -> OpResult {
    core.map((&x, &bias), y, |(x, bias)| T::from_f32(math::gelu(x.to_f32() + bias.to_f32())))
}

/// dx = dy (Phi(u) + u phi(u)) with u = x + bias, Phi and phi the normal distribution and its density: the gradient of
/// `bias_gelu_forward` with respect to x, and, summed over all but the last dimension, to bias.
///
/// dy: like x, x: `[.., H]`, bias: `[H]`, dx: like x. f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_x_and_dy)]
pub fn bias_gelu_backward<T: Float>(core: &Core, dy: Input<T>, x: Input<T>, bias: Input<T>, dx: Output<T>) -> OpResult {
    core.map((&dy, &x, &bias), dx, |(dy, x, bias)| {
        T::from_f32(dy.to_f32() * math::gelu_derivative(x.to_f32() + bias.to_f32()))
    })
}
