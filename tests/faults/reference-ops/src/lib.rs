//! Kernels that name a reference in Python (`python/references.py`), with which the first agrees.
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

op_library! { name: "reference_ops", ops: [agrees, is_another_function, has_a_reference_that_fails] }
