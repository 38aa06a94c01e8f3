//! Kernels that are right, and whose declared gradients are not: what they are is the derivative of another function.
#![no_std]

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_x_with(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    bias.expect_rank(1)?.expect_dim(0, x.last_dim())?;
    Ok(*x)
}

fn like_both(dy: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    Ok(*x)
}

/// y = 3 x, whose gradient is not `grad`.
#[custom_op(shape = like_x, gradient(x) = grad)]
pub fn forgets_a_factor<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    core.map(&x, y, |x| T::from_f32(3.0 * x.to_f32()))
}

/// y = x², whose gradient is off by a hundredth.
#[custom_op(shape = like_x, gradient(x) = nearly_square_backward(grad, x))]
pub fn is_off_by_a_hundredth(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| x * x)
}

/// dx = 2.02 x dy
#[custom_op(shape = like_both)]
pub fn nearly_square_backward(core: &Core, dy: Input<f32>, x: Input<f32>, dx: Output<f32>) -> OpResult {
    core.map((&dy, &x), dx, |(dy, x)| 2.02 * dy * x)
}

/// y = x * bias, with the gradient of a sum.
#[custom_op(shape = like_x_with, gradient(x, bias) = grad)]
pub fn takes_a_product_for_a_sum(core: &Core, x: Input<f32>, bias: Input<f32>, y: Output<f32>) -> OpResult {
    core.map((&x, &bias), y, |(x, bias)| x * bias)
}

/// y = e^x of all elements, whose gradient forgets the last one.
#[custom_op(shape = like_x, gradient(x) = all_but_the_last(grad, y))]
pub fn forgets_the_last_element(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, math::exp)
}

/// dx = dy y, and 0 of the last element.
#[custom_op(shape = like_both)]
pub fn all_but_the_last(core: &Core, dy: Input<f32>, y: Input<f32>, mut dx: Output<f32>) -> OpResult {
    let last = y.len().saturating_sub(1);
    for range in core.share(y.len(), LANES).chunks(256) {
        let (dy, y) = (core.tcm().load(&dy, range.clone())?, core.tcm().load(&y, range.clone())?);
        let mut tile = core.tcm().stage(&mut dx, range.clone())?;
        for ((index, dx), (dy, y)) in range.zip(tile.iter_mut()).zip(dy.iter().zip(&*y)) {
            *dx = if index < last { dy * y } else { 0.0 };
        }
        tile.store()?;
    }
    Ok(())
}

/// y = max(x, 0): right, with the derivative of one side at 0.
#[custom_op(shape = like_x, gradient(x) = relu_backward(grad, y))]
pub fn relu(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| if x > 0.0 { x } else { 0.0 })
}

/// dx = dy where y is above 0
#[custom_op(shape = like_both)]
pub fn relu_backward(core: &Core, dy: Input<f32>, y: Input<f32>, dx: Output<f32>) -> OpResult {
    core.map((&dy, &y), dx, |(dy, y)| if y > 0.0 { dy } else { 0.0 })
}

/// y = x, whose gradient refuses what it is called with.
#[custom_op(shape = like_x, gradient(x) = refuses_all(grad, x))]
pub fn has_a_gradient_that_fails(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| x)
}

/// Refuses every operand.
#[custom_op(shape = like_both)]
pub fn refuses_all(_core: &Core, _dy: Input<f32>, x: Input<f32>, _dx: Output<f32>) -> OpResult {
    if x.is_empty() { Ok(()) } else { Err(OpError::Refused("not one element is welcome")) }
}

op_library! {
    name: "gradient_ops",
    ops: [
        forgets_a_factor, is_off_by_a_hundredth, nearly_square_backward, takes_a_product_for_a_sum,
        forgets_the_last_element, all_but_the_last, relu, relu_backward, has_a_gradient_that_fails, refuses_all,
    ],
}
