#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x, gradient(z) = back(grad, x))]
pub fn of_no_operand(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(rate) = back(grad, x))]
pub fn of_a_scalar(core: &Core, x: Input<f32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, dy))]
pub fn with_an_unknown_argument(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, x + 1))]
pub fn with_an_expression(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back)]
pub fn without_arguments(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient = back(grad))]
pub fn without_operands(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
