//! The greatest elements of rows.

use gpsimd::lanes::Order;
use gpsimd::prelude::*;

/// The most elements of a row that are selected: what TCM has room for, with their indices.
const MOST: usize = 1024;
/// Elements that may be among the greatest and are not yet merged with them: `lanes::compact` goes on while there is room for
/// 64 more, so that they are merged when there are more than 64, or than 32 for a small k. Fewer are merged too often, and
/// of more the first come too late to keep others out.
const CANDIDATES: usize = 128;
const CANDIDATES_FOR_FEW: usize = 96;
/// A k up to this is small.
const FEW: usize = 32;
/// Of an index the lowest bit says that the element is -0.0, which has the key of 0.0; so rows are no longer than this.
const LONGEST: usize = 1 << 30;

fn best_of_rows(x: &TensorType, k: usize) -> Result<[TensorType; 2], ShapeError> {
    let mut shape = x.expect_rank_at_least(1)?.shape();
    if k > x.last_dim() {
        return Err(ShapeError::new("k is larger than the last dimension of x"));
    }
    if k > MOST {
        return Err(ShapeError::new("k is larger than 1024, for which there is no room in TCM"));
    }
    if let Some(last) = shape.last_mut() {
        *last = k;
    }
    let values = x.with_shape(&shape)?;
    Ok([values, values.with_dtype::<i32>()])
}

fn like_x(dvalues: &TensorType, indices: &TensorType, x: &TensorType) -> Result<TensorType, ShapeError> {
    let last = x.expect_rank_at_least(1)?.rank() - 1;
    dvalues.expect_rank(last + 1)?;
    (0..last).try_for_each(|i| dvalues.expect_dim(i, x.dim(i)).map(drop))?;
    indices.expect_shape_of(dvalues)?;
    Ok(*x)
}

/// The k greatest elements along the last dimension, the greatest first, and their indices, as `torch.topk`; of equal elements
/// the first, as of a stable sort. NaN is greater than infinity, and -0.0 is equal to 0.0.
///
/// x: `[.., N]`, any element type; values: `[.., k]`, indices: `[.., k]`, int64; k: up to N and to 1024.
#[custom_op(
    shape = best_of_rows,
    returns(indices = i64),
    gradient(x) = topk_backward(grad(values), indices, x),
)]
pub fn topk<T: Number>(
    core: &Core,
    x: Input<T>,
    k: usize,
    mut values: Output<T>,
    mut indices: Output<i32>,
) -> OpResult {
    if values.is_empty() {
        return Ok(());
    }
    let rows = values.len() / k;
    let len = x.len() / rows;
    if len > LONGEST {
        return Err(OpError::Refused("the rows of `x` have more than 2^30 elements"));
    }
    let tcm = core.tcm();
    let mut best = Best::new(core, k, len)?;
    let mut found = tcm.buffer::<T>(best.capacity)?;
    for row in core.share(rows, 1).range() {
        best.clear();
        'row: for range in Chunks::of(0..len, tcm.tile_len::<T>(1)) {
            let x = tcm.load(&x, row * len + range.start..row * len + range.end)?;
            if range.start == 0 {
                best.bound(&x);
            }
            let mut taken = 0;
            while taken < x.len() {
                if best.is_final {
                    break 'row;
                }
                let (last, takes_equal) = best.last::<T::Wide>();
                let is_candidate = |x: T| is_above(x.widen(), last) | (takes_equal & (x.widen() == last));
                let room = best.room();
                let start = (range.start + taken) as i32;
                let compacted = lanes::compact(&x[taken..], start, is_candidate, room);
                lanes::gather(&x, range.start as i32, &room[..compacted.found], &mut found);
                best.add(&found[..compacted.found]);
                taken += compacted.taken;
                if taken < x.len() || range.end == len {
                    best.merge(false);
                }
            }
        }
        for part in Chunks::of(0..k, tcm.tile_len::<T>(1)) {
            let mut stage = tcm.stage(&mut values, row * k + part.start..row * k + part.end)?;
            let (keys, places) = (&best.keys[part.clone()], &best.places[part]);
            for ((to, key), place) in stage.iter_mut().zip(keys).zip(places) {
                let value = T::narrow(T::Wide::from_key(*key));
                *to = if place & 1 == 0 { value } else { T::from_f32(-0.0) };
            }
            stage.store()?;
        }
        for place in &mut best.places[..k] {
            *place >>= 1;
        }
        best.places.store(&mut indices, row * k..(row + 1) * k)?;
    }
    Ok(())
}

/// The greatest elements of a row so far, by their keys; a place is twice the index of an element, and one more of -0.0.
struct Best<'c> {
    k: usize,
    keys: gpsimd::Buffer<'c, i32>,
    places: gpsimd::Buffer<'c, i32>,
    /// Elements that are not yet merged with these.
    capacity: usize,
    count: usize,
    new_keys: gpsimd::Buffer<'c, i32>,
    new_places: gpsimd::Buffer<'c, i32>,
    /// A key that k elements of the row have or are above.
    bound: i32,
    /// Whether there are k of them.
    is_full: bool,
    /// Whether no element that comes later can be among them.
    is_final: bool,
}

impl<'c> Best<'c> {
    fn new(core: &'c Core, k: usize, len: usize) -> OpResult<Self> {
        let capacity = len.next_power_of_two().clamp(2 * LANES, CANDIDATES);
        let kept = k.next_power_of_two().max(2 * LANES);
        let buffer = |len| core.tcm().buffer::<i32>(len);
        Ok(Self {
            k,
            new_places: buffer(capacity)?,
            new_keys: buffer(capacity)?,
            places: buffer(kept)?,
            keys: buffer(kept)?,
            capacity: if k > FEW { capacity } else { capacity.min(CANDIDATES_FOR_FEW) },
            count: 0,
            bound: i32::MIN,
            is_full: false,
            is_final: false,
        })
    }

