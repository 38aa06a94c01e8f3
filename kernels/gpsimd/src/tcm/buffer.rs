//! [`Buffer`]: elements in TCM that belong to no tensor.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut, RangeBounds};
use core::panic::Location;
use core::slice;

use super::reservation::{Reservation, dma_load, dma_store};
use super::rows::Strided;
use crate::element::Element;
use crate::error::OpResult;
use crate::tensor::{Input, Output};

/// Elements in TCM that belong to no tensor, from [`Tcm::buffer`](super::Tcm::buffer): scratch, and what is loaded
/// again and again.
pub struct Buffer<'c, T> {
    pub(super) len: usize,
    pub(super) reservation: Reservation<'c>,
    pub(super) element: PhantomData<&'c mut T>,
}

impl<T: Element> Buffer<'_, T> {
    /// Loads the elements in `range` of `input` to the front of the buffer: HBM to TCM, one DMA.
    ///
    /// # Errors
    /// When `range` runs backwards, is longer than the buffer or leaves the tensor.
    #[track_caller]
    pub fn load(&mut self, input: &Input<'_, T>, range: impl RangeBounds<usize>) -> OpResult<&mut [T]> {
        let at = Location::caller();
        let range = input.hbm.resolve(&range, at)?;
        if range.len() > self.len {
            return Err(self.reservation.refuse("a load is longer than the TCM buffer it goes to", at));
        }
        dma_load(self.reservation.core, &input.hbm, &range, self.reservation.tcm, at)?;
        // It is inside, as was found; a slice index would bring its panic's messages into the constants of an image.
        Ok(self.get_mut(..range.len()).unwrap_or_default())
    }

    /// Sends the front of the buffer to the elements in `range` of `output`: TCM to HBM, one DMA.
    ///
    /// # Errors
    /// When `range` runs backwards, is longer than the buffer or leaves the tensor.
    #[track_caller]
    pub fn store(&self, output: &mut Output<'_, T>, range: impl RangeBounds<usize>) -> OpResult {
        let at = Location::caller();
        let range = output.hbm.resolve(&range, at)?;
        if range.len() > self.len {
            return Err(self.reservation.refuse("a store is longer than the TCM buffer it comes from", at));
        }
        dma_store(self.reservation.core, &output.hbm, &range, self.reservation.tcm, at)
    }

    /// Sends the front of the buffer to rows of `output` that follow each other at a distance: TCM to HBM, a DMA for each.
    ///
    /// # Errors
    /// When the rows overlap, are longer than the buffer together or leave the tensor.
    #[track_caller]
    pub fn store_2d(&self, output: &mut Output<'_, T>, rows: Strided) -> OpResult {
        let at = Location::caller();
        rows.verify(&output.hbm, at)?;
        let Strided { start, rows, columns, stride } = rows;
        if rows > 1 && stride < columns {
            return Err(self
                .reservation
                .refuse("the rows of a store overlap: its stride is less than their length", at));
        }
        if rows.saturating_mul(columns) > self.len {
            return Err(self.reservation.refuse("a store is longer than the TCM buffer it comes from", at));
        }
        for row in 0..rows {
            let first = start + row * stride;
            let from = self.reservation.tcm.wrapping_add(row * columns * size_of::<T>());
            dma_store(self.reservation.core, &output.hbm, &(first..first + columns), from, at)?;
        }
        Ok(())
    }
}

impl<T: Element> Deref for Buffer<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `reservation` reserves `len` elements, 64-byte aligned; the pool is initialised memory and any bits
        // are a `T`; nothing else leads there.
        unsafe { slice::from_raw_parts(self.reservation.tcm.cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and the buffer is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.reservation.tcm.cast(), self.len) }
    }
}
