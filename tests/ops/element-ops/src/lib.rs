//! Ops over every element type: arithmetic of integers, conversions, reductions, and two type parameters in one kernel.
#![no_std]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*x)
}

fn like_both(x: &TensorType, y: &TensorType) -> Result<TensorType, ShapeError> {
    y.expect_shape_of(x)?;
    Ok(*x)
}

fn like_x_by_rows(x: &TensorType, n: &TensorType) -> Result<TensorType, ShapeError> {
    n.expect_shape_of(x)?;
    Ok(*x)
}

fn f32_like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(x.with_dtype::<f32>())
}

fn sums(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(x.with_dtype::<i32>())
}

/// z = max(x, 0).
#[custom_op(shape = like_x)]
pub fn relu<T: Number>(core: &Core, x: Input<T>, z: Output<T>) -> OpResult {
    core.map(&x, z, |x| if x > T::ZERO { x } else { T::ZERO })
}

/// z = x y + x, modulo 2^bits.
#[custom_op(shape = like_both)]
pub fn wrapping<T: Integer>(core: &Core, x: Input<T>, y: Input<T>, z: Output<T>) -> OpResult {
    core.map((&x, &y), z, |(x, y)| x.wrapping_mul(y).wrapping_add(x))
}

/// z = x + y - x y, each step to the end of the type's range.
#[custom_op(shape = like_both)]
pub fn saturating<T: Integer>(core: &Core, x: Input<T>, y: Input<T>, z: Output<T>) -> OpResult {
    core.map((&x, &y), z, |(x, y)| x.saturating_add(y).saturating_sub(x.saturating_mul(y)))
}

/// z = x in f32.
#[custom_op(shape = f32_like_x)]
pub fn widened<T: Number>(core: &Core, x: Input<T>, z: Output<f32>) -> OpResult {
    core.map(&x, z, Number::to_f32)
}

/// z = x to the nearest value of y's type, which is else not looked at.
#[custom_op(shape = like_y)]
pub fn narrowed<T: Number>(core: &Core, x: Input<f32>, y: Input<T>, z: Output<T>) -> OpResult {
    // The operand that shares the output's place is the one of its type.
    core.map((&y, &x), z, |(_, x)| T::from_f32(x))
}

fn like_y(x: &TensorType, y: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_shape_of(y)?;
    Ok(*y)
}

/// z = x where n is above 0, else 0: two type parameters.
#[custom_op(shape = like_x_by_rows)]
pub fn masked<T: Float, N: Integer>(core: &Core, x: Input<T>, n: Input<N>, z: Output<T>) -> OpResult {
    core.map((&x, &n), z, |(x, n)| if n > N::ZERO { x } else { T::ZERO })
}

/// z = x less the least of its row, plus the row's sum, in i32 modulo 2^32.
#[custom_op(shape = sums)]
pub fn centred<T: Integer>(core: &Core, x: Input<T>, z: Output<i32>) -> OpResult {
    core.rows(&x, z).each(|mut row| {
        let sum = row.fold(Lanes::splat(0), |sum: i32, x: T| sum.wrapping_add(x.to_i32()))?.wrapping_sum();
        let least = row.fold(Lanes::splat(i32::MAX), |least: i32, x: T| least.min(x.to_i32()))?.min();
        row.map(|x| x.to_i32().wrapping_sub(least).wrapping_add(sum))
    })
}

op_library! {
    name: "element_ops",
    ops: [relu, wrapping, saturating, widened, narrowed, masked, centred],
}
