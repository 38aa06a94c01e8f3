//! Kernels that name a reference, in Python (`python/references.py`) or in Rust, with which the first of each agrees.
#![no_std]

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn with_signs(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    Ok([*x, x.with_dtype::<i32>()])
}

/// y = factor x^2; signs: -1, 0 or 1.
#[custom_op(shape = with_signs, reference = "references:signed_square")]
pub fn agrees<T: Float>(core: &Core, x: Input<T>, factor: f32, y: Output<T>, signs: Output<i32>) -> OpResult {
    core.map(&x, (y, signs), |x| {
        let x = x.to_f32();
        (T::from_f32(factor * (x * x)), i32::from(x > 0.0) - i32::from(x < 0.0))
    })
}

/// y = x^3, and the reference is x^2.
#[custom_op(shape = like_x, reference = "references:square")]
pub fn is_another_function(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| x * x * x)
}

/// y = x, and the reference raises an exception.
#[custom_op(shape = like_x, reference = "references:raises")]
pub fn has_a_reference_that_fails(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| x)
}

/// y = factor e^x, of every other element where `halves`; rank: of x, in each element.
#[custom_op(shape = with_signs, reference = halved, tolerance = (0.01, 2e-6))]
pub fn agrees_with_rust<T: Float>(
    core: &Core,
    x: Input<T>,
    factor: f32,
    halves: bool,
    y: Output<T>,
    rank: Output<i32>,
) -> OpResult {
    let (half, rank_of_x) = (if halves { 0.5 } else { 1.0 }, x.shape().len() as i32);
    core.map(&x, (y, rank), |x| (T::from_f32(half * (factor * math::exp(x.to_f32().min(8.0)))), rank_of_x))
}

#[reference]
fn halved(x: F64Tensor, factor: f64, halves: bool, y: &mut [f64], rank: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(&*x) {
        *y = factor * x.min(8.0).exp() / if halves { 2.0 } else { 1.0 };
    }
    rank.fill(x.shape().len() as f64);
}

/// y = x + 0.001 where x is above 2, and the reference is x.
#[custom_op(shape = like_x, reference = references::itself)]
pub fn is_off_where_x_is_large(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| if x > 2.0 { x + 0.001 } else { x })
}

/// y = x, and the reference panics.
#[custom_op(shape = like_x, reference = references::panics)]
pub fn has_a_reference_that_panics(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    core.map(&x, y, |x| x)
}

mod references {
    use gpsimd::prelude::*;

    #[reference]
    pub(super) fn itself(x: F64Tensor, y: &mut [f64]) {
        y.copy_from_slice(&x);
    }

    #[reference]
    pub(super) fn panics(x: F64Tensor, _: &mut [f64]) {
        assert!(x.is_empty(), "{} elements are too many", x.len());
    }
}

op_library! {
    name: "reference_ops",
    ops: [
        agrees, is_another_function, has_a_reference_that_fails, agrees_with_rust, is_off_where_x_is_large,
        has_a_reference_that_panics,
    ],
}
