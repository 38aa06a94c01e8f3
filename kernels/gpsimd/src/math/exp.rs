//! The exponential function, and the power of two under every exponential here.
//!
//! 2^y = 2^f 2^n with n the integer nearest to y. Adding a constant near 2^23 to y rounds it to n and leaves n in the
//! low bits of the sum; the constant also carries the exponent bias, so one shift turns the sum into the number 2^n.
//! Results down to 2^-149 need a 2^n that f32 has not: the significand is 2^f 2^-27 and the scale 2^n 2^27, and
//! their product is rounded once, also where it is denormal.

use super::fma;

/// e^x.
///
/// e^x = 2^(x log2 e), with log2 e in two parts and 2^f a polynomial of degree 6.
///
/// Overflows to infinity above 88.72284 and is denormal below -87.33655; exp(-inf) = 0, exp(inf) = inf, NaN for NaN.
///
/// Maximal error: TODO
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
/// For 0 < x < 69 it is still e^x; for greater x it is unspecified. exp(-inf) = 0, NaN for NaN.
///
/// Maximal error: TODO
#[inline(always)]
pub fn exp_nonpositive(x: f32) -> f32 {
    let x = if UNDERFLOW > x { UNDERFLOW } else { x };
    let (fraction, scale) = split_power(x, LOG2_E, 0.0);
    significand(fma(x, LOG2_E_TAIL, fraction)) * scale
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

/// 2^(fraction - 27) for |fraction| <= 1/2: by pairs of coefficients, which shortens the chain of operations.
#[inline(always)]
pub(super) fn significand(fraction: f32) -> f32 {
    let [c0, c1, c2, c3, c4, c5, c6] = POWER_OF_TWO;
    let square = fraction * fraction;
    let p = fma(fraction, c6, c5);
    let p = fma(square, p, fma(fraction, c4, c3));
    let p = fma(square, p, fma(fraction, c2, c1));
    fma(fraction, p, c0)
}

/// 1.5 2^23, where f32 numbers are integers, plus the exponent bias 127 and the 27 that the significand lacks.
const ROUND_AND_BIAS: f32 = 12_582_912.0 + 127.0 + 27.0;
const TWO_TO_64: f32 = 18_446_744_073_709_551_616.0;
const TWO_TO_MINUS_64: f32 = 1.0 / TWO_TO_64;
/// Beyond these the results are infinite, and 0.
const OVERFLOW: f32 = 89.0;
const UNDERFLOW: f32 = -106.5;

// Fitted by tests/golden/fit_math.py.
const LOG2_E: f32 = 1.442_695; // 0x3fb8aa3b
const LOG2_E_TAIL: f32 = 1.925_963e-8; // 0x32a57060
/// 2^x 2^-27 on [-1/2, 1/2], low degrees first.
const POWER_OF_TWO: [f32; 7] = [
    7.450_581e-9,     // 0x32000000
    5.164_349e-9,     // 0x31b17218
    1.789_826_7e-9,   // 0x30f5fdee
    4.135_340_4e-10,  // 0x2fe357be
    7.166_345e-11,    // 0x2e9d96f0
    9.976_928e-12,    // 0x2d2f8417
    1.141_910_5e-12,  // 0x2ba0b5a9
];
