//! [`RowTile`]: rows of an operand that lie apart, loaded; [`Tcm::gather`] and [`Tcm::load_2d`].

use core::marker::PhantomData;
use core::ops::RangeBounds;
use core::panic::Location;
use core::slice;

use gpsimd_abi as abi;

use super::Tcm;
use super::reservation::{Reservation, dma_load};
use crate::element::Element;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::indices;
use crate::tensor::{Hbm, Input, resolve};

/// Rows of elements of a tensor, each `stride` elements after the one before: row `i` is the `columns` elements from
/// `start + i * stride` on. With a stride of 0 all are the same row; the rows of a matrix's block of columns have the
/// matrix's row length as stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strided {
    /// First element of the first row.
    pub start: usize,
    /// Number of rows.
    pub rows: usize,
    /// Elements of a row.
    pub columns: usize,
    /// Elements from the start of a row to that of the next.
    pub stride: usize,
}

impl Strided {
    /// Fails unless all rows are in `hbm`.
    pub(super) fn verify(&self, hbm: &Hbm<'_>, at: &'static Location<'static>) -> OpResult {
        let Self { start, rows, columns, stride } = *self;
        let last = rows.saturating_sub(1).checked_mul(stride).and_then(|offset| offset.checked_add(start));
        let end = last.and_then(|last| last.checked_add(columns));
        if rows == 0 || end.is_some_and(|end| end <= hbm.len) {
            return Ok(());
        }
        let message = "{} rows of {} elements, every {} from element {} on, leave `{{}}`, which has {} elements";
        let numbers = [rows, columns, stride, start, hbm.tensor as usize, hbm.len];
        hbm.device().fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
        Err(OpError::Reported)
    }
}

/// Rows of an operand that lie apart, loaded by [`Tcm::gather`] or [`Tcm::load_2d`].
pub struct RowTile<'c, 'i, T> {
    /// The element that rows are counted from.
    data: *const T,
    rows: usize,
    columns: usize,
    place: Place<'i>,
    _reservation: Reservation<'c>,
    element: PhantomData<&'c T>,
}

/// Where the rows are.
enum Place<'i> {
    /// Each so many elements after the one before: in TCM, or as they are in the tensor.
    Every(usize),
    /// Where these indices say, in a tensor with rows of so many elements.
    At(&'i [i32], usize),
}

impl<T: Element> RowTile<'_, '_, T> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Row `i`.
    ///
    /// # Panics
    /// When there is no such row.
    #[track_caller]
    #[inline(always)]
    pub fn row(&self, i: usize) -> &[T] {
        let start = match self.place {
            Place::Every(stride) if i < self.rows => Some(i * stride),
            Place::Every(_) => None,
            Place::At(indices, row_len) => indices.get(i).map(|index| *index as usize * row_len),
        };
        let start = start.expect("the tile has no such row");
        // SAFETY: row `i` is `columns` elements, initialised and aligned: in TCM reserved in `_reservation`, or in the
        // operand, where all rows were found inside the tensor when the tile was made, by the same indices: they are
        // borrowed since. Neither is written while the tile lives: TCM is this tile's alone, and no operand is taken
        // directly that shares storage with an output.
        unsafe { slice::from_raw_parts(self.data.wrapping_add(start), self.columns) }
    }

    /// The elements from the first of the first row to the last of the last, with what is between rows, and how many are from
    /// the start of a row to that of the next: for kernels that go from row to row at every element. `None` of rows at
    /// indices.
    #[inline(always)]
    pub fn as_strided(&self) -> Option<(&[T], usize)> {
        let Place::Every(stride) = self.place else { return None };
        let len = if self.rows == 0 { 0 } else { (self.rows - 1) * stride + self.columns };
        // SAFETY: as for `row`: all from the start of row 0 to the end of row `rows - 1`, which is the last; in a tensor these
        // rows were found inside, and so is what is between them.
        Some((unsafe { slice::from_raw_parts(self.data, len) }, stride))
    }

    /// The rows in their order.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = &[T]> {
        (0..self.rows).map(|i| self.row(i))
    }
}

