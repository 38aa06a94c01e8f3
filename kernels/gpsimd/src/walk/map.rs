//! [`Core::map`]: outputs whose every element follows from the elements beside it.

use core::panic::Location;

use super::broadcast::Extent;
use super::operands::Operands;
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
        let mut walk = Walk::<I, O>::new(self, operands, outputs, 0, Location::caller());
        walk.prepare()?;
        if walk.plan.extent.rows * walk.plan.extent.columns == 0 {
            return Ok(());
        }
        let mut tiles = Tiles::of(&mut walk);
        let _memory = walk.take(tiles.rows, tiles.columns)?;
        match tiles.cut {
            Cut::Elements => walk.claim(tiles.next, tiles.end)?,
            Cut::Rows => walk.claim(tiles.next * tiles.columns, tiles.end * tiles.columns)?,
            Cut::Parts => {}
        }
        while let Some(area) = tiles.next(&walk) {
            if matches!(tiles.cut, Cut::Parts) {
                let start = area.row * walk.plan.extent.columns + area.column;
                walk.claim(start, start + area.columns)?;
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
    cut: Cut,
    /// What is left of the share.
    next: usize,
    end: usize,
    /// The largest area.
    rows: usize,
    columns: usize,
}

/// What a share is counted in.
#[derive(Clone, Copy)]
enum Cut {
    /// Elements: rows mean nothing where no operand is broadcast.
    Elements,
    /// Rows.
    Rows,
    /// Parts of rows, all rows of the first columns first, so that an operand that is the same for all rows stays in TCM.
    Parts,
}

impl Tiles {
    #[inline(always)]
    fn of<'l, I: Operands<'l>, O: Outputs<'l>>(walk: &mut Walk<'l, I, O>) -> Self {
        let core = walk.plan.core;
        if walk.is_flat() {
            walk.plan.extent = walk.plan.extent.flat();
            let share = core.share(walk.plan.extent.columns, LANES);
            let columns = match walk.fit(1, share.len()) {
                Fit::Rows(_) => share.len(),
                Fit::Columns(columns) => columns,
            };
            return Self { cut: Cut::Elements, next: share.range().start, end: share.range().end, rows: 1, columns };
        }
        let Extent { rows, columns, .. } = walk.plan.extent;
        let (cut, share, fitting, columns) = match walk.fit(rows, columns) {
            Fit::Rows(fitting) => (Cut::Rows, core.share(rows, 1), fitting, columns),
            Fit::Columns(part) => (Cut::Parts, core.share(columns.div_ceil(part) * rows, 1), 1, part),
        };
        Self { cut, next: share.range().start, end: share.range().end, rows: fitting, columns }
    }

    #[inline(always)]
    fn next<'l, I: Operands<'l>, O: Outputs<'l>>(&mut self, walk: &Walk<'l, I, O>) -> Option<Area> {
        let at = self.next;
        if at >= self.end {
            return None;
        }
        let (left, extent) = (self.end - at, &walk.plan.extent);
        let area = match self.cut {
            Cut::Elements => Area { row: 0, rows: 1, column: at, columns: self.columns.min(left) },
            Cut::Rows => {
                let rows = walk.rows_from(at, self.rows.min(left));
                Area { row: at, rows, column: 0, columns: self.columns }
            }
            Cut::Parts => {
                let column = at / extent.rows * self.columns;
                Area { row: at % extent.rows, rows: 1, column, columns: self.columns.min(extent.columns - column) }
            }
        };
        self.next += match self.cut {
            Cut::Elements => area.columns,
            Cut::Rows => area.rows,
            Cut::Parts => 1,
        };
        Some(area)
    }
}
