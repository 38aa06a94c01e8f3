//! [`Tile`]: elements of an operand, loaded.

use core::marker::PhantomData;
use core::ops::Deref;
use core::slice;

use super::reservation::Reservation;
use crate::element::Element;

/// Elements of an operand, loaded by [`Tcm::load`](super::Tcm::load).
pub struct Tile<'c, T> {
    pub(super) data: *const T,
    pub(super) len: usize,
    pub(super) _reservation: Reservation<'c>,
    pub(super) element: PhantomData<&'c T>,
}

impl<T: Element> Deref for Tile<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `data` leads to `len` elements, initialised and aligned: TCM reserved in `_reservation` (64-byte
        // aligned, any bits are a `T`), or the operand's range, which `direct` found inside the tensor. Neither is
        // written while the tile lives: TCM is this tile's alone, and `load` takes no operand directly that shares
        // storage with the output.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}
