//! Pairs of sorted runs, merged.

use core::hint::select_unpredictable;
use core::ops::Range;

use gpsimd::prelude::*;

fn like_runs(values: &TensorType, indices: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    values.expect_rank_at_least(1)?;
    indices.expect_shape_of(values)?;
    Ok([*values, *indices])
}

/// Merges runs of `run` elements that are sorted, along the last dimension, two at a time, into runs of twice as many. Of equal
/// elements those of the first come first: of the runs of `sort_runs`, in turn, they are as `torch.sort(stable=True)` has them.
///
/// values: `[.., N]`, any element type; indices: like values, i32; merged and `of_merged`: like these. A run that is not sorted is
/// refused, with its first element that is out of order.
#[custom_op(shape = like_runs)]
pub fn merge_runs<T: Number>(
    core: &Core,
    values: Input<T>,
    indices: Input<i32>,
    run: u32,
    descending: bool,
    mut merged: Output<T>,
    mut of_merged: Output<i32>,
) -> OpResult {
    if values.is_empty() {
        return Ok(());
    }
    if run == 0 {
        return Err(OpError::Refused("`run`, the elements of a run, is 0"));
    }
    let len = values.shape().last().copied().unwrap_or(1);
    let run = (run as usize).min(len);
    let tcm = core.tcm();
    // Values and indices of two runs and of what they become, and keys of the two.
    let most = tcm.left().saturating_sub(64 * size_of::<T>()) / (3 * size_of::<T>() + 5 * size_of::<i32>());
    let most = most.saturating_sub(LANES) / LANES * LANES;
    let (mut keys_a, mut keys_b) = (tcm.buffer::<i32>(most)?, tcm.buffer::<i32>(most)?);
    // The order of keys is descending by an exclusive or.
    let flip = if descending { -1 } else { 0 };
    let own = core.share(values.len(), LANES).range();
    let mut next = own.start;
    while next < own.end {
        let pair = Pair::at(next, run, len);
        let end = own.end.min(pair.b.end);
        let (taken, mut before_a, mut before_b) = {
            let mut values = tcm.window(&values)?;
            let mut key = |i| OpResult::Ok(values.get(i)?.widen().key() ^ flip);
            let taken = pair.split(next - pair.a.start, &mut key)?;
            let of_b = next - pair.a.start - taken;
            // Every key is at least this.
            let least = i32::MIN;
            let before_a = if taken > 0 { key(pair.a.start + taken - 1)? } else { least };
            (taken, before_a, if of_b > 0 { key(pair.b.start + of_b - 1)? } else { least })
        };
        let (mut a, mut b) = (pair.a.start + taken..pair.a.end, 0..pair.b.end);
        b.start = pair.a.end + (next - pair.a.start - taken);
        for range in Chunks::of(next..end, most) {
            // No more of either are merged.
            let from_a = a.start..a.end.min(a.start + range.len());
            let from_b = b.start..b.end.min(b.start + range.len());
            let (values_a, of_a) = (tcm.load(&values, from_a.clone())?, tcm.load(&indices, from_a)?);
            let (values_b, of_b) = (tcm.load(&values, from_b.clone())?, tcm.load(&indices, from_b)?);
            let (keys_a, keys_b) = (&mut keys_a[..of_a.len()], &mut keys_b[..of_b.len()]);
            for (keys, values) in [(&mut *keys_a, &values_a), (&mut *keys_b, &values_b)] {
                for (key, value) in keys.iter_mut().zip(&**values) {
                    *key = value.widen().key() ^ flip;
                }
            }
            let mut stage = tcm.stage(&mut merged, range.clone())?;
            let mut of_stage = tcm.stage(&mut of_merged, range.clone())?;
            let taken = merge((keys_a, keys_b), (&values_a, &of_a), (&values_b, &of_b), (&mut stage, &mut of_stage));
            of_stage.store()?;
            stage.store()?;
            let (of_a, of_b) = (keys_a.get(..taken), keys_b.get(..range.len() - taken));
            let is_a_sorted = ascends(&mut before_a, of_a.unwrap_or_default());
            if !(ascends(&mut before_b, of_b.unwrap_or_default()) && is_a_sorted) {
                return Err(out_of_order(core, &values, run, flip));
            }
            a.start += taken;
            b.start += range.len() - taken;
        }
        // Every core has seen that what it took ascends. That nothing lies between what this one and the next took, both cores'
        // searches say, which agree where runs are sorted.
        if end < pair.b.end {
            let mut window = tcm.window(&values)?;
            let of_next = pair.split(end - pair.a.start, |i| Ok(window.get(i)?.widen().key() ^ flip))?;
            if pair.a.start + of_next != a.start {
                return Err(out_of_order(core, &values, run, flip));
            }
        }
        next = end;
    }
    Ok(())
}

