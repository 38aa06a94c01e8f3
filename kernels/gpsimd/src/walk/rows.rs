//! [`Core::rows`]: outputs whose rows follow from whole rows.

use core::marker::PhantomData;
use core::panic::Location;

use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Fit, Walk};
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
        let Self { core, operands, outputs, kept_bytes, at, .. } = self;
        let mut walk = Walk::<I, O>::new(core, operands, outputs, kept_bytes, at);
        walk.prepare()?;
        let (rows, columns) = (walk.plan.extent.rows, walk.plan.extent.columns);
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let share = core.share(rows, 1).range();
        let (fitting, part) = match walk.fit(share.len(), columns) {
            Fit::Rows(fitting) => (fitting, columns),
            Fit::Columns(part) => (1, part),
        };
        let reservation = walk.take(fitting, part)?;
        walk.claim(share.start * columns, share.end * columns)?;
        // Nothing is copied then: only what is kept needs TCM, a row at a time.
        let fitting = if part == columns && walk.copies_nothing() { share.len() } else { fitting };
        let mut next = share.start;
        while next < share.end {
            let is_whole = part == columns;
            let count = walk.rows_from(next, fitting.min(share.end - next));
            let area = Area { row: next, rows: count, column: 0, columns };
            if is_whole {
                walk.load(&area)?;
            }
            for row in 0..count {
                let part = RowPart { area, row, part, is_whole };
                let _: Written<'_> = body(Row::new(&mut walk, part, reservation.tcm.cast()))?;
            }
            if is_whole {
                walk.store(&area)?;
            }
            next += count;
        }
        Ok(())
    }
}
