//! [`Source`]: an operand during a walk. Without its element type: all walks of a kernel image share this code.

use core::panic::Location;

use gpsimd_abi::{self as abi, DType};

use super::broadcast::{Extent, RowMap};
use super::plan::{Area, slot_bytes};
use crate::device::Device;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tcm::dma_load;
use crate::tensor::Hbm;

/// An operand during a walk.
#[doc(hidden)]
pub struct Source<'l> {
    pub(super) hbm: Hbm<'l>,
    dtype: DType,
    pub(super) map: RowMap,
    /// Whether it shares the TCM of the output of its position.
    pub(super) is_shared: bool,
    /// Its TCM.
    tcm: *mut u8,
    /// First element of the area that was loaded last.
    data: *const u8,
    /// What is in its TCM: first element and number.
    resident: (usize, usize),
}

impl<'l> Source<'l> {
    #[inline(always)]
    pub(super) fn new(hbm: Hbm<'l>, dtype: DType) -> Self {
        let nowhere = core::ptr::null_mut();
        Self { hbm, dtype, map: RowMap::FULL, is_shared: false, tcm: nowhere, data: nowhere, resident: (0, 0) }
    }

    /// Finds how the operand of number `index` is broadcast, where the output of its position has dtype `output`.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn prepare(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        output: Option<DType>,
        index: usize,
        at: &'static Location<'static>,
    ) -> OpResult {
        self.map = RowMap::of(core, walk, &self.hbm, index, at)?;
        self.is_shared = output == Some(self.dtype);
        if self.is_shared && !self.map.is_full {
            let message = "operand {} of the walk shares the TCM of the output of its position, so it has the output's \
                           shape: name operands that are broadcast after it";
            core.device.fail_with(abi::FAILURE_REFUSED, message, &[index], at);
            return Err(OpError::Reported);
        }
        Ok(())
    }

    /// Whether all of it is reached where it is.
    pub(super) fn is_reached(&self) -> bool {
        self.hbm.direct_bytes(0, self.hbm.len, self.dtype.bytes()).is_some()
    }

    /// Elements of an area of the walk.
    fn len(&self, rows: usize, columns: usize) -> usize {
        if self.map.steps { rows.saturating_mul(columns) } else { columns }
    }

    /// Bytes of TCM of its own that an area takes.
    pub(super) fn tcm_bytes(&self, rows: usize, columns: usize) -> usize {
        if self.is_shared { 0 } else { slot_bytes(self.dtype, self.len(rows, columns)) }
    }

    /// Gives it its TCM.
    pub(super) fn place(&mut self, tcm: *mut u8) {
        self.tcm = tcm;
    }

    /// Brings the elements of an area.
    pub(super) fn load(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        area: &Area,
        is_direct: bool,
        at: &'static Location<'static>,
    ) -> OpResult {
        let start = self.map.row(walk, &self.hbm, area.row) * walk.columns + area.column;
        let len = self.len(area.rows, area.columns);
        // What is replaced in place is read before it is, or where it is.
        if Device::HAS_DIRECT
            && is_direct
            && (self.is_shared || self.hbm.output_in_place().is_none())
            && let Some(data) = self.hbm.direct_bytes(start, len, self.dtype.bytes())
        {
            self.data = data;
            return Ok(());
        }
        self.data = self.tcm;
        // Results take the place of what is shared.
        if self.is_shared || self.resident != (start, len) {
            dma_load(core, &self.hbm, &(start..start + len), self.tcm, at)?;
            self.resident = (start, len);
        }
        Ok(())
    }

    /// Where row `row` of the area that was loaded last is; every row has `columns` there.
    #[inline(always)]
    pub(super) fn pointer<T>(&self, row: usize, columns: usize) -> *const T {
        let data = self.data.cast::<T>();
        if self.map.steps { data.wrapping_add(row * columns) } else { data }
    }

    /// Whether it is part of an output's storage, but not the part that `output`, that of its position, is.
    pub(super) fn is_entangled(&self, output: &Hbm<'_>) -> bool {
        let is_elsewhere = |tensor| (tensor, self.hbm.start) != (output.tensor, output.start);
        self.is_shared && self.hbm.output_in_place().is_some_and(is_elsewhere)
    }
}
