#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn has_none() -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn does_not_begin_with_the_core(x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn owns_the_core(core: Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn mutates_the_core(core: &mut Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn takes_a_tuple(core: &Core, (x, z): (Input<f32>, Input<f32>), y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_its_output_first(core: &Core, y: Output<f32>, x: Input<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_no_output(core: &Core, x: Input<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_no_tensor(core: &Core, scale: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_an_integer(core: &Core, x: Input<f32>, axis: i64, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_a_slice(core: &Core, x: &[f32], y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn borrows_an_operand(core: &Core, x: &Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
