#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x, gradient(z) = back(grad, x))]
pub fn of_no_operand(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(rate) = back(grad, x))]
pub fn of_a_scalar(core: &Core, x: Input<f32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, dy))]
pub fn with_an_unknown_argument(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, x + 1))]
pub fn with_an_expression(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back)]
pub fn without_arguments(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient = back(grad))]
pub fn without_operands(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x))]
pub fn without_a_formula(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) =)]
pub fn with_nothing(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient() = grad)]
pub fn of_nothing(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = 1.0)]
pub fn a_number(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = y)]
pub fn the_output(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = 2.0 * grad)]
pub fn an_expression(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = other_ops::back(grad))]
pub fn an_op_with_a_path(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x, x) = grad)]
pub fn twice(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(grad) = back(grad))]
pub fn of_an_operand_called_grad(core: &Core, grad: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, !x))]
pub fn not_of_a_tensor(core: &Core, x: Input<f32>, is_up: bool, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, !rate))]
pub fn not_of_a_number(core: &Core, x: Input<f32>, rate: f32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, !is_down))]
pub fn not_of_what_there_is_not(core: &Core, x: Input<f32>, is_up: bool, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = back(grad, !!is_up))]
pub fn not_twice(core: &Core, x: Input<f32>, is_up: bool, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = grad except(row(index), "why"))]
pub fn except_by_a_tensor(core: &Core, x: Input<f32>, index: Input<i32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = grad except(overwritten(y), "why"))]
pub fn except_by_an_output(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = grad except(all(x), "why"))]
pub fn except_all(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = grad except(row(number), " "))]
pub fn except_for_no_reason(core: &Core, x: Input<f32>, number: i32, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x, gradient(x) = grad except(row(number)))]
pub fn except_without_a_reason(core: &Core, x: Input<f32>, number: i32, y: Output<f32>) -> OpResult {
    todo!()
}

fn main() {}
