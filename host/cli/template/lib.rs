//! Operators for GPSIMD cores.

#![no_std]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_x_and_dy(dy: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    Ok(*x)
}

/// 1 / (1 + e^-x).
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + math::exp(-x))
}

/// y = x sigmoid(x): SiLU.
///
/// x: any shape, y: like x. Computed in f32.
#[custom_op(shape = like_x, gradient(x) = silu_backward(grad, x))]
pub fn silu<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    core.map(&x, y, |x| {
        let x = x.to_f32();
        T::from_f32(x * sigmoid(x))
    })
}

/// dx = dy s (1 + x (1 - s)) with s = sigmoid(x): the gradient of `silu`.
///
/// dy: like x, x: any shape, dx: like x. Computed in f32.
#[custom_op(shape = like_x_and_dy)]
pub fn silu_backward<T: Float>(core: &Core, dy: Input<T>, x: Input<T>, dx: Output<T>) -> OpResult {
    core.map((&dy, &x), dx, |(dy, x)| {
        let (x, s) = (x.to_f32(), sigmoid(x.to_f32()));
        T::from_f32(dy.to_f32() * (s * (1.0 + x * (1.0 - s))))
    })
}

op_library! { name: "my_ops", ops: [silu, silu_backward] }
