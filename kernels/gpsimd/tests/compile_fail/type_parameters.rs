#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn has_one_of_the_output_alone<T: Float, U: Float>(core: &Core, x: Input<T>, y: Output<U>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_no_bound<T>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_another_bound<T: Copy>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_two_bounds<T: Float + Send>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_a_where_clause<T>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult
where
    T: Float,
{
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_a_constant<const N: usize>(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_a_lifetime<'a>(core: &'a Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    todo!()
}

#[custom_op(shape = like_x)]
pub fn has_it_in_the_output_alone<T: Float>(core: &Core, x: Input<f32>, y: Output<T>) -> OpResult {
    todo!()
}

fn main() {}

#[custom_op(shape = like_x)]
pub fn has_too_many_versions<A: Element, B: Element, C: Float>(
    core: &Core,
    x: Input<A>,
    _a: Input<B>,
    _b: Input<C>,
    y: Output<A>,
) -> OpResult {
    core.map(&x, y, |x| x)
}
