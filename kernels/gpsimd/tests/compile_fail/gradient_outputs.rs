//! Gradients that call an op with another number of outputs, or with a scalar of another type.
#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType, _: &TensorType, _: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_both(dy: &TensorType, x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    Ok([*dy, *x])
}

fn like_dy(dy: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*dy)
}

#[custom_op(shape = like_both)]
pub fn two(core: &Core, dy: Input<f32>, x: Input<f32>, dx: Output<f32>, da: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_dy)]
pub fn seeded(core: &Core, dy: Input<f32>, seed: u32, dx: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = two(grad, x))]
pub fn of_one(core: &Core, x: Input<f32>, a: Input<f32>, b: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x, a, b) = two(grad, x))]
pub fn of_three(core: &Core, x: Input<f32>, a: Input<f32>, b: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = seeded(grad, rate))]
pub fn of_another_scalar(
    core: &Core,
    x: Input<f32>,
    a: Input<f32>,
    b: Input<f32>,
    rate: f32,
    y: Output<f32>,
) -> OpResult {
    todo!()
}

op_library! { name: "calls", ops: [two, seeded, of_one, of_three, of_another_scalar] }

fn main() {}
