#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x, replaces = z)]
pub fn no_operand(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, replaces = y)]
pub fn the_output(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, replaces = rate)]
pub fn a_scalar(core: &Core, x: Input<f32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, replaces = x)]
pub fn another_dtype(core: &Core, x: Input<bf16>, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
