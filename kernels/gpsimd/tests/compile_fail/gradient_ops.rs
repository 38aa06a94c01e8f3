//! Gradients that call what the library does not have, or call it otherwise.
#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_dy(dy: &TensorType, _: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*dy)
}

#[custom_op(shape = like_dy)]
pub fn back(core: &Core, dy: Input<f32>, x: Input<f32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = black(grad, x, 1.0))]
pub fn mistyped(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, x))]
pub fn too_few(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back())]
pub fn none(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, x, 1.0, y, 2.0))]
pub fn too_many(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, 1.0, x))]
pub fn a_number_for_a_tensor(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, x, 1.0))]
pub fn of_another_type(core: &Core, x: Input<bf16>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, x, !is_up))]
pub fn a_flag_for_a_number(core: &Core, x: Input<f32>, is_up: bool, y: Output<f32>) -> OpResult {
    todo!()
}

op_library! { name: "calls", ops: [back, mistyped, too_few, none, too_many, a_number_for_a_tensor, of_another_type, a_flag_for_a_number] }

fn main() {}
