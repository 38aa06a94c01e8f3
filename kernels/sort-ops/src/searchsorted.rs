//! Where values belong among sorted ones.

use gpsimd::prelude::*;

fn place_of_each(sorted: &TensorType, values: &TensorType) -> Result<TensorType, ShapeError> {
    let last = sorted.expect_rank_at_least(1)?.rank() - 1;
    if sorted.last_dim() > i32::MAX as usize {
        return Err(ShapeError::new("the rows of sorted have more than 2^31 - 1 elements, and indices are i32"));
    }
    if last > 0 {
        values.expect_rank(last + 1)?;
        (0..last).try_for_each(|i| values.expect_dim(i, sorted.dim(i)).map(drop))?;
    }
    Ok(values.with_dtype::<i32>())
}

/// How many elements of a sorted row are less than a value, or, if `right`, not greater: where the value goes in, before or
/// behind its equals, as `torch.searchsorted`. In the order of `sort_runs`: NaN is greater than infinity.
///
/// sorted: `[N]`, for all values, or `[.., N]`, ascending, any element type; values: any shape, or `[.., M]`; indices: like
/// values, int64.
#[custom_op(shape = place_of_each, returns(indices = i64))]
pub fn searchsorted<T: Number>(
    core: &Core,
    sorted: Input<T>,
    values: Input<T>,
    right: bool,
    mut indices: Output<i32>,
) -> OpResult {
    if values.is_empty() {
        return Ok(());
    }
    let len = sorted.shape().last().copied().unwrap_or(1);
    if len == 0 {
        let own = core.share(values.len(), LANES).range();
        return core.tcm().fill(&mut indices, own, 0);
    }
    let per_row = values.len() / (sorted.len() / len);
    let tcm = core.tcm();
    let mut window = tcm.window(&sorted)?;
    // Of the pool the keys, a block of the row, values and indices have a quarter each.
    let most = tcm.tile_len::<i32>(4);
    let mut keys = tcm.buffer::<i32>(most)?;
    let own = core.share(values.len(), LANES).range();
    let mut next = own.start;
    while next < own.end {
        let row = next / per_row;
        let end = own.end.min((row + 1) * per_row);
        let row = Row::new(row * len, len, most, end - next);
        let keys = keys.get_mut(..row.blocks()).unwrap_or_default();
        if row.per_block == 1 {
            let sorted = tcm.load(&sorted, row.start..row.start + len)?;
            for (key, x) in keys.iter_mut().zip(&*sorted) {
                *key = x.widen().key();
            }
        } else {
            for (block, key) in keys.iter_mut().enumerate() {
                *key = window.get(row.start + row.block(block).1 - 1)?.widen().key();
            }
        }
        for range in Chunks::of(next..end, most) {
            let values = tcm.load(&values, range.clone())?;
            let mut stage = tcm.stage(&mut indices, range)?;
            for (place, value) in stage.iter_mut().zip(&*values) {
                *place = value.widen().key();
            }
            let (blocks, rest) = stage.as_chunks_mut::<LANES>();
            for places in blocks {
                *places = count(keys, places, right);
            }
            for place in rest {
                *place = count_one(keys, *place, right) as i32;
            }
            if row.per_block > 1 {
                // A value is in the block whose last element is the first that it does not go behind.
                for (place, value) in stage.iter_mut().zip(&*values) {
                    let (mut start, mut end) = row.block(*place as usize);
                    let value = value.widen().key();
                    while end - start > most {
                        let middle = start.midpoint(end);
                        if precedes(window.get(row.start + middle)?.widen().key(), value, right) {
                            start = middle + 1;
                        } else {
                            end = middle;
                        }
                    }
                    let block = tcm.load(&sorted, row.start + start..row.start + end)?;
                    *place = (start + count_one(&block, value, right)) as i32;
                }
            }
            stage.store()?;
        }
        next = end;
    }
    Ok(())
}

/// A sorted row, in blocks.
struct Row {
    /// Its first element in the tensor.
    start: usize,
    len: usize,
    per_block: usize,
}

impl Row {
    /// In at most `most` blocks, of one element where all fit. Few values are not worth many: the last element of each is
    /// loaded.
    fn new(start: usize, len: usize, most: usize, values: usize) -> Self {
        let blocks = match values {
            ..LANES if len <= most => 1,
            _ if len <= most => len,
            _ => most.min(values),
        };
        Self { start, len, per_block: len.div_ceil(blocks.max(1)) }
    }

    fn blocks(&self) -> usize {
        self.len.div_ceil(self.per_block)
    }

    /// First element of a block, and one past its last, counted from the row's first; behind the last block there is an empty
    /// one.
    fn block(&self, block: usize) -> (usize, usize) {
        let start = (block * self.per_block).min(self.len);
        (start, (start + self.per_block).min(self.len))
    }
}

/// Whether a value goes behind an element, by their keys.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "operators that skip an operand are branches")]
fn precedes(element: i32, value: i32, right: bool) -> bool {
    (element < value) | (right & (element == value))
}

/// How many of `keys`, which ascend, each value goes behind. A binary search without branches: as many steps for every value,
/// each of all 16 at once.
#[inline(always)]
fn count(keys: &[i32], values: &[i32; LANES], right: bool) -> [i32; LANES] {
    let mut low = [0; LANES];
    let Some(last) = keys.len().checked_sub(1) else { return low };
    let mut left = keys.len();
    while left > 0 {
        let half = left.div_ceil(2);
        for (low, value) in low.iter_mut().zip(values) {
            let middle = keys[(*low as usize + half - 1).min(last)];
            *low += if precedes(middle, *value, right) { half as i32 } else { 0 };
        }
        left /= 2;
    }
    low
}

/// As [`count`], of one value, and of elements.
#[inline(always)]
fn count_one<T: Number>(sorted: &[T], value: i32, right: bool) -> usize {
    let (mut low, mut left) = (0, sorted.len());
    let Some(last) = sorted.len().checked_sub(1) else { return 0 };
    while left > 0 {
        let half = left.div_ceil(2);
        let middle = sorted[(low + half - 1).min(last)].widen().key();
        low += if precedes(middle, value, right) { half } else { 0 };
        left /= 2;
    }
    low
}
