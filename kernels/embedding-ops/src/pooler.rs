//! Bias and tanh in one pass: what follows the linear layer of a BERT's pooler.

use gpsimd::prelude::*;

fn like_x(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    bias.expect_rank(1)?.expect_dim(0, x.last_dim())?;
    Ok(*x)
}

fn like_y(dy: &TensorType, y: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(y)?;
    Ok(*y)
}

/// y = tanh(x + bias).
///
/// x: `[.., H]`, bias: `[H]`, y: like x. f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_x, gradient(x, bias) = bias_tanh_backward(grad, y))]
pub fn bias_tanh_forward<T: Float>(core: &Core, x: Input<T>, bias: Input<T>, y: Output<T>) -> OpResult {
    core.map((&x, &bias), y, |(x, bias)| T::from_f32(math::tanh(x.to_f32() + bias.to_f32())))
}

/// dx = dy (1 - y^2): the gradient of `bias_tanh_forward` with respect to x, and, summed over all but the last dimension,
/// to bias.
///
/// dy, y and dx have one shape; f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_y)]
pub fn bias_tanh_backward<T: Float>(core: &Core, dy: Input<T>, y: Input<T>, dx: Output<T>) -> OpResult {
    core.map((&dy, &y), dx, |(dy, y)| {
        let (dy, y) = (dy.to_f32(), y.to_f32());
        // Not 1 - y * y, of which nothing is left where y is nearly 1.
        T::from_f32(dy * ((1.0 - y) * (1.0 + y)))
    })
}
