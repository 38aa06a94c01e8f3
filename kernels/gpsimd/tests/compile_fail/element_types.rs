#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn has_none(core: &Core, x: Input, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn is_f64(core: &Core, x: Input<f64>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn is_i64(core: &Core, x: Input<f32>, y: Output<i64>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn is_of_no_parameter(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    todo!()
}

fn main() {}
