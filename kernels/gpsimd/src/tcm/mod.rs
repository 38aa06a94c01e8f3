//! Tightly coupled memory: buffers of a core's pool, and the DMAs between them and HBM.
//!
//! | type | filled by | emptied by | for |
//! |---|---|---|---|
//! | [`Tile`] | [`Tcm::load`] | | operands |
//! | [`RowTile`] | [`Tcm::gather`], [`Tcm::load_2d`] | | rows of operands that lie apart |
//! | [`Stage`] | the kernel, [`Tcm::stage_filled`] or [`Tcm::update`] | [`Stage::store`] | the output |
//! | [`Transform`] | [`Tcm::transform`] | [`Transform::store`] | an operand that becomes the output in place |
//! | [`Buffer`] | the kernel, or [`Buffer::load`] | [`Buffer::store`], [`Buffer::store_2d`] | scratch, and what is loaded again and again; rows that are stored apart |
//!
//! Most kernels need none of these: [`Core::map`](crate::Core::map) and [`Core::rows`](crate::Core::rows) walk the
//! tiles of a tensor by themselves.
//!
//! Buffers are 64-byte aligned and freed in reverse order of their making, which scopes do by themselves. Any other
//! order is an error of the launch; what was freed too early is not handed out again in it, so that nothing overlaps.
//!
//! In the emulator's fast mode a tile *is* the part of the operand it would be a copy of, and a stage the part of the
//! output: PyTorch's own operators do not copy either, and no kernel can tell. The pool is accounted for all the same.
//!
//! # Why the `unsafe` code here is sound
//!
//! A slice of TCM leads to a reservation that is its owner's alone: reservations overlap with none that lives, in
//! whatever order they are dropped, and the pool is initialised memory. A slice of a tensor leads to elements that are
//! inside it; those of the output have been claimed, which the host grants to one core, and are borrowed mutably from
//! the [`Output`]; those of the operand that a launch replaces in place are copied. `cargo xtask miri` interprets this
//! on a host, in both modes: `tests/spanning/tests/soundness.rs` has kernels that try to break it, by swapping and
//! forgetting stages, by staging what another core has, by parts that would overlap or leave the output. Of a kernel
//! image there is nothing that Miri could run.

mod buffer;
mod fill;
mod reservation;
mod rows;
mod stage;
mod tile;
mod transform;
mod window;

use core::marker::PhantomData;
use core::ops::{Range, RangeBounds};
use core::panic::Location;
use core::ptr;

use gpsimd_abi::TCM_ALIGN;

pub use self::buffer::Buffer;
pub(crate) use self::reservation::{Reservation, dma_load, dma_store};
pub(crate) use self::rows::dma_load_rows;
pub use self::rows::{RowTile, Strided};
pub use self::stage::Stage;
pub use self::tile::Tile;
pub use self::transform::{Transform, TransformRow};
pub use self::window::Window;
use crate::element::Element;
use crate::engine_core::Core;
use crate::error::OpResult;
use crate::tensor::{Input, Output};

/// A core's TCM pool: 16 KiB on the device, of which an op library keeps what it says in `op_library!`.
#[derive(Clone, Copy)]
pub struct Tcm<'c> {
    core: &'c Core,
}

impl<'c> Tcm<'c> {
    pub(crate) fn of(core: &'c Core) -> Self {
        Self { core }
    }

    /// Bytes of the pool that are free.
    pub fn left(&self) -> usize {
        self.core.device.tcm_left()
    }

    /// The most elements that each of `tiles` equal buffers can have at the same time in the rest of the pool; a
    /// multiple of 64 bytes, possibly 0.
    pub fn tile_len<T: Element>(&self, tiles: usize) -> usize {
        self.left() / tiles.max(1) / TCM_ALIGN * TCM_ALIGN / size_of::<T>()
    }

