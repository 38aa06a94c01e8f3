//! Softmax of attention scores with scale and additive mask.

use core::ops::Range;

use gpsimd::prelude::*;
use gpsimd::{Buffer, TransformRow as Row, greater};

fn like_scores(scores: &TensorType, mask: &TensorType) -> Result<TensorType, ShapeError> {
    scores.expect_rank(4)?;
    mask.expect_rank(4)?.expect_dim(3, scores.dim(3))?;
    for i in 0..3 {
        mask.expect_broadcast(i, scores.dim(i))?;
    }
    Ok(*scores)
}

fn like_p(dp: &TensorType, p: &TensorType) -> Result<TensorType, ShapeError> {
    p.expect_rank_at_least(1)?;
    dp.expect_shape_of(p)?;
    Ok(*p)
}

/// p = softmax over K of scale * scores + mask.
///
/// scores: [B, h, Q, K], mask: [B or 1, h or 1, Q or 1, K], p: like scores. f32 or bf16, computed in f32. A row that is
/// negative infinity throughout, or has a NaN or a positive infinity, is NaN throughout.
#[custom_op(
    shape = like_scores,
    gradient(scores) = masked_softmax_backward(grad, p, scale),
    gradient(mask) = masked_softmax_backward(grad, p, 1.0),
)]
pub fn masked_softmax_forward<T: Float>(
    core: &Core,
    scores: Input<T>,
    mask: Input<T>,
    scale: f32,
    mut p: Output<T>,
) -> OpResult {
    let (queries, keys) = (scores.dim(2), scores.dim(3));
    if scores.is_empty() {
        return Ok(());
    }
    let mask_rows = MaskRows::of(&scores, &mask);
    // The exponentials of a row are kept in f32 between the sum and the division.
    let tcm = core.tcm();
    let row_room = tcm.left() / (keys * size_of::<f32>() + 2 * (keys * size_of::<T>()) + 3 * 64);
    if row_room == 0 {
        for row in core.share(scores.len() / keys, 1).range() {
            long_row(core, &scores, &mask, scale, &mut p, row * keys, mask_rows.start(row))?;
        }
        return Ok(());
    }

    let mut exponentials = tcm.buffer::<f32>(keys)?;
    let mut mask_tile;
    let rows_in_tile = if mask_rows.vary_by_query {
        let rows = tcm.tile_len::<T>(2) / keys;
        mask_tile = tcm.buffer::<T>(rows * keys)?;
        rows
    } else {
        mask_tile = tcm.buffer::<T>(keys)?;
        tcm.tile_len::<T>(1) / keys
    };
    let mut resident = 0..0;
    let share = core.share(scores.len() / keys, 1).range();
    for rows in tiles(share, queries, rows_in_tile) {
        let count = if mask_rows.vary_by_query { rows.len() } else { 1 };
        let start = mask_rows.start(rows.start);
        if resident != (start..start + count * keys) {
            resident = start..start + count * keys;
            mask_tile.load(&mask, resident.clone())?;
        }
        let elements = rows.start * keys..rows.end * keys;
        let mut tile = tcm.transform(&scores, &mut p, elements)?;
        for (i, row) in tile.rows(keys).enumerate() {
            let at = if mask_rows.vary_by_query { i * keys } else { 0 };
            short_row(row, &mask_tile[at..at + keys], scale, &mut exponentials);
        }
        tile.store()?;
    }
    Ok(())
}

/// dscores = scale * p (dp - sum over K of dp p): the gradient of `masked_softmax_forward` with respect to the scores.
///
/// dp: like p, p: [.., K], dscores: like p. f32 or bf16, computed in f32.
#[custom_op(shape = like_p)]
pub fn masked_softmax_backward<T: Float>(
    core: &Core,
    dp: Input<T>,
    p: Input<T>,
    scale: f32,
    mut dscores: Output<T>,
) -> OpResult {
    if p.is_empty() {
        return Ok(());
    }
    let keys = p.dim(p.shape().len() - 1);
    let tcm = core.tcm();
    let room = tcm.tile_len::<T>(2);
    let share = core.share(p.len(), keys);
    let gradient = |dp: T, p: T, dot: f32| T::from_f32(scale * p.to_f32() * (dp.to_f32() - dot));
    if room < keys {
        for row in share.chunks(keys) {
            let mut dot = Lanes::splat(0.0);
            for range in Chunks::of(row.clone(), room) {
                let (dp, p) = (tcm.load(&dp, range.clone())?, tcm.load(&p, range)?);
                add_products(&mut dot, &dp, &p);
            }
            let dot = dot.sum();
            for range in Chunks::of(row, room) {
                let p = tcm.load(&p, range.clone())?;
                let mut tile = tcm.transform(&dp, &mut dscores, range)?;
                for row in tile.rows(p.len()) {
                    row.map(&p, |dp, p| gradient(dp, p, dot));
                }
                tile.store()?;
            }
        }
        return Ok(());
    }
    for range in share.chunks(room / keys * keys) {
        let p = tcm.load(&p, range.clone())?;
        let mut tile = tcm.transform(&dp, &mut dscores, range)?;
        for (row, p) in tile.rows(keys).zip(p.chunks_exact(keys)) {
            let mut dot = Lanes::splat(0.0);
            add_products(&mut dot, row.old(), p);
            let dot = dot.sum();
            row.map(p, |dp, p| gradient(dp, p, dot));
        }
        tile.store()?;
    }
    Ok(())
}

