#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn returns_nothing(core: &Core, x: Input<f32>, y: Output<f32>) {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn returns_a_result(core: &Core, x: Input<f32>, y: Output<f32>) -> Result<(), OpError> {
    todo!()
}

#[custom_op(shape = like_x)]
pub async fn is_async(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub unsafe fn is_unsafe(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_a_name_of_32_characters_____(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
