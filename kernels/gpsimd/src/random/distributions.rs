//! What random bits become.

use crate::math::{fma, log, sin_cos_of_turn, sqrt};

/// A number from 0 to 1, without the 1: a multiple of 2^-24.
#[inline(always)]
pub fn uniform(bits: u32) -> f32 {
    (bits >> 8) as i32 as f32 * TWO_TO_MINUS_24
}

/// A number from 0 to 1, without the 0: a multiple of 2^-24.
#[inline(always)]
pub fn uniform_above_0(bits: u32) -> f32 {
    ((bits >> 8) as i32 + 1) as f32 * TWO_TO_MINUS_24
}

/// The threshold with which [`bernoulli`] is true with a probability, to the nearest 2^-31 below; 0 and 1 are exact.
///
/// Less than 0 counts as 0, more than 1 as 1, NaN as 0.
#[inline(always)]
pub fn threshold(probability: f32) -> u32 {
    let scaled = probability * TWO_TO_31;
    (if scaled > TWO_TO_31 { TWO_TO_31 } else { scaled }) as u32
}

/// True for a share of the bits that [`threshold`] was told.
#[inline(always)]
pub fn bernoulli(bits: u32, threshold: u32) -> bool {
    bits >> 1 < threshold
}

/// `x` where [`bernoulli`] is true, 0 elsewhere: what dropout makes of a value. By a mask, as compilers make branches of
/// conditions.
///
/// ```
/// use gpsimd::random::{kept, threshold};
///
/// assert_eq!((kept(0, threshold(0.5), -2.0), kept(u32::MAX, threshold(0.5), -2.0)), (-2.0, 0.0));
/// ```
#[inline(always)]
pub fn kept(bits: u32, threshold: u32, x: f32) -> f32 {
    let mask = u32::from(bernoulli(bits, threshold)).wrapping_neg();
    f32::from_bits(x.to_bits() & mask)
}

/// Two independent numbers of the normal distribution with mean 0 and variance 1 (Box and Muller).
///
/// The radius is sqrt(-2 log u), u from `radius`, at least 2^-32, so that no number is beyond ±6.67, which of 10^10 numbers
/// 0.3 are; the angle is a turn times `angle` / 2^32. The cosine comes first.
#[inline(always)]
pub fn normal(radius: u32, angle: u32) -> [f32; 2] {
    let u = fma((radius >> 1) as i32 as f32, TWO_TO_MINUS_31, 0.5 * TWO_TO_MINUS_31);
    let radius = sqrt(-2.0 * log(u));
    let (sine, cosine) = sin_cos_of_turn(angle);
    [radius * cosine, radius * sine]
}

const TWO_TO_31: f32 = 2_147_483_648.0;
const TWO_TO_MINUS_31: f32 = 1.0 / TWO_TO_31;
const TWO_TO_MINUS_24: f32 = 1.0 / 16_777_216.0;
