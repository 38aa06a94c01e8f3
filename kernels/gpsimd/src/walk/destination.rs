//! [`Destination`]: an output during a walk. Without its element type: all walks of a kernel image share this code.

use core::panic::Location;

use gpsimd_abi::{self as abi, DType};

use super::plan::{Area, slot_bytes};
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tcm::dma_store;
use crate::tensor::Hbm;

/// An output during a walk.
#[doc(hidden)]
pub struct Destination<'l> {
    pub(super) hbm: Hbm<'l>,
    pub(super) dtype: DType,
    pub(super) tcm: *mut u8,
    /// Where its first element is, once this core may write there.
    direct: *mut u8,
}

impl<'l> Destination<'l> {
    #[inline(always)]
    pub(super) fn new(hbm: Hbm<'l>, dtype: DType) -> Self {
        Self { hbm, dtype, tcm: core::ptr::null_mut(), direct: core::ptr::null_mut() }
    }

    /// Fails unless it has `len` elements, as another output of the walk.
    pub(super) fn verify(&self, core: &Core, len: usize, at: &'static Location<'static>) -> OpResult {
        if self.hbm.len == len {
            return Ok(());
        }
        let message = "the outputs of a walk are of one size: one has {} elements, another {}";
        core.device.fail_with(abi::FAILURE_REFUSED, message, &[len, self.hbm.len], at);
        Err(OpError::Reported)
    }

    /// Bytes of TCM that an area takes.
    pub(super) fn tcm_bytes(&self, rows: usize, columns: usize) -> usize {
        slot_bytes(self.dtype, rows.saturating_mul(columns))
    }

    /// Claims elements for this core; whether it may then write them where they are.
    pub(super) fn claim(&mut self, start: usize, len: usize, at: &'static Location<'static>) -> OpResult<bool> {
        let Some(data) = self.hbm.claim_bytes(start, len, self.dtype.bytes(), at)? else { return Ok(false) };
        self.direct = data.wrapping_sub(start * self.dtype.bytes());
        Ok(true)
    }

    /// Where row `row` of the area from element `start` on is to be written; every row has `columns` there.
    #[inline(always)]
    pub(super) fn pointer<T>(&self, start: usize, row: usize, columns: usize, is_direct: bool) -> *mut T {
        let area = if is_direct { self.direct.cast::<T>().wrapping_add(start) } else { self.tcm.cast() };
        area.wrapping_add(row * columns)
    }

    /// Sends an area from element `start` on that was written in TCM.
    pub(super) fn store(&self, core: &Core, start: usize, area: &Area, at: &'static Location<'static>) -> OpResult {
        dma_store(core, &self.hbm, &(start..start + area.rows * area.columns), self.tcm, at)
    }
}
