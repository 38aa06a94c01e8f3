//! Operands whose rows lie apart: rows at indices, and windows. Their code is in an image only if it has such walks.

use core::panic::Location;

use gpsimd_abi::DType;

use super::broadcast::Extent;
use super::layout::Layout;
use super::plan::{Area, slot_bytes};
use super::source::Source;
use crate::device::Device;
use crate::engine_core::Core;
use crate::error::OpResult;
use crate::indices;
use crate::tcm::{dma_load, dma_load_rows};
use crate::tensor::Hbm;

/// Indices that are loaded at once, at least: where few rows fit in TCM, or parts of one, not each waits for its own.
const INDICES: usize = 64;

/// How many indices have room beside `rows` rows. In steps of one, so that what fits is found at once.
fn capacity(rows: usize) -> usize {
    rows.saturating_add(INDICES - 1)
}

impl<'l> Source<'l> {
    /// The shape of a walk that goes by this operand.
    pub(super) fn extent(&self) -> Extent<'l> {
        match self.layout {
            Layout::Dense => Extent::of(self.hbm),
            layout => Extent::apart(self.hbm, layout),
        }
    }

    /// Whether the indices are reached where they are.
    pub(super) fn has_direct_indices(&self) -> bool {
        match self.layout {
            Layout::Gathered(indices) => {
                indices.output_in_place().is_none() && indices.direct::<i32>(&(0..indices.len)).is_some()
            }
            Layout::Dense | Layout::Region(_) | Layout::Random(_) => true,
        }
    }

    /// Bytes of TCM of the indices.
    pub(super) fn index_bytes(&self, rows: usize) -> usize {
        if matches!(self.layout, Layout::Gathered(_)) { slot_bytes(DType::I32, capacity(rows)) } else { 0 }
    }

    /// Fails where its rows, or the indices of them, are replaced in place.
    pub(super) fn verify_apart(&self, at: &'static Location<'static>) -> OpResult {
        match self.layout {
            Layout::Dense | Layout::Random(_) => return Ok(()),
            Layout::Gathered(indices) => indices.refuse_in_place(at)?,
            Layout::Region(_) => {}
        }
        self.hbm.refuse_in_place(at)
    }

    /// As [`load`](Self::load).
    #[inline(never)]
    pub(super) fn load_apart(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        area: &Area,
        is_direct: bool,
        at: &'static Location<'static>,
    ) -> OpResult {
        self.first = self.map.row(&walk.shaped(), &self.shaped(), area.row);
        let rows = if self.map.steps { area.rows } else { 1 };
        if let Layout::Gathered(indices) = self.layout {
            self.load_indices(core, indices, rows, area, at)?;
        }
        self.is_apart = false;
        if Device::HAS_DIRECT
            && is_direct
            && self.hbm.output_in_place().is_none()
            && let Some(data) = self.hbm.direct_bytes(0, self.hbm.len, self.dtype.bytes())
        {
            self.data = data.wrapping_add(area.column * self.dtype.bytes());
            self.is_apart = true;
            return Ok(());
        }
        self.data = self.tcm;
        let (rows, start) = ((rows, area.columns), |row| self.row_start(row) + area.column);
        dma_load_rows(core, &self.hbm, self.dtype.bytes(), rows, start, self.tcm, at)?;
        self.repeat(area);
        Ok(())
    }

    /// Brings the indices of `rows` rows from `first` on, and verifies them.
    fn load_indices(
        &mut self,
        core: &Core,
        tensor: &Hbm<'_>,
        rows: usize,
        area: &Area,
        at: &'static Location<'static>,
    ) -> OpResult {
        let (start, len) = self.resident;
        if self.first < start || self.first + rows > start + len {
            self.resident = match tensor.direct::<i32>(&(0..tensor.len)) {
                Some(data) if tensor.output_in_place().is_none() => {
                    self.indices = data;
                    (0, tensor.len)
                }
                _ => {
                    let end = tensor.len.min(self.first + capacity(area.rows));
                    let tcm = self.indices.cast_mut().cast();
                    dma_load(core, tensor, &(self.first..end), tcm, at)?;
                    (self.first, end - self.first)
                }
            };
        }
        let count = self.hbm.row_count();
        for row in 0..rows {
            let index = self.index(row);
            if indices::row(index, count).is_none() {
                return Err(indices::refuse(index, &self.hbm, (tensor, self.first + row), at));
            }
        }
        Ok(())
    }

    /// The index of row `row` of the area.
    #[inline(always)]
    fn index(&self, row: usize) -> i32 {
        // SAFETY: `load_indices` has brought those of the area to `indices`, and nothing else writes there.
        unsafe { self.indices.add(self.first - self.resident.0 + row).read() }
    }

    /// The element of the tensor that row `row` of the area starts at.
    #[inline(always)]
    fn row_start(&self, row: usize) -> usize {
        match self.layout {
            // The walk's rows are as long.
            Layout::Gathered(_) => self.index(row) as usize * self.hbm.row_len(),
            Layout::Region(region) => region.row_start(&self.hbm, self.first + row),
            Layout::Dense | Layout::Random(_) => 0,
        }
    }

    /// As [`pointer`](Self::pointer).
    #[inline(always)]
    pub(super) fn pointer_apart<T>(&self, row: usize, columns: usize) -> *const T {
        if Device::HAS_DIRECT && self.is_apart {
            return self.data.cast::<T>().wrapping_add(self.row_start(if self.map.steps { row } else { 0 }));
        }
        self.pointer(row, columns)
    }
}
