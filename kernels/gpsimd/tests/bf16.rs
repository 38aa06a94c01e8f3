//! bf16 against the crate `half`.

use gpsimd::{Float, bf16};
use proptest::prelude::*;

#[test]
fn every_bf16_is_the_f32_that_half_says() {
    for bits in 0..=u16::MAX {
        let (ours, theirs) = (bf16::from_bits(bits).to_f32(), half::bf16::from_bits(bits).to_f32());
        // half makes NaNs quiet on the way.
        assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{bits:#06x}");
    }
}

#[test]
fn every_bf16_that_is_a_number_comes_back_from_f32() {
    for bits in 0..=u16::MAX {
        let value = bf16::from_bits(bits);
        let back = bf16::from_f32(value.to_f32());
        assert!(back.to_bits() == bits || (value.to_f32().is_nan() && back.to_f32().is_nan()), "{bits:#06x}");
    }
}

/// The f32 in the middle between a bf16 and the next, and its neighbours: where rounding is decided.
#[test]
fn rounding_is_to_nearest_and_ties_to_even_around_every_middle() {
    for upper in 0..=u16::MAX {
        for lower in [0x0000_u32, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff] {
            assert_as_half(f32::from_bits((u32::from(upper) << 16) | lower));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_f32_rounds_as_half_rounds(bits in any::<u32>()) {
        assert_as_half(f32::from_bits(bits));
    }
}

#[track_caller]
fn assert_as_half(value: f32) {
    let (ours, theirs) = (bf16::from_f32(value), half::bf16::from_f32(value));
    assert_eq!(ours.to_bits(), theirs.to_bits(), "{value:e} ({:#010x})", value.to_bits());
}
