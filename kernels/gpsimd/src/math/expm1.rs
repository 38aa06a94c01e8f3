//! The exponential function less 1.

use core::f32::consts::LOG2_E;

use super::fma;

/// e^x - 1, accurate also where x is small.
///
/// x = n ln 2 + r, and e^x - 1 = 2^n (e^r - 1) + (2^n - 1), with e^r - 1 = r + r^2 P(r), P of degree 5. Up to |x| = 0.41
/// n is 0, so that nothing cancels.
///
/// Infinite from 88.72284 on, -1 below -17.32868; expm1(-inf) = -1, expm1(inf) = inf, NaN for NaN. Zeros keep their sign.
///
/// Maximal error: 1.46 ulp, measured over every f32 (worst input 0x4187ff7d).
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let [c0, c1, c2, c3, c4, c5] = EXPM1;
    let y = if x > OVERFLOW { OVERFLOW } else { x };
    let y = if END_OF_TAIL > y { END_OF_TAIL } else { y };
    let sum = fma(y, LOG2_E, ROUND_AND_BIAS);
    let centre = x.abs() < END_OF_CENTRE;
    let n = if centre { 0.0 } else { sum - ROUND_AND_BIAS };
    let r = fma(n, -LN_2_TAIL, fma(n, -LN_2_HEAD, y));

    let square = r * r;
    let p = fma(square, fma(r, c5, c4), fma(r, c3, c2));
    let p = fma(square, p, fma(r, c1, c0));
    let p = fma(square, p, r);
    // Half of 2^n, which is too large for an f32 at the upper end.
    let half = f32::from_bits(sum.to_bits() << 23);
    let y = 2.0 * fma(p, half, half - 0.5);
    if centre { p } else { y }.copysign(x)
}

const END_OF_CENTRE: f32 = 0.41;
/// Beyond these the results are infinite, and -1.
const OVERFLOW: f32 = 89.0;
const END_OF_TAIL: f32 = -18.0;
/// 1.5 2^23, where f32 numbers are integers, plus the exponent bias 127, less the 1 of the half.
const ROUND_AND_BIAS: f32 = 12_582_912.0 + 127.0 - 1.0;

// Fitted by fit.py, low degrees first.
const LN_2_HEAD: f32 = 0.693_145_75; // 0x3f317200
const LN_2_TAIL: f32 = 1.428_606_8e-6; // 0x35bfbe8e
const EXPM1: [f32; 6] = [
    0.5,              // 0x3f000000
    0.166_666_66,     // 0x3e2aaaaa
    0.041_666_307,    // 0x3d2aaa4a
    0.008_333_500_5,  // 0x3c08893c
    0.001_395_097,    // 0x3ab6dbb0
    0.000_198_178_44, // 0x394fce1f
];
