//! [`Window`]: single elements of an operand, one after the other.

use core::marker::PhantomData;
use core::panic::Location;

use super::Tcm;
use super::reservation::{Reservation, dma_load};
use crate::element::Element;
use crate::error::OpResult;
use crate::tensor::{Hbm, Input};

/// Elements that are loaded together.
const LEN: usize = 64;

/// A window onto an operand, from [`Tcm::window`]: one element at a time, of which those beside each other are loaded
/// together.
pub struct Window<'c, T> {
    hbm: Hbm<'c>,
    reservation: Reservation<'c>,
    /// Which elements `data` leads to.
    start: usize,
    len: usize,
    data: *const T,
    at: &'static Location<'static>,
    element: PhantomData<&'c T>,
}

impl<'c> Tcm<'c> {
    /// A window onto `input`, for a value that every row has: a label, a length, a mean. It takes TCM for 64 elements.
    ///
    /// # Errors
    /// When the pool is exhausted.
    #[track_caller]
    pub fn window<T: Element>(&self, input: &Input<'c, T>) -> OpResult<Window<'c, T>> {
        let at = Location::caller();
        let reservation = Reservation::take::<T>(self.core, LEN, at)?;
        let mut window = Window {
            hbm: input.hbm,
            data: reservation.tcm.cast_const().cast(),
            reservation,
            start: 0,
            len: 0,
            at,
            element: PhantomData,
        };
        if input.hbm.output_in_place().is_none()
            && let Some(data) = input.hbm.direct::<T>(&(0..input.len()))
        {
            (window.data, window.len) = (data, input.len());
        }
        Ok(window)
    }
}

impl<T: Element> Window<'_, T> {
    /// Element `i` of the operand. Loads it with those beside it, unless it is here.
    ///
    /// # Errors
    /// When the operand has no such element.
    #[inline]
    pub fn get(&mut self, i: usize) -> OpResult<T> {
        if i.wrapping_sub(self.start) >= self.len {
            self.load(i)?;
        }
        // SAFETY: `data` leads to the elements from `start` on, of which `i` is one.
        Ok(unsafe { self.data.add(i - self.start).read() })
    }

    #[cold]
    #[inline(never)]
    fn load(&mut self, i: usize) -> OpResult {
        // Past the end nothing is rounded, so that the DMA fails, and the host says which element was asked for.
        let range = if i < self.hbm.len {
            let start = i / LEN * LEN;
            start..(start + LEN).min(self.hbm.len)
        } else {
            i..i.saturating_add(1)
        };
        self.len = 0;
        dma_load(self.reservation.core, &self.hbm, &range, self.reservation.tcm, self.at)?;
        (self.start, self.len) = (range.start, range.len());
        self.data = self.reservation.tcm.cast_const().cast();
        Ok(())
    }
}
