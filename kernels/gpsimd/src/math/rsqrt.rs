//! The reciprocal square root.

use super::sqrt;

/// 1 / sqrt(x), by two correctly rounded operations.
///
/// inf for 0, -inf for -0, 0 for inf, NaN below zero and for NaN.
///
/// Maximal error: TODO
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / sqrt(x)
}
