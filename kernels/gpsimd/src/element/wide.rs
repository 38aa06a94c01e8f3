//! [`Wide`]: the types that sums and orders are computed in.

use super::Number;
use crate::lanes::{self, Lane};

/// A type of 32 bits that numbers are computed in, [`Number::Wide`]: f32 or i32.
pub trait Wide: Number<Wide = Self> + Lane {
    /// The sum; of integers modulo 2^32.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// The product; of integers modulo 2^32.
    #[must_use]
    fn times(self, other: Self) -> Self;

    /// The place of the number in the order in which PyTorch sorts: of a float its [`lanes::key`], of an integer itself.
    fn key(self) -> i32;

    /// The number whose [`key`](Self::key) this is, as [`lanes::from_key`] has it.
    fn from_key(key: i32) -> Self;

    /// The bits, for a workspace between two phases: an output of a kernel has no dtype that only this type knows.
    fn to_bits(self) -> i32;

    /// The number of these [bits](Self::to_bits).
    fn from_bits(bits: i32) -> Self;
}

impl Wide for f32 {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn key(self) -> i32 {
        lanes::key(self)
    }

    #[inline(always)]
    fn from_key(key: i32) -> Self {
        lanes::from_key(key)
    }

    #[inline(always)]
    fn to_bits(self) -> i32 {
        self.to_bits().cast_signed()
    }

    #[inline(always)]
    fn from_bits(bits: i32) -> Self {
        Self::from_bits(bits.cast_unsigned())
    }
}

impl Wide for i32 {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    #[inline(always)]
    fn key(self) -> i32 {
        self
    }

    #[inline(always)]
    fn from_key(key: i32) -> Self {
        key
    }

    #[inline(always)]
    fn to_bits(self) -> i32 {
        self
    }

    #[inline(always)]
    fn from_bits(bits: i32) -> Self {
        bits
    }
}
