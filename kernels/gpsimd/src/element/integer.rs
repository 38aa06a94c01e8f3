//! [`Integer`]: arithmetic that wraps or saturates, as its name says.

use gpsimd_abi::DType;

use super::{Element, Number};
use crate::lanes::Lane;

/// An integer type. A plain `+` panics on overflow in debug builds and wraps in others; these do the same everywhere.
pub trait Integer: Number + Ord + Lane {
    /// The value in 32 bits; exact.
    fn to_i32(self) -> i32;

    /// The low bits of `value`.
    fn from_i32_wrapping(value: i32) -> Self;

    /// The value of this type that is nearest to `value`.
    fn from_i32_saturating(value: i32) -> Self;

    /// The sum modulo 2^bits.
    #[must_use]
    fn wrapping_add(self, other: Self) -> Self;

    /// The difference modulo 2^bits.
    #[must_use]
    fn wrapping_sub(self, other: Self) -> Self;

    /// The product modulo 2^bits.
    #[must_use]
    fn wrapping_mul(self, other: Self) -> Self;

    /// The sum, or the end of the range that it is beyond.
    #[must_use]
    fn saturating_add(self, other: Self) -> Self;

    /// The difference, or the end of the range that it is beyond.
    #[must_use]
    fn saturating_sub(self, other: Self) -> Self;

    /// The product, or the end of the range that it is beyond.
    #[must_use]
    fn saturating_mul(self, other: Self) -> Self;
}

/// 2^23, from which on every f32 is an integer: the sum with a smaller positive number is rounded to one, ties to even.
const INTEGERS: f32 = 8_388_608.0;

/// The integer nearest to `x`, ties to even. NaN is NaN.
#[inline(always)]
fn rounded(x: f32) -> f32 {
    let magnitude = x.abs();
    let near = (magnitude + INTEGERS) - INTEGERS;
    (if magnitude < INTEGERS { near } else { magnitude }).copysign(x)
}

macro_rules! integers {
    ($($T:ident $code:ident),+) => {
        $(
            impl Element for $T {
                const DTYPE: DType = DType::$code;
            }

            impl Number for $T {
                const ZERO: Self = 0;
                const LEAST: Self = $T::MIN;
                const GREATEST: Self = $T::MAX;

                type Wide = i32;

                #[inline(always)]
                fn to_f32(self) -> f32 {
                    self as f32
                }

                #[inline(always)]
                fn from_f32(value: f32) -> Self {
                    // The cast saturates, and takes NaN to 0.
                    rounded(value) as Self
                }

                #[inline(always)]
                fn widen(self) -> i32 {
                    self.to_i32()
                }

                #[inline(always)]
                fn narrow(wide: i32) -> Self {
                    Self::from_i32_wrapping(wide)
                }
            }

            impl Integer for $T {
                #[inline(always)]
                #[allow(clippy::unnecessary_cast)]
                fn to_i32(self) -> i32 {
                    self as i32
                }

                #[inline(always)]
                #[allow(clippy::unnecessary_cast)]
                fn from_i32_wrapping(value: i32) -> Self {
                    value as Self
                }

                #[inline(always)]
                #[allow(clippy::unnecessary_cast)]
                fn from_i32_saturating(value: i32) -> Self {
                    value.clamp($T::MIN as i32, $T::MAX as i32) as Self
                }

                #[inline(always)]
                fn wrapping_add(self, other: Self) -> Self {
                    $T::wrapping_add(self, other)
                }

                #[inline(always)]
                fn wrapping_sub(self, other: Self) -> Self {
                    $T::wrapping_sub(self, other)
                }

                #[inline(always)]
                fn wrapping_mul(self, other: Self) -> Self {
                    $T::wrapping_mul(self, other)
                }

                #[inline(always)]
                fn saturating_add(self, other: Self) -> Self {
                    $T::saturating_add(self, other)
                }

                #[inline(always)]
                fn saturating_sub(self, other: Self) -> Self {
                    $T::saturating_sub(self, other)
                }

                #[inline(always)]
                fn saturating_mul(self, other: Self) -> Self {
                    $T::saturating_mul(self, other)
                }
            }
        )+
    };
}

integers! { i32 I32, i16 I16, i8 I8, u8 U8 }
