//! Rotary position embeddings (Su and others: `RoFormer`, 2021), in the half-rotation of Llama.

use gpsimd::prelude::*;

fn like_x(x: &TensorType, cos: &TensorType, sin: &TensorType) -> Result<TensorType, ShapeError> {
    x.expect_rank(4)?;
    cos.expect_rank(3)?.expect_broadcast(0, x.dim(0))?.expect_dim(1, x.dim(2))?.expect_dim(2, x.dim(3))?;
    sin.expect_shape_of(cos)?;
    if x.dim(3) % 2 == 1 {
        return Err(ShapeError::new("the last dimension of `x` has two halves: expected an even size"));
    }
    Ok(*x)
}

/// Every pair (x\[i\], x\[i + D/2\]) of a row turned by an angle of its position:
///
/// ```text
/// y[i]       = x[i] cos[i] - x[i + D/2] sin[i]
/// y[i + D/2] = x[i + D/2] cos[i + D/2] + x[i] sin[i + D/2]
/// ```
///
/// as `apply_rotary_pos_emb` of transformers; if `transposed`, by the transposed matrix, which is the gradient, and where
/// both halves of sin are equal turns back:
///
/// ```text
/// y[i]       = x[i] cos[i] + x[i + D/2] sin[i + D/2]
/// y[i + D/2] = x[i + D/2] cos[i + D/2] - x[i] sin[i]
/// ```
///
/// x: `[B, h, L, D]` with an even D, cos and sin: `[B or 1, L, D]`, y: like x. f32, bf16 or f16, computed in f32.
#[custom_op(shape = like_x, gradient(x) = rope(grad, cos, sin, !transposed))]
pub fn rope<T: Float>(
    core: &Core,
    x: Input<T>,
    cos: Input<T>,
    sin: Input<T>,
    transposed: bool,
    mut y: Output<T>,
) -> OpResult {
    let (len, columns) = (cos.dim(1), cos.dim(2));
    if x.is_empty() {
        return Ok(());
    }
    let own = core.share(x.len() / columns, 1).range();
    // Rows for which there are other angles.
    let batch = x.len() / columns / cos.dim(0);
    let tcm = core.tcm();
    let (most, half) = (tcm.tile_len::<T>(4) / columns, columns / 2);
    if most == 0 {
        return long_rows(core, &x, &cos, &sin, transposed, y);
    }
    let mut next = own.start;
    while next < own.end {
        let end = own.end.min((next / batch + 1) * batch);
        let angles = next / batch * len;
        // Of one head, its own positions; of several, all: each block of them meets the heads while its angles are here.
        let (first_head, last_head) = (next / len, (end - 1) / len);
        let positions = if first_head == last_head { next % len..(end - 1) % len + 1 } else { 0..len };
        for block in Chunks::of(positions, most) {
            let of_block = (angles + block.start) * columns..(angles + block.end) * columns;
            let (cos, sin) = (tcm.load(&cos, of_block.clone())?, tcm.load(&sin, of_block)?);
            for head in first_head..=last_head {
                let rows = next.max(head * len + block.start)..end.min(head * len + block.end);
                if rows.is_empty() {
                    continue;
                }
                let skipped = rows.start - (head * len + block.start);
                let x = tcm.load(&x, rows.start * columns..rows.end * columns)?;
                let mut y = tcm.stage(&mut y, rows.start * columns..rows.end * columns)?;
                let angles = cos.chunks_exact(columns).zip(sin.chunks_exact(columns)).skip(skipped);
                for ((y, x), (cos, sin)) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)).zip(angles) {
                    let (x, cos, sin) = (x.split_at(half), cos.split_at(half), sin.split_at(half));
                    if transposed {
                        turn_both::<_, true>(y.split_at_mut(half), x, cos, sin);
                    } else {
                        turn_both::<_, false>(y.split_at_mut(half), x, cos, sin);
                    }
                }
                y.store()?;
            }
        }
        next = end;
    }
    Ok(())
}

/// Both halves of a row: what a pair is made of is loaded once.
#[inline(always)]
fn turn_both<T: Float, const TRANSPOSED: bool>(
    y: (&mut [T], &mut [T]),
    x: (&[T], &[T]),
    cos: (&[T], &[T]),
    sin: (&[T], &[T]),
) {
    let (of_first, of_second) = if TRANSPOSED { (sin.1, sin.0) } else { sin };
    let angles = cos.0.iter().zip(cos.1).zip(of_first.iter().zip(of_second));
    for (((y, other_y), (a, b)), ((cos, other_cos), (sin, other_sin))) in
        y.0.iter_mut().zip(y.1).zip(x.0.iter().zip(x.1)).zip(angles)
    {
        let (a, b) = (a.to_f32(), b.to_f32());
        *y = turned((a, b), cos.to_f32(), sin.to_f32(), TRANSPOSED);
        *other_y = turned((b, a), other_cos.to_f32(), other_sin.to_f32(), !TRANSPOSED);
    }
}

/// y = a cos + b sin, or a cos - b sin unless `adds`.
#[inline(always)]
fn turn<T: Float>(y: &mut [T], (a, b): (&[T], &[T]), cos: &[T], sin: &[T], adds: bool) {
    let of = y.iter_mut().zip(a.iter().zip(b)).zip(cos.iter().zip(sin));
    for ((y, (a, b)), (cos, sin)) in of {
        *y = turned((a.to_f32(), b.to_f32()), cos.to_f32(), sin.to_f32(), adds);
    }
}

/// An element of [`turn`].
#[inline(always)]
fn turned<T: Float>((a, b): (f32, f32), cos: f32, sin: f32, adds: bool) -> T {
    let factor = if adds { 1.0 } else { -1.0 };
    T::from_f32(math::fma(a, cos, factor * b * sin))
}

/// Rows of which not one fits in TCM with its angles: by parts of their halves.
#[inline(never)]
fn long_rows<T: Float>(
    core: &Core,
    x: &Input<T>,
    cos: &Input<T>,
    sin: &Input<T>,
    transposed: bool,
    mut y: Output<T>,
) -> OpResult {
    let (len, columns) = (cos.dim(1), cos.dim(2));
    let (tcm, rows, half) = (core.tcm(), x.len() / columns, columns / 2);
    let (batch, part) = (rows / cos.dim(0), core.tcm().tile_len::<T>(5));
    for row in core.share(rows, 1).range() {
        let angles = row / batch * len + row % len;
        for columns_of_part in Chunks::of(0..half, part) {
            for is_second in [false, true] {
                // The half that is written, the other, and that of the sine.
                let in_half = |row: usize, second: bool| {
                    let start = row * columns + usize::from(second) * half;
                    start + columns_of_part.start..start + columns_of_part.end
                };
                let a = tcm.load(x, in_half(row, is_second))?;
                let b = tcm.load(x, in_half(row, !is_second))?;
                let cos = tcm.load(cos, in_half(angles, is_second))?;
                let sin = tcm.load(sin, in_half(angles, is_second != transposed))?;
                let mut y = tcm.stage(&mut y, in_half(row, is_second))?;
                turn(&mut y, (&a, &b), &cos, &sin, is_second != transposed);
                y.store()?;
            }
        }
    }
    Ok(())
}
