//! The exponential function, and the power of two under every exponential here.
//!
//! 2^y = 2^f 2^n with n the integer nearest to y. Adding a constant near 2^23 to y rounds it to n and leaves n in the
//! low bits of the sum; the constant also carries the exponent bias, so one shift turns the sum into the number 2^n.
//! Results down to 2^-149 need a 2^n that f32 has not: the significand is 2^f 2^-27 and the scale 2^n 2^27, and
//! their product is rounded once, also where it is denormal.

use core::f32::consts::LOG2_E;

use super::fma;

/// e^x.
///
/// e^x = 2^(x log2 e), with log2 e in two parts and 2^f a polynomial of degree 6.
///
/// Infinite from 88.72284 on, denormal below -87.33654, 0 below -103.97208; exp(-inf) = 0, exp(inf) = inf, NaN for NaN.
///
/// Maximal error: 1.03 ulp, measured over every f32 (worst input 0x428ccfad).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // The results span more powers of two than one scale has: lift the scale by 2^±64 and take that back at the end.
    let (lift, unlift) = if x < 0.0 { (64.0, TWO_TO_MINUS_64) } else { (-64.0, TWO_TO_64) };
    let x = if x > OVERFLOW { OVERFLOW } else { x };
    let x = if UNDERFLOW > x { UNDERFLOW } else { x };
    let (fraction, scale) = split_power(x, LOG2_E, lift);
    significand(fma(x, LOG2_E_TAIL, fraction)) * scale * unlift
}

/// e^x for x <= 0, the exponential of a softmax that has subtracted the maximum: cheaper than [`exp`], the same bits.
///
/// For 0 < x < 69 it is still e^x; for greater x it is any number or NaN. exp(-inf) = 0, NaN for NaN.
///
/// Maximal error: 1.02 ulp, measured over every f32 from -inf to 0 (worst input 0xc24902fe).
#[inline(always)]
pub fn exp_nonpositive(x: f32) -> f32 {
    let x = if UNDERFLOW > x { UNDERFLOW } else { x };
    let (fraction, scale) = split_power(x, LOG2_E, 0.0);
    significand(fma(x, LOG2_E_TAIL, fraction)) * scale
}

/// 2^x, exact for integers.
///
/// Infinite from 128 on, denormal below -126, 0 from -150 on; exp2(-inf) = 0, exp2(inf) = inf, NaN for NaN.
///
/// Maximal error: 0.88 ulp, measured over every f32 (worst input 0xc2fcfe35).
#[inline(always)]
pub fn exp2(x: f32) -> f32 {
    let (lift, unlift) = if x < 0.0 { (64.0, TWO_TO_MINUS_64) } else { (-64.0, TWO_TO_64) };
    let x = if x > OVERFLOW_OF_EXP2 { OVERFLOW_OF_EXP2 } else { x };
    let x = if UNDERFLOW_OF_EXP2 > x { UNDERFLOW_OF_EXP2 } else { x };
    let (fraction, scale) = split_power(x, 1.0, lift);
    significand(fraction) * scale * unlift
}

/// The fraction f of a b = n + f, rounded once, and the scale 2^(n + lift + 27), for -154 <= n + lift <= 100.
///
/// The scale at the lower end, -154, is 0.
#[inline(always)]
pub(super) fn split_power(a: f32, b: f32, lift: f32) -> (f32, f32) {
    let round = ROUND_AND_BIAS + lift;
    let sum = fma(a, b, round);
    let n = sum - round;
    (fma(a, b, -n), f32::from_bits(sum.to_bits() << 23))
}

/// 2^(fraction - 27) for |fraction| <= 1/2, the significand that belongs to the scale of [`split_power`].
#[inline(always)]
pub(super) fn significand(fraction: f32) -> f32 {
    const LOWERED: [f32; 6] = {
        let [c1, c2, c3, c4, c5, c6] = POWER_OF_TWO;
        let l = TWO_TO_MINUS_27;
        [c1 * l, c2 * l, c3 * l, c4 * l, c5 * l, c6 * l]
    };
    let square = fraction * fraction;
    let slope = fma(fraction, second_order(fraction, square, LOWERED), LOWERED[0]);
    fma(fraction, slope, TWO_TO_MINUS_27)
}

/// 2^fraction - 1 for |fraction| <= 1/2: a factor 1 + this need not be rounded.
#[inline(always)]
pub(super) fn power_less_1(fraction: f32) -> f32 {
    let square = fraction * fraction;
    fma(square, second_order(fraction, square, POWER_OF_TWO), fraction * POWER_OF_TWO[0])
}

/// c2 + c3 x + ... by pairs of coefficients, which shortens the chain of operations.
#[inline(always)]
fn second_order(x: f32, square: f32, [_, c2, c3, c4, c5, c6]: [f32; 6]) -> f32 {
    fma(square, fma(square, c6, fma(x, c5, c4)), fma(x, c3, c2))
}

/// 1.5 2^23, where f32 numbers are integers, plus the exponent bias 127 and the 27 that the significand lacks.
const ROUND_AND_BIAS: f32 = 12_582_912.0 + 127.0 + 27.0;
pub(super) const TWO_TO_64: f32 = 18_446_744_073_709_551_616.0;
pub(super) const TWO_TO_MINUS_64: f32 = 1.0 / TWO_TO_64;
pub(super) const TWO_TO_MINUS_27: f32 = 1.0 / 134_217_728.0;
/// Beyond these the results are infinite, and 0.
const OVERFLOW: f32 = 89.0;
const UNDERFLOW: f32 = -106.5;
const OVERFLOW_OF_EXP2: f32 = 128.5;
const UNDERFLOW_OF_EXP2: f32 = -153.0;

// Fitted by fit.py.
/// What log2 e is more than its f32.
pub(super) const LOG2_E_TAIL: f32 = 1.925_963e-8; // 0x32a57060
/// (2^x - 1) / x on [-1/2, 1/2], low degrees first.
#[expect(clippy::approx_constant, reason = "fitted; the first happens to round to ln 2")]
const POWER_OF_TWO: [f32; 6] = [
    0.693_147_2,      // 0x3f317218
    0.240_226_48,     // 0x3e75fdee
    0.055_503_6,      // 0x3d6357be
    0.009_618_506,    // 0x3c1d96f0
    0.001_339_080_6,  // 0x3aaf8417
    0.000_153_264_63, // 0x3920b5a9
];
