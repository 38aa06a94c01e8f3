//! [`Core::rows`]: outputs whose rows follow from whole rows.

use core::marker::PhantomData;
use core::panic::Location;

use super::block::{BLOCK, PerRow, RowBlock, WrittenBlock};
use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Fit, Walk};
use super::results::Results;
use super::row::{Row, RowPart, Written};
use crate::element::Element;
use crate::engine_core::Core;
use crate::error::OpResult;

impl Core {
    /// A walk over the rows of this core's share of `outputs`: the last dimension of the output at a time.
    /// [`Rows::each`] says what becomes of a row. Operands and outputs are as for [`map`](Core::map).
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
    /// /// y = x / sqrt(sum of x^2).  x: `[.., H]`, y: like x.
    /// #[custom_op(shape = like_x)]
    /// pub fn normalize<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    ///     core.rows(&x, y).each(|mut row| {
    ///         let squares = row.fold(Lanes::splat(0.0), |sum, x| math::fma(x.to_f32(), x.to_f32(), sum))?.sum();
    ///         let norm = math::sqrt(squares);
    ///         row.map(|x| T::from_f32(x.to_f32() / norm))
    ///     })
    /// }
    /// # fn main() {}
    /// ```
    #[track_caller]
    #[inline(always)]
    pub fn rows<'l, I: Operands<'l>, O: Outputs<'l>>(&'l self, operands: I, outputs: O) -> Rows<'l, I, O, ()> {
        Rows { core: self, operands, outputs, kept_bytes: 0, at: Location::caller(), kept: PhantomData }
    }
}

/// A walk over rows, from [`Core::rows`].
#[must_use = "a walk does nothing before `each`"]
pub struct Rows<'l, I, O, K> {
    core: &'l Core,
    operands: I,
    outputs: O,
    kept_bytes: usize,
    at: &'static Location<'static>,
    kept: PhantomData<K>,
}

impl<'l, I: Operands<'l>, O: Outputs<'l>> Rows<'l, I, O, ()> {
    /// Reserves TCM for one value of type `K` per element of a row, so that [`Row::keep`] can keep what is computed
    /// once and needed again.
    #[inline(always)]
    pub fn keeping<K: Element>(self) -> Rows<'l, I, O, K> {
        let Self { core, operands, outputs, at, .. } = self;
        Rows { core, operands, outputs, kept_bytes: size_of::<K>(), at, kept: PhantomData }
    }
}

impl<'l, I: Operands<'l>, O: Outputs<'l>, K> Rows<'l, I, O, K> {
    /// Calls `body` with every row of the share, in order. It ends with [`Row::map`] or
    /// [`Kept::map`](super::Kept::map), which write the row: nothing else returns the [`Written`] that it has to
    /// return.
    ///
    /// A row that does not fit in TCM is loaded part by part, anew for every pass that `body` makes over it.
    ///
    /// # Errors
    /// Those of `body`; when an operand cannot be broadcast, or the pool has no room for 16 elements of each tensor.
    #[inline(always)]
    pub fn each(self, mut body: impl for<'r> FnMut(Row<'r, 'l, I, O, K>) -> OpResult<Written<'r>>) -> OpResult {
        self.each_with((), |row| Ok((body(row)?, ())))
    }

    /// As [`each`](Self::each), and `body` returns the elements of `results` for the row, too: `y` or a tuple of outputs,
    /// which have as many elements as there are rows, whatever their shape.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn shape(x: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    /// #     let shape = x.expect_rank_at_least(1)?.shape();
    /// #     Ok([*x, x.with_shape(&shape[..shape.len() - 1])?])
    /// # }
    /// /// y = x - mean over the last dimension of x.  x: `[.., H]`, y: like x, mean: `[..]`.
    /// #[custom_op(shape = shape)]
    /// pub fn center(core: &Core, x: Input<f32>, y: Output<f32>, mean: Output<f32>) -> OpResult {
    ///     core.rows(&x, y).each_with(mean, |mut row| {
    ///         let mean = row.fold(Lanes::splat(0.0), |sum, x| sum + x)?.sum() / row.len() as f32;
    ///         Ok((row.map(|x| x - mean)?, mean))
    ///     })
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// A row of no elements has results, too.
    ///
    /// # Errors
    /// As [`each`](Self::each), and when results have another number of elements, or the pool has no room for 64 of each.
    #[inline(always)]
    pub fn each_with<R: Outputs<'l>>(
        self,
        results: R,
        mut body: impl for<'r> FnMut(Row<'r, 'l, I, O, K>) -> OpResult<(Written<'r>, R::Elements)>,
    ) -> OpResult {
        let Self { core, operands, outputs, kept_bytes, at, .. } = self;
        let walk = Walk::<I, O>::new(core, operands, outputs, kept_bytes, at);
        walk_rows(walk, Results::new(core, results, at), |walk, part, _, kept| {
            let row: Row<'_, 'l, I, O, K> = Row::new(walk, part, kept.cast());
            Ok([body(row)?.1])
        })
    }
}

