//! [`Row`]: one row of a walk, and what passes over it.

use core::cell::Cell;
use core::marker::PhantomData;

use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Walk};
use crate::element::Float;
use crate::error::OpResult;
use crate::lanes::Lanes;

/// One row of a walk: the elements of the operands that meet one row of the output.
pub struct Row<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K> {
    walk: &'r mut Walk<'l, I, O>,
    part: RowPart,
    /// Room for as many values as a part has columns.
    kept: *mut K,
    brand: Brand<'r>,
}

/// That a row was written. Only writing that very row gives one: the lifetime is the row's own.
#[must_use = "the closure of `each` returns it"]
pub struct Written<'r>(Brand<'r>);

/// Invariant, so that no other row's lifetime will do.
type Brand<'r> = PhantomData<Cell<&'r ()>>;

/// Where a row is.
#[derive(Clone, Copy)]
pub(super) struct RowPart {
    /// Rows of which this is one.
    pub(super) area: Area,
    /// Which.
    pub(super) row: usize,
    /// Columns that are in TCM at a time.
    pub(super) part: usize,
    /// Whether the area is in TCM: loaded before the row, stored after it.
    pub(super) is_whole: bool,
}

impl<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K> Row<'r, 'l, I, O, K> {
    #[inline(always)]
    pub(super) fn new(walk: &'r mut Walk<'l, I, O>, part: RowPart, kept: *mut K) -> Self {
        Self { walk, part, kept, brand: PhantomData }
    }

    /// Its number among the rows of the output.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.part.area.row + self.part.row
    }

    /// Number of elements; at least 1.
    #[inline(always)]
    #[expect(clippy::len_without_is_empty, reason = "no row is empty")]
    pub fn len(&self) -> usize {
        self.part.area.columns
    }

    /// Passes over the row: calls `f` with every part of it that is in TCM at a time, and the row's number in that.
    #[inline(always)]
    fn pass(&mut self, mut f: impl FnMut(&Walk<'l, I, O>, &Area, usize) -> OpResult) -> OpResult {
        let RowPart { area: whole, row, part, is_whole } = self.part;
        // One call of `f` for both, so that it is there once in the kernel image.
        let mut area = whole;
        loop {
            if !is_whole {
                area.columns = part.min(whole.columns - area.column);
                self.walk.load(&area)?;
            }
            f(self.walk, &area, row)?;
            area.column += area.columns;
            if area.column >= whole.columns {
                return Ok(());
            }
        }
    }

    /// Takes every element of the row into 16 lanes, in the order of [`Lanes::fold`]: `lane = f(lane, elements)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold(&mut self, mut lanes: Lanes, f: impl Fn(f32, I::Elements) -> f32) -> OpResult<Lanes> {
        self.pass(|walk, area, row| {
            let pointers = walk.row(area, row);
            // SAFETY: `i` is below the number of columns that `load` brought.
            lanes.fold_with(area.columns, |lane, i| f(lane, unsafe { I::read(pointers, i) }));
            Ok(())
        })?;
        Ok(lanes)
    }

    /// Writes the row: every element of the output is `f` of the operands' elements in its place. In the order of the row,
    /// so that `f` may carry state from one element to the next.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn map(mut self, mut f: impl FnMut(I::Elements) -> O::Elements) -> OpResult<Written<'r>> {
        let is_whole = self.part.is_whole;
        self.pass(|walk, area, row| {
            walk.write(area, row, |_, elements| f(elements));
            if is_whole { Ok(()) } else { walk.store(area) }
        })?;
        Ok(Written(self.brand))
    }
}

impl<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K: Float> Row<'r, 'l, I, O, K> {
    /// Keeps `f` of every element for the passes to come. It is computed once where the row fits in TCM, otherwise anew in
    /// every pass: `f` gives the same value for the same elements.
    #[inline(always)]
    pub fn keep<F: Fn(I::Elements) -> K>(self, f: F) -> Kept<'r, 'l, I, O, K, F> {
        Kept { row: self, f, is_computed: false }
    }
}

/// A row with a value kept beside every element, from [`Row::keep`].
pub struct Kept<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K, F> {
    row: Row<'r, 'l, I, O, K>,
    f: F,
    /// Whether all of them are in TCM.
    is_computed: bool,
}

impl<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K: Float, F: Fn(I::Elements) -> K> Kept<'r, 'l, I, O, K, F> {
    /// Passes over the row as [`Row::pass`] does, with the values kept of each part.
    #[inline(always)]
    fn pass(&mut self, mut g: impl FnMut(&Walk<'l, I, O>, &Area, usize, *const K) -> OpResult) -> OpResult {
        let Self { row, f, is_computed } = self;
        let (kept, is_whole) = (row.kept, row.part.is_whole);
        row.pass(|walk, area, row| {
            if !*is_computed {
                let pointers = walk.row(area, row);
                for i in 0..area.columns {
                    // SAFETY: `i` is below the number of columns that `load` brought, and of the values that `kept` has room
                    // for; nothing else leads there.
                    unsafe { kept.add(i).write(f(I::read(pointers, i))) };
                }
            }
            g(walk, area, row, kept)
        })?;
        *is_computed = is_whole;
        Ok(())
    }

    /// Takes every value kept into 16 lanes, in the order of [`Lanes::fold`]: `lane = f(lane, value)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold(&mut self, mut lanes: Lanes, f: impl Fn(f32, K) -> f32) -> OpResult<Lanes> {
        self.pass(|_, area, _, kept| {
            // SAFETY: `i` is below the number of columns, and so many values were written.
            lanes.fold_with(area.columns, |lane, i| f(lane, unsafe { kept.add(i).read() }));
            Ok(())
        })?;
        Ok(lanes)
    }

    /// Writes the row: every element of the output is `f` of the value kept and of the operands' elements in its place.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn map(mut self, mut f: impl FnMut(K, I::Elements) -> O::Elements) -> OpResult<Written<'r>> {
        let is_whole = self.row.part.is_whole;
        self.pass(|walk, area, row, kept| {
            // SAFETY: `i` is below the number of columns, and so many values were written.
            walk.write(area, row, |i, elements| f(unsafe { kept.add(i).read() }, elements));
            if is_whole { Ok(()) } else { walk.store(area) }
        })?;
        Ok(Written(self.row.brand))
    }
}
