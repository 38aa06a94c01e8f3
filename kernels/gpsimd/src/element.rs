//! Element types: what a tensor in HBM may hold, and how it becomes the f32 that kernels compute in.

use bytemuck::{Pod, Zeroable};

/// An element type of tensors. Kernels compute in f32 whatever the tensors hold.
pub trait Float: Pod {
    /// Code of the type at the boundary.
    #[doc(hidden)]
    const DTYPE: gpsimd_abi::DType;

    /// The value in f32; exact.
    fn to_f32(self) -> f32;

    /// The nearest value of this type, ties to even.
    fn from_f32(value: f32) -> Self;
}

impl Float for f32 {
    const DTYPE: gpsimd_abi::DType = gpsimd_abi::DType::F32;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

/// The upper half of an f32: 8 bits of exponent, 7 of fraction.
#[expect(non_camel_case_types, reason = "named like the primitive types it stands beside")]
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
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

impl core::fmt::Debug for bf16 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.to_f32(), f)
    }
}

impl Float for bf16 {
    const DTYPE: gpsimd_abi::DType = gpsimd_abi::DType::Bf16;

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
}