    /// Loads the elements in `range` of `input`: HBM to TCM, one DMA.
    ///
    /// # Errors
    /// When the pool is exhausted, or `range` runs backwards or leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn load<T: Element>(&self, input: &Input<'_, T>, range: impl RangeBounds<usize>) -> OpResult<Tile<'c, T>> {
        let at = Location::caller();
        let range = input.hbm.resolve(&range, at)?;
        let reservation = Reservation::take::<T>(self.core, range.len(), at)?;
        let data = match input.hbm.direct::<T>(&range) {
            Some(data) if input.hbm.output_in_place().is_none() => data,
            _ => {
                dma_load(self.core, &input.hbm, &range, reservation.tcm, at)?;
                reservation.tcm.cast()
            }
        };
        Ok(Tile { data, len: range.len(), _reservation: reservation, element: PhantomData })
    }

    /// Reserves TCM for the elements in `range` of `output`, all of which the kernel is to write; [`Stage::store`]
    /// sends them. On the device what it does not write is what the pool held before, which checked mode reports.
    ///
    /// # Errors
    /// When the pool is exhausted, `range` runs backwards, or (fast mode; otherwise `store` says so) leaves the tensor
    /// or has elements that another core writes.
    #[track_caller]
    #[inline]
    pub fn stage<'o, T: Element>(
        &self,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
    ) -> OpResult<Stage<'c, 'o, T>> {
        let at = Location::caller();
        let range = output.hbm.resolve(&range, at)?;
        let stage = self.open(output, range, at)?;
        if stage.is_direct {
            // SAFETY: as for `deref_mut` of the stage; all bits zero are a `T`.
            unsafe { stage.data.write_bytes(0, stage.range.len()) };
        } else {
            stage.reservation.refresh();
        }
        Ok(stage)
    }

    /// As [`stage`](Self::stage), with all elements of `value`.
    ///
    /// # Errors
    /// As [`stage`](Self::stage).
    #[track_caller]
    #[inline]
    pub fn stage_filled<'o, T: Element>(
        &self,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
        value: T,
    ) -> OpResult<Stage<'c, 'o, T>> {
        let at = Location::caller();
        let range = output.hbm.resolve(&range, at)?;
        let mut stage = self.open(output, range, at)?;
        stage.fill(value);
        Ok(stage)
    }

    /// A stage whose content is unspecified, directly in the output where the host lets it.
    #[inline]
    fn open<'o, T: Element>(
        &self,
        output: &'o mut Output<'_, T>,
        range: Range<usize>,
        at: &'static Location<'static>,
    ) -> OpResult<Stage<'c, 'o, T>> {
        let reservation = Reservation::take::<T>(self.core, range.len(), at)?;
        // In place the output holds what the kernel may have yet to load: it must not be written before `store`.
        let direct = if self.core.device.is_in_place() { None } else { output.hbm.claim::<T>(&range, at)? };
        Ok(Stage {
            data: direct.unwrap_or(reservation.tcm.cast()),
            hbm: output.hbm,
            range,
            is_direct: direct.is_some(),
            is_done: false,
            reservation,
            output: PhantomData,
        })
    }

    /// Loads the elements in `range` of `input` into a stage for the same range of `output`: read, modify,
    /// [`Stage::store`]. This is how the operand that the output replaces is read.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`stage`](Self::stage).
    #[track_caller]
    #[inline]
    pub fn update<'o, T: Element>(
        &self,
        input: &Input<'_, T>,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
    ) -> OpResult<Stage<'c, 'o, T>> {
        let at = Location::caller();
        let range = input.hbm.resolve(&range, at)?;
        let mut stage = self.open(output, range.clone(), at)?;
        let loaded = match input.hbm.direct::<T>(&range) {
            // SAFETY: `direct` found both ranges inside their tensors, `range.len()` elements each, and these have
            // storage of their own where a stage is direct.
            Some(data) if stage.is_direct => unsafe {
                ptr::copy_nonoverlapping(data, stage.data, range.len());
                Ok(())
            },
            // Outside the operand the host reports it before anything is copied.
            _ => dma_load(self.core, &input.hbm, &range, stage.reservation.tcm, at),
        };
        // Whoever could not load has nothing to lose.
        stage.is_done = loaded.is_err();
        loaded.map(|()| stage)
    }

    /// Loads the elements in `range` of `input`, to be changed into those in the same range of `output`: both have the
    /// same TCM, which leaves room for larger tiles than a [`Tile`] and a [`Stage`] would.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`stage`](Self::stage).
    #[track_caller]
    #[inline]
    pub fn transform<'o, T: Element>(
        &self,
        input: &'o Input<'_, T>,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
    ) -> OpResult<Transform<'c, 'o, T>> {
        let at = Location::caller();
        let range = input.hbm.resolve(&range, at)?;
        let mut stage = self.open(output, range.clone(), at)?;
        let from = match input.hbm.direct::<T>(&range) {
            Some(data) if stage.is_direct => data.cast_const(),
            _ => {
                let loaded = dma_load(self.core, &input.hbm, &range, stage.reservation.tcm, at);
                stage.is_done = loaded.is_err();
                loaded?;
                stage.reservation.tcm.cast_const().cast()
            }
        };
        Ok(Transform { from, stage, produced: transform::Produced::default() })
    }

    /// Reserves TCM for `len` elements, all of which the kernel is to write before it reads them. On the device they
    /// hold what the pool held before, which checked mode reports.
    ///
    /// # Errors
    /// When the pool is exhausted.
    #[track_caller]
    pub fn buffer<T: Element>(&self, len: usize) -> OpResult<Buffer<'c, T>> {
        let reservation = Reservation::take::<T>(self.core, len, Location::caller())?;
        reservation.refresh();
        Ok(Buffer { len, reservation, element: PhantomData })
    }
}
