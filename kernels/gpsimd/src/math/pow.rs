//! The power function.

use super::exp::{TWO_TO_64, TWO_TO_MINUS_64, significand, split_power};
use super::fma;
use super::log::split;

/// x to the power of y.
///
/// |x|^y = 2^(y log2 |x|), with the logarithm and its product with y in two parts each, for y multiplies the
/// logarithm's error: with x = 2^k m and q = (m - 1) / (m + 1), log2(m) is q (c + q^2 P(q^2)), c = 2 / ln 2.
///
/// Special values are those of IEEE 754 and C: 1 where y = 0 or x = 1, whatever the other is, and for -1 to the power of
/// ±inf; for x below zero, the sign of (-1)^y where y is an integer and NaN for other y, except that -inf and -0 count as
/// inf and 0 there.
///
/// Within 1 ulp: 0.95 at most, measured over a sample of 2^30 pairs (at 1.2001635 to the power of -480.3623).
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    let (head, tail) = log2_in_parts(x.abs());
    // Results span the powers of two from -150 to 128; here infinite products end.
    let product = y * head;
    let rest = fma(y, tail, fma(y, head, -product));
    let bounded = if product > END { END } else { product };
    let bounded = if -END > bounded { -END } else { bounded };
    let rest = if bounded == product { rest } else { 0.0 };

    let (lift, unlift) = if bounded < 0.0 { (64.0, TWO_TO_MINUS_64) } else { (-64.0, TWO_TO_64) };
    let (fraction, scale) = split_power(bounded, 1.0, lift);
    let magnitude = significand(fraction + rest) * scale * unlift;

    let (integer, odd) = parity(y);
    let signed = f32::from_bits(magnitude.to_bits() ^ if odd { x.to_bits() & 0x8000_0000 } else { 0 });
    let z = if x < 0.0 && x > f32::NEG_INFINITY && !integer { f32::NAN } else { signed };
    if y == 0.0 || x == 1.0 || x == -1.0 && y.abs() > f32::MAX { 1.0 } else { z }
}

/// log2(t) for t > 0 in two parts, wrong by less than 2^-32 of it. -inf for 0, inf for inf, NaN for NaN, with 0 as the other.
#[inline(always)]
fn log2_in_parts(t: f32) -> (f32, f32) {
    let [p0, p1, p2] = QUOTIENT;
    let (k, f) = split(t, SQRT_HALF);
    // q in two parts: f - 2 q is exact.
    let reciprocal = 1.0 / (2.0 + f);
    let q = f * reciprocal;
    let q_tail = fma(q, -f, fma(q, -2.0, f)) * reciprocal;
    // Its square.
    let square = q * q;
    let square_tail = fma(q, q_tail + q_tail, fma(q, q, -square));
    // P = c / 3 + q^2 R, times the square, plus c.
    let r = fma(square, fma(square, p2, p1), p0);
    let p = fma(square, r, THIRD);
    let p_tail = fma(square, r, THIRD - p) + THIRD_TAIL;
    let small = square * p;
    let small_tail = fma(square, p_tail, fma(square_tail, p, fma(square, p, -small)));
    let factor = TWO_LOG2_E + small;
    let factor_tail = (TWO_LOG2_E - factor) + small + (small_tail + TWO_LOG2_E_TAIL);
    // q times that, plus k.
    let log2 = q * factor;
    let log2_tail = fma(q_tail, factor, fma(q, factor_tail, fma(q, factor, -log2)));
    let head = k + log2;
    let tail = (k - head) + log2 + log2_tail;
    let regular = t > 0.0 && t < f32::INFINITY;
    let beyond = if t == 0.0 { f32::NEG_INFINITY } else { t };
    if regular { (head, tail) } else { (beyond, 0.0) }
}

/// Whether y is an integer, and an odd one.
#[inline(always)]
fn parity(y: f32) -> (bool, bool) {
    let t = y.abs();
    // From 2^23 on every f32 is an integer, from 2^24 on an even one. Below, the sum has the integer in its low bits.
    let fractional = t < TWO_TO_23;
    let sum = if fractional { t + TWO_TO_23 } else { t };
    let integer = !fractional || sum - TWO_TO_23 == t;
    (integer, integer && t < 2.0 * TWO_TO_23 && sum.to_bits() & 1 == 1)
}

/// The power of two beyond which results are infinite, and, negated, 0.
const END: f32 = 152.0;
const TWO_TO_23: f32 = 8_388_608.0;
const SQRT_HALF: f32 = core::f32::consts::FRAC_1_SQRT_2;

// Fitted by fit.py, low degrees first.
const TWO_LOG2_E: f32 = 2.885_39; // 0x4038aa3b
const TWO_LOG2_E_TAIL: f32 = 3.851_926e-8; // 0x33257060
const THIRD: f32 = 0.961_796_7; // 0x3f76384f
const THIRD_TAIL: f32 = -7.028_462e-9; // 0xb1f17f01
const QUOTIENT: [f32; 3] = [
    0.577_080_2,  // 0x3f13bb87
    0.411_849_86, // 0x3ed2ddfc
    0.337_823_2,  // 0x3eacf72a
];
