//! [`Core::map`]: outputs whose every element follows from the elements beside it.

use core::ops::Range;
use core::panic::Location;

use super::operands::{Operands, Sources};
use super::outputs::Outputs;
use super::plan::{Area, Fit, Walk};
use crate::LANES;
use crate::core::Core;
use crate::error::OpResult;

impl Core {
    /// Computes this core's share of `outputs`, element by element: `f` of the operands' elements in the same place.
    ///
    /// `operands` is `&x`, or a tuple of up to six; each is broadcast to the outputs as PyTorch does, except in its last
    /// dimension. `outputs` is `y`, or a tuple of up to four of one shape. An operand with the position and the dtype of an
    /// output shares its TCM and has its shape.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_x(x: &TensorType, _bias: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
    /// /// y = x + bias.  x: [.., H], bias: [H], y: like x.
    /// #[custom_op(shape = like_x)]
    /// pub fn add_bias<T: Float>(core: &Core, x: Input<T>, bias: Input<T>, y: Output<T>) -> OpResult {
    ///     core.map((&x, &bias), y, |(x, bias)| T::from_f32(x.to_f32() + bias.to_f32()))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// When an operand cannot be broadcast, or the pool has no room for 16 elements of each tensor.
    #[track_caller]
    #[inline(always)]
    pub fn map<'l, I: Operands<'l>, O: Outputs<'l>>(
        &'l self,
        operands: I,
        outputs: O,
        f: impl Fn(I::Elements) -> O::Elements,
    ) -> OpResult {
        let mut walk = Walk::<I, O>::new(self, operands, outputs, Location::caller())?;
        let len = walk.extent.rows * walk.extent.columns;
        if len == 0 {
            return Ok(());
        }
        let mut tiles = Tiles::of(&mut walk, len);
        let (rows, columns) = (tiles.rows, tiles.columns);
        let (_memory, _) = walk.take(rows, columns)?;
        if let Some(share) = tiles.share(walk.extent.columns) {
            walk.claim(share)?;
        }
        while let Some(area) = tiles.next(&walk) {
            if tiles.is_scattered {
                let start = area.row * walk.extent.columns + area.column;
                walk.claim(start..start + area.columns)?;
            }
            walk.load(&area)?;
            for row in 0..area.rows {
                walk.write(&area, row, |_, elements| f(elements));
            }
            walk.store(&area)?;
        }
        Ok(())
    }
}

/// The areas of a core's share.
struct Tiles {
    /// What is left of the share: elements of the one row, rows, or (scattered) parts of rows.
    next: usize,
    end: usize,
    /// The largest area.
    rows: usize,
    columns: usize,
    /// Whether the elements are cut as if they were one row.
    is_flat: bool,
    /// Whether rows are cut into parts, dealt to the cores part by part: all rows of the first columns first, so that an
    /// operand that is the same for all rows stays in TCM.
    is_scattered: bool,
}

impl Tiles {
    #[inline(always)]
    fn of<'l, I: Operands<'l>, O: Outputs<'l>>(walk: &mut Walk<'l, I, O>, len: usize) -> Self {
        if walk.sources.are_full() {
            // Rows mean nothing here.
            walk.extent = walk.extent.flat();
            let share = walk.core.share(len, LANES).range();
            let columns = match walk.fit(1, share.len()) {
                Fit::Rows(_) => share.len(),
                Fit::Columns(columns) => columns,
            };
            return Self { next: share.start, end: share.end, rows: 1, columns, is_flat: true, is_scattered: false };
        }
        let (rows, columns) = (walk.extent.rows, walk.extent.columns);
        match walk.fit(rows, columns) {
            Fit::Rows(fitting) => {
                let share = walk.core.share(rows, 1).range();
                Self { next: share.start, end: share.end, rows: fitting, columns, is_flat: false, is_scattered: false }
            }
            Fit::Columns(part) => {
                let share = walk.core.share(columns.div_ceil(part) * rows, 1).range();
                Self { next: share.start, end: share.end, rows: 1, columns: part, is_flat: false, is_scattered: true }
            }
        }
    }

    /// The elements of the share, where they follow each other.
    #[inline(always)]
    fn share(&self, columns: usize) -> Option<Range<usize>> {
        if self.is_scattered {
            return None;
        }
        // Of one row the elements are counted, of more the rows.
        let unit = if self.is_flat { 1 } else { columns };
        Some(self.next * unit..self.end * unit)
    }

    #[inline(always)]
    fn next<'l, I: Operands<'l>, O: Outputs<'l>>(&mut self, walk: &Walk<'l, I, O>) -> Option<Area> {
        let at = self.next;
        if at >= self.end {
            return None;
        }
        let extent = &walk.extent;
        if self.is_scattered {
            self.next = at + 1;
            let (part, row) = (at / extent.rows, at % extent.rows);
            let column = part * self.columns;
            return Some(Area { row, rows: 1, column, columns: self.columns.min(extent.columns - column) });
        }
        if self.is_flat {
            let columns = self.columns.min(self.end - at);
            self.next = at + columns;
            return Some(Area { row: 0, rows: 1, column: at, columns });
        }
        let rows = walk.sources.rows_from(at, self.rows.min(self.end - at));
        self.next = at + rows;
        Some(Area { row: at, rows, column: 0, columns: extent.columns })
    }
}
