//! The error function.

use super::exp::{significand, split_power};
use super::fma;

/// erf(x), odd to the bit.
///
/// Below 7/8, x times a polynomial in x^2; above, 1 - 2^(x P(x)) with x P(x) = log2(erfc(x)).
///
/// ±1 beyond ±3.920175 and for infinities; zeros keep their sign; NaN for NaN.
///
/// Maximal error: 1.06 ulp, measured over every f32 (worst input 0x3f7028d3).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let [c0, c1, c2, c3, c4, c5] = CENTRE;
    let [p0, p1, p2, p3, p4, p5] = TAIL;
    let t = x.abs();
    let t = if END_OF_TAIL < t { END_OF_TAIL } else { t };

    let square = t * t;
    let c = fma(square, fma(square, fma(square, c5, c4), c3), c2);
    let c = fma(square, fma(square, c, c1), c0);
    let centre = fma(t, c, t);

    let p = fma(t, fma(t, fma(t, p5, p4), p3), p2);
    let p = fma(t, fma(t, p, p1), p0);
    let (fraction, scale) = split_power(t, p, 0.0);
    let tail = fma(-significand(fraction), scale, 1.0);

    (if t < END_OF_CENTRE { centre } else { tail }).copysign(x)
}

const END_OF_CENTRE: f32 = 0.875;
/// erfc is less than 2^-25 here, so that the result is 1.
const END_OF_TAIL: f32 = 4.0;

// Fitted by fit.py, low degrees first.
/// erf(x) / x - 1 in x^2.
const CENTRE: [f32; 6] = [
    0.128_379_15,     // 0x3e0375d3
    -0.376_125_37,    // 0xbec09381
    0.112_823_635,    // 0x3de71014
    -0.026_788_913,   // 0xbcdb746c
    0.005_029_022_7,  // 0x3ba4ca80
    -0.000_618_885_5, // 0xba223cb4
];
/// log2(erfc(x)) / x in x.
const TAIL: [f32; 6] = [
    -1.628_118_2,     // 0xbfd0662d
    -0.917_092_86,    // 0xbf6ac699
    -0.151_933_45,    // 0xbe1b9471
    0.033_070_162,    // 0x3d077494
    -0.004_652_925,   // 0xbb987790
    0.000_310_511_76, // 0x39a2cc2f
];
