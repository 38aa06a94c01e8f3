#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[reference]
fn of_two(x: F64Tensor, a: F64Tensor, y: &mut [f64]) {}

#[custom_op(shape = like_x, reference = of_two)]
pub fn of_another_number(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[reference]
fn of_f32(x: F64Tensor, factor: f32, y: &mut [f64]) {}

#[custom_op(shape = like_x, reference = of_f32)]
pub fn of_another_type(core: &Core, x: Input<f32>, factor: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, reference = 3)]
pub fn of_a_number(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, reference = "module.function")]
pub fn of_no_python(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, reference = "module:function", tolerance = (1e-5, 2e-6))]
pub fn of_python_with_a_tolerance(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, tolerance = (1e-5, 2e-6))]
pub fn of_nothing_with_a_tolerance(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, reference = of_two, tolerance = 1e-5)]
pub fn with_one_number(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, then = second(y), reference = of_two)]
pub fn of_two_phases(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[reference(f64)]
fn with_arguments(x: F64Tensor, y: &mut [f64]) {}

fn main() {}
