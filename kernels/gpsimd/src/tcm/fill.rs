//! [`Tcm::fill`]: elements of the output that are all the same.

use core::ops::RangeBounds;
use core::panic::Location;
use core::slice;

use super::Tcm;
use super::reservation::{Reservation, dma_store};
use crate::element::Element;
use crate::error::OpResult;
use crate::share::Chunks;
use crate::tensor::Output;

/// Bytes of one DMA: more go no faster.
const MOST_BYTES: usize = 4096;

impl Tcm<'_> {
    /// Every element in `range` of `output` becomes `value`: TCM to HBM, a DMA for every 4 KiB, or for as much as is left
    /// of the pool, all from the same buffer.
    ///
    /// # Errors
    /// When the pool is exhausted, `range` runs backwards or leaves the tensor, or (fast mode) has elements that another
    /// core writes.
    #[track_caller]
    #[inline]
    pub fn fill<T: Element>(&self, output: &mut Output<'_, T>, range: impl RangeBounds<usize>, value: T) -> OpResult {
        let at = Location::caller();
        let hbm = output.hbm;
        let range = hbm.resolve(&range, at)?;
        if range.is_empty() {
            return Ok(());
        }
        if let Some(data) = hbm.claim::<T>(&range, at)? {
            // SAFETY: `claim` found the elements inside the tensor, and the host has granted them to this core alone. The
            // output is borrowed mutably, so that no stage leads there.
            unsafe { slice::from_raw_parts_mut(data, range.len()) }.fill(value);
            return Ok(());
        }
        // One does not fit either where none does, and taking it will say so.
        let len = range.len().min(MOST_BYTES / size_of::<T>()).min(self.tile_len::<T>(1)).max(1);
        let reservation = Reservation::take::<T>(self.core, len, at)?;
        // SAFETY: `reservation` reserves `len` elements, aligned, of this call alone; the pool is initialised memory.
        unsafe { slice::from_raw_parts_mut(reservation.tcm.cast::<T>(), len) }.fill(value);
        for part in Chunks::of(range, len) {
            dma_store(self.core, &hbm, &part, reservation.tcm, at)?;
        }
        Ok(())
    }
}