    fn clear(&mut self) {
        self.keys.fill(i32::MIN);
        self.places.fill(i32::MAX);
        self.count = 0;
        self.bound = i32::MIN;
        (self.is_full, self.is_final) = (false, false);
    }

    /// Bounds the greatest of the row from the beginning of it, so that few of its elements are candidates: it is cut into
    /// twice as many groups as there are greatest, and the k-th of the groups' maxima has k elements that are no less.
    #[inline(always)]
    fn bound<T: Number>(&mut self, x: &[T]) {
        let groups = (2 * self.k).next_power_of_two().max(2 * LANES);
        if groups > self.new_keys.len() || x.len() < 4 * groups {
            return;
        }
        let (keys, places) = (&mut self.new_keys[..groups], &mut self.new_places[..groups]);
        keys.fill(i32::MIN);
        places.fill(0);
        for x in x.chunks_exact(groups) {
            for (key, x) in keys.iter_mut().zip(x) {
                *key = x.widen().key().max(*key);
            }
        }
        self.count = groups;
        self.merge(true);
    }

    /// What elements are above that may be among the greatest, and whether those that are equal to it may be, too. Before
    /// anything is known it is below all elements, or a NaN.
    #[inline(always)]
    fn last<W: Wide>(&self) -> (W, bool) {
        if self.is_full { (W::from_key(self.keys[self.k - 1]), false) } else { (W::from_key(self.bound), true) }
    }

    /// Where the indices of more elements go.
    #[inline(always)]
    fn room(&mut self) -> &mut [i32] {
        &mut self.new_places[self.count..self.capacity]
    }

    /// The elements whose indices are in [`room`](Self::room).
    #[inline(always)]
    fn add<T: Number>(&mut self, values: &[T]) {
        let added = self.count..self.count + values.len();
        let keys = self.new_keys[added.clone()].iter_mut();
        for ((key, place), value) in keys.zip(&mut self.new_places[added.clone()]).zip(values) {
            let value = value.widen();
            // Only of floats a 0 has a sign.
            let is_negative_zero = (value == T::Wide::ZERO) & (value.to_bits() < 0);
            *key = value.key();
            *place = 2 * *place + i32::from(is_negative_zero);
        }
        self.count = added.end;
    }

    /// Merges the new ones with those so far, or, if `is_bound`, takes them for the maxima of groups. There is one sort, since
    /// another would take as much of the stack.
    #[inline(never)]
    fn merge(&mut self, is_bound: bool) {
        if self.count == 0 {
            return;
        }
        let sorted = self.count.next_power_of_two().max(2 * LANES);
        let (keys, places) = (&mut self.new_keys[..sorted], &mut self.new_places[..sorted]);
        keys[self.count..].fill(i32::MIN);
        places[self.count..].fill(i32::MAX);
        self.count = 0;
        lanes::sort(keys, places, Order::Descending);
        if is_bound {
            self.bound = keys[self.k - 1];
            return;
        }
        let merged = sorted.min(self.keys.len());
        let new = (&keys[..merged], &places[..merged]);
        lanes::merge((&mut self.keys, &mut self.places), new, Order::Descending);
        self.is_full = self.places[self.k - 1] != i32::MAX;
        self.is_final = self.is_full && self.keys[self.k - 1] == i32::MAX;
    }
}

/// Also of a NaN that is above a number, and of every `x` where `last` is NaN: where k elements are, [`Best::is_final`] knows.
#[inline(always)]
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is above every number")]
fn is_above<W: Wide>(x: W, last: W) -> bool {
    !(x <= last)
}

/// Indices that are looked at at a time.
const INDICES: usize = 256;

/// dx\[indices\] = dvalues along the last dimension, and 0 elsewhere: the gradient of `topk`.
///
/// dvalues and indices: `[.., k]`, x, for its shape alone, and dx: `[.., N]`; f32, bf16 or f16. What goes to one element is
/// added in the element type.
#[custom_op(shape = like_x)]
pub fn topk_backward<T: Float>(
    core: &Core,
    dvalues: Input<T>,
    indices: Input<i32>,
    x: Input<T>,
    mut dx: Output<T>,
) -> OpResult {
    if x.is_empty() {
        return Ok(());
    }
    let len = x.shape().last().copied().unwrap_or(1);
    let rows = x.len() / len;
    let k = dvalues.len() / rows;
    let tcm = core.tcm();
    let mut places = tcm.buffer::<i32>(k.min(INDICES))?;
    let loaded = 2 * (k.min(INDICES) * size_of::<i32>()).next_multiple_of(64);
    let most = tcm.left().saturating_sub(loaded) / 64 * 64 / size_of::<T>();
    for row in core.share(rows, 1).range() {
        for range in Chunks::of(0..len, most) {
            let mut stage = tcm.stage_filled(&mut dx, row * len + range.start..row * len + range.end, T::ZERO)?;
            for part in Chunks::of(row * k..(row + 1) * k, INDICES) {
                let (indices, dvalues) = (tcm.load_indices(&indices, part.clone(), len)?, tcm.load(&dvalues, part)?);
                let (low, high) = (range.start as i32, range.end as i32);
                let found = lanes::compact(&indices, 0, |i| low <= i && i < high, &mut places).found;
                for place in &places[..found] {
                    let place = *place as usize;
                    let to = &mut stage[indices[place] as usize - range.start];
                    *to = T::from_f32(to.to_f32() + dvalues[place].to_f32());
                }
            }
            stage.store()?;
        }
    }
    Ok(())
}
