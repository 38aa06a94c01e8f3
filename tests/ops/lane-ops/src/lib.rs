//! Ops that each use a part of `gpsimd::lanes`, on the rows of a matrix: as many as a library may have.
#![no_std]

use gpsimd::lanes::{Extreme, Lane, Order};
use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?;
    Ok(*x)
}

fn three_of_a_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?.with_shape(&[x.dim(0), 3])
}

fn one_of_a_row(x: &TensorType, y: &TensorType, z: &TensorType) -> Result<TensorType, ShapeError> {
    y.expect_shape_of(x)?;
    z.expect_shape_of(x)?;
    x.expect_rank(2)?.with_shape(&[x.dim(0), 1])
}

fn two_indices_of_a_row(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(2)?.with_dtype::<i32>().with_shape(&[x.dim(0), 2])
}

fn indices_like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(x.expect_rank(2)?.with_dtype::<i32>())
}

fn indices_like_k(x: &TensorType, k: &TensorType) -> Result<TensorType, ShapeError> {
    k.expect_rank(1)?;
    x.expect_rank(2)?.with_dtype::<i32>().with_shape(&[x.dim(0), k.dim(0)])
}

fn like_x_by_mask(x: &TensorType, mask: &TensorType) -> Result<TensorType, ShapeError> {
    mask.expect_shape_of(x)?;
    Ok(*x.expect_rank(2)?)
}

/// The elements of row `row` of rows of `len`.
fn row_of(row: usize, len: usize) -> core::ops::Range<usize> {
    row * len..(row + 1) * len
}

/// Of every row, which fits in TCM, the sum modulo 2^bits, the greatest and the least.
#[custom_op(shape = three_of_a_row)]
pub fn reduced<T: Integer>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    for row in core.share(x.dim(0), 1).range() {
        let x = tcm.load(&x, row_of(row, len))?;
        let (mut sum, mut greatest) = (Lanes::splat(T::ZERO), Lanes::splat(T::LEAST));
        let mut least = Lanes::splat(T::GREATEST);
        sum.fold(&x, T::wrapping_add);
        greatest.fold(&x, Ord::max);
        least.fold(&x, Ord::min);
        let mut y = tcm.stage(&mut y, row_of(row, 3))?;
        y.copy_from_slice(&[sum.wrapping_sum(), greatest.max(), least.min()]);
        y.store()?;
    }
    Ok(())
}

/// The sum of x y z of every row, which fits in TCM.
#[custom_op(shape = one_of_a_row)]
pub fn products(core: &Core, x: Input<f32>, y: Input<f32>, z: Input<f32>, mut sums: Output<f32>) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    for row in core.share(x.dim(0), 1).range() {
        let range = row_of(row, len);
        let (x, y, z) = (tcm.load(&x, range.clone())?, tcm.load(&y, range.clone())?, tcm.load(&z, range)?);
        let mut lanes = Lanes::splat(0.0);
        lanes.fold3(&x, &y, &z, |sum, x, y, z| math::fma(x * y, z, sum));
        let mut sum = tcm.stage(&mut sums, row..=row)?;
        sum[0] = lanes.sum();
        sum.store()?;
    }
    Ok(())
}

/// The prefix sums of every row, as long as it may be.
#[custom_op(shape = like_x)]
pub fn cumsum(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    scanned(core, &x, y, 0.0, lanes::cumsum)
}

/// The prefix sums of every row modulo 2^bits, as long as it may be.
#[custom_op(shape = like_x)]
pub fn wrapping_cumsum<T: Integer>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    scanned(core, &x, y, T::ZERO, lanes::wrapping_cumsum)
}

#[inline(always)]
fn scanned<T: Number>(
    core: &Core,
    x: &Input<T>,
    mut y: Output<T>,
    zero: T,
    scan: impl Fn(&mut [T], T) -> T,
) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    for row in core.share(x.dim(0), 1).range() {
        let mut carry = zero;
        for range in Chunks::of(row_of(row, len), tcm.tile_len::<T>(1)) {
            let mut y = tcm.update(x, &mut y, range)?;
            carry = scan(&mut y, carry);
            y.store()?;
        }
    }
    Ok(())
}

/// The indices of the greatest and the least element of every row, as long as it may be.
#[custom_op(shape = two_indices_of_a_row)]
pub fn extremes(core: &Core, x: Input<f32>, y: Output<i32>) -> OpResult {
    found(core, &x, y)
}

/// [`extremes`] of integers.
#[custom_op(shape = two_indices_of_a_row)]
pub fn integer_extremes<T: Integer>(core: &Core, x: Input<T>, y: Output<i32>) -> OpResult {
    found(core, &x, y)
}

#[inline(always)]
fn found<T: Number + Lane>(core: &Core, x: &Input<T>, mut y: Output<i32>) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    for row in core.share(x.dim(0), 1).range() {
        let mut y = tcm.stage(&mut y, row_of(row, 2))?;
        let mut extremes: Option<(Extreme<T>, Extreme<T>)> = None;
        for range in Chunks::of(row_of(row, len), tcm.tile_len::<T>(1)) {
            let first = (range.start - row * len) as i32;
            let x = tcm.load(x, range)?;
            if let (Some(greatest), Some(least)) = (lanes::argmax(&x, first), lanes::argmin(&x, first)) {
                extremes = Some(match extremes {
                    Some(earlier) => (earlier.0.max(greatest), earlier.1.min(least)),
                    None => (greatest, least),
                });
            }
        }
        y.copy_from_slice(&extremes.map_or([-1, -1], |(greatest, least)| [greatest.index, least.index]));
        y.store()?;
    }
    Ok(())
}

