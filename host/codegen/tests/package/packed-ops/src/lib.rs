//! Ops of several outputs, sizes and every type of scalar, small enough to read what becomes of them.

#![no_std]

use gpsimd::prelude::*;

/// The first `k` elements and a place for each.
fn firsts(x: &TensorType, k: usize) -> Result<[TensorType; 2], ShapeError> {
    x.expect_rank(1)?;
    if k > x.dim(0) {
        return Err(ShapeError::new("`x` has fewer than `k` elements"));
    }
    let values = x.with_shape(&[k])?;
    Ok([values, values.with_dtype::<i32>()])
}

/// Of outputs whose dtypes differ: values = the first k elements of x, 0 where they are below `least` unless `keep`; places = first + i step.
/// x: `[N]`; values, places: `[k]`
#[custom_op(shape = firsts)]
pub fn take<T: Float>(
    core: &Core,
    x: Input<T>,
    k: usize,
    least: f32,
    keep: bool,
    first: i32,
    step: u32,
    mut values: Output<T>,
    mut places: Output<i32>,
) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(k, LANES).chunks(tcm.tile_len::<f32>(3)) {
        let x = tcm.load(&x, range.clone())?;
        let mut to = tcm.stage(&mut values, range.clone())?;
        for (to, x) in to.iter_mut().zip(&*x) {
            *to = if x.to_f32() < least && !keep { T::from_f32(0.0) } else { *x };
        }
        to.store()?;
        let from = range.start;
        let mut to = tcm.stage(&mut places, range)?;
        for (i, to) in to.iter_mut().enumerate() {
            *to = first.wrapping_add(((from + i) as u32).wrapping_mul(step).cast_signed());
        }
        to.store()?;
    }
    Ok(())
}

fn like_x_and_rows(x: &TensorType) -> Result<[TensorType; 3], ShapeError> {
    x.expect_rank(2)?;
    Ok([*x, x.with_dtype::<u8>(), x.with_shape(&[x.dim(0)])?.with_dtype::<f32>()])
}

/// Of outputs whose elements differ in width: negated = -x; signs = 1 where x < 0; sums of the rows of x.
/// x, negated, signs: `[R, N]`; sums: `[R]`
#[custom_op(shape = like_x_and_rows)]
pub fn split<T: Float>(
    core: &Core,
    x: Input<T>,
    mut negated: Output<T>,
    mut signs: Output<u8>,
    mut sums: Output<f32>,
) -> OpResult {
    let tcm = core.tcm();
    let width = x.dim(1);
    for row in core.share(x.dim(0), 1).range() {
        let range = row * width..(row + 1) * width;
        let x = tcm.load(&x, range.clone())?;
        let mut to = tcm.stage(&mut negated, range.clone())?;
        let mut sum = 0.0;
        for (to, x) in to.iter_mut().zip(&*x) {
            *to = T::from_f32(-x.to_f32());
            sum += x.to_f32();
        }
        to.store()?;
        let mut to = tcm.stage(&mut signs, range)?;
        for (to, x) in to.iter_mut().zip(&*x) {
            *to = u8::from(x.to_f32() < 0.0);
        }
        to.store()?;
        let mut to = tcm.stage(&mut sums, row..=row)?;
        to[0] = sum;
        to.store()?;
    }
    Ok(())
}

fn like_x_twice(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok([*x, *x])
}

/// Of outputs of one dtype: negated = -x; doubled = 2 x.
#[custom_op(shape = like_x_twice)]
pub fn both<T: Float>(core: &Core, x: Input<T>, mut negated: Output<T>, mut doubled: Output<T>) -> OpResult {
    let tcm = core.tcm();
    for range in core.share(x.len(), LANES).chunks(tcm.tile_len::<f32>(2)) {
        let x = tcm.load(&x, range.clone())?;
        let mut to = tcm.stage(&mut negated, range.clone())?;
        for (to, x) in to.iter_mut().zip(&*x) {
            *to = T::from_f32(-x.to_f32());
        }
        to.store()?;
        let mut to = tcm.stage(&mut doubled, range)?;
        for (to, x) in to.iter_mut().zip(&*x) {
            *to = T::from_f32(2.0 * x.to_f32());
        }
        to.store()?;
    }
    Ok(())
}

op_library! { name: "packed_ops", ops: [take, split, both] }
