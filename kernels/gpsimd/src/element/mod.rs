//! Element types: what a tensor in HBM may hold.
//!
//! | trait | types | for |
//! |---|---|---|
//! | [`Element`] | all seven | kernels that move elements |
//! | [`Number`] | all seven | kernels that compare and convert them |
//! | [`Float`] | [`f32`], [`bf16`], [`f16`](struct@f16) | kernels that compute in f32 |
//! | [`Integer`] | [`i32`], [`i16`], [`i8`], [`u8`] | kernels that compute in the type itself |
//!
//! A type parameter of a kernel has one of them as its bound: the kernel then has a version for each of the bound's types.
//!
//! Conversions are the same on every tier, and branch-free:
//!
//! | from | to | |
//! |---|---|---|
//! | any | f32 | exact, but for i32 beyond ±2^24: to nearest, ties to even |
//! | f32 | bf16, f16 | to nearest, ties to even; beyond the largest number infinite; NaN stays NaN |
//! | f32 | an integer | to nearest, ties to even; beyond the type's range its end; NaN becomes 0 |
//! | i32 | a smaller integer | [`from_i32_wrapping`](Integer::from_i32_wrapping) takes the low bits, [`from_i32_saturating`](Integer::from_i32_saturating) the nearest |

mod brain;
mod half;
mod integer;
mod wide;

use bytemuck::Pod;
use gpsimd_abi::DType;

pub use self::brain::bf16;
pub use self::half::f16;
pub use self::integer::Integer;
pub use self::wide::Wide;

/// An element type of tensors.
pub trait Element: Pod {
    /// Code of the type at the boundary.
    #[doc(hidden)]
    const DTYPE: DType;
}

/// An element type whose elements are numbers, in some order.
pub trait Number: Element + PartialOrd {
    /// 0.
    const ZERO: Self;
    /// The least: minus infinity of a float, the least value of an integer.
    const LEAST: Self;
    /// The greatest: infinity of a float, the greatest value of an integer.
    const GREATEST: Self;

    /// The type of 32 bits in which kernels of any number sum and compare: f32 of floats, i32 of integers.
    type Wide: Wide;

    /// The value in f32: exact, but for i32 beyond ±2^24, which is rounded to nearest, ties to even.
    fn to_f32(self) -> f32;

    /// The nearest value of this type, ties to even. Integers: NaN becomes 0, and what is beyond the type's range its end.
    fn from_f32(value: f32) -> Self;

    /// The value in that type; exact.
    fn widen(self) -> Self::Wide;

    /// The nearest float, ties to even; the low bits of an integer.
    fn narrow(wide: Self::Wide) -> Self;
}

/// A floating-point type. Kernels compute in f32 whatever the tensors hold.
pub trait Float: Number {}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const LEAST: Self = Self::NEG_INFINITY;
    const GREATEST: Self = Self::INFINITY;

    type Wide = Self;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn widen(self) -> Self {
        self
    }

    #[inline(always)]
    fn narrow(wide: Self) -> Self {
        wide
    }
}

impl Float for f32 {}
