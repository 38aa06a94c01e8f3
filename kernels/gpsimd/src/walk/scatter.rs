//! [`Core::scatter_rows`]: outputs whose rows are where indices say.

use core::panic::Location;

use gpsimd_abi::{self as abi, DType, TCM_ALIGN};

use super::plan::slot_bytes;
use crate::device::Device;
use crate::element::Element;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::indices;
use crate::tcm::{Reservation, dma_load, dma_store};
use crate::tensor::{Hbm, Input, Output};

impl Core {
    /// Writes row `i` of `x`, along its last dimension, to the row of `y` that element `i` of `indices` names: a
    /// permutation of rows. Every row of `y` is named once.
    ///
    /// A core has a share of the rows of `y`, looks at all indices, and moves the rows that are its own, a DMA in and one
    /// out for each: so the result depends on no order, and two indices that name the same row meet in one core, which
    /// finds them.
    ///
    /// # Errors
    /// When an index is negative or not below the number of rows, when two name the same row or none names a row, and
    /// when there is not an index for each row of `x`. With both elements of `indices`, on every tier and in both modes.
    #[track_caller]
    pub fn scatter_rows<'l, T: Element>(
        &'l self,
        x: &Input<'l, T>,
        indices: &Input<'l, i32>,
        y: Output<'l, T>,
    ) -> OpResult {
        let at = Location::caller();
        Scatter { core: self, base: None, x: x.hbm, indices: indices.hbm, y: y.into_hbm(), dtype: T::DTYPE, at }.run()
    }

    /// As [`scatter_rows`](Self::scatter_rows), to some of the rows of `y`: the others are those of `base`, which has y's
    /// shape and may be the operand that `y` replaces.
    ///
    /// ```
    /// # use gpsimd::prelude::*;
    /// # fn like_base(base: &TensorType, x: &TensorType, ids: &TensorType) -> Result<TensorType, ShapeError> { Ok(*base) }
    /// /// base, with the rows that ids name replaced by those of x.  base: `[V, H]`, x: `[N, H]`, ids: `[N]`.
    /// #[custom_op(shape = like_base, replaces = base)]
    /// pub fn set_rows<T: Number>(
    ///     core: &Core, base: Input<T>, x: Input<T>, ids: Input<i32>, y: Output<T>,
    /// ) -> OpResult {
    ///     core.scatter_rows_over(&base, &x, &ids, y)
    /// }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As `scatter_rows`, but that no index names a row; and when `base` has another size than `y`.
    #[track_caller]
    pub fn scatter_rows_over<'l, T: Element>(
        &'l self,
        base: &Input<'l, T>,
        x: &Input<'l, T>,
        indices: &Input<'l, i32>,
        y: Output<'l, T>,
    ) -> OpResult {
        let (base, at) = (Some(base.hbm), Location::caller());
        Scatter { core: self, base, x: x.hbm, indices: indices.hbm, y: y.into_hbm(), dtype: T::DTYPE, at }.run()
    }
}

/// Without its element type: all scatters of a kernel image share this code.
struct Scatter<'l> {
    core: &'l Core,
    base: Option<Hbm<'l>>,
    x: Hbm<'l>,
    indices: Hbm<'l>,
    y: Hbm<'l>,
    dtype: DType,
    at: &'static Location<'static>,
}

/// TCM of a scatter.
struct Slots {
    indices: *mut u8,
    /// Indices that have room.
    index_count: usize,
    /// A bit for each row of a block: whether it was written.
    marks: *mut u8,
    /// Rows of a block.
    block: usize,
    /// Part of a row, or rows.
    part: *mut u8,
    /// Elements that have room.
    part_len: usize,
}

/// Where the elements of `y`, from its first on, may be written, once this core's are claimed.
type Direct = Option<*mut u8>;

impl<'l> Scatter<'l> {
    #[inline(never)]
    fn run(&self) -> OpResult {
        let columns = self.y.row_len();
        let count = self.verify(columns)?;
        if columns == 0 {
            return Ok(());
        }
        let share = self.core.share(self.y.len / columns, 1).range();
        let (slots, _reservation) = self.take(share.len(), columns)?;
        let direct = self.claim(share.start * columns, share.len() * columns)?;
        // Whoever has no rows looks at the indices all the same: a tensor without rows has no core that has.
        let mut block = share.start;
        loop {
            let end = share.end.min(block.saturating_add(slots.block));
            self.write_block(&slots, count, columns, block..end, direct)?;
            block = end;
            if block == share.end {
                return Ok(());
            }
        }
    }

