//! Several outputs: where they stand, what they replace, whose gradients they have.
#![allow(unused)]

use gpsimd::prelude::*;

fn twice(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    Ok([*x, *x])
}

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = twice)]
pub fn an_operand_behind(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>, rate: f32) -> OpResult {
    todo!()
}

#[custom_op(shape = twice)]
pub fn an_operand_between(core: &Core, y: Output<f32>, x: Input<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice)]
pub fn nine(
    core: &Core,
    x: Input<f32>,
    a: Output<f32>,
    b: Output<f32>,
    c: Output<f32>,
    d: Output<f32>,
    e: Output<f32>,
    f: Output<f32>,
    g: Output<f32>,
    h: Output<f32>,
    i: Output<f32>,
) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn a_shape_too_few(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces = x)]
pub fn replaces_without_an_output(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces(y = q))]
pub fn replaces_no_operand(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces(q = x))]
pub fn replaces_by_no_output(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces(z = x))]
pub fn replaces_another_dtype(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<i32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces(y = x, z = x))]
pub fn replaces_one_operand_twice(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces(y = x, y = x))]
pub fn replaces_by_one_output_twice(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces())]
pub fn replaces_nothing(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, replaces(y))]
pub fn replaces_something(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, gradient(x) = back(grad, x))]
pub fn grad_of_which_output(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, gradient(x) = grad)]
pub fn grad_alone_of_which_output(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, gradient(x) = back(grad(nothing), x))]
pub fn grad_of_no_output(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, gradient(x) = grad(x))]
pub fn grad_of_an_operand(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, gradient(x) = grad(y, z))]
pub fn grad_of_two(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = twice, gradient(x) = back(dy, x))]
pub fn neither_operand_nor_output(core: &Core, x: Input<f32>, y: Output<f32>, z: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn a_size_that_its_shape_lacks(core: &Core, x: Input<f32>, k: usize, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn another_scalar(core: &Core, x: Input<f32>, seed: u64, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
