//! [`key`]: floats in a total order, as integers.

/// In which order [`sort`](super::sort) puts keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// The place of `x` in the order in which PyTorch sorts: `key(x) < key(y)` if `x < y`, every NaN is above infinity, and
/// -0.0 and 0.0 are the same. [`from_key`] returns the number.
///
/// ```
/// use gpsimd::lanes::{from_key, key};
///
/// assert!(key(-2.0) < key(-1.0) && key(-0.0) == key(0.0) && key(f32::INFINITY) < key(f32::NAN));
/// assert_eq!(from_key(key(-2.5)), -2.5);
/// ```
#[inline(always)]
pub fn key(x: f32) -> i32 {
    // Makes 0.0 of -0.0.
    let key = flipped((x + 0.0).to_bits() as i32);
    if x.is_nan() { i32::MAX } else { key }
}

/// The number whose [`key`] this is: 0.0 for that of both zeros, a NaN for that of any.
#[inline(always)]
pub fn from_key(key: i32) -> f32 {
    f32::from_bits(flipped(key) as u32)
}

/// Magnitudes of negative numbers grow downwards.
#[inline(always)]
fn flipped(bits: i32) -> i32 {
    bits ^ ((bits >> 31) & i32::MAX)
}
