//! Prefix sums along the last dimension.
//!
//! A row is cut into parts. Sums start from that of the parts before, added one after the other, and are computed within a
//! part as [`lanes::scan`] says. So the order of additions is the same whoever has the parts: where there are rows for all
//! cores, each has rows of its own, and sums up a part when it is there. A few long rows are shared part by part: the first
//! phase computes the sums of parts, the second reads those of the parts before.

use core::ops::Range;

use gpsimd::prelude::*;

/// Elements of a part.
const PART: usize = 16 * 1024;
/// From so many rows on no row is shared: the cores of an engine.
const ROWS: usize = 8;

fn sums_of_parts(x: &TensorType) -> Result<TensorType, ShapeError> {
    let last = x.expect_rank_at_least(1)?.rank() - 1;
    let (rows, parts) = (x.elements_in(0..last), x.last_dim().div_ceil(PART));
    let shared = if rows < ROWS && parts > 1 { rows * parts } else { 0 };
    x.with_dtype::<i32>().with_shape(&[shared])
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType, _sums: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// y\[i\] = the sum of x from the first element of its row, along the last dimension, to i; if `reverse`, from i to the last.
///
/// x: `[.., N]`, y: like x. Floats are added in f32, integers modulo 2^bits. The order of additions of `reverse` is that of
/// the reversed row; sums of positive numbers may decrease by a rounding error where a part of 16384 elements begins.
#[custom_op(
    shape = sums_of_parts,
    then = cumsum_of_parts(x, sums, reverse),
    gradient(x) = cumsum(grad, !reverse),
)]
pub fn cumsum<T: Number>(core: &Core, x: Input<T>, reverse: bool, mut sums: Output<i32>) -> OpResult {
    if sums.is_empty() {
        return Ok(());
    }
    let rows = Rows::of(&x, reverse);
    for range in core.share(sums.len(), 1).chunks(LANES) {
        let mut stage = core.tcm().stage(&mut sums, range.clone())?;
        for (to, part) in stage.iter_mut().zip(range) {
            let mut lanes = Lanes::splat(T::Wide::ZERO);
            for range in Chunks::of(rows.part(part), core.tcm().tile_len::<T>(1)) {
                rows.fold(core, range, &mut lanes)?;
            }
            *to = rows.sum(&lanes).to_bits();
        }
        stage.store()?;
    }
    Ok(())
}

/// The second phase of `cumsum`.
///
/// x: as there; sums: of every part of every row, the bits, or empty if every core has rows of its own.
#[custom_op(shape = like_x)]
pub fn cumsum_of_parts<T: Number>(
    core: &Core,
    x: Input<T>,
    sums: Input<i32>,
    reverse: bool,
    mut y: Output<T>,
) -> OpResult {
    if x.is_empty() {
        return Ok(());
    }
    let rows = Rows::of(&x, reverse);
    let (per_row, is_shared) = (rows.parts(), !sums.is_empty());
    let granule = if is_shared { 1 } else { per_row };
    let own = core.share(rows.count * per_row, granule).range();
    let mut sums = core.tcm().window(&sums)?;
    let mut buffer = core.tcm().buffer(core.tcm().tile_len::<T::Wide>(2))?;
    let mut before = T::Wide::ZERO;
    for part in own.start - own.start % per_row..own.start {
        before = before.plus(T::Wide::from_bits(sums.get(part)?));
    }
    for part in own {
        if part % per_row == 0 {
            before = T::Wide::ZERO;
        }
        let needs_sum = !is_shared && (part + 1) % per_row != 0;
        let (mut carry, mut lanes) = (before, Lanes::splat(T::Wide::ZERO));
        for range in Chunks::of(rows.part(part), buffer.len()) {
            if needs_sum {
                rows.fold(core, range.clone(), &mut lanes)?;
            }
            let mut tile = core.tcm().transform(&x, &mut y, rows.place(range.clone()))?;
            for row in tile.rows(range.len()) {
                carry = row.scan(&mut buffer, carry, reverse, (T::widen, T::Wide::plus, T::narrow));
            }
            tile.store()?;
        }
        before = before.plus(if is_shared { T::Wide::from_bits(sums.get(part)?) } else { rows.sum(&lanes) });
    }
    Ok(())
}

/// The rows of x in the direction in which they are summed: elements are counted from where their row begins.
struct Rows<'x, 'l, T> {
    x: &'x Input<'l, T>,
    count: usize,
    len: usize,
    is_reversed: bool,
}

impl<'x, 'l, T: Number> Rows<'x, 'l, T> {
    fn of(x: &'x Input<'l, T>, is_reversed: bool) -> Self {
        let len = x.shape().last().copied().unwrap_or(1);
        Self { x, count: x.len() / len, len, is_reversed }
    }

    /// Parts of a row.
    fn parts(&self) -> usize {
        self.len.div_ceil(PART)
    }

    /// The elements of a part, which are numbered through all rows.
    fn part(&self, part: usize) -> Range<usize> {
        let (row, start) = (part / self.parts() * self.len, part % self.parts() * PART);
        row + start..row + (start + PART).min(self.len)
    }

    /// Where in x and y the elements are, all of one row.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        if !self.is_reversed {
            return range;
        }
        let row = range.start / self.len * self.len;
        let mirrored = |i| row + self.len - (i - row);
        mirrored(range.end)..mirrored(range.start)
    }

    /// Takes the elements in `range` into lanes.
    #[inline(always)]
    fn fold(&self, core: &Core, range: Range<usize>, lanes: &mut Lanes<T::Wide>) -> OpResult {
        let tile = core.tcm().load(self.x, self.place(range))?;
        let add = |sum: T::Wide, x: T| sum.plus(x.widen());
        if self.is_reversed {
            lanes.fold_back(&tile, add);
        } else {
            lanes.fold(&tile, add);
        }
        Ok(())
    }

    /// The sum that is in lanes.
    #[inline(always)]
    fn sum(&self, lanes: &Lanes<T::Wide>) -> T::Wide {
        let plus = T::Wide::plus;
        if self.is_reversed { lanes.reduce_back(plus) } else { lanes.reduce(plus) }
    }
}