/// The indices of the k greatest elements of every row, which may be as long as it likes; k, up to 512, is the length of
/// `k`. Of equal elements the first; -1 where a row has too few.
#[custom_op(shape = indices_like_k)]
pub fn topk(core: &Core, x: Input<f32>, k: Input<f32>, mut y: Output<i32>) -> OpResult {
    let (tcm, len, k) = (core.tcm(), x.dim(1), k.dim(0));
    let kept = k.next_power_of_two().max(CANDIDATES);
    let (mut best_keys, mut best_indices) = (tcm.buffer::<i32>(kept)?, tcm.buffer::<i32>(kept)?);
    let (mut keys, mut indices) = (tcm.buffer::<i32>(CANDIDATES)?, tcm.buffer::<i32>(CANDIDATES)?);
    let mut values = tcm.buffer::<f32>(CANDIDATES)?;
    values.fill(0.0);
    for row in core.share(x.dim(0), 1).range() {
        let mut y = tcm.stage(&mut y, row_of(row, k))?;
        best_keys.fill(i32::MIN);
        best_indices.fill(i32::MAX);
        let mut count = 0;
        // What is no greater than this, the last of the best, is not among them; nothing is below NaN.
        let mut threshold = f32::NAN;
        for range in Chunks::of(row_of(row, len), tcm.tile_len::<f32>(1)) {
            let first = (range.start - row * len) as i32;
            let is_last = range.end == (row + 1) * len;
            let x = tcm.load(&x, range)?;
            let mut taken = 0;
            while taken < x.len() {
                let (rest, at) = (&x[taken..], first + taken as i32);
                // Also if it is NaN.
                let compacted = lanes::compact(rest, at, |x| is_above(x, threshold), &mut indices[count..]);
                let found = count..count + compacted.found;
                lanes::gather(&x, first, &indices[found.clone()], &mut values);
                for (key, value) in keys[found.clone()].iter_mut().zip(&*values) {
                    *key = lanes::key(*value);
                }
                count = found.end;
                taken += compacted.taken;
                if taken < x.len() || is_last {
                    keys[count..].fill(i32::MIN);
                    indices[count..].fill(i32::MAX);
                    lanes::sort(&mut keys, &mut indices, Order::Descending);
                    lanes::merge((&mut best_keys, &mut best_indices), (&keys, &indices), Order::Descending);
                    count = 0;
                    let least = (best_keys[k - 1], best_indices[k - 1]);
                    threshold = if least.1 == i32::MAX { f32::NAN } else { lanes::from_key(least.0) };
                }
            }
        }
        for (y, index) in y.iter_mut().zip(&*best_indices) {
            *y = if *index == i32::MAX { -1 } else { *index };
        }
        y.store()?;
    }
    Ok(())
}

/// Elements of a row that may be among the best and are not yet merged with them.
const CANDIDATES: usize = 128;

#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is above everything, and everything above it")]
fn is_above(x: f32, threshold: f32) -> bool {
    !(x <= threshold)
}

/// The indices that sort every row, a power of two from 32 to 512 of elements.
#[custom_op(shape = indices_like_x)]
pub fn argsort(core: &Core, x: Input<f32>, mut y: Output<i32>) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    let mut keys = tcm.buffer::<i32>(len)?;
    for row in core.share(x.dim(0), 1).range() {
        let x = tcm.load(&x, row_of(row, len))?;
        let mut indices = tcm.stage(&mut y, row_of(row, len))?;
        for (key, x) in keys.iter_mut().zip(&*x) {
            *key = lanes::key(*x);
        }
        for (i, index) in indices.iter_mut().enumerate() {
            *index = i as i32;
        }
        lanes::sort(&mut keys, &mut indices, Order::Ascending);
        indices.store()?;
    }
    Ok(())
}

/// The indices of the elements of every row, which fits in TCM, that are not 0; -1 behind them.
#[custom_op(shape = indices_like_x)]
pub fn nonzero<T: Number>(core: &Core, x: Input<T>, mut y: Output<i32>) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    for row in core.share(x.dim(0), 1).range() {
        let x = tcm.load(&x, row_of(row, len))?;
        let mut indices = tcm.stage(&mut y, row_of(row, len))?;
        let found = lanes::compact(&x, 0, |x| x != T::ZERO, &mut indices).found;
        indices[found..].fill(-1);
        indices.store()?;
    }
    Ok(())
}

/// The elements of every row, which fits in TCM, whose mask is not 0; 0 behind them.
#[custom_op(shape = like_x_by_mask)]
pub fn selected<T: Number>(core: &Core, x: Input<T>, mask: Input<u8>, mut y: Output<T>) -> OpResult {
    let (tcm, len) = (core.tcm(), x.dim(1));
    let mut indices = tcm.buffer::<i32>(len)?;
    for row in core.share(x.dim(0), 1).range() {
        let (x, mask) = (tcm.load(&x, row_of(row, len))?, tcm.load(&mask, row_of(row, len))?);
        let mut y = tcm.stage(&mut y, row_of(row, len))?;
        let found = lanes::compact(&mask, 0, |mask| mask != 0, &mut indices).found;
        lanes::gather(&x, 0, &indices[..found], &mut y);
        y[found..].fill(T::ZERO);
        y.store()?;
    }
    Ok(())
}

op_library! {
    name: "lane_ops",
    ops: [
        reduced, products, cumsum, wrapping_cumsum, extremes, integer_extremes, topk, argsort, nonzero, selected,
    ],
}
