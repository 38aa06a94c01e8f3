//! Kernels whose gradients are declared not to be the derivative of some elements: one keeps to that, and two are wrong elsewhere.
//! And one whose gradient is no number at 0.
#![no_std]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*x)
}

fn like_all(x: &TensorType, index: &TensorType) -> Result<TensorType, ShapeError> {
    index.expect_shape_of(x.expect_rank_at_least(1)?)?;
    Ok(*x)
}

/// y = 3 x, whose row `row` counts as constant.
#[custom_op(shape = like_x, gradient(x) = all_but_a_row(grad, row) except(row(row), "a row is not trained"))]
#[expect(unused_variables, reason = "the row is the gradient's")]
pub fn keeps_a_row(core: &Core, x: Input<f32>, row: i32, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| 3.0 * x)
}

/// dx = 3 dy, and 0 in row `row`.
#[custom_op(shape = like_x)]
pub fn all_but_a_row(core: &Core, dy: Input<f32>, row: i32, mut dx: Output<f32>) -> OpResult {
    let of_row = (dy.len() / dy.dim(0).max(1)).max(1);
    for range in core.share(dy.len(), LANES).chunks(256) {
        let tile = core.tcm().load(&dy, range.clone())?;
        let mut stage = core.tcm().stage(&mut dx, range.clone())?;
        for ((dx, dy), element) in stage.iter_mut().zip(&*tile).zip(range) {
            *dx = if (element / of_row) as i32 == row { 0.0 } else { 3.0 * dy };
        }
        stage.store()?;
    }
    Ok(())
}

/// y = 3 x; the gradient forgets the factor in every row, not only in the one that is declared.
#[custom_op(shape = like_x, gradient(x) = grad except(row(row), "a row is not trained"))]
#[expect(unused_variables, reason = "the row is the gradient's")]
pub fn is_wrong_in_other_rows(core: &Core, x: Input<f32>, row: i32, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| 3.0 * x)
}

/// y = 3 x; the gradient forgets the factor of elements that nothing overwrites, too.
#[custom_op(shape = like_all, gradient(x) = grad except(overwritten(index), "of equal indices the last counts"))]
#[expect(unused_variables, reason = "the indices are the gradient's")]
pub fn is_wrong_where_it_is_last(core: &Core, x: Input<f32>, index: Input<i32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| 3.0 * x)
}

fn like_both(dy: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    Ok(*x)
}

/// y = x, whose gradient divides 0 by 0.
#[custom_op(shape = like_x, gradient(x) = ratio_backward(grad, x))]
pub fn divides_by_0(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| x)
}

/// dx = dy x / x
#[custom_op(shape = like_both)]
pub fn ratio_backward(core: &Core, dy: Input<f32>, x: Input<f32>, dx: Output<f32>) -> OpResult {
    core.map((&dy, &x), dx, |(dy, x)| dy * x / x)
}

op_library! {
    name: "excepted_ops",
    ops: [keeps_a_row, all_but_a_row, is_wrong_in_other_rows, is_wrong_where_it_is_last, divides_by_0, ratio_backward],
}