    /// The number of rows to scatter.
    fn verify(&self, columns: usize) -> OpResult<usize> {
        self.x.refuse_in_place(self.at)?;
        self.indices.refuse_in_place(self.at)?;
        let (x, y) = (self.x.tensor as usize, self.y.tensor as usize);
        if self.x.row_len() != columns {
            let message = "rows of `{{}}` go to rows of `{{}}`, and have {} elements, not {}";
            return Err(self.refuse(message, &[x, y, self.x.row_len(), columns]));
        }
        if self.indices.len.saturating_mul(columns) != self.x.len {
            let message = "`{{}}` has {} elements for the {} rows of `{{}}`: one names where each goes";
            let rows = self.x.len.checked_div(columns).unwrap_or(0);
            return Err(self.refuse(message, &[self.indices.tensor as usize, self.indices.len, rows, x]));
        }
        if let Some(base) = &self.base
            && (base.len, base.row_len()) != (self.y.len, columns)
        {
            let message = "`{{}}` has {} elements in rows of {}, and `{{}}`, which has its rows where none is written, {} \
                           in rows of {}";
            let numbers = [base.tensor as usize, base.len, base.row_len(), y, self.y.len, columns];
            return Err(self.refuse(message, &numbers));
        }
        Ok(self.indices.len)
    }

    /// TCM for a share of `rows` rows: at most a quarter of the pool for the indices and another for the marks.
    fn take(&self, rows: usize, columns: usize) -> OpResult<(Slots, Reservation<'l>)> {
        let left = self.core.tcm().left() / TCM_ALIGN * TCM_ALIGN;
        let quarter = (left / 4 / TCM_ALIGN * TCM_ALIGN).max(TCM_ALIGN);
        let index_bytes = slot_bytes(DType::I32, self.indices.len).min(quarter);
        let mark_bytes = slot_bytes(DType::U8, rows.div_ceil(8)).min(quarter);
        let room = left.saturating_sub(index_bytes + mark_bytes).max(TCM_ALIGN);
        // Rows of the base that follow each other come together.
        let wanted = if self.base.is_some() { rows.saturating_mul(columns) } else { columns };
        let part_bytes = slot_bytes(self.dtype, wanted.max(columns)).min(room);
        let reservation = Reservation::take_bytes(self.core, index_bytes + mark_bytes + part_bytes, self.at)?;
        let marks = reservation.tcm.wrapping_add(index_bytes);
        let slots = Slots {
            indices: reservation.tcm,
            index_count: index_bytes / DType::I32.bytes(),
            marks,
            block: mark_bytes * 8,
            part: marks.wrapping_add(mark_bytes),
            part_len: part_bytes / self.dtype.bytes(),
        };
        Ok((slots, reservation))
    }

    /// Claims this core's elements of the output, and says where they may be written without a DMA.
    fn claim(&self, start: usize, len: usize) -> OpResult<Direct> {
        let bytes = self.dtype.bytes();
        if !Device::HAS_DIRECT || len == 0 {
            return Ok(None);
        }
        let Some(to) = self.y.claim_bytes(start, len, bytes, self.at)? else { return Ok(None) };
        // What is read in place stays where it is.
        let is_apart = self.x.output_in_place().is_none()
            && self.base.is_none_or(|base| {
                base.output_in_place().is_none() || base.direct_bytes(start, len, bytes).is_some_and(|from| from == to)
            });
        Ok(is_apart.then(|| to.wrapping_sub(start * bytes)))
    }

