//! Rows of floats as 8-bit integers with one scale for each row: symmetric quantisation by the greatest absolute value.

use gpsimd::prelude::*;

use crate::shapes::{expect_per_row, per_row};

fn quantised(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    Ok([x.with_dtype::<i8>(), per_row(x)?])
}

fn dequantised(q: &TensorType, scale: &TensorType) -> Result<TensorType, ShapeError> {
    expect_per_row(q, scale)?;
    Ok(q.with_dtype::<f32>())
}

/// scale = the greatest |x| of a row / 127, q = x / scale rounded to nearest, ties to even.
///
/// x: `[.., H]`, f32, bf16 or f16; q: like x, i8, from -127 to 127; scale: `[..]`, f32. A row of zeros has the scale 0 and
/// zeros; one with a NaN has the scale NaN, one with an infinity the scale infinity, both zeros, so that `dequantise_rows`
/// makes NaN of all of it. So has one whose scale is less than f32 has: its greatest |x| is less than 2^-143.
#[custom_op(shape = quantised)]
pub fn quantise_rows<T: Float>(core: &Core, x: Input<T>, q: Output<i8>, scale: Output<f32>) -> OpResult {
    core.rows(&x, q).each_with(scale, |mut row| {
        // In the order of bits NaN is greater than infinity.
        let bits = |x: T| x.to_f32().abs().to_bits().cast_signed();
        let greatest = row.fold(Lanes::splat(0), |greatest: i32, x| greatest.max(bits(x)))?.max();
        let greatest = f32::from_bits(greatest.cast_unsigned());
        let scale = if greatest.is_nan() { f32::NAN } else { greatest / 127.0 };
        // Denormal scales have no reciprocal: such rows are multiplied by a power of two.
        let power = if greatest < SMALL { 1.0 / SMALL } else { 1.0 };
        let divisor = scale * power;
        let reciprocal = 1.0 / divisor;
        let q = row.map(|x| {
            // x / divisor to the bit, as a division takes five times as long (Markstein: Computation of elementary functions
            // on the IBM RISC System/6000, 1990, theorem 7.1). NaN, which becomes 0, where the divisor is none or not finite.
            let x = x.to_f32() * power;
            let rough = x * reciprocal;
            nearest(math::fma(math::fma(-rough, divisor, x), reciprocal, rough))
        })?;
        Ok((q, scale))
    })
}

/// The nearest of the integers from -127 to 127, ties to even; 0 for NaN. As `i8::from_f32`, whose conversion compilers for x86 do
/// element by element.
#[inline(always)]
fn nearest(x: f32) -> i8 {
    // 1.5 * 2^23: the last bit of a sum with it is 1, and its low byte 0.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 127.0 { 127.0 } else { x };
    let x = if x < -127.0 { -127.0 } else { x };
    let x = if x.is_nan() { 0.0 } else { x };
    i8::from_i32_wrapping((x + ROUND).to_bits().cast_signed())
}

/// 2^-64.
const SMALL: f32 = 1.0 / (1_u128 << 64) as f32;

/// x = q scale.
///
/// q: `[.., H]`, i8; scale: `[..]`, f32; x: like q, f32.
#[custom_op(shape = dequantised)]
pub fn dequantise_rows(core: &Core, q: Input<i8>, scale: Input<f32>, x: Output<f32>) -> OpResult {
    let mut scale = core.tcm().window(&scale)?;
    core.rows(&q, x).each(|row| {
        let scale = scale.get(row.index())?;
        row.map(|q| f32::from(q) * scale)
    })
}
