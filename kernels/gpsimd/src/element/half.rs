//! [`f16`](struct@f16).

use core::cmp::Ordering;

use bytemuck::{Pod, Zeroable};
use gpsimd_abi::DType;

use super::{Element, Float, Number};

/// IEEE 754 binary16: 5 bits of exponent, 10 of fraction. The greatest number is 65504.
#[expect(non_camel_case_types, reason = "named like the primitive types it stands beside")]
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct f16(u16);

impl f16 {
    /// The value with these bits.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn to_bits(self) -> u16 {
        self.0
    }
}

/// What the exponent of a binary32 is more than that of the binary16 of the same value.
const BIAS: u32 = 127 - 15;
/// Bits of fraction that a binary32 has more.
const SHIFT: u32 = 23 - 10;
/// 2^112.
const TWO_TO_BIAS: f32 = f32::from_bits((127 + BIAS) << 23);
/// 2^-14, the least normal number.
const LEAST_NORMAL: u32 = (127 - 14) << 23;
/// 2^16, from which on all is infinite. Rounding carries from 65520 on into the same.
const OVERFLOW: u32 = (127 + 16) << 23;
/// 0.5, whose last bit of fraction is 2^-24, the least denormal number: adding it rounds there.
const DENORMAL_ROUND: f32 = 0.5;

impl Element for f16 {
    const DTYPE: DType = DType::F16;
}

impl Number for f16 {
    const ZERO: Self = Self(0);
    const LEAST: Self = Self(0xfc00);
    const GREATEST: Self = Self(0x7c00);

    type Wide = f32;

    /// Exponent and fraction, moved to their place in a binary32, are the value times 2^-112, denormal ones too. The product
    /// is exact. Infinity and NaN have the greatest exponent instead.
    #[inline(always)]
    fn to_f32(self) -> f32 {
        let bits = u32::from(self.0);
        let sign = (bits & 0x8000) << 16;
        let magnitude = (bits & 0x7fff) << SHIFT;
        let finite = (f32::from_bits(magnitude) * TWO_TO_BIAS).to_bits();
        let special = magnitude | 0x7f80_0000;
        f32::from_bits(sign | if bits & 0x7c00 == 0x7c00 { special } else { finite })
    }

    /// A normal number is rounded as in [`bf16`](super::bf16): what is added carries. A denormal one is rounded by the sum
    /// with a number whose last bit is that of all denormals.
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let sign = (bits >> 16) & 0x8000;
        let magnitude = bits & 0x7fff_ffff;
        let odd = (magnitude >> SHIFT) & 1;
        let normal = magnitude.wrapping_sub(BIAS << 23).wrapping_add(0xfff + odd) >> SHIFT;
        let sum = f32::from_bits(magnitude) + DENORMAL_ROUND;
        let denormal = sum.to_bits().wrapping_sub(DENORMAL_ROUND.to_bits());
        let finite = if magnitude < LEAST_NORMAL { denormal } else { normal };
        let special = if value.is_nan() { 0x7e00 | ((magnitude >> SHIFT) & 0x3ff) } else { 0x7c00 };
        let magnitude = if magnitude >= OVERFLOW { special } else { finite };
        Self((sign | magnitude) as u16)
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

impl Float for f16 {}

/// As the f32 of the same values: -0 equals 0, NaN nothing.
impl PartialEq for f16 {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.to_f32() == other.to_f32()
    }
}

impl PartialOrd for f16 {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.to_f32().partial_cmp(&other.to_f32())
    }
}

impl core::fmt::Debug for f16 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.to_f32(), f)
    }
}
