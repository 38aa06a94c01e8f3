//! Conversions of element types: the 16-bit floats against the crate `half`, the integers against the definition in f64.

use gpsimd::{Integer, Number, Wide, bf16, f16};
use proptest::prelude::*;

/// The f32 whose rounding is decided by the last bits: for every upper half, the middle between two numbers and its neighbours.
fn around_every_middle() -> impl Iterator<Item = f32> {
    // The bits below bf16's 7 bits of fraction, and below f16's 10.
    let bf16 = [0x0000_u32, 0x0001, 0x7fff, 0x8000, 0x8001, 0xffff];
    let f16 = [0x0fff_u32, 0x1000, 0x1001, 0x2fff, 0x3000, 0x3001, 0x1fff, 0x2000, 0x2001];
    (0..=u16::MAX).flat_map(move |upper| {
        bf16.into_iter().chain(f16).map(move |lower| f32::from_bits((u32::from(upper) << 16) | lower))
    })
}

/// One f32 or more of every exponent and sign, the special ones among them.
fn of_every_exponent() -> impl Iterator<Item = f32> {
    (0..0x200_u32).flat_map(|exponent| {
        [0, 1, 0x2a_aaaa, 0x3f_ffff, 0x40_0000, 0x40_0001, 0x60_0000, 0x7f_ffff]
            .into_iter()
            .map(move |fraction| f32::from_bits((exponent << 23) | fraction))
    })
}

