//! The exact GELU and its derivative.
//!
//! Both rest on the normal distribution's tail at t = |x|, where everything is positive and nothing cancels:
//! e^(-t^2/2) times a smooth function of t, a ratio of polynomials. The square of t is carried in two parts, for one
//! in a single f32 would cost the exponential 50 ulps at t = 14.
//!
//! The exponential is 2^(-c t^2) with c = log2(e)/2 rounded to f32: the functions fitted are the quotients by exactly
//! this, so that the error of c costs nothing.

use super::exp::{TWO_TO_MINUS_27, power_less_1, split_power};
use super::fma;

/// x Phi(x), the GELU in its exact form, `0.5 * x * (1 + erf(x / sqrt(2)))`.
///
/// Computed as max(x, 0) - t Phi(-t), t = |x|, with t Phi(-t) = e^(-t^2/2) N(t) / (l N(t) + D(t)): l is near
/// sqrt(2 pi), the limit of the reciprocal, so that for large t the rounding errors of N cancel. The relative accuracy
/// is kept on the whole negative tail, down to denormal results.
///
/// gelu(inf) = inf, gelu(-inf) = 0 (its limit; `PyTorch`'s formula multiplies -inf by 0 there), NaN for NaN. Zeros keep
/// their sign. Where the result underflows, below -14.356068 and for -2^-149, it is a zero of either sign.
///
/// Maximal error: 3.16 ulp, measured over every f32 (worst input 0xbd86f187).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    let [n2, n3, n4, n5] = GELU_NUMERATOR;
    let [d1, d2, d3] = GELU_DENOMINATOR;
    let t = clamped(x.abs());
    let square = t * t;
    let (fraction, scale) = split_power(square, -HALF_LOG2_E, 0.0);
    let power_less_1 = power_less_1(fma(fma(t, t, -square), -HALF_LOG2_E, fraction));
    let n = fma(square, fma(square, fma(t, n5, n4), fma(t, n3, n2)), t);
    let d = t * fma(square, d3, fma(t, d2, d1));
    let ratio = n / (2.0 + fma(n, LINK, d));
    // max(x, 0), but NaN for NaN and with the sign of zero.
    let positive_part = if x < 0.0 { 0.0 } else { x };
    // The power of two may be denormal, and is exact; with it inside the ratio, ratios of tiny x would be denormal.
    fma(-fma(ratio, power_less_1, ratio), scale * TWO_TO_MINUS_27, positive_part)
}

/// Phi(x) + x phi(x), the derivative of [`gelu`].
///
/// At x = -t it is e^(-t^2/2) (z - t) W(t) with z = 0.75179..., its one zero, as a factor: z - t is exact around it,
/// so the relative accuracy is kept there too. At x = t it is 1 minus that. W(t) = w + M(t) / Q(t) with w near the
/// limit 1/sqrt(2 pi), which leaves the ratio a small part of the sum, and its rounding errors with it.
///
/// 1 for inf and -0 for -inf (the limits; the product rule, as `PyTorch`'s autograd applies it, multiplies inf by 0
/// there), NaN for NaN. The result is -0 below -14.541348, where it underflows.
///
/// Maximal error: 3.54 ulp, measured over every f32 (worst input 0xbd2b3c98).
#[inline(always)]
pub fn gelu_derivative(x: f32) -> f32 {
    // The 2^-27 that the scale has too much, in constants: a denormal result is rounded once, by the scale.
    const L: f32 = TWO_TO_MINUS_27;
    let [m0, m1, m2, m3] = SLOPE_NUMERATOR;
    let [q1, q2, q3, q4] = SLOPE_DENOMINATOR;
    let t = clamped(x.abs());
    let square = t * t;
    let (fraction, scale) = split_power(square, -HALF_LOG2_E, 0.0);
    let power_less_1 = power_less_1(fma(fma(t, t, -square), -HALF_LOG2_E, fraction));
    let m = fma(square, fma(t, m3 * L, m2 * L), fma(t, m1 * L, m0 * L));
    let q = fma(t, fma(square, fma(t, q4, q3), fma(t, q2, q1)), 1.0);
    let distance = ZERO - t;
    // What ZERO lacks matters only around it, where W is the slope at the zero.
    let factor = fma(distance, m / q, fma(distance, SLOPE_LIMIT * L, ZERO_TAIL_TIMES_SLOPE * L));
    let below = fma(factor, power_less_1, factor) * scale;
    let above = 1.0 - below;
    if x.is_sign_negative() { below } else { above }
}

/// The t beyond which both tails are 0: there the scale of the exponential is 0, see [`split_power`].
#[inline(always)]
fn clamped(t: f32) -> f32 {
    if END_OF_TAIL < t { END_OF_TAIL } else { t }
}

const END_OF_TAIL: f32 = 14.62;

// Fitted by fit.py, low degrees first.
const HALF_LOG2_E: f32 = 0.721_347_5; // 0x3f38aa3b
/// The l of the denominator.
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
/// The w of W(t).
const SLOPE_LIMIT: f32 = 0.398_939_67; // 0x3ecc41d2
/// M(t) = m0 + m1 t + ...
const SLOPE_NUMERATOR: [f32; 4] = [
    0.266_138_32,  // 0x3e884348
    0.202_642_89,  // 0x3e4f819e
    0.065_417_75,  // 0x3d85f9be
    0.008_630_041, // 0x3c0d6504
];
/// Q(t) = 1 + q1 t + ...
const SLOPE_DENOMINATOR: [f32; 4] = [
    1.425_182_7,   // 0x3fb66c63
    0.825_225_7,   // 0x3f5341fe
    0.234_682_44,  // 0x3e705098
    0.028_771_129, // 0x3cebb16e
];
