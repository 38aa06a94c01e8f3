//! How the rows of an operand meet the rows of the output: PyTorch's broadcasting, row by row.

use core::panic::Location;

use gpsimd_abi as abi;

use super::layout::{Layout, Shaped};
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tensor::Hbm;

/// The shape that a walk goes by: that of the output or the first operand, as rows of its last dimension.
#[derive(Clone, Copy)]
pub(super) struct Extent<'l> {
    pub(super) hbm: Hbm<'l>,
    layout: Layout<'l>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl<'l> Extent<'l> {
    pub(super) fn of(hbm: Hbm<'l>) -> Self {
        let columns = hbm.rank().checked_sub(1).map_or(1, |last| hbm.size(last));
        Self { hbm, layout: Layout::Dense, rows: hbm.len.checked_div(columns).unwrap_or(0), columns }
    }

    /// Of an operand whose rows lie apart.
    pub(super) fn apart(hbm: Hbm<'l>, layout: Layout<'l>) -> Self {
        let shaped = Shaped { tensor: &hbm, layout };
        let last = shaped.rank().saturating_sub(1);
        let rows = (0..last).map(|i| shaped.size(i)).product();
        Self { hbm, layout, rows, columns: shaped.size(last) }
    }

    /// The sizes of a walk that may go by an operand whose rows lie apart.
    pub(super) fn shaped(&self) -> Shaped<'_, 'l> {
        Shaped { tensor: &self.hbm, layout: self.layout }
    }

    /// The same elements as one row.
    pub(super) fn flat(self) -> Self {
        Self { rows: 1, columns: self.hbm.len, ..self }
    }
}

/// The sizes by which an operand meets the walk, outermost first.
pub(super) trait Sizes {
    fn rank(&self) -> usize;
    /// Of dimension `i`, which it has.
    fn size(&self, i: usize) -> usize;
}

impl Sizes for Hbm<'_> {
    fn rank(&self) -> usize {
        Hbm::rank(self)
    }

    fn size(&self, i: usize) -> usize {
        Hbm::size(self, i)
    }
}

/// Which row of an operand a row of the walk meets.
#[derive(Clone, Copy)]
pub(super) struct RowMap {
    /// In groups of as many rows the operand's rows follow each other too, or are all the same one.
    group: usize,
    /// Whether they follow each other.
    pub(super) steps: bool,
    /// Whether the operand has the walk's shape.
    pub(super) is_full: bool,
}

impl RowMap {
    /// An operand that has the walk's shape.
    pub(super) const FULL: Self = Self { group: 1, steps: true, is_full: true };

    /// How operand `index` is broadcast.
    ///
    /// # Errors
    /// When it cannot be.
    #[inline(never)]
    pub(super) fn of(
        core: &Core,
        walk: &impl Sizes,
        operand: &impl Sizes,
        index: usize,
        at: &'static Location<'static>,
    ) -> OpResult<Self> {
        let (rank, own_rank) = (walk.rank(), operand.rank());
        if own_rank > rank {
            return refuse(
                core,
                "operand {} of the walk has more dimensions than the output: {}, not {}",
                [index, own_rank, rank],
                at,
            );
        }
        let mut map = Self::FULL;
        let (mut is_first, mut has_changed) = (true, false);
        for i in (0..rank).rev() {
            let (expected, found) = (walk.size(i), aligned(operand, rank, i));
            let is_last = i + 1 == rank;
            if found != expected && (found != 1 || is_last) {
                let message = if is_last {
                    "operand {} of the walk has {} elements in its last dimension, the output {}"
                } else {
                    "operand {} of the walk cannot be broadcast to the output: a size is {}, expected 1 or {}"
                };
                return refuse(core, message, [index, found, expected], at);
            }
            if is_last || expected == 1 {
                continue;
            }
            let steps = found != 1;
            if is_first {
                (map.steps, is_first) = (steps, false);
            }
            map.is_full &= steps;
            has_changed |= steps != map.steps;
            if !has_changed {
                map.group = map.group.saturating_mul(expected);
            }
        }
        Ok(map)
    }

    /// The operand's row for row `row` of the walk.
    #[inline(never)]
    pub(super) fn row(&self, walk: &impl Sizes, operand: &impl Sizes, row: usize) -> usize {
        if self.is_full {
            return row;
        }
        let rank = walk.rank();
        let (mut rest, mut stride, mut found) = (row, 1, 0);
        for i in (0..rank - 1).rev() {
            let (size, own) = (walk.size(i), aligned(operand, rank, i));
            if own != 1 {
                found += rest % size * stride;
                stride *= size;
            }
            rest /= size;
        }
        found
    }

    /// Rows from `row` on until the operand's rows no longer follow.
    pub(super) fn rows_from(&self, row: usize) -> usize {
        if self.is_full { usize::MAX } else { self.group - row % self.group }
    }
}

/// The operand's size in dimension `i` of a walk of `rank` dimensions.
fn aligned(operand: &impl Sizes, rank: usize, i: usize) -> usize {
    (i + operand.rank()).checked_sub(rank).map_or(1, |i| operand.size(i))
}

#[cold]
fn refuse<T>(core: &Core, message: &'static str, numbers: [usize; 3], at: &'static Location<'static>) -> OpResult<T> {
    core.device.fail_with(abi::FAILURE_REFUSED, message, &numbers, at);
    Err(OpError::Reported)
}
