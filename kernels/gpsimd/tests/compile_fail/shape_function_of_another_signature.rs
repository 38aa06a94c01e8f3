#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn of_two(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    bias.expect_rank(1)?;
    Ok(*x)
}

fn by_value(x: TensorType) -> Result<TensorType, ShapeError> {
    Ok(x)
}

fn without_result(x: &TensorType) -> TensorType {
    *x
}

#[custom_op(shape = of_two)]
pub fn takes_too_many(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = by_value)]
pub fn takes_values(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = without_result)]
pub fn gives_no_result(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
