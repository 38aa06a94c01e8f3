//! [`Reservation`]: bytes of the pool, and the DMAs that fill and empty it.

use core::ops::Range;
use core::panic::Location;
use core::ptr;

use gpsimd_abi::{self as abi, TCM_ALIGN};

use crate::element::Element;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::tensor::Hbm;

/// Bytes of the pool that are one owner's, freed when dropped.
pub(crate) struct Reservation<'c> {
    pub(super) core: &'c Core,
    pub(crate) tcm: *mut u8,
    bytes: usize,
    /// Where the kernel took it.
    pub(super) at: &'static Location<'static>,
}

impl<'c> Reservation<'c> {
    /// Reserves room for `len` elements, in whole multiples of 64 bytes. Nothing is reserved for nothing.
    #[inline]
    pub(super) fn take<T: Element>(core: &'c Core, len: usize, at: &'static Location<'static>) -> OpResult<Self> {
        let bytes = len.saturating_mul(size_of::<T>()).checked_next_multiple_of(TCM_ALIGN).unwrap_or(usize::MAX);
        Self::take_bytes(core, bytes, at)
    }

    /// Reserves `bytes` bytes, a multiple of 64 or more than there can be.
    #[inline]
    pub(crate) fn take_bytes(core: &'c Core, bytes: usize, at: &'static Location<'static>) -> OpResult<Self> {
        if bytes == 0 {
            return Ok(Self { core, tcm: ptr::without_provenance_mut(TCM_ALIGN), bytes, at });
        }
        match core.device.tcm_alloc(bytes, at) {
            Some(tcm) => Ok(Self { core, tcm, bytes, at }),
            None => Err(OpError::TcmExhausted { asked: bytes, left: core.device.tcm_left() }),
        }
    }

    /// Zeroes the reservation where the host has left there what was there before, so that a kernel that forgets to
    /// write it computes the same wrong result every time. Checked mode tells it from zeros.
    #[inline]
    pub(super) fn refresh(&self) {
        if self.core.device.pool_is_stale() {
            // SAFETY: `tcm` leads to `bytes` bytes that are this reservation's alone.
            unsafe { self.tcm.write_bytes(0, self.bytes) };
        }
    }

    /// Reports a DMA that does not fit the reservation, at the kernel's call.
    #[cold]
    pub(super) fn refuse(&self, why: &'static str, at: &'static Location<'static>) -> OpError {
        self.core.device.fail(abi::FAILURE_REFUSED, why, at);
        OpError::Reported
    }
}

impl Drop for Reservation<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.bytes != 0 {
            self.core.device.tcm_free(self.tcm, self.bytes, self.at);
        }
    }
}

/// Loads the elements in `range` of `hbm` to `tcm`, which leads to room for them.
#[inline]
pub(crate) fn dma_load(
    core: &Core,
    hbm: &Hbm<'_>,
    range: &Range<usize>,
    tcm: *mut u8,
    at: &'static Location<'static>,
) -> OpResult {
    let start = hbm.address(range, at)?;
    let loaded = range.is_empty() || core.device.load(hbm.tensor, start, range.len(), tcm, at);
    if loaded { Ok(()) } else { Err(OpError::Reported) }
}

/// Stores as many elements from `tcm` to `range` of `hbm`.
#[inline]
pub(crate) fn dma_store(
    core: &Core,
    hbm: &Hbm<'_>,
    range: &Range<usize>,
    tcm: *const u8,
    at: &'static Location<'static>,
) -> OpResult {
    let start = hbm.address(range, at)?;
    let stored = range.is_empty() || core.device.store(hbm.tensor, start, range.len(), tcm, at);
    if stored { Ok(()) } else { Err(OpError::Reported) }
}