    /// Writes the rows of `y` in `rows`, for which there are marks.
    fn write_block(
        &self,
        slots: &Slots,
        count: usize,
        columns: usize,
        rows: core::ops::Range<usize>,
        direct: Direct,
    ) -> OpResult {
        // SAFETY: the marks of a block of this walk's own TCM.
        unsafe { slots.marks.write_bytes(0, rows.len().div_ceil(8)) };
        let row_count = self.y.row_count();
        let mut first = 0;
        while first < count {
            let (data, len) = self.load_indices(slots, first)?;
            for i in 0..len {
                // SAFETY: `i` is below the number of indices that were loaded.
                let index = unsafe { data.add(i).read() };
                let Some(row) = indices::row(index, row_count) else {
                    return Err(indices::refuse(index, &self.y, (&self.indices, first + i), self.at));
                };
                if !rows.contains(&row) {
                    continue;
                }
                let (mark, bit) = Self::mark(slots, row - rows.start);
                // SAFETY: as above.
                unsafe {
                    if *mark & bit != 0 {
                        return Err(self.named_twice(slots, index, first + i));
                    }
                    *mark |= bit;
                }
                self.copy(slots, &self.x, (first + i) * columns, row * columns, columns, direct)?;
            }
            first += len;
        }
        let mut row = rows.start;
        while row < rows.end {
            let start = row;
            while row < rows.end && {
                let (mark, bit) = Self::mark(slots, row - rows.start);
                // SAFETY: as above.
                unsafe { *mark & bit == 0 }
            } {
                row += 1;
            }
            if start == row {
                row += 1;
                continue;
            }
            let Some(base) = &self.base else { return Err(self.never_named(start)) };
            self.copy(slots, base, start * columns, start * columns, (row - start) * columns, direct)?;
        }
        Ok(())
    }

    /// Where the mark of row `row` of the block is.
    fn mark(slots: &Slots, row: usize) -> (*mut u8, u8) {
        (slots.marks.wrapping_add(row / 8), 1 << (row % 8))
    }

    /// Brings indices from element `first` on: where they are, and how many.
    fn load_indices(&self, slots: &Slots, first: usize) -> OpResult<(*const i32, usize)> {
        let left = self.indices.len - first;
        if self.indices.output_in_place().is_none()
            && let Some(data) = self.indices.direct::<i32>(&(first..self.indices.len))
        {
            return Ok((data, left));
        }
        let len = left.min(slots.index_count);
        dma_load(self.core, &self.indices, &(first..first + len), slots.indices, self.at)?;
        Ok((slots.indices.cast(), len))
    }

    /// Copies `len` elements from element `from` of `tensor` to element `to` of the output.
    fn copy(&self, slots: &Slots, tensor: &Hbm<'l>, from: usize, to: usize, len: usize, direct: Direct) -> OpResult {
        let bytes = self.dtype.bytes();
        if Device::HAS_DIRECT
            && let (Some(output), Some(data)) = (direct, tensor.direct_bytes(from, len, bytes))
        {
            // SAFETY: `direct_bytes` found the elements inside the tensor; those of the output are this core's, which
            // has claimed them. They may be the same.
            unsafe { core::ptr::copy(data, output.wrapping_add(to * bytes), len * bytes) };
            return Ok(());
        }
        let mut done = 0;
        while done < len {
            let part = slots.part_len.min(len - done);
            dma_load(self.core, tensor, &(from + done..from + done + part), slots.part, self.at)?;
            dma_store(self.core, &self.y, &(to + done..to + done + part), slots.part, self.at)?;
            done += part;
        }
        Ok(())
    }

    /// Two indices name the same row: the second is element `second`.
    #[cold]
    #[inline(never)]
    fn named_twice(&self, slots: &Slots, index: i32, second: usize) -> OpError {
        let (mut start, mut first) = (0, None);
        while first.is_none() {
            let Ok((indices, len)) = self.load_indices(slots, start) else { return OpError::Reported };
            // SAFETY: `i` is below the number of indices that were loaded.
            first = (0..len).find(|i| unsafe { indices.add(*i).read() } == index).map(|i| start + i);
            start += len;
        }
        let first = first.unwrap_or(second);
        let message = "elements {} and {} of `{{}}` both name row {} of `{{}}`: a row is written once";
        let offset = self.indices.start;
        let numbers =
            [offset + first, offset + second, self.indices.tensor as usize, index as usize, self.y.tensor as usize];
        self.refuse(message, &numbers)
    }

    #[cold]
    #[inline(never)]
    fn never_named(&self, row: usize) -> OpError {
        let message = "no element of `{{}}` names row {} of `{{}}`: `scatter_rows_over` writes the row of another tensor \
                       there";
        self.refuse(message, &[self.indices.tensor as usize, row, self.y.tensor as usize])
    }

    #[cold]
    fn refuse(&self, message: &str, numbers: &[usize]) -> OpError {
        self.core.device.fail_with(abi::FAILURE_REFUSED, message, numbers, self.at);
        OpError::Reported
    }
}
