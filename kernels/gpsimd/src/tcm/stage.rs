//! [`Stage`]: elements for the output, not yet stored.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut, Range};
use core::panic::Location;
use core::slice;

use gpsimd_abi as abi;

use super::reservation::{Reservation, dma_store};
use crate::element::Element;
use crate::error::OpResult;
use crate::tensor::Hbm;

/// Elements for the output, not yet stored: from [`Tcm::stage`](super::Tcm::stage) or
/// [`Tcm::update`](super::Tcm::update).
///
/// Dropping it without [`store`](Self::store) is an error of the launch, unless the kernel returns another.
#[must_use = "a stage that is not stored leaves the output as it was"]
pub struct Stage<'c, 'o, T> {
    pub(super) data: *mut T,
    pub(super) hbm: Hbm<'o>,
    pub(super) range: Range<usize>,
    /// Whether `data` leads to the output itself; otherwise to TCM.
    pub(super) is_direct: bool,
    pub(super) is_done: bool,
    pub(super) reservation: Reservation<'c>,
    /// Holds on to the output, so that no second stage can overlap this one.
    pub(super) output: PhantomData<&'o mut T>,
}

impl<T: Element> Stage<'_, '_, T> {
    /// Sends the elements to the output: TCM to HBM, one DMA.
    ///
    /// # Errors
    /// When the range leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn store(mut self) -> OpResult {
        self.is_done = true;
        if self.is_direct {
            return Ok(());
        }
        dma_store(self.reservation.core, &self.hbm, &self.range, self.reservation.tcm, Location::caller())
    }
}

impl<T> Drop for Stage<'_, '_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_done && !self.range.is_empty() {
            let Reservation { core, at, .. } = self.reservation;
            core.device.fail(abi::FAILURE_DROPPED, "what was staged here was dropped without `store`", at);
        }
    }
}

impl<T: Element> Deref for Stage<'_, '_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: as for `deref_mut`.
        unsafe { slice::from_raw_parts(self.data, self.range.len()) }
    }
}

impl<T: Element> DerefMut for Stage<'_, '_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: `data` leads to `range.len()` elements, initialised and aligned: TCM reserved in `reservation` (any
        // bits are a `T`), or the output's range, which `direct` found inside the tensor. Nothing else leads there: TCM
        // is this stage's alone; the output is borrowed mutably, `load` takes no operand directly that shares storage
        // with it, and the host has granted the range to this core and to no other.
        unsafe { slice::from_raw_parts_mut(self.data, self.range.len()) }
    }
}
