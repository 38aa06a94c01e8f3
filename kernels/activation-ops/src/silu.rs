//! `SiLU` (Hendrycks, Gimpel: Gaussian Error Linear Units, 2016), also known as swish.

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn like_both(dy: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    Ok(*x)
}

/// y = x sigmoid(x).
///
/// x: any shape, y: like x; f32, bf16 or f16, computed in f32. Of negative infinity it is NaN, as the formula says.
#[custom_op(shape = like_x, gradient(x) = silu_backward(grad, x))]
pub fn silu_forward<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    core.map(&x, y, |x| {
        let x = x.to_f32();
        // x / (1 + e^-x), or, where that would overflow, x e^x / (1 + e^x).
        let e = math::exp_nonpositive(-x.abs());
        T::from_f32(if x < 0.0 { x * e } else { x } / (1.0 + e))
    })
}

/// dx = dy s (1 + x (1 - s)) with s = sigmoid(x): the gradient of `silu_forward`.
///
/// dy: like x, x: any shape, dx: like x; f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_both)]
pub fn silu_backward<T: Float>(core: &Core, dy: Input<T>, x: Input<T>, dx: Output<T>) -> OpResult {
    core.map((&dy, &x), dx, |(dy, x)| {
        let x = x.to_f32();
        // s and 1 - s, of which e^-|x| has the smaller as a factor: nothing cancels.
        let e = math::exp_nonpositive(-x.abs());
        let greater = 1.0 / (1.0 + e);
        let (s, rest) = if x < 0.0 { (e * greater, greater) } else { (greater, e * greater) };
        T::from_f32(dy.to_f32() * s * math::fma(x, rest, 1.0))
    })
}
