//! [`Row`]: one row of a walk, and what passes over it.

use core::cell::Cell;
use core::marker::PhantomData;

use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Walk};
use crate::element::Element;
use crate::error::OpResult;
use crate::lanes::{Lane, Lanes};

/// One row of a walk: the elements of the operands that meet one row of the output.
pub struct Row<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K> {
    walk: &'r mut Walk<'l, I, O>,
    part: RowPart,
    /// Room for as many values as a part has columns.
    kept: *mut K,
    brand: Brand<'r>,
}

/// That a row was written. Only writing that very row returns one: the lifetime is the row's own.
#[must_use = "the closure of `each` returns it"]
pub struct Written<'r>(Brand<'r>);

/// Invariant, so that no other row's lifetime will do.
type Brand<'r> = PhantomData<Cell<&'r ()>>;

/// Passes over a row: executes the block for every part of it that is in TCM at a time.
///
/// A macro, because the block is there twice on a host: a loop around it would carry the 16 lanes of a fold, which the host's
/// compiler then takes apart into scalars; and closures that are called twice are not inlined. In a kernel image it is there
/// once: code takes TCM, and loops stay loops.
macro_rules! pass {
    ($row:expr, |$walk:pat_param, $area:ident, $number:ident| $block:block) => {{
        let RowPart { area: whole, row: $number, part, is_whole } = $row.part;
        if is_whole && !cfg!(any(target_arch = "wasm32", target_arch = "xtensa")) {
            let ($walk, $area) = (&*$row.walk, &whole);
            $block
        } else {
            let mut area = whole;
            loop {
                if !is_whole {
                    area.columns = part.min(whole.columns - area.column);
                    $row.walk.load(&area)?;
                }
                let ($walk, $area) = (&*$row.walk, &area);
                $block
                area.column += area.columns;
                if area.column >= whole.columns {
                    break;
                }
            }
        }
    }};
}

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

    /// Takes every element of the row into lanes, in the order of [`Lanes::fold`]: `lane = f(lane, elements)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold<L: Lane>(&mut self, mut lanes: Lanes<L>, f: impl Fn(L, I::Elements) -> L) -> OpResult<Lanes<L>> {
        pass!(self, |walk, area, row| {
            let pointers = walk.row(area, row);
            // SAFETY: `i` is below the number of columns that `load` brought.
            lanes = lanes.folded(area.columns, |lane, i| f(lane, unsafe { I::read(pointers, i) }));
        });
        Ok(lanes)
    }

    /// Writes the row: every element of the output is `f` of the operands' elements in its place. In the order of the row,
    /// so that `f` may carry state from one element to the next.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn map(self, mut f: impl FnMut(I::Elements) -> O::Elements) -> OpResult<Written<'r>> {
        pass!(self, |walk, area, row| {
            walk.write(area, row, |_, elements| f(elements));
            if !self.part.is_whole {
                walk.store(area)?;
            }
        });
        Ok(Written(self.brand))
    }

    /// As [`map`](Self::map), with the number of each element in the row.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn map_indexed(self, f: impl Fn(usize, I::Elements) -> O::Elements) -> OpResult<Written<'r>> {
        pass!(self, |walk, area, row| {
            let start = area.column;
            walk.write(area, row, |i, elements| f(start + i, elements));
            if !self.part.is_whole {
                walk.store(area)?;
            }
        });
        Ok(Written(self.brand))
    }
}

impl<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K: Element> Row<'r, 'l, I, O, K> {
    /// Keeps `f` of every element for the passes to come. It is computed once where the row fits in TCM, otherwise anew in
    /// every pass: `f` returns the same value for the same elements.
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

impl<'r, 'l, I: Operands<'l>, O: Outputs<'l>, K: Element, F: Fn(I::Elements) -> K> Kept<'r, 'l, I, O, K, F> {
    /// Computes the values to keep of a part of the row, unless they are in TCM.
    #[inline(always)]
    fn compute(&self, area: &Area, row: usize) -> *const K {
        let kept = self.row.kept;
        if !self.is_computed {
            let pointers = self.row.walk.row(area, row);
            for i in 0..area.columns {
                // SAFETY: `i` is below the number of columns that `load` brought, and of the values that `kept` has room
                // for; nothing else leads there.
                unsafe { kept.add(i).write((self.f)(I::read(pointers, i))) };
            }
        }
        kept
    }

    /// Takes every value kept into lanes, in the order of [`Lanes::fold`]: `lane = f(lane, value)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold<L: Lane>(&mut self, mut lanes: Lanes<L>, f: impl Fn(L, K) -> L) -> OpResult<Lanes<L>> {
        pass!(self.row, |_, area, row| {
            let kept = self.compute(area, row);
            // SAFETY: `i` is below the number of columns, and so many values were written.
            lanes = lanes.folded(area.columns, |lane, i| f(lane, unsafe { kept.add(i).read() }));
        });
        self.is_computed = self.row.part.is_whole;
        Ok(lanes)
    }

    /// As [`fold`](Self::fold), with the operands' elements in the value's place: `lane = f(lane, value, elements)`.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn fold_with<L: Lane>(
        &mut self,
        mut lanes: Lanes<L>,
        f: impl Fn(L, K, I::Elements) -> L,
    ) -> OpResult<Lanes<L>> {
        pass!(self.row, |walk, area, row| {
            let (kept, pointers) = (self.compute(area, row), walk.row(area, row));
            // SAFETY: `i` is below the number of columns that `load` brought, and so many values were written.
            lanes = lanes.folded(area.columns, |lane, i| unsafe { f(lane, kept.add(i).read(), I::read(pointers, i)) });
        });
        self.is_computed = self.row.part.is_whole;
        Ok(lanes)
    }

    /// Writes the row: every element of the output is `f` of the value kept and of the operands' elements in its place.
    ///
    /// # Errors
    /// When a DMA fails.
    #[inline(always)]
    pub fn map(self, mut f: impl FnMut(K, I::Elements) -> O::Elements) -> OpResult<Written<'r>> {
        pass!(self.row, |walk, area, row| {
            let kept = self.compute(area, row);
            // SAFETY: `i` is below the number of columns, and so many values were written.
            walk.write(area, row, |i, elements| f(unsafe { kept.add(i).read() }, elements));
            if !self.row.part.is_whole {
                walk.store(area)?;
            }
        });
        Ok(Written(self.row.brand))
    }
}
