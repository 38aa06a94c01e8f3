//! [`Rows`]: rows that have indices of their own, and the parts in which they are written.

use core::ops::Range;

use gpsimd::prelude::*;

/// Indices that are looked at at a time, with what goes to their places and with those that a tile has: for all, a quarter of
/// the pool.
pub(crate) fn at_a_time<T>(core: &Core) -> usize {
    let each = 2 * size_of::<i32>() + size_of::<T>();
    (core.tcm().left() / 4 / each / LANES * LANES).clamp(LANES, 512)
}

/// Fails unless `index` has as many rows as `x`, along the last dimension.
pub(crate) fn expect_rows_of(index: &TensorType, x: &TensorType) -> Result<(), ShapeError> {
    let last = x.expect_rank_at_least(1)?.rank() - 1;
    index.expect_rank(last + 1)?;
    if x.last_dim() > i32::MAX as usize {
        return Err(ShapeError::new("the rows of x have more than 2^31 - 1 elements, and indices are i32"));
    }
    (0..last).try_for_each(|i| index.expect_dim(i, x.dim(i)).map(drop))
}

/// Fails if there are indices of rows that have no elements.
pub(crate) fn refuse_indices(core: &Core, index: &Input<'_, i32>) -> OpResult {
    core.tcm().load_indices(index, ..index.len().min(1), 0).map(drop)
}

/// Rows of `len` elements, each with `indices` indices of its own. They are written in tiles: some rows, or a part of one.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) len: usize,
    pub(crate) indices: usize,
    count: usize,
    /// Indices that are looked at at a time.
    pub(crate) at_a_time: usize,
    /// Rows of a tile.
    together: usize,
    /// Elements of a row in a tile.
    part: usize,
}

/// What is written at a time: some rows, or a part of one.
pub(crate) struct Part {
    row: usize,
    rows: usize,
    /// In each row; all where there are several rows.
    column: usize,
    columns: usize,
}

impl Rows {
    /// Of `x`, which is not empty, and its indices. An element of a tile takes `bytes` of the pool.
    pub(crate) fn of<T: Element>(core: &Core, x: &Input<'_, T>, index: &Input<'_, i32>, bytes: usize) -> Self {
        let len = x.shape().last().copied().unwrap_or(1);
        let count = x.len() / len;
        let indices = index.len() / count;
        let at_a_time = at_a_time::<T>(core);
        let beside = at_a_time * (2 * size_of::<i32>() + size_of::<T>()) + 2 * 64;
        let most = (core.tcm().left().saturating_sub(beside) / bytes / 64 * 64).max(1);
        let together = (most / len).min(at_a_time.checked_div(indices).unwrap_or(usize::MAX));
        Self { len, indices, count, at_a_time, together: together.max(1), part: len.min(most) }
    }

    /// The most elements of a tile.
    pub(crate) fn most(self) -> usize {
        self.together * self.part
    }

    /// This core's tiles.
    pub(crate) fn tiles(self, core: &Core) -> impl Iterator<Item = Part> {
        let per_row = self.len.div_ceil(self.part);
        let own = core.share(self.count * per_row, 1).range();
        let mut next = own.start;
        core::iter::from_fn(move || {
            if next >= own.end {
                return None;
            }
            let (row, start) = (next / per_row, next % per_row * self.part);
            // Several rows only where each is one part.
            let rows = if per_row == 1 { self.together.min(own.end - next) } else { 1 };
            next += rows;
            Some(Part { row, rows, column: start, columns: self.part.min(self.len - start) })
        })
    }

    /// The elements of a tile.
    pub(crate) fn elements(self, tile: &Part) -> Range<usize> {
        let start = tile.row * self.len + tile.column;
        start..start + (tile.rows - 1) * self.len + tile.columns
    }

    /// Loads indices of a tile's rows, which are those of elements of the rows.
    ///
    /// # Errors
    /// When one is not: once, where the first part of a row is written.
    pub(crate) fn load<'c>(
        self,
        core: &'c Core,
        index: &Input<'_, i32>,
        (tile, part): (&Part, Range<usize>),
    ) -> OpResult<gpsimd::Tile<'c, i32>> {
        if tile.column == 0 {
            return core.tcm().load_indices(index, part, self.len);
        }
        core.tcm().load(index, part)
    }

    /// The indices of a tile's rows, in parts.
    pub(crate) fn parts(self, tile: &Part) -> Chunks {
        Chunks::of(tile.row * self.indices..(tile.row + tile.rows) * self.indices, self.at_a_time)
    }
}

/// Calls `f` with the place in a tile, and its number among `indices`, of every index that is in the tile, in their order.
///
/// indices: all of the rows of a tile of several, otherwise some of its row.
#[inline(always)]
pub(crate) fn each(rows: Rows, tile: &Part, indices: &[i32], places: &mut [i32], mut f: impl FnMut(usize, usize)) {
    if tile.rows > 1 {
        for (row, of_row) in indices.chunks_exact(rows.indices.max(1)).enumerate() {
            for (i, index) in of_row.iter().enumerate() {
                f(row * rows.len + *index as usize, row * rows.indices + i);
            }
        }
    } else if tile.columns == rows.len {
        for (i, index) in indices.iter().enumerate() {
            f(*index as usize, i);
        }
    } else {
        let (start, len) = (tile.column as u32, tile.columns as u32);
        let found = lanes::compact(indices, 0, |i| (i as u32).wrapping_sub(start) < len, places).found;
        for place in places.get(..found).unwrap_or_default() {
            let number = *place as usize;
            if let Some(index) = indices.get(number) {
                f(*index as usize - tile.column, number);
            }
        }
    }
}
