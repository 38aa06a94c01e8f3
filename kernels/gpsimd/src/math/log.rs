//! Logarithms.
//!
//! x = 2^k (1 + f) with 1 + f from 3/4 to 3/2. The logarithm of 1 + f is f plus f^2 times a polynomial, a small part
//! whose rounding errors count for little; near 1, where k = 0, nothing cancels.

use core::f32::consts::{LN_2, LOG2_E};

use super::exp::LOG2_E_TAIL;
use super::fma;

/// The natural logarithm of x.
///
/// k ln 2 + f + f^2 P(f), P of degree 8.
///
/// -inf for zeros, inf for inf, NaN below zero and for NaN. Denormal x are normal numbers times 2^-23.
///
/// Maximal error: 0.95 ulp, measured over every f32 (worst input 0x3ebfc9f5).
#[inline(always)]
pub fn log(x: f32) -> f32 {
    let (k, f) = split(x, THREE_QUARTERS);
    beyond_domain(x, 0.0, fma(k, LN_2, fma(f * f, polynomial(f, LOG), f)))
}

/// The logarithm of x to base 2, exact for powers of two.
///
/// k + f log2(e) + f^2 P(f), with log2(e) in two parts and P of degree 8.
///
/// -inf for zeros, inf for inf, NaN below zero and for NaN. Denormal x are normal numbers times 2^-23.
///
/// Maximal error: 1.25 ulp, measured over every f32 (worst input 0x3f3e44ee).
#[inline(always)]
pub fn log2(x: f32) -> f32 {
    let (k, f) = split(x, THREE_QUARTERS);
    let head = f * LOG2_E;
    let tail = fma(f * f, polynomial(f, LOG2), fma(f, LOG2_E_TAIL, fma(f, LOG2_E, -head)));
    let sum = k + head;
    beyond_domain(x, 0.0, sum + ((k - sum) + head + tail))
}

/// log(1 + x), accurate also where x is small.
///
/// As [`log`]; 1 + x is rounded to find k alone, f is 2^-k x + (2^-k - 1).
///
/// -inf for -1, inf for inf, NaN below -1 and for NaN. Zeros keep their sign.
///
/// Maximal error: 1.13 ulp, measured over every f32 (worst input 0xbe7fffff).
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    let exponent = exponent(1.0 + x, THREE_QUARTERS);
    // 2^(2 - k) is a normal number for every k, 2^-k is not.
    let f = lowered(x, exponent) + fma(lowered(4.0, exponent), 0.25, -1.0);
    let k = exponent as i32 as f32 * TWO_TO_MINUS_23;
    let y = fma(k, LN_2, fma(f * f, polynomial(f, LOG), f));
    beyond_domain(x, -1.0, y).copysign(x)
}

/// k and f for x > 0: x = 2^k (1 + f) with 1 + f from `low` to twice that.
#[inline(always)]
pub(super) fn split(x: f32, low: f32) -> (f32, f32) {
    let denormal = x < f32::MIN_POSITIVE;
    let normal = if denormal { x * TWO_TO_23 } else { x };
    let exponent = exponent(normal, low);
    let k = exponent as i32 as f32;
    let k = fma(k, TWO_TO_MINUS_23, if denormal { -23.0 } else { 0.0 });
    (k, lowered(normal, exponent) - 1.0)
}

/// k where the exponent of an f32 stands, such that 2^-k x is from `low` to twice that.
#[inline(always)]
fn exponent(x: f32, low: f32) -> u32 {
    x.to_bits().wrapping_sub(low.to_bits()) & 0xff80_0000
}

/// 2^-k x.
#[inline(always)]
fn lowered(x: f32, exponent: u32) -> f32 {
    f32::from_bits(x.to_bits().wrapping_sub(exponent))
}

/// y for the numbers above `zero`, the argument for which the logarithm is -inf; what it is for the others.
#[inline(always)]
fn beyond_domain(x: f32, zero: f32, y: f32) -> f32 {
    let beyond = if x == zero { f32::NEG_INFINITY } else { f32::NAN };
    let y = if x > zero { y } else { beyond };
    if x > f32::MAX { f32::INFINITY } else { y }
}

/// -1/2 + c1 x + ..., the even and odd powers from x^2 on apart, which shortens the chain of operations.
#[inline(always)]
fn polynomial(x: f32, [c0, c1, c2, c3, c4, c5, c6, c7, c8]: [f32; 9]) -> f32 {
    let square = x * x;
    let even = fma(square, fma(square, fma(square, c8, c6), c4), c2);
    let odd = fma(square, fma(square, c7, c5), c3);
    fma(x, fma(x, fma(x, odd, even), c1), c0)
}

/// The f32 after 3/4: where 1 + x is rounded to 3/2, its f is x itself.
const THREE_QUARTERS: f32 = 0.750_000_06;
const TWO_TO_23: f32 = 8_388_608.0;
const TWO_TO_MINUS_23: f32 = 1.0 / TWO_TO_23;

// Fitted by fit.py, low degrees first.
const LOG: [f32; 9] = [
    -0.5,          // 0xbf000000
    0.333_334_5,   // 0x3eaaaad2
    -0.250_001_1,  // 0xbe800025
    0.199_908_48,  // 0x3e4cb4cf
    -0.166_468_78, // 0xbe2a76cb
    0.144_776_3,   // 0x3e14403d
    -0.131_639_36, // 0xbe06cc78
    0.104_725_51,  // 0x3dd67a54
    -0.045_152_27, // 0xbd38f196
];
const LOG2: [f32; 9] = [
    -0.721_347_5,  // 0xbf38aa3b
    0.480_899_96,  // 0x3ef63885
    -0.360_675_66, // 0xbeb8aa7b
    0.288_41,      // 0x3e93aa7a
    -0.240_163_18, // 0xbe75ed56
    0.208_835_02,  // 0x3e55d8d9
    -0.189_876_23, // 0xbe426eea
    0.151_154_74,  // 0x3e1ac84f
    -0.065_247_02, // 0xbd85a03b
];
