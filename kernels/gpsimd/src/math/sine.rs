//! Sine and cosine of every f32.
//!
//! x = n pi/2 + r with |r| <= pi/4. A large x needs many digits of 2/pi: of x 2/pi = n + r 2/pi all the digits above 4
//! are dropped, as n counts modulo 4, and 60 below the point are kept, as r may be as small as 2^-30. With x = M 2^e, M
//! an integer, these are the digits of M times 88 digits of 2/pi that begin where e says (the method of Payne and Hanek). A
//! table would be read at another index in every lane; here seven words are shifted by the bits of e, as in a barrel
//! shifter, in every lane alike.
//!
//! Numbers below 1 are their own r: their n is 0 up to pi/4, and the polynomials hold up to 1.

use super::fma;

/// The sine of x radians, odd to the bit.
///
/// r + r^3 P(r^2) or 1 + r^2 Q(r^2) by the parity of n, both of degree 3, with r in two parts.
///
/// Zeros keep their sign; NaN for infinities and NaN.
///
/// Maximal error: 1.08 ulp, measured over every f32 (worst input 0x5c87bcd0).
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let (n, head, tail) = remainder(x.abs());
    f32::from_bits(sine(n, head, tail).to_bits() ^ (x.to_bits() & SIGN))
}

/// The cosine of x radians, even to the bit.
///
/// The sine a quarter turn on, see [`sin`].
///
/// NaN for infinities and NaN.
///
/// Maximal error: 1.08 ulp, measured over every f32 (worst input 0x5c07bcd0).
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (n, head, tail) = remainder(x.abs());
    sine(n.wrapping_add(1), head, tail)
}

/// The sine and cosine of an angle that is a turn times `fraction` / 2^32.
#[inline(always)]
pub(crate) fn sin_cos_of_turn(fraction: u32) -> (f32, f32) {
    let (n, units) = nearest_quarter(fraction);
    let head = units as f32 * UNIT;
    (sine(n, head, 0.0), sine(n.wrapping_add(1), head, 0.0))
}

/// The sine of n pi/2 + head + tail, for a tail of at most half an ulp of the head.
#[inline(always)]
fn sine(n: u32, head: f32, tail: f32) -> f32 {
    let [s0, s1, s2, s3] = SINE;
    let [c0, c1, c2, c3] = COSINE;
    let square = head * head;
    let s = fma(square, fma(square, fma(square, s3, s2), s1), s0);
    let sine = head + fma(head * square, s, tail);
    let c = fma(square, fma(square, fma(square, c3, c2), c1), c0);
    // What r^2 is more than its f32, half.
    let more = fma(head, tail, 0.5 * fma(head, head, -square));
    let cosine = 1.0 + fma(square, fma(square, c, -0.5), -more);
    let value = if n & 1 == 0 { sine } else { cosine };
    f32::from_bits(value.to_bits() ^ (n << 30 & SIGN))
}

/// The quarter turn nearest to an angle of `units` 2^-32 turns, and the units from there, from -2^29 on and below 2^29.
#[inline(always)]
fn nearest_quarter(units: u32) -> (u32, i32) {
    (units.wrapping_add(1 << 29) >> 30, (units << 2) as i32 >> 2)
}

/// The n, modulo 4, and the r of t >= 0, with r in two parts. NaN for infinity and NaN.
#[inline(always)]
fn remainder(t: f32) -> (u32, f32, f32) {
    // t = M 2^(e - 23), e from 0 to 127.
    let bits = t.to_bits();
    let e = (bits >> 23).wrapping_sub(127);
    let m = bits & 0x007f_ffff | 0x0080_0000;
    // M 2^-24.
    let fraction = f32::from_bits(bits & 0x007f_ffff | 0x3f00_0000);
    let [w0, w1, w2] = window(e);

    // In units of 2^-30. M w0 is an integer and wraps where n does.
    let units = m.wrapping_mul(w0);
    // The next 24 digits: their product is below 2^24, in two parts, of which the multiple of 4 is an integer again.
    let digits = (w1 >> 8) as f32;
    let high = fraction * digits;
    let low = fma(fraction, digits, -high);
    let rounded = high + TWO_TO_25;
    let units = units.wrapping_add(rounded.to_bits().wrapping_sub(TWO_TO_25.to_bits()) << 2);
    // And 24 more.
    let digits = ((w1 & 0xff) << 16 | w2 >> 16) as f32;
    let rest = (high - (rounded - TWO_TO_25)) + fma(fraction, digits * TWO_TO_MINUS_24, low);

    let (n, units) = nearest_quarter(units);
    // An f32 takes 24 bits.
    let multiple = (units + 32) & !63;
    let rest = (units - multiple) as f32 + rest;
    let multiple = multiple as f32;
    let product = multiple * UNIT;
    let tail = fma(multiple, UNIT, -product);
    let tail = fma(rest, UNIT, fma(multiple + rest, UNIT_TAIL, tail));
    // NaN where t is no number.
    let tail = fma(t, 0.0, tail);
    let head = product + tail;
    let tail = tail - (head - product);

    if t < 1.0 { (0, t, 0.0) } else { (n, head, tail) }
}

/// 96 digits of 2/pi from e - 24 after the point on, for e from 0 to 127.
#[inline(always)]
fn window(e: u32) -> [u32; 3] {
    let [d0, d1, d2, d3, d4, d5, d6] = TWO_OVER_PI;
    let by_64 = |near, far| if e & 64 == 0 { near } else { far };
    let [d0, d1, d2, d3, d4] = [by_64(d0, d2), by_64(d1, d3), by_64(d2, d4), by_64(d3, d5), by_64(d4, d6)];
    let by_32 = |near, far| if e & 32 == 0 { near } else { far };
    let [d0, d1, d2, d3] = [by_32(d0, d1), by_32(d1, d2), by_32(d2, d3), by_32(d3, d4)];
    let shift = e & 31;
    let by_less = |near: u32, far: u32| near << shift | far >> 1 >> (31 - shift);
    [by_less(d0, d1), by_less(d1, d2), by_less(d2, d3)]
}

const SIGN: u32 = 0x8000_0000;
const TWO_TO_25: f32 = 33_554_432.0;
const TWO_TO_MINUS_24: f32 = 1.0 / 16_777_216.0;

// Fitted by fit.py, low degrees first.
const UNIT: f32 = 1.462_918_1e-9; // 0x30c90fdb
const UNIT_TAIL: f32 = -4.070_940_3e-17; // 0xa43bbd2e
const SINE: [f32; 4] = [
    -0.166_666_67,     // 0xbe2aaaab
    0.008_333_354,     // 0x3c08889f
    -0.000_198_423_85, // 0xb9500fff
    2.726_271_3e-6,    // 0x3636f4fc
];
const COSINE: [f32; 4] = [
    0.041_666_668,    // 0x3d2aaaab
    -0.001_388_893_6, // 0xbab60b89
    2.480_580_4e-5,   // 0x37d0160f
    -2.742_778_5e-7,  // 0xb4934076
];
const TWO_OVER_PI: [u32; 7] =
    [0x0000_0051, 0x7cc1_b727, 0x220a_94fe, 0x13ab_e8fa, 0x9a6e_e06d, 0xb14a_cc9e, 0x21c8_20ff];
