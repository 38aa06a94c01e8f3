//! Bias and the tanh form of GELU in one pass: what follows the first linear layer of a GPT-2 feed-forward block.
//!
//! Formula: Hendrycks, Gimpel: Gaussian Error Linear Units, 2016, and `PyTorch`'s `approximate="tanh"`,
//!
//! ```text
//! u/2 (1 + tanh(sqrt(2/pi) (u + 0.044715 u^3))) = u sigmoid(w), w = 2 sqrt(2/pi) (u + 0.044715 u^3)
//! ```
//!
//! of which the right form does not cancel where u is negative.

use gpsimd::prelude::*;

fn like_x(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    bias.expect_rank(1)?.expect_dim(0, x.last_dim())?;
    Ok(*x)
}

fn like_x_and_dy(dy: &TensorType, x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    like_x(x, bias)
}

/// y = u/2 (1 + tanh(sqrt(2/pi) (u + 0.044715 u^3))) with u = x + bias: GELU in its tanh form.
///
/// x: `[.., H]`, bias: `[H]`, y: like x. f32, bf16 or f16, computed in f32. Of an infinite u it is the limit.
#[custom_op(shape = like_x, gradient(x, bias) = bias_gelu_tanh_backward(grad, x, bias))]
pub fn bias_gelu_tanh_forward<T: Float>(core: &Core, x: Input<T>, bias: Input<T>, y: Output<T>) -> OpResult {
    core.map((&x, &bias), y, |(x, bias)| {
        let u = x.to_f32() + bias.to_f32();
        let u = if u < UNDERFLOW { UNDERFLOW } else { u };
        let (high, low) = argument(if u > SATURATED { SATURATED } else { u });
        let s = math::sigmoid(high);
        T::from_f32(u * math::fma(s * low, 1.0 - s, s))
    })
}

/// dx = dy s (1 + u (1 - s) dw/du) with u = x + bias and s = sigmoid(w), dw/du = 2 sqrt(2/pi) (1 + 3 0.044715 u^2): the
/// gradient of `bias_gelu_tanh_forward` with respect to x, and, summed over all but the last dimension, to bias.
///
/// dy: like x, x: `[.., H]`, bias: `[H]`, dx: like x. f32, bf16 or f16, computed in f32. Of an infinite u it is the limit.
#[custom_op(shape = like_x_and_dy)]
pub fn bias_gelu_tanh_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    x: Input<T>,
    bias: Input<T>,
    dx: Output<T>,
) -> OpResult {
    core.map((&dy, &x, &bias), dx, |(dy, x, bias)| {
        let u = x.to_f32() + bias.to_f32();
        let u = if u < UNDERFLOW { UNDERFLOW } else { u };
        let u = if u > SATURATED { SATURATED } else { u };
        let (high, low) = argument(u);
        // 1 - s without cancellation.
        let (s, rest) = (math::sigmoid(high), math::sigmoid(-high));
        let (s, rest) = (math::fma(s * low, rest, s), math::fma(-rest * low, s, rest));
        let slope = math::fma(3.0 * CUBIC * u, u, LINEAR);
        T::from_f32(dy.to_f32() * s * math::fma(u * rest, slope, 1.0))
    })
}

/// w = u (LINEAR + CUBIC u^2) in two parts, high and low, since the sigmoid of a negative w has the absolute error of w as
/// its relative one: sigmoid(high + low) = sigmoid(high) (1 + low (1 - sigmoid(high))) to second order.
#[inline(always)]
fn argument(u: f32) -> (f32, f32) {
    let square = u * u;
    let of_square = math::fma(u, u, -square);
    let cubic = CUBIC * square;
    let of_cubic = math::fma(CUBIC, square, -cubic) + math::fma(CUBIC, of_square, CUBIC_TAIL * square);
    let factor = LINEAR + cubic;
    // What the sum lost: which of the two is the greater depends on u.
    let share = factor - LINEAR;
    let of_sum = (LINEAR - (factor - share)) + (cubic - share);
    let high = u * factor;
    (high, math::fma(u, of_sum + (LINEAR_TAIL + of_cubic), math::fma(u, factor, -high)))
}

/// sqrt(8/pi), and what f32 lacks of it.
const LINEAR: f32 = 1.595_769_2; // 0x3fcc422a
const LINEAR_TAIL: f32 = -4.534_068e-8;
/// 0.044715 sqrt(8/pi), and what f32 lacks of it.
const CUBIC: f32 = 0.071_354_814; // 0x3d922279
const CUBIC_TAIL: f32 = 2.398_832_5e-9;
/// u at and below which the result is 0.
const UNDERFLOW: f32 = -11.0;
/// u at and above which the sigmoid is 1 and its derivative 0.
const SATURATED: f32 = 8.0;
