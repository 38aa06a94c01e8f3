//! [`bf16`].

use core::cmp::Ordering;

use bytemuck::{Pod, Zeroable};
use gpsimd_abi::DType;

use super::{Element, Float, Number};

/// The upper half of an f32: 8 bits of exponent, 7 of fraction.
#[expect(non_camel_case_types, reason = "named like the primitive types it stands beside")]
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct bf16(u16);

impl bf16 {
    /// The value with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn to_bits(self) -> u16 {
        self.0
    }
}

impl Element for bf16 {
    const DTYPE: DType = DType::Bf16;
}

impl Number for bf16 {
    const ZERO: Self = Self(0);
    const LEAST: Self = Self(0xff80);
    const GREATEST: Self = Self(0x7f80);

    type Wide = f32;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// Adding half of the last kept bit, less one where that bit is even, carries exactly when round-to-nearest-even
    /// rounds up; overflow carries into infinity. A NaN could carry into infinity too, so it becomes the quiet NaN.
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        Self(if value.is_nan() { ((bits >> 16) | 0x40) as u16 } else { rounded as u16 })
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    fn narrow(wide: f32) -> Self {
        Self::from_f32(wide)
    }
}

impl Float for bf16 {}

/// As the f32 of the same values: -0 equals 0, NaN nothing.
impl PartialEq for bf16 {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.to_f32() == other.to_f32()
    }
}

impl PartialOrd for bf16 {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.to_f32().partial_cmp(&other.to_f32())
    }
}

impl core::fmt::Debug for bf16 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.to_f32(), f)
    }
}