impl<'c> Tcm<'c> {
    /// Loads the `columns` of the rows of `table`, along its last dimension, that `indices` name: HBM to TCM, a DMA for
    /// each row. Walks do it by themselves: see [`Input::rows_at`].
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn bags(table: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> {
    /// #     table.with_shape(&[ids.dim(0), table.dim(1)])
    /// # }
    /// /// Sums of rows: `y[b]` is the sum of `table[ids[b, k]]` over k.  table: `[V, H]`, ids: `[B, K]`, y: `[B, H]`.
    /// #[custom_op(shape = bags)]
    /// pub fn bag(core: &Core, table: Input<f32>, ids: Input<i32>, mut y: Output<f32>) -> OpResult {
    ///     let (k, h) = (ids.dim(1), table.dim(1));
    ///     for bag in core.share(ids.dim(0), 1).range() {
    ///         let ids = core.tcm().load(&ids, bag * k..(bag + 1) * k)?;
    ///         let rows = core.tcm().gather(&table, &ids, ..)?;
    ///         let mut sums = core.tcm().stage_filled(&mut y, bag * h..(bag + 1) * h, 0.0)?;
    ///         for row in rows.iter() {
    ///             for (sum, x) in sums.iter_mut().zip(row) {
    ///                 *sum += x;
    ///             }
    ///         }
    ///         sums.store()?;
    ///     }
    ///     Ok(())
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// When an index is negative or not below the number of rows, `columns` leave a row, or the pool is exhausted.
    #[track_caller]
    #[inline]
    pub fn gather<'i, T: Element>(
        &self,
        table: &Input<'_, T>,
        indices: &'i [i32],
        columns: impl RangeBounds<usize>,
    ) -> OpResult<RowTile<'c, 'i, T>> {
        let (at, hbm, row_len) = (Location::caller(), &table.hbm, table.hbm.row_len());
        let columns = resolve(&columns, row_len);
        if columns.start > columns.end || columns.end > row_len {
            let message = "{}..{} are not columns of `{{}}`, whose rows have {} elements";
            let numbers = [columns.start, columns.end, hbm.tensor as usize, row_len];
            hbm.device().fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
            return Err(OpError::Reported);
        }
        let count = hbm.row_count();
        for (number, index) in indices.iter().enumerate() {
            indices::row(*index, count).ok_or_else(|| indices::refuse_given(*index, hbm, number, at))?;
        }
        // There are as many rows.
        let start = |row: usize| indices.get(row).map_or(0, |index| *index as usize * row_len + columns.start);
        let place = Place::At(indices, row_len);
        self.load_rows(hbm, indices.len(), columns.len(), start, (columns.start, place), at)
    }

    /// Loads rows that follow each other at a distance: HBM to TCM, a DMA for each; where the distance is 0, one for all,
    /// and where it is a row's length, one as well. Walks do it by themselves: see [`Input::narrow`].
    ///
    /// # Errors
    /// When the rows leave the tensor, or the pool is exhausted.
    #[track_caller]
    #[inline]
    pub fn load_2d<T: Element>(&self, x: &Input<'_, T>, rows: Strided) -> OpResult<RowTile<'c, 'static, T>> {
        let at = Location::caller();
        rows.verify(&x.hbm, at)?;
        let Strided { start: first, rows, columns, stride } = rows;
        let place = (first, Place::Every(stride));
        if stride != 0 {
            return self.load_rows(&x.hbm, rows, columns, |row| first + row * stride, place, at);
        }
        let one = self.load_rows(&x.hbm, rows.min(1), columns, |_| first, place, at)?;
        Ok(RowTile { rows, place: Place::Every(0), ..one })
    }

    /// Loads rows, each of which starts where `start` says; where they are in the tensor, `place` says, counted from an
    /// element of it.
    #[inline]
    fn load_rows<'i, T: Element>(
        &self,
        hbm: &Hbm<'_>,
        rows: usize,
        columns: usize,
        start: impl Fn(usize) -> usize,
        place: (usize, Place<'i>),
        at: &'static Location<'static>,
    ) -> OpResult<RowTile<'c, 'i, T>> {
        let reservation = Reservation::take::<T>(self.core, rows.saturating_mul(columns), at)?;
        let (data, place) = match hbm.direct::<T>(&(0..hbm.len)) {
            Some(data) if hbm.output_in_place().is_none() => (data.wrapping_add(place.0), place.1),
            _ => {
                dma_load_rows(self.core, hbm, size_of::<T>(), (rows, columns), start, reservation.tcm, at)?;
                (reservation.tcm.cast(), Place::Every(columns))
            }
        };
        Ok(RowTile { data, rows, columns, place, _reservation: reservation, element: PhantomData })
    }
}

/// Loads `rows` rows of `columns` elements, each of which starts where `start` says, to `tcm`, one after the other: a DMA
/// for each, or one for those that follow each other.
#[inline]
pub(crate) fn dma_load_rows(
    core: &Core,
    hbm: &Hbm<'_>,
    bytes: usize,
    (rows, columns): (usize, usize),
    start: impl Fn(usize) -> usize,
    tcm: *mut u8,
    at: &'static Location<'static>,
) -> OpResult {
    let (mut to, mut run) = (tcm, 0..0);
    for row in 0..rows {
        let start = start(row);
        if start != run.end {
            dma_load(core, hbm, &run, to, at)?;
            to = to.wrapping_add(run.len() * bytes);
            run = start..start;
        }
        run.end += columns;
    }
    dma_load(core, hbm, &run, to, at)
}
