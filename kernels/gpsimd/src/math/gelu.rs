//! The exact GELU and its derivative.
//!
//! Both rest on the normal distribution's tail at t = |x|, where everything is positive and nothing cancels:
//! e^(-t^2/2) times a smooth function of t, a ratio of polynomials. The square of t is carried in two parts, for one
//! in a single f32 would cost the exponential 50 ulps at t = 14.
//!
//! The exponential is 2^(-c t^2) with c = log2(e)/2 rounded to f32: the functions fitted are the quotients by exactly
//! this, so that the error of c costs nothing.

use super::exp::{significand, split_power};
use super::fma;

/// x Phi(x), the GELU in its exact form, `0.5 * x * (1 + erf(x / sqrt(2)))`.
///
/// Computed as max(x, 0) - t Phi(-t), t = |x|, with t Phi(-t) = e^(-t^2/2) N(t) / (sqrt(2 pi) N(t) + D(t)): for large t
/// the errors of N cancel. On the negative tail the relative accuracy is kept down to denormal results.
///
/// gelu(-inf) = NaN (-inf times 0, as in PyTorch), gelu(inf) = inf, NaN for NaN; zeros keep their sign, and the result
/// is -0 where it underflows.
///
/// Maximal error: TODO
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let [n2, n3, n4, n5] = GELU_NUMERATOR;
    let [d1, d2, d3] = GELU_DENOMINATOR;
    let t = clamped(x.abs());
    let square = t * t;
    let exponential = {
        let (fraction, scale) = split_power(square, -HALF_LOG2_E, 0.0);
        significand(fma(fma(t, t, -square), -HALF_LOG2_E, fraction)) * scale
    };
    let n = fma(square, fma(square, fma(t, n5, n4), fma(t, n3, n2)), t);
    let d = t * fma(square, d3, fma(t, d2, d1));
    let ratio = n / (2.0 + fma(n, LINK, d));
    // max(x, 0), but NaN for -inf and with the sign of zero.
    let positive_part = x - if x < 0.0 { x } else { 0.0 };
    fma(-ratio, exponential, positive_part)
}

/// Phi(x) + x phi(x), the derivative of [`gelu`].
///
/// At x = -t it is e^(-t^2/2) (z - t) W(t) with z = 0.75179..., its one zero, as a factor: z - t is exact around it,
/// so the relative accuracy is kept there too. At x = t it is 1 minus that. W(t) = 1/sqrt(2 pi) + M(t) / Q(t).
///
/// NaN for both infinities (inf times 0 in the product rule, as PyTorch's autograd has it) and for NaN; -0 where it
/// underflows.
///
/// Maximal error: TODO
#[inline(always)]
pub fn gelu_derivative(x: f32) -> f32 {
    let [m0, m1, m2, m3] = SLOPE_NUMERATOR;
    let [q1, q2, q3, q4] = SLOPE_DENOMINATOR;
    let t = clamped(x.abs());
    let square = t * t;
    let (fraction, scale) = split_power(square, -HALF_LOG2_E, 0.0);
    let significand = significand(fma(fma(t, t, -square), -HALF_LOG2_E, fraction));
    let m = fma(square, fma(t, m3, m2), fma(t, m1, m0));
    let q = fma(t, fma(square, fma(t, q4, q3), fma(t, q2, q1)), 1.0);
    // Not clamped: an infinite distance meets the scale 0, which makes the NaN.
    let distance = ZERO - x.abs();
    // What ZERO lacks matters only around it, where W is the slope at the zero.
    let factor = fma(distance, m / q, fma(distance, SLOPE_LIMIT, ZERO_TAIL_TIMES_SLOPE));
    let below = factor * significand * scale;
    let above = 1.0 - below;
    if x.is_sign_negative() { below } else { above }
}

/// The t beyond which both tails are 0: there the scale of the exponential is 0, see [`split_power`].
#[inline(always)]
fn clamped(t: f32) -> f32 {
    if END_OF_TAIL < t { END_OF_TAIL } else { t }
}

const END_OF_TAIL: f32 = 14.62;

// Fitted by tests/golden/fit_math.py, low degrees first.
const HALF_LOG2_E: f32 = 0.721_347_5; // 0x3f38aa3b
const LINK: f32 = 2.506_644_7; // 0x40206cde
/// N(t) = t + n2 t^2 + ...
const GELU_NUMERATOR: [f32; 4] = [
    0.899_367_2,   // 0x3f663cee
    0.383_011_2,   // 0x3ec41a0b
    0.086_763_46,  // 0x3db1b10a
    0.009_029_326, // 0x3c13efbd
];
/// D(t) = 2 + d1 t + ...
const GELU_DENOMINATOR: [f32; 3] = [
    0.887_859_76,  // 0x3f634ac7
    0.220_038_52,  // 0x3e6151c7
    0.022_494_392, // 0x3cb84629
];
/// The zero of the derivative, negated, and the rest of it times the slope W there.
const ZERO: f32 = 0.751_791_54; // 0x3f407569
const ZERO_TAIL_TIMES_SLOPE: f32 = -6.934_386e-9; // 0xb1ee4381
/// W(t) as t grows: 1/sqrt(2 pi).
const SLOPE_LIMIT: f32 = 0.398_942_3; // 0x3ecc422a
/// M(t) = m0 + m1 t + ...
const SLOPE_NUMERATOR: [f32; 4] = [
    0.266_135_72,    // 0x3e8842f1
    0.189_546_72,    // 0x3e421889
    0.057_702_5,     // 0x3d6c5975
    0.006_959_694_4, // 0x3be40e26
];
/// Q(t) = 1 + q1 t + ...
const SLOPE_DENOMINATOR: [f32; 4] = [
    1.375_993_3,   // 0x3fb0208c
    0.763_556_8,   // 0x3f437875
    0.205_609_93,  // 0x3e528b69
    0.023_212_932, // 0x3cbe290c
];