/// Whether `keys` ascend, from `before` on, which becomes the last of them.
#[inline(always)]
fn ascends(before: &mut i32, keys: &[i32]) -> bool {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return true };
    let is_first_behind = *before <= *first;
    *before = *last;
    let mut descents = Lanes::splat(0_i32);
    descents.fold2(keys, keys.get(1..).unwrap_or_default(), |sum, a, b| sum | i32::from(b < a));
    is_first_behind && descents.max() == 0
}

/// The error that runs are not sorted: the first element that is out of order, whichever core comes upon one.
#[cold]
#[inline(never)]
fn out_of_order<T: Number>(core: &Core, values: &Input<'_, T>, run: usize, flip: i32) -> OpError {
    let len = values.shape().last().copied().unwrap_or(1);
    let search = || -> OpResult<Option<usize>> {
        let (mut window, mut before) = (core.tcm().window(values)?, i32::MIN);
        for element in 0..values.len() {
            let key = window.get(element)?.widen().key() ^ flip;
            if key < before && element % len % run != 0 {
                return Ok(Some(element));
            }
            before = key;
        }
        Ok(None)
    };
    match search() {
        Ok(Some(element)) => values.out_of_order(element),
        Ok(None) => OpError::Refused("the runs are not sorted"),
        Err(error) => error,
    }
}

/// Two runs that follow each other; the second may be shorter, or empty.
struct Pair {
    a: Range<usize>,
    b: Range<usize>,
}

impl Pair {
    /// That which has an element of rows of `len` elements.
    fn at(element: usize, run: usize, len: usize) -> Self {
        let row = element / len * len;
        let start = row + (element - row) / (2 * run) * (2 * run);
        let end = |runs| start.saturating_add(runs * run).min(row + len);
        Self { a: start..end(1), b: end(1)..end(2) }
    }

    /// How many of the first `count` elements of both come from the first run. `key` is of an element.
    fn split(&self, count: usize, mut key: impl FnMut(usize) -> OpResult<i32>) -> OpResult<usize> {
        let (mut low, mut high) = (count.saturating_sub(self.b.len()), count.min(self.a.len()));
        while low < high {
            let middle = low.midpoint(high);
            // As many as this, and so the element of the second run before the others is among the first, too?
            if key(self.b.start + count - middle - 1)? < key(self.a.start + middle)? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }
}

/// Fills `merged` from two runs, of which one may end before; returns how many come from the first.
#[inline(always)]
fn merge<T: Copy>(
    (keys_a, keys_b): (&[i32], &[i32]),
    (values_a, of_a): (&[T], &[i32]),
    (values_b, of_b): (&[T], &[i32]),
    (merged, of_merged): (&mut [T], &mut [i32]),
) -> usize {
    // Of one length, so that an index that is checked once is right for all.
    let (values_a, of_a) = (&values_a[..keys_a.len()], &of_a[..keys_a.len()]);
    let (values_b, of_b) = (&values_b[..keys_b.len()], &of_b[..keys_b.len()]);
    let of_merged = &mut of_merged[..merged.len()];
    let (mut a, mut b) = (0, 0);
    loop {
        let done = a + b;
        // So many can be taken whichever they come from.
        let count = (merged.len() - done).min(keys_a.len() - a).min(keys_b.len() - b);
        if count == 0 {
            break;
        }
        let to = merged[done..done + count].iter_mut().zip(&mut of_merged[done..done + count]);
        for (value, of_value) in to {
            let is_b = keys_b[b] < keys_a[a];
            // Which of the two it is, no processor can foresee.
            *value = select_unpredictable(is_b, values_b[b], values_a[a]);
            *of_value = select_unpredictable(is_b, of_b[b], of_a[a]);
            (a, b) = (a + usize::from(!is_b), b + usize::from(is_b));
        }
    }
    // What is left comes from the one that has not ended.
    let done = a + b;
    let left = merged.len() - done;
    let (values, of_values) = if a < keys_a.len() {
        a += left;
        (&values_a[a - left..a], &of_a[a - left..a])
    } else {
        (&values_b[b..b + left], &of_b[b..b + left])
    };
    merged[done..].copy_from_slice(values);
    of_merged[done..].copy_from_slice(of_values);
    a
}
