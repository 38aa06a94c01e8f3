//! Where the greatest or the least element of a row is.
//!
//! A row is cut into parts. Where there are rows for all cores, each has rows of its own. A few long rows are shared part by
//! part: the first phase finds the element of each part, the second chooses from these.

use core::ops::Range;

use gpsimd::prelude::*;

/// Elements of a part.
const PART: usize = 16 * 1024;
/// From so many rows on no row is shared: the cores of an engine.
const ROWS: usize = 8;
/// Elements that `lanes::compact` looks at at a time.
const BLOCK: usize = 64;

fn places_of_parts(x: &TensorType) -> Result<TensorType, ShapeError> {
    let last = x.expect_rank_at_least(1)?.rank() - 1;
    if x.last_dim() == 0 {
        return Err(ShapeError::new("the last dimension of x is 0: there is no greatest of no elements"));
    }
    if x.last_dim() > i32::MAX as usize {
        return Err(ShapeError::new("the rows of x have more than 2^31 - 1 elements, and indices are i32"));
    }
    let (rows, parts) = (x.elements_in(0..last), x.last_dim().div_ceil(PART));
    let shared = if rows < ROWS && parts > 1 { rows * parts } else { 0 };
    x.with_dtype::<i32>().with_shape(&[shared])
}

fn of_rows(x: &TensorType, _places: &TensorType) -> Result<TensorType, ShapeError> {
    let mut shape = x.expect_rank_at_least(1)?.shape();
    shape.pop();
    x.with_dtype::<i32>().with_shape(&shape)
}

/// The index of the greatest element along the last dimension, or of the least if `least`, as `torch.argmax` and `torch.argmin`; of
/// equal elements the first, and the first NaN if there is one.
///
/// x: `[.., N]`, any element type, N at least 1; y: `[..]`, int64.
#[custom_op(shape = places_of_parts, then = argmax_of_parts(x, places, least))]
pub fn argmax<T: Number>(core: &Core, x: Input<T>, least: bool, mut places: Output<i32>) -> OpResult {
    if places.is_empty() {
        return Ok(());
    }
    let (order, len) = (Ordered { is_least: least }, x.shape().last().copied().unwrap_or(1));
    let per_row = len.div_ceil(PART);
    for range in core.share(places.len(), 1).chunks(LANES) {
        let mut stage = core.tcm().stage(&mut places, range.clone())?;
        for (to, part) in stage.iter_mut().zip(range) {
            let start = part % per_row * PART;
            *to = order.first_of(core, &x, part / per_row * len, start..len.min(start + PART))?;
        }
        stage.store()?;
    }
    Ok(())
}

/// The second phase of `argmax`.
///
/// x: as there; places: of the element of every part of every row, or empty if every core has rows of its own.
#[custom_op(shape = of_rows, returns(y = i64))]
pub fn argmax_of_parts<T: Number>(
    core: &Core,
    x: Input<T>,
    places: Input<i32>,
    least: bool,
    mut y: Output<i32>,
) -> OpResult {
    if y.is_empty() {
        return Ok(());
    }
    let (order, len) = (Ordered { is_least: least }, x.shape().last().copied().unwrap_or(1));
    let tcm = core.tcm();
    if !places.is_empty() {
        let per_row = len.div_ceil(PART);
        let (mut x, mut places) = (tcm.window(&x)?, tcm.window(&places)?);
        for row in core.share(y.len(), 1).range() {
            let mut first = First::NONE;
            for part in row * per_row..(row + 1) * per_row {
                let place = places.get(part)?;
                first.add(order.rank(x.get(row * len + place as usize)?), place);
            }
            tcm.fill(&mut y, row..=row, first.place)?;
        }
        return Ok(());
    }
    // Short rows come many at a time.
    let together = (tcm.tile_len::<T>(4) / len).clamp(1, tcm.tile_len::<i32>(4).max(1));
    for rows in core.share(y.len(), 1).chunks(together) {
        let mut stage = tcm.stage(&mut y, rows.clone())?;
        if together > 1 {
            let mut places = tcm.buffer::<i32>(BLOCK)?;
            let x = tcm.load(&x, rows.start * len..rows.end * len)?;
            for (to, row) in stage.iter_mut().zip(x.chunks_exact(len)) {
                *to = order.of(row, 0, &mut places).place;
            }
        } else {
            for (to, row) in stage.iter_mut().zip(rows) {
                *to = order.first_of(core, &x, row * len, 0..len)?;
            }
        }
        stage.store()?;
    }
    Ok(())
}

/// The order in which the first element is looked for.
#[derive(Clone, Copy)]
struct Ordered {
    is_least: bool,
}

impl Ordered {
    /// Greater for an element that comes before; every NaN has the greatest.
    #[inline(always)]
    fn rank<T: Number>(self, x: T) -> i32 {
        // The opposite: of a float with the other sign, of an integer with all bits changed.
        let flip = T::Wide::LEAST.to_bits() ^ T::Wide::GREATEST.to_bits();
        T::Wide::from_bits(x.widen().to_bits() ^ if self.is_least { flip } else { 0 }).key()
    }

    /// The first of some elements, of which there is at least one, their places counted from `start`.
    // Apart on Xtensa, where LLVM keeps no register for addresses in a large frame.
    #[cfg_attr(target_arch = "xtensa", inline(never))]
    #[cfg_attr(not(target_arch = "xtensa"), inline(always))]
    fn of<T: Number>(self, x: &[T], start: usize, places: &mut [i32]) -> First {
        let mut lanes = Lanes::splat(i32::MIN);
        lanes.fold(x, |greatest: i32, x: T| greatest.max(self.rank(x)));
        let rank = lanes.max();
        // There is room for those of the first block that has one.
        lanes::compact(x, start as i32, |x| self.rank(x) == rank, places);
        First { rank, place: places.first().copied().unwrap_or(0) }
    }

    /// The place in its row of the first of the elements in `columns` of the row that starts at `row`.
    fn first_of<T: Number>(self, core: &Core, x: &Input<T>, row: usize, columns: Range<usize>) -> OpResult<i32> {
        let mut places = core.tcm().buffer::<i32>(BLOCK)?;
        let mut first = First::NONE;
        for part in Chunks::of(columns, core.tcm().tile_len::<T>(1)) {
            let tile = core.tcm().load(x, row + part.start..row + part.end)?;
            let found = self.of(&tile, part.start, &mut places);
            first.add(found.rank, found.place);
        }
        Ok(first.place)
    }
}

/// An element and where it is.
struct First {
    rank: i32,
    place: i32,
}

impl First {
    /// Of no elements.
    const NONE: Self = Self { rank: i32::MIN, place: -1 };

    /// Takes one that comes later in the row.
    fn add(&mut self, rank: i32, place: i32) {
        if rank > self.rank || self.place < 0 {
            *self = Self { rank, place };
        }
    }
}
