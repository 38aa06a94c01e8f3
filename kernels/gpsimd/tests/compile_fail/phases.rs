//! Two phases: what the first is, before any library is.
#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x, replaces = x, then = second(y))]
pub fn replaces(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = second(z))]
pub fn passes_what_is_not_there(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = second(2.0))]
pub fn passes_a_number(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = second)]
pub fn is_no_call(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
