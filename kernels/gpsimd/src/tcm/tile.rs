//! [`Tile`]: elements of an operand, loaded.

use core::marker::PhantomData;
use core::ops::{Deref, RangeBounds};
use core::panic::Location;
use core::slice;

use super::Tcm;
use super::reservation::Reservation;
use crate::element::Element;
use crate::error::OpResult;
use crate::indices;
use crate::lanes;
use crate::tensor::Input;

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

impl<'c> Tcm<'c> {
    /// As [`load`](Self::load), of indices of `count` elements: each must be from 0 to `count - 1`.
    ///
    /// # Errors
    /// When one is not, which says which and where, and as [`load`](Self::load).
    #[track_caller]
    pub fn load_indices(
        &self,
        indices: &Input<'_, i32>,
        range: impl RangeBounds<usize>,
        count: usize,
    ) -> OpResult<Tile<'c, i32>> {
        let at = Location::caller();
        let range = indices.hbm.resolve(&range, at)?;
        let start = range.start;
        let tile = self.load(indices, range)?;
        // In 32 bits, of which as many again fit in a vector as of usize on a host; a negative one is beyond all.
        let count_in_i32 = count.min(1 << 31) as u32;
        let is_beyond = |index: i32| index as u32 >= count_in_i32;
        if lanes::any(&tile, is_beyond)
            && let Some(number) = lanes::position(&tile, is_beyond)
            && let Some(index) = tile.get(number)
        {
            return Err(indices::refuse_beyond(*index, count, (&indices.hbm, start + number), at));
        }
        Ok(tile)
    }
}