#[inline(always)]
fn add_products<T: Float>(lanes: &mut Lanes, dp: &[T], p: &[T]) {
    lanes.fold2(dp, p, |sum, dp, p| math::fma(dp.to_f32(), p.to_f32(), sum));
}

/// Where a row of scores finds its row of the mask.
struct MaskRows {
    heads: usize,
    queries: usize,
    keys: usize,
    /// Rows of the mask from one batch, head, query to the next; 0 where it is broadcast.
    strides: [usize; 3],
    vary_by_query: bool,
}

impl MaskRows {
    fn of<T: Float>(scores: &Input<'_, T>, mask: &Input<'_, T>) -> Self {
        let stride = |dim: usize, rows: usize| if mask.dim(dim) == 1 { 0 } else { rows };
        Self {
            heads: scores.dim(1),
            queries: scores.dim(2),
            keys: scores.dim(3),
            strides: [stride(0, mask.dim(1) * mask.dim(2)), stride(1, mask.dim(2)), stride(2, 1)],
            vary_by_query: mask.dim(2) != 1,
        }
    }

    /// First element of the mask's row for row `row` of the scores.
    fn start(&self, row: usize) -> usize {
        let (head, query) = (row / self.queries, row % self.queries);
        let (batch, head) = (head / self.heads, head % self.heads);
        (batch * self.strides[0] + head * self.strides[1] + query * self.strides[2]) * self.keys
    }
}

/// `rows` cut into tiles of at most `len` that do not cross from one head to the next, where the mask may change.
fn tiles(rows: Range<usize>, queries: usize, len: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = rows.start;
    core::iter::from_fn(move || {
        let start = next;
        let end_of_head = (start / queries + 1) * queries;
        next = rows.end.min(end_of_head).min(start + len.max(1));
        (start < rows.end).then_some(start..next)
    })
}

/// One row that is in TCM.
#[inline(always)]
fn short_row<T: Float>(row: Row<'_, T>, mask: &[T], scale: f32, exponentials: &mut Buffer<'_, f32>) {
    let mut max = Lanes::splat(f32::NEG_INFINITY);
    add_maximum(&mut max, row.old(), mask, scale);
    let max = max.max();
    exponentiate(row.old(), mask, scale, max, exponentials);
    let mut sum = Lanes::splat(0.0);
    sum.fold(exponentials, |sum, e| sum + e);
    let sum = sum.sum();
    row.map(exponentials, |_, e| T::from_f32(e / sum));
}

/// One row of scores that starts at element `start` and does not fit in TCM: three passes over HBM, of the same
/// operations in the same order as a short row's.
fn long_row<T: Float>(
    core: &Core,
    scores: &Input<'_, T>,
    mask: &Input<'_, T>,
    scale: f32,
    p: &mut Output<'_, T>,
    start: usize,
    mask_start: usize,
) -> OpResult {
    let keys = scores.dim(3);
    let tcm = core.tcm();
    // Tiles of scores, mask and p, and the exponentials in f32, which are twice as long for bf16.
    let room = tcm.tile_len::<f32>(4);
    let columns = || Chunks::of(0..keys, room);
    let load = |columns: &Range<usize>| {
        let scores = tcm.load(scores, start + columns.start..start + columns.end)?;
        let mask = tcm.load(mask, mask_start + columns.start..mask_start + columns.end)?;
        Ok((scores, mask))
    };
    let mut exponentials = tcm.buffer::<f32>(room)?;

    let mut max = Lanes::splat(f32::NEG_INFINITY);
    for columns in columns() {
        let (scores, mask) = load(&columns)?;
        add_maximum(&mut max, &scores, &mask, scale);
    }
    let max = max.max();

    let mut sum = Lanes::splat(0.0);
    for columns in columns() {
        let (scores, mask) = load(&columns)?;
        exponentiate(&scores, &mask, scale, max, &mut exponentials);
        sum.fold(&exponentials[..columns.len()], |sum, e| sum + e);
    }
    let sum = sum.sum();

    for columns in columns() {
        let (scores, mask) = load(&columns)?;
        let mut p = tcm.stage(p, start + columns.start..start + columns.end)?;
        exponentiate(&scores, &mask, scale, max, &mut exponentials);
        divide(&exponentials, sum, &mut p);
        p.store()?;
    }
    Ok(())
}

#[inline(always)]
fn logit<T: Float>(score: T, mask: T, scale: f32) -> f32 {
    math::fma(scale, score.to_f32(), mask.to_f32())
}

#[inline(always)]
fn add_maximum<T: Float>(max: &mut Lanes, scores: &[T], mask: &[T], scale: f32) {
    max.fold2(scores, mask, |max, score, mask| greater(max, logit(score, mask, scale)));
}

#[inline(always)]
fn exponentiate<T: Float>(scores: &[T], mask: &[T], scale: f32, max: f32, exponentials: &mut [f32]) {
    for ((e, score), mask) in exponentials.iter_mut().zip(scores).zip(mask) {
        *e = math::exp_nonpositive(logit(*score, *mask, scale) - max);
    }
}

#[inline(always)]
fn divide<T: Float>(exponentials: &[f32], sum: f32, p: &mut [T]) {
    for (p, e) in p.iter_mut().zip(exponentials) {
        *p = T::from_f32(*e / sum);
    }
}