impl<'l, I: Operands<'l>, O: Outputs<'l>> Rows<'l, I, O, ()> {
    /// As [`each`](Self::each), some rows at a time: for sums that wait for each other, as those of normalisation do. Those
    /// of several rows do not, so that an addition need not end before the next begins. A pass has what it needs of its
    /// row as a [`PerRow`].
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
    /// /// y = x / sqrt(sum of x^2).  x: `[.., H]`, y: like x.
    /// #[custom_op(shape = like_x)]
    /// pub fn normalize<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    ///     core.rows(&x, y).blocks(|mut rows| {
    ///         let squares = rows.fold(Lanes::splat(0.0), |sum, x| math::fma(x.to_f32(), x.to_f32(), sum))?;
    ///         let norm = squares.map(|squares| math::sqrt(squares.sum()));
    ///         rows.map_with(norm, |norm, x| T::from_f32(x.to_f32() / norm))
    ///     })
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As [`each`](Self::each).
    #[inline(always)]
    pub fn blocks(
        self,
        mut body: impl for<'r> FnMut(RowBlock<'r, 'l, I, O>) -> OpResult<WrittenBlock<'r>>,
    ) -> OpResult {
        self.blocks_with((), |rows| Ok((body(rows)?, PerRow([(); BLOCK]))))
    }

    /// As [`blocks`](Self::blocks), and `body` returns the elements of `results` for each row, as for
    /// [`each_with`](Self::each_with).
    ///
    /// # Errors
    /// As [`each_with`](Self::each_with).
    #[inline(always)]
    pub fn blocks_with<R: Outputs<'l>>(
        self,
        results: R,
        mut body: impl for<'r> FnMut(RowBlock<'r, 'l, I, O>) -> OpResult<(WrittenBlock<'r>, PerRow<R::Elements>)>,
    ) -> OpResult {
        let Self { core, operands, outputs, at, .. } = self;
        let walk = Walk::<I, O>::new(core, operands, outputs, 0, at);
        walk_rows(walk, Results::new(core, results, at), |walk, first, rows, _| {
            Ok(body(RowBlock::new(walk, first, rows))?.1.0)
        })
    }
}

/// Calls `body` with every row of this core's share, in order, as the first of up to `N` rows with their number and room for
/// what a row keeps; and stores what it returns for each.
#[inline(always)]
pub(super) fn walk_rows<'l, I: Operands<'l>, O: Outputs<'l>, R: Outputs<'l>, const N: usize>(
    mut walk: Walk<'l, I, O>,
    mut results: Results<'l, R>,
    mut body: impl FnMut(&mut Walk<'l, I, O>, RowPart, usize, *mut u8) -> OpResult<[R::Elements; N]>,
) -> OpResult {
    walk.prepare()?;
    let columns = walk.plan.extent.columns;
    // Rows of no elements are counted by their results alone.
    let has_results = Results::<'l, R>::are_there();
    let rows = if has_results { results.verify(walk.plan.extent.rows, columns)? } else { walk.plan.extent.rows };
    if rows == 0 {
        return Ok(());
    }
    let share = walk.plan.core.share(rows, 1).range();
    let _of_results = results.take(share.start, share.len())?;
    let group = Results::<'l, R>::group();
    let (fitting, part) = match walk.fit(share.len().min(group), columns) {
        Fit::Rows(fitting) => (fitting, columns),
        Fit::Columns(part) => (1, part),
    };
    let reservation = walk.take(fitting, part)?;
    walk.claim(share.start * columns, share.end * columns)?;
    let is_whole = part == columns;
    // Nothing is copied then: only what is kept needs TCM, a row at a time.
    let fitting = if is_whole && walk.copies_nothing() { share.len() } else { fitting };
    let mut next = share.start;
    while next < share.end {
        let (first, end) = (next, share.end.min(next.saturating_add(group)));
        let to = results.pointers(first);
        while next < end {
            let count = walk.rows_from(next, fitting.min(end - next));
            let area = Area { row: next, rows: count, column: 0, columns };
            let is_loaded = is_whole && columns > 0;
            if is_loaded {
                walk.load(&area)?;
            }
            for row in (0..count).step_by(N) {
                let (first_row, rows) = (RowPart { area, row, part, is_whole }, N.min(count - row));
                let elements = body(&mut walk, first_row, rows, reservation.tcm)?;
                for (number, elements) in elements.into_iter().take(rows).enumerate() {
                    // SAFETY: each leads to this core's elements from `first` on, or to room for a group in TCM.
                    unsafe { R::write(to, next - first + row + number, elements) };
                }
            }
            if is_loaded {
                walk.store(&area)?;
            }
            next += count;
        }
        results.store(first, next - first)?;
    }
    Ok(())
}
