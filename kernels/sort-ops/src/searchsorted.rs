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
/// behind its equals, as `torch.searchsorted`. In the order of `sort_runs`: NaN is greater than infinity. In a row that is not
/// sorted it is where one binary search ends, whose steps depend on the length of the row alone.
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
    // Of the pool the keys, a part of the row, values and indices have a quarter each.
    let most = tcm.tile_len::<i32>(4);
    let mut keys = tcm.buffer::<i32>(most)?;
    let own = core.share(values.len(), LANES).range();
    let mut next = own.start;
    while next < own.end {
        let row = next / per_row;
        let end = own.end.min((row + 1) * per_row);
        let row = Row::new(row * len, len, most, end - next);
        let keys = keys.get_mut(..row.keys()).unwrap_or_default();
        if row.is_whole {
            let sorted = tcm.load(&sorted, row.start..row.start + len)?;
            for (key, x) in keys.iter_mut().zip(&*sorted) {
                *key = x.widen().key();
            }
        } else {
            for (number, key) in keys.iter_mut().enumerate() {
                *key = window.get(row.start + row.probe(number))?.widen().key();
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
            if !row.is_whole {
                for (place, value) in stage.iter_mut().zip(&*values) {
                    let (mut start, mut left) = row.part(*place as usize);
                    let value = value.widen().key();
                    while left > most {
                        let half = left.div_ceil(2);
                        let middle = window.get(row.start + start + half - 1)?.widen().key();
                        start += if precedes(middle, value, right) { half } else { 0 };
                        left /= 2;
                    }
                    let part = tcm.load(&sorted, row.start + start..row.start + start + left)?;
                    *place = (start + count_one(&part, value, right)) as i32;
                }
            }
            stage.store()?;
        }
        next = end;
    }
    Ok(())
}

/// A sorted row, and how far it is searched by keys: the first steps of a binary search of all of it, as [`count`] makes them.
/// The others are made among the elements themselves.
struct Row {
    /// Its first element in the tensor.
    start: usize,
    len: usize,
    /// Whether the keys are those of all its elements.
    is_whole: bool,
    /// Otherwise the steps that are made by keys, of all elements that these may come upon.
    steps: u32,
}

impl Row {
    /// With at most `most` keys. Few values are not worth many: each is loaded.
    fn new(start: usize, len: usize, most: usize, values: usize) -> Self {
        let is_whole = len <= most && values >= LANES;
        let steps = if len <= most { 0 } else { (most.min(values) + 1).ilog2() };
        Self { start, len, is_whole, steps }
    }

    fn keys(&self) -> usize {
        if self.is_whole { self.len } else { (1 << self.steps) - 1 }
    }

    /// The element that key `number` is of.
    fn probe(&self, number: usize) -> usize {
        // Steps before the one that comes upon it, and which of them have gone on: of half of all keys none, as many as the
        // number's lowest bits say.
        let after = (number + 1).trailing_zeros();
        let before = self.steps - 1 - after;
        self.after((number + 1) >> (after + 1), before) + (self.len >> before).div_ceil(2) - 1
    }

    /// First element of what is left to search, and how many there are, for a value that goes behind so many keys.
    fn part(&self, keys: usize) -> (usize, usize) {
        (self.after(keys, self.steps), self.len >> self.steps)
    }

    /// First element of what is left after `steps` steps. The bits of `path`, the highest first, are whether each has gone on.
    fn after(&self, path: usize, steps: u32) -> usize {
        let halves = (0..steps).map(|step| (path >> (steps - 1 - step) & 1) * (self.len >> step).div_ceil(2));
        halves.sum()
    }
}

/// Whether a value goes behind an element, by their keys.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "operators that skip an operand are branches")]
fn precedes(element: i32, value: i32, right: bool) -> bool {
    (element < value) | (right & (element == value))
}

/// How many of `keys`, which ascend, each value goes behind. A binary search without branches: as many steps for every value,
/// each of all 16 at once. One among `2^n - 1` keys has the first `n` steps of one among more elements, if the keys are those of
/// the elements that these come upon, in their order.
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
