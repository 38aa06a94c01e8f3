//! Two phases: what the second gets, in a library.
#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_both(x: &TensorType, n: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn second(core: &Core, sums: Input<f32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = missing(y))]
pub fn has_none(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = second(y))]
pub fn passes_too_little(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = second(y, rate))]
pub fn passes_another_scalar(core: &Core, x: Input<f32>, rate: i32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_both, then = second(n, rate))]
pub fn passes_another_type(core: &Core, x: Input<f32>, n: Input<i32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

op_library! {
    name: "phases",
    ops: [second, has_none, passes_too_little, passes_another_scalar, passes_another_type],
}

fn main() {}
