//! [`Core::map`]: outputs whose every element follows from the elements beside it.

use core::panic::Location;

use super::broadcast::Extent;
use super::operands::Operands;
use super::outputs::Outputs;
use super::plan::{Area, Fit, Walk};
use crate::LANES;
use crate::engine_core::Core;
use crate::error::OpResult;
use crate::random::{GROUP, Philox};
use crate::share::Share;

impl Core {
    /// Computes this core's share of `outputs`, element by element: `f` of the operands' elements in the same place.
    ///
    /// `operands` is `&x`, or a tuple of up to six; each is broadcast to the outputs as PyTorch does, except in its
    /// last dimension. `outputs` is `y`, or a tuple of up to four of one shape. An operand with the position and the
    /// dtype of an output shares its TCM: best one that is not broadcast.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_x(x: &TensorType, _bias: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
    /// /// y = x + bias.  x: `[.., H]`, bias: `[H]`, y: like x.
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
        let walk = Walk::<I, O>::new(self, operands, outputs, 0, Location::caller());
        walk_tiles(walk, |walk, area, row| walk.write(area, row, |_, elements| f(elements)))
    }

    /// As [`map`](Core::map), with 32 random bits for each element of the outputs: those that `numbers` has for its
    /// index, on whichever core and in whichever tile.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
    /// /// y = x plus noise from 0 to `amount`.  y: like x.
    /// #[custom_op(shape = like_x)]
    /// pub fn add_noise(core: &Core, x: Input<f32>, amount: f32, seed: u32, y: Output<f32>) -> OpResult {
    ///     let numbers = random::Philox::new(seed.into());
    ///     core.map_random(numbers, &x, y, |x, bits| math::fma(amount, random::uniform(bits), x))
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As [`map`](Core::map).
    #[track_caller]
    #[inline(always)]
    pub fn map_random<'l, I: Operands<'l>, O: Outputs<'l>>(
        &'l self,
        numbers: Philox,
        operands: I,
        outputs: O,
        f: impl Fn(I::Elements, u32) -> O::Elements,
    ) -> OpResult {
        let walk = Walk::<I, O>::new(self, operands, outputs, 0, Location::caller());
        walk_tiles(walk, |walk, area, row| {
            let first = walk.plan.first_of_row(area, row);
            let mut next = 0;
            while next < area.columns {
                let at = first + next as u64;
                let (bits, skip) = (numbers.group(at / GROUP as u64), (at % GROUP as u64) as usize);
                let part = next..area.columns.min(next + GROUP - skip);
                next = part.end;
                if part.len() == GROUP {
                    // Of a length that is known at compile time.
                    let part = part.start..part.start + GROUP;
                    walk.write_part(area, row, part.clone(), |i, elements| f(elements, bits[i - part.start]));
                } else {
                    walk.write_part(area, row, part.clone(), |i, elements| f(elements, bits[skip + i - part.start]));
                }
            }
        })
    }
}

/// Walks the tiles of this core's share; `write` writes a row of one.
#[inline(always)]
fn walk_tiles<'l, I: Operands<'l>, O: Outputs<'l>>(
    mut walk: Walk<'l, I, O>,
    write: impl Fn(&Walk<'l, I, O>, &Area, usize),
) -> OpResult {
    walk.prepare()?;
    if walk.plan.extent.rows * walk.plan.extent.columns == 0 {
        return Ok(());
    }
    let mut tiles = Tiles::of(&mut walk);
    let _reservation = walk.take(tiles.rows, tiles.columns)?;
    match tiles.cut {
        Cut::Elements => walk.claim(tiles.next, tiles.end)?,
        Cut::Rows => walk.claim(tiles.next * tiles.columns, tiles.end * tiles.columns)?,
        Cut::Parts if tiles.has_own_rows => {
            let columns = walk.plan.extent.columns;
            walk.claim(tiles.first_row * columns, (tiles.first_row + tiles.row_count) * columns)?;
        }
        Cut::Parts => {}
    }
    while let Some(area) = tiles.next(&walk) {
        if matches!(tiles.cut, Cut::Parts) && !tiles.has_own_rows {
            let start = area.row * walk.plan.extent.columns + area.column;
            walk.claim(start, start + area.columns)?;
        }
        walk.load(&area)?;
        for row in 0..area.rows {
            write(&walk, &area, row);
        }
        walk.store(&area)?;
    }
    Ok(())
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
    /// The rows whose parts are shared.
    first_row: usize,
    row_count: usize,
    /// Whether these are this core's alone.
    has_own_rows: bool,
}

/// With so many rows for each core, sharing whole rows leaves no core idle for long.
const ROWS_ENOUGH: usize = 4;

/// What a share is counted in.
#[derive(Clone, Copy)]
enum Cut {
    /// Elements: rows mean nothing where no operand is broadcast.
    Elements,
    /// Rows.
    Rows,
    /// Parts of rows, all rows of the first columns first, so that an operand that is the same for all rows stays in
    /// TCM. The cores share the rows, or, where these are few, the parts.
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
            return Self::new(Cut::Elements, share, 1, columns);
        }
        let Extent { rows, columns, .. } = walk.plan.extent;
        let (cut, share, fitting, columns) = match walk.fit(rows, columns) {
            Fit::Rows(fitting) => (Cut::Rows, core.share(rows, 1), fitting, columns),
            Fit::Columns(part) => {
                let (own, parts) = (core.share(rows, 1), columns.div_ceil(part));
                let has_own_rows = rows >= ROWS_ENOUGH * core.count();
                let share =
                    if has_own_rows { Share::new(parts * own.len(), 1, 0, 1) } else { core.share(parts * rows, 1) };
                let rows = if has_own_rows { own.range() } else { 0..rows };
                let tiles = Self::new(Cut::Parts, share, 1, part);
                return Self { first_row: rows.start, row_count: rows.len(), has_own_rows, ..tiles };
            }
        };
        Self::new(cut, share, fitting, columns)
    }

    #[inline(always)]
    fn new(cut: Cut, share: Share, rows: usize, columns: usize) -> Self {
        let (next, end) = (share.range().start, share.range().end);
        Self { cut, next, end, rows, columns, first_row: 0, row_count: 0, has_own_rows: false }
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
                let (part, row) = (at / self.row_count, self.first_row + at % self.row_count);
                let column = part * self.columns;
                Area { row, rows: 1, column, columns: self.columns.min(extent.columns - column) }
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