#[test]
fn every_16_bit_float_is_the_f32_that_half_says() {
    for bits in 0..=u16::MAX {
        let bf16 = (bf16::from_bits(bits).to_f32(), half::bf16::from_bits(bits).to_f32());
        let f16 = (f16::from_bits(bits).to_f32(), half::f16::from_bits(bits).to_f32());
        for (ours, theirs) in [bf16, f16] {
            // half makes NaNs quiet on the way.
            assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{bits:#06x}");
        }
    }
}

#[test]
fn every_16_bit_float_that_is_a_number_comes_back_from_f32() {
    for bits in 0..=u16::MAX {
        let value = bf16::from_bits(bits).to_f32();
        assert!(bf16::from_f32(value).to_bits() == bits || value.is_nan(), "bf16 {bits:#06x}");
        let value = f16::from_bits(bits).to_f32();
        assert!(f16::from_f32(value).to_bits() == bits || value.is_nan(), "f16 {bits:#06x}");
    }
}

#[test]
fn rounding_is_to_nearest_and_ties_to_even_around_every_middle() {
    around_every_middle().for_each(assert_as_half);
}

#[test]
fn every_exponent_rounds_as_half_rounds() {
    of_every_exponent().for_each(assert_as_half);
}

#[test]
fn floats_widen_to_their_value_and_narrow_to_the_nearest() {
    for bits in 0..=u16::MAX {
        let (bf16, f16) = (bf16::from_bits(bits), f16::from_bits(bits));
        assert_eq!(bf16.widen().to_bits(), bf16.to_f32().to_bits(), "bf16 {bits:#06x}");
        assert_eq!(f16.widen().to_bits(), f16.to_f32().to_bits(), "f16 {bits:#06x}");
    }
    for value in around_every_middle().chain(of_every_exponent()) {
        assert_eq!(bf16::narrow(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:e}");
        assert_eq!(f16::narrow(value).to_bits(), f16::from_f32(value).to_bits(), "{value:e}");
        assert_eq!([value.widen(), f32::narrow(value)].map(f32::to_bits), [value.to_bits(); 2]);
    }
}

#[test]
fn integers_widen_to_their_value_and_narrow_to_their_low_bits() {
    for value in
        (i32::MIN..=i32::MAX).step_by(65_521).chain([-32_769, -129, -128, -1, 0, 1, 127, 128, 255, 256, 32_768])
    {
        assert_eq!((i8::narrow(value), u8::narrow(value)), (value as i8, value as u8));
        assert_eq!((i16::narrow(value), i32::narrow(value)), (value as i16, value));
        assert_eq!(((value as i8).widen(), (value as u8).widen()), (i32::from(value as i8), i32::from(value as u8)));
        assert_eq!(((value as i16).widen(), value.widen()), (i32::from(value as i16), value));
    }
}

/// What `Wide` says: integers modulo 2^32, and keys in the order in which PyTorch sorts, NaN last.
#[test]
fn sums_products_orders_and_bits_of_the_wide_types() {
    assert_eq!((i32::MAX.plus(2), i32::MIN.plus(-1)), (i32::MIN + 1, i32::MAX));
    assert_eq!((65_537.times(65_537), (-7).times(3)), (131_073, -21));
    assert_eq!((1.5.plus(0.25), 1.5.times(-3.0)), (1.75_f32, -4.5_f32));
    let ordered = [f32::NEG_INFINITY, -1.0, -1e-45, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY, f32::NAN];
    assert!(ordered.windows(2).all(|pair| Wide::key(pair[0]) < Wide::key(pair[1])), "{:?}", ordered.map(Wide::key));
    for value in ordered {
        let found = <f32 as Wide>::from_key(Wide::key(value));
        assert!(found == value || (found.is_nan() && value.is_nan()), "{found} for {value}");
        assert_eq!(<f32 as Wide>::from_bits(Wide::to_bits(value)).to_bits(), value.to_bits());
    }
    for value in [i32::MIN, -5, 0, 7, i32::MAX] {
        assert_eq!(
            [value.key(), i32::from_key(value), Wide::to_bits(value), <i32 as Wide>::from_bits(value)],
            [value; 4]
        );
    }
}

#[test]
fn floats_print_as_their_value() {
    assert_eq!(format!("{:?} {:?}", bf16::from_f32(-1.5), f16::from_f32(0.25)), "-1.5 0.25");
}

#[test]
fn the_greatest_f16_is_65504_and_65520_is_infinite() {
    assert_eq!(f16::from_f32(65_519.996).to_f32(), 65_504.0);
    assert_eq!(f16::from_f32(65_520.0).to_f32(), f32::INFINITY);
    assert_eq!(f16::from_f32(-65_520.0).to_f32(), f32::NEG_INFINITY);
}

#[test]
fn floats_compare_as_numbers() {
    assert!(bf16::from_f32(-0.0) == bf16::from_f32(0.0) && f16::from_f32(-0.0) == f16::from_f32(0.0));
    assert!(f16::from_f32(f32::NAN) != f16::from_f32(f32::NAN));
    assert!(bf16::from_f32(-2.0) < bf16::from_f32(1.0) && f16::from_f32(-2.0) < f16::from_f32(1.0));
    assert!(f16::LEAST < f16::from_f32(-65_504.0) && bf16::GREATEST > bf16::from_f32(1e38));
}

/// The integer nearest to `value`, ties to even, within `least..=greatest`; 0 for NaN.
fn nearest(value: f32, least: i32, greatest: i32) -> i32 {
    let value = f64::from(value);
    if value.is_nan() { 0 } else { value.round_ties_even().clamp(f64::from(least), f64::from(greatest)) as i32 }
}

fn assert_integer<T: Integer + Into<i64>>(values: impl Iterator<Item = T>, least: i32, greatest: i32) {
    for value in values {
        let exact: i64 = value.into();
        assert_eq!(value.to_i32(), exact as i32);
        // i64 to f32 rounds to nearest, ties to even.
        assert_eq!(value.to_f32(), exact as f32);
        if exact.abs() <= 1 << 24 {
            assert!(T::from_f32(value.to_f32()) == value, "{exact}");
        }
        assert!(T::from_i32_saturating(value.to_i32()) == value && T::from_i32_wrapping(value.to_i32()) == value);
    }
    let halves = (-70_000..70_000).map(|i| i as f32 / 2.0);
    let ends = [least, greatest].into_iter().flat_map(|end| (-9..9).map(move |i| end as f32 + i as f32 / 4.0));
    for value in of_every_exponent().chain(halves).chain(ends) {
        assert_eq!(T::from_f32(value).to_i32(), nearest(value, least, greatest), "{value:?}");
    }
    for value in of_every_exponent().map(|value| value.to_bits() as i32).chain([i32::MIN, -1, 0, 1, i32::MAX]) {
        assert_eq!(T::from_i32_saturating(value).to_i32(), value.clamp(least, greatest));
        let wrapped = i64::from(T::from_i32_wrapping(value).to_i32());
        let modulus = i64::from(greatest) - i64::from(least) + 1;
        assert_eq!((wrapped - i64::from(value)).rem_euclid(modulus), 0);
    }
}

#[test]
fn integers_convert_as_documented() {
    assert_integer(i8::MIN..=i8::MAX, -128, 127);
    assert_integer(u8::MIN..=u8::MAX, 0, 255);
    assert_integer(i16::MIN..=i16::MAX, -32768, 32767);
    assert_integer((i32::MIN..=i32::MAX).step_by(65_521).chain([i32::MAX, (1 << 24) + 1]), i32::MIN, i32::MAX);
}

#[test]
fn integers_wrap_and_saturate_at_the_ends() {
    fn at_the_ends<T: Integer + std::fmt::Debug>(one: T, two: T) {
        assert_eq!(T::GREATEST.wrapping_add(one), T::LEAST);
        assert_eq!(T::LEAST.wrapping_sub(one), T::GREATEST);
        assert_eq!(T::GREATEST.wrapping_mul(two).wrapping_add(two), T::ZERO.wrapping_add(T::ZERO));
        assert_eq!(T::GREATEST.saturating_add(one), T::GREATEST);
        assert_eq!(T::LEAST.saturating_sub(one), T::LEAST);
        assert_eq!(T::GREATEST.saturating_mul(two), T::GREATEST);
    }
    at_the_ends(1_i32, 2);
    at_the_ends(1_i16, 2);
    at_the_ends(1_i8, 2);
    at_the_ends(1_u8, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_f32_rounds_as_half_rounds(bits in any::<u32>()) {
        assert_as_half(f32::from_bits(bits));
    }

    #[test]
    fn every_f32_becomes_the_nearest_integer(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        prop_assert_eq!(i32::from_f32(value), nearest(value, i32::MIN, i32::MAX));
        prop_assert_eq!(i32::from(i16::from_f32(value)), nearest(value, -32768, 32767));
        prop_assert_eq!(i32::from(u8::from_f32(value)), nearest(value, 0, 255));
    }
}

#[track_caller]
fn assert_as_half(value: f32) {
    let (ours, theirs) = (bf16::from_f32(value), half::bf16::from_f32(value));
    assert_eq!(ours.to_bits(), theirs.to_bits(), "bf16 of {value:e} ({:#010x})", value.to_bits());
    let (ours, theirs) = (f16::from_f32(value), half::f16::from_f32(value));
    let both_nan = ours.to_f32().is_nan() && theirs.is_nan();
    assert!(ours.to_bits() == theirs.to_bits() || both_nan, "f16 of {value:e} ({:#010x})", value.to_bits());
}
