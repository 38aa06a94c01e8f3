//! [`RowBlock`]: some rows of a walk together, and what passes over them.

use core::cell::Cell;
use core::marker::PhantomData;

use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::Walk;
use super::row::{Row, RowPart};
use crate::error::OpResult;
use crate::lanes::{Lane, Lanes};

/// Rows of a block, at most. A lane takes the elements of its row one after the other, and each waits for the one before:
/// those of several rows do so at the same time. In a kernel image a block is a row: code takes TCM, and so do lanes.
pub(super) const BLOCK: usize = if cfg!(any(target_arch = "wasm32", target_arch = "xtensa")) { 1 } else { 4 };

/// Some rows of a walk together, from [`Rows::blocks`](super::Rows::blocks).
pub struct RowBlock<'r, 'l, I: Operands<'l>, O: Outputs<'l>> {
    walk: &'r mut Walk<'l, I, O>,
    first: RowPart,
    rows: usize,
    brand: Brand<'r>,
}

/// That the rows of a block were written. Only writing these very rows returns one: the lifetime is the block's own.
#[must_use = "the closure of `blocks` returns it"]
pub struct WrittenBlock<'r>(Brand<'r>);

/// Invariant, so that no other block's lifetime will do.
type Brand<'r> = PhantomData<Cell<&'r ()>>;

/// A value for each row of a block.
#[derive(Clone, Copy)]
pub struct PerRow<T>(pub(super) [T; BLOCK]);

impl<T: Copy> PerRow<T> {
    /// `f` of each.
    #[inline(always)]
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> PerRow<U> {
        PerRow(self.0.map(f))
    }

    /// Each with that of `others` for its row.
    #[inline(always)]
    pub fn zip<U: Copy>(self, others: PerRow<U>) -> PerRow<(T, U)> {
        PerRow(core::array::from_fn(|row| (self.0[row], others.0[row])))
    }
}

impl<'r, 'l, I: Operands<'l>, O: Outputs<'l>> RowBlock<'r, 'l, I, O> {
    #[inline(always)]
    pub(super) fn new(walk: &'r mut Walk<'l, I, O>, first: RowPart, rows: usize) -> Self {
        Self { walk, first, rows, brand: PhantomData }
    }

    /// Number of elements of a row; at least 1.
    #[inline(always)]
    #[expect(clippy::len_without_is_empty, reason = "no row is empty")]
    pub fn len(&self) -> usize {
        self.first.area.columns
    }

    /// `f` of the number of each row among the rows of the output.
    ///
    /// # Errors
    /// Those of `f`.
    #[inline(always)]
    pub fn per_row<T: Copy>(&self, mut f: impl FnMut(usize) -> OpResult<T>) -> OpResult<PerRow<T>> {
        let first = self.first.area.row + self.first.row;
        let mut values = [f(first)?; BLOCK];
        for (row, value) in values.iter_mut().enumerate().take(self.rows).skip(1) {
            *value = f(first + row)?;
        }
        Ok(PerRow(values))
    }

    /// Takes every element of each row into lanes of its own, in the order of [`Lanes::fold`]: `lane = f(lane, elements)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold<L: Lane>(&mut self, lanes: Lanes<L>, f: impl Fn(L, I::Elements) -> L) -> OpResult<PerRow<Lanes<L>>> {
        self.fold_with(lanes, PerRow([(); BLOCK]), |lane, (), elements| f(lane, elements))
    }

    /// As [`fold`](Self::fold), with a value of the row's: `lane = f(lane, value, elements)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold_with<L: Lane, V: Copy>(
        &mut self,
        lanes: Lanes<L>,
        values: PerRow<V>,
        f: impl Fn(L, V, I::Elements) -> L,
    ) -> OpResult<PerRow<Lanes<L>>> {
        #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
        if self.rows == BLOCK && self.first.is_whole {
            let area = &self.first.area;
            let pointers: [_; BLOCK] = core::array::from_fn(|row| self.walk.row(area, self.first.row + row));
            // SAFETY: `i` is below the number of columns that `load` brought.
            let read = |row: usize, i| unsafe { I::read(pointers[row], i) };
            return Ok(PerRow(lanes.folded_rows(area.columns, |row, lane, i| f(lane, values.0[row], read(row, i)))));
        }
        let mut all = [lanes; BLOCK];
        for (row, (lanes, value)) in all.iter_mut().zip(values.0).enumerate().take(self.rows) {
            *lanes = self.row(row).fold(*lanes, |lane, elements| f(lane, value, elements))?;
        }
        Ok(PerRow(all))
    }

    /// Writes the rows: every element of the output is `f` of its row's value and of the operands' elements in its place.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn map_with<V: Copy>(
        mut self,
        values: PerRow<V>,
        mut f: impl FnMut(V, I::Elements) -> O::Elements,
    ) -> OpResult<WrittenBlock<'r>> {
        for (row, value) in values.0.into_iter().enumerate().take(self.rows) {
            let _ = self.row(row).map(|elements| f(value, elements))?;
        }
        Ok(WrittenBlock(self.brand))
    }

    /// One of the rows.
    #[inline(always)]
    fn row(&mut self, row: usize) -> Row<'_, 'l, I, O, ()> {
        let part = RowPart { row: self.first.row + row, ..self.first };
        Row::new(self.walk, part, core::ptr::null_mut())
    }
}
