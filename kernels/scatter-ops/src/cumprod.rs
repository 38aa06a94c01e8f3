//! Prefix products along the last dimension, and their gradient.
//!
//! Each is computed from the one before, in the order of the row: in any other, a product of some elements alone could overflow
//! where a 0 before them makes all of it 0. So that a core does not wait for one product before it begins the next, it computes
//! several rows at a time.

use core::ops::Range;

use gpsimd::RowTile;
use gpsimd::prelude::*;

/// Rows that are computed at a time.
const TOGETHER: usize = 4;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank_at_least(1)?;
    Ok(*x)
}

fn like_all(dy: &TensorType, x: &TensorType, y: &TensorType) -> Result<TensorType, ShapeError> {
    dy.expect_shape_of(x)?;
    y.expect_shape_of(x)?;
    like_x(x)
}

/// y\[i\] = the product of x from the first element of its row, along the last dimension, to i, as `torch.cumprod`.
///
/// x: `[.., N]`, any element type, y: like x. Floats are multiplied in f32, integers modulo 2^bits.
#[custom_op(shape = like_x, gradient(x) = cumprod_backward(grad, x, y))]
pub fn cumprod<T: Number>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    if x.is_empty() {
        return Ok(());
    }
    let (tcm, len) = (core.tcm(), x.shape().last().copied().unwrap_or(1));
    let mut products = tcm.buffer::<T>(TOGETHER * len.min(tcm.tile_len::<T>(2 * TOGETHER)))?;
    let columns = products.len() / TOGETHER;
    for rows in core.share(x.len() / len, 1).chunks(TOGETHER) {
        let mut carry = [T::from_f32(1.0).widen(); TOGETHER];
        for part in Chunks::of(0..len, columns) {
            let place = part_of_rows(&rows, &part, len);
            let x = tcm.load_2d(&x, place)?;
            let mut to = products.chunks_exact_mut(part.len());
            if let (TOGETHER, Some(first), Some(second), Some(third), Some(fourth)) =
                (rows.len(), to.next(), to.next(), to.next(), to.next())
            {
                multiply(all(&x), [first, second, third, fourth], &mut carry);
            } else {
                let of_rows = x.iter().zip(products.chunks_exact_mut(part.len())).zip(&mut carry);
                of_rows.for_each(|((x, to), carry)| multiply([x], [to], core::array::from_mut(carry)));
            }
            products.store_2d(&mut y, place)?;
        }
    }
    Ok(())
}

/// Multiplies the elements of some rows, one after the other.
#[inline(always)]
fn multiply<T: Number, const N: usize>(x: [&[T]; N], to: [&mut [T]; N], carry: &mut [T::Wide; N]) {
    let len = x[0].len();
    let x = x.map(|x| &x[..len]);
    let to = to.map(|to| &mut to[..len]);
    for i in 0..len {
        for row in 0..N {
            carry[row] = carry[row].times(x[row][i].widen());
            to[row][i] = T::narrow(carry[row]);
        }
    }
}

/// dx\[i\] = y\[i - 1\] s\[i\], with s\[i\] = dy\[i\] + x\[i + 1\] s\[i + 1\]: the gradient of `cumprod`, also of rows with zeros.
///
/// dy, x, y and dx: `[.., N]`, f32, bf16 or f16. Computed in f32. What is multiplied by 0 is 0, also where it overflows.
#[custom_op(shape = like_all)]
pub fn cumprod_backward<T: Float>(core: &Core, dy: Input<T>, x: Input<T>, y: Input<T>, mut dx: Output<T>) -> OpResult {
    if x.is_empty() {
        return Ok(());
    }
    let (tcm, len) = (core.tcm(), x.shape().last().copied().unwrap_or(1));
    let mut products = tcm.buffer::<T>(TOGETHER * len.min(tcm.tile_len::<T>(4 * TOGETHER)))?;
    let columns = products.len() / TOGETHER;
    for rows in core.share(x.len() / len, 1).chunks(TOGETHER) {
        let mut carry = [0.0; TOGETHER];
        for number in (0..len.div_ceil(columns)).rev() {
            let part = number * columns..len.min((number + 1) * columns);
            let place = part_of_rows(&rows, &part, len);
            // The products before those of the part: before the first there is none.
            let before = part.start.saturating_sub(1)..part.end - 1;
            let (dy, x) = (tcm.load_2d(&dy, place)?, tcm.load_2d(&x, place)?);
            let y = tcm.load_2d(&y, part_of_rows(&rows, &before, len))?;
            let mut to = products.chunks_exact_mut(part.len());
            if let (TOGETHER, Some(first), Some(second), Some(third), Some(fourth)) =
                (rows.len(), to.next(), to.next(), to.next(), to.next())
            {
                differentiate(all(&dy), all(&x), all(&y), [first, second, third, fourth], &mut carry);
            } else {
                let of_rows = dy.iter().zip(x.iter()).zip(y.iter()).zip(products.chunks_exact_mut(part.len()));
                for ((((dy, x), y), to), carry) in of_rows.zip(&mut carry) {
                    differentiate([dy], [x], [y], [to], core::array::from_mut(carry));
                }
            }
            products.store_2d(&mut dx, place)?;
        }
    }
    Ok(())
}

/// The gradients of some rows, from the last element to the first. `before` are the products before the elements: one less where
/// the first element has none.
#[inline(always)]
fn differentiate<T: Float, const N: usize>(
    dy: [&[T]; N],
    x: [&[T]; N],
    before: [&[T]; N],
    dx: [&mut [T]; N],
    carry: &mut [f32; N],
) {
    let times = |factor: f32, x: f32| if factor == 0.0 { 0.0 } else { factor * x };
    let len = x[0].len();
    let missing = len - before[0].len();
    let (dy, x) = (dy.map(|dy| &dy[..len]), x.map(|x| &x[..len]));
    let dx = dx.map(|dx| &mut dx[..len]);
    for i in (0..len).rev() {
        for row in 0..N {
            let sum = dy[row][i].to_f32() + carry[row];
            let before = if i < missing { 1.0 } else { before[row][i - missing].to_f32() };
            dx[row][i] = T::from_f32(times(before, sum));
            carry[row] = times(x[row][i].to_f32(), sum);
        }
    }
}

/// The rows of a tile that has as many.
#[inline(always)]
fn all<'t, T: Number>(tile: &'t RowTile<'_, '_, T>) -> [&'t [T]; TOGETHER] {
    [tile.row(0), tile.row(1), tile.row(2), tile.row(3)]
}

/// Some columns of some rows of `len` elements.
fn part_of_rows(rows: &Range<usize>, columns: &Range<usize>, len: usize) -> Strided {
    Strided { start: rows.start * len + columns.start, rows: rows.len(), columns: columns.len(), stride: len }
}
