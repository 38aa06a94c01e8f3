//! Tightly coupled memory: buffers of a core's pool, and the DMAs between them and HBM.
//!
//! | type | filled by | emptied by | for |
//! |---|---|---|---|
//! | [`Tile`] | [`Tcm::load`] | | operands |
//! | [`Stage`] | the kernel, or [`Tcm::update`] | [`Stage::store`] | the output |
//! | [`Transform`] | [`Tcm::transform`] | [`Transform::store`] | an operand that becomes the output where it is |
//! | [`Buffer`] | the kernel, or [`Buffer::load`] | [`Buffer::store`] | scratch, and what is loaded again and again |
//!
//! Buffers are 64-byte aligned and freed in reverse order of their making, which scopes do by themselves.
//!
//! In the emulator's fast mode a tile *is* the part of the operand it would be a copy of, and a stage the part of the
//! output: PyTorch's own operators do not copy either, and no kernel can tell. The pool is accounted for all the same.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut, Range, RangeBounds};
use core::panic::Location;
use core::{ptr, slice};

use gpsimd_abi::{self as abi, TCM_ALIGN};

use crate::core::Core;
use crate::element::Float;
use crate::error::{OpError, OpResult};
use crate::tensor::{Hbm, Input, Output, resolve};

/// A core's TCM pool: 16 KiB on the device.
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

    /// The most elements that each of `tiles` equal buffers can have at the same time in what is left of the pool; a
    /// multiple of 64 bytes, possibly 0.
    pub fn tile_len<T: Float>(&self, tiles: usize) -> usize {
        self.left() / tiles.max(1) / TCM_ALIGN * TCM_ALIGN / size_of::<T>()
    }

    /// Loads the elements in `range` of `input`: HBM to TCM, one DMA.
    ///
    /// # Errors
    /// When the pool is exhausted, or `range` leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn load<T: Float>(&self, input: &Input<'_, T>, range: impl RangeBounds<usize>) -> OpResult<Tile<'c, T>> {
        let at = Location::caller();
        let range = resolve(&range, input.len());
        let memory = Memory::take::<T>(self.core, range.len(), at)?;
        let data = match input.hbm.direct::<T>(&range) {
            Some(data) if !input.hbm.shares_storage_with_output() => data,
            _ => {
                dma_load(&input.hbm, &range, &memory, at)?;
                memory.tcm.cast()
            }
        };
        Ok(Tile { data, len: range.len(), _memory: memory, element: PhantomData })
    }

    /// Reserves TCM for the elements in `range` of `output`. What it holds is unspecified; [`Stage::store`] sends it.
    ///
    /// # Errors
    /// When the pool is exhausted, or (fast mode; otherwise `store` says so) `range` leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn stage<'o, T: Float>(
        &self,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
    ) -> OpResult<Stage<'c, 'o, T>> {
        let at = Location::caller();
        let range = resolve(&range, output.len());
        let memory = Memory::take::<T>(self.core, range.len(), at)?;
        let data = output.hbm.direct(&range).unwrap_or(memory.tcm.cast());
        Ok(Stage { data, hbm: output.hbm, range, memory, output: PhantomData })
    }

    /// Loads the elements in `range` of `input` into a stage for the same range of `output`: read, modify,
    /// [`Stage::store`]. This is how the operand that the output replaces is read.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`stage`](Self::stage).
    #[track_caller]
    #[inline]
    pub fn update<'o, T: Float>(
        &self,
        input: &Input<'_, T>,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
    ) -> OpResult<Stage<'c, 'o, T>> {
        let at = Location::caller();
        let range = resolve(&range, input.len());
        let stage = self.stage(output, range.clone())?;
        if stage.is_in_tcm() {
            dma_load(&input.hbm, &range, &stage.memory, at)?;
        } else if let Some(data) = input.hbm.direct::<T>(&range) {
            // SAFETY: `direct` found both ranges inside their tensors, `range.len()` elements each; `copy` lets them be
            // the same storage.
            unsafe { ptr::copy(data, stage.data, range.len()) };
        } else {
            // Outside the operand: the host reports it before anything is copied.
            dma_load(&input.hbm, &range, &stage.memory, at)?;
        }
        Ok(stage)
    }

    /// Loads the elements in `range` of `input`, to be changed into those in the same range of `output`: both have the same
    /// TCM, which leaves room for larger tiles than a [`Tile`] and a [`Stage`] would.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`stage`](Self::stage).
    #[track_caller]
    #[inline]
    pub fn transform<'o, T: Float>(
        &self,
        input: &'o Input<'_, T>,
        output: &'o mut Output<'_, T>,
        range: impl RangeBounds<usize>,
    ) -> OpResult<Transform<'c, 'o, T>> {
        let at = Location::caller();
        let range = resolve(&range, input.len());
        let stage = self.stage(output, range.clone())?;
        let direct = if stage.is_in_tcm() { None } else { input.hbm.direct::<T>(&range) };
        let from = if let Some(data) = direct {
            data
        } else {
            dma_load(&input.hbm, &range, &stage.memory, at)?;
            stage.memory.tcm.cast()
        };
        Ok(Transform { from, stage })
    }

    /// Reserves TCM for `len` elements. What they hold is unspecified.
    ///
    /// # Errors
    /// When the pool is exhausted.
    #[track_caller]
    pub fn buffer<T: Float>(&self, len: usize) -> OpResult<Buffer<'c, T>> {
        let memory = Memory::take::<T>(self.core, len, Location::caller())?;
        Ok(Buffer { len, memory, element: PhantomData })
    }
}

/// Elements of an operand, loaded.
pub struct Tile<'c, T> {
    data: *mut T,
    len: usize,
    _memory: Memory<'c>,
    element: PhantomData<&'c T>,
}

impl<T: Float> Deref for Tile<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `data` leads to `len` elements, initialised and aligned: TCM reserved in `_memory` (64-byte aligned,
        // any bits are a `T`), or the operand's range, which `direct` found inside the tensor. Neither is written while
        // the tile lives: TCM is this tile's alone, and `direct` gives no operand that shares storage with the output.
        unsafe { slice::from_raw_parts(self.data, self.len) }
    }
}

/// Elements for the output, not yet stored.
#[must_use = "a stage that is not stored leaves the output as it was"]
pub struct Stage<'c, 'o, T> {
    data: *mut T,
    hbm: Hbm<'o>,
    range: Range<usize>,
    memory: Memory<'c>,
    /// Holds on to the output, so that no second stage can overlap this one.
    output: PhantomData<&'o mut T>,
}

impl<T: Float> Stage<'_, '_, T> {
    /// Sends the elements to the output: TCM to HBM, one DMA.
    ///
    /// # Errors
    /// When the range leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn store(self) -> OpResult {
        if self.is_in_tcm() { dma_store(&self.hbm, &self.range, &self.memory, Location::caller()) } else { Ok(()) }
    }

    #[inline(always)]
    fn is_in_tcm(&self) -> bool {
        self.data.cast() == self.memory.tcm
    }
}

impl<T: Float> Deref for Stage<'_, '_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: as for `deref_mut`.
        unsafe { slice::from_raw_parts(self.data, self.range.len()) }
    }
}

impl<T: Float> DerefMut for Stage<'_, '_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: `data` leads to `range.len()` elements, initialised and aligned: TCM reserved in `memory`, or the output's
        // range, which `direct` found inside the tensor. On this core nothing else leads there: TCM is this stage's
        // alone, the output is borrowed mutably, and `direct` gives no tile of an operand that shares storage with it.
        // That cores share the output without overlap is the kernel's to keep and checked mode's to verify.
        unsafe { slice::from_raw_parts_mut(self.data, self.range.len()) }
    }
}

/// Elements of an operand on their way to be elements of the output.
#[must_use = "a transform that is not stored leaves the output as it was"]
pub struct Transform<'c, 'o, T> {
    /// The operand's elements: where the output's are, or (fast mode) in the operand itself.
    from: *const T,
    stage: Stage<'c, 'o, T>,
}

impl<T: Float> Transform<'_, '_, T> {
    /// The elements in parts of `len`; what is left over at the end is in none.
    ///
    /// # Panics
    /// When `len` is 0.
    #[inline(always)]
    pub fn rows(&mut self, len: usize) -> impl Iterator<Item = Row<'_, T>> {
        assert!(len != 0, "rows of no elements");
        let (from, to) = (self.from, self.stage.data);
        (0..self.stage.range.len() / len).map(move |row| Row {
            from: from.wrapping_add(row * len),
            to: to.wrapping_add(row * len),
            len,
            memory: PhantomData,
        })
    }

    /// Sends the elements to the output: TCM to HBM, one DMA.
    ///
    /// # Errors
    /// When the range leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn store(self) -> OpResult {
        self.stage.store()
    }
}

/// A part of a [`Transform`].
pub struct Row<'t, T> {
    from: *const T,
    to: *mut T,
    len: usize,
    memory: PhantomData<&'t mut T>,
}

impl<T: Float> Row<'_, T> {
    /// The operand's elements, until [`map`](Self::map) takes the row.
    #[inline(always)]
    pub fn old(&self) -> &[T] {
        // SAFETY: `from` leads to `len` elements of the transform, initialised and aligned: in its TCM, or of the operand's
        // range, which nothing writes, or, where it is the output's, this row alone, which `map2` consumes.
        unsafe { slice::from_raw_parts(self.from, self.len) }
    }

    /// Every element becomes `f` of it and the one beside it in `a`, which is at least as long.
    ///
    /// # Panics
    /// When `a` is shorter.
    #[inline(always)]
    pub fn map<A: Copy>(self, a: &[A], f: impl Fn(T, A) -> T) {
        self.map2(a, a, |element, a, _| f(element, a));
    }

    /// Every element becomes `f` of it and those beside it in `a` and `b`, which are at least as long.
    ///
    /// # Panics
    /// When `a` or `b` is shorter.
    #[inline(always)]
    pub fn map2<A: Copy, B: Copy>(self, a: &[A], b: &[B], f: impl Fn(T, A, B) -> T) {
        let (a, b) = (&a[..self.len], &b[..self.len]);
        // SAFETY: `to` leads to `len` elements of the transform's stage, initialised and aligned, of this row alone.
        let to = unsafe { slice::from_raw_parts_mut(self.to, self.len) };
        if ptr::eq(self.from, self.to) {
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                *to = f(*to, *a, *b);
            }
        } else {
            // SAFETY: as in `old`. The operand's storage is not the output's: `from` would be `to` then, as both have the
            // same range.
            let from = unsafe { slice::from_raw_parts(self.from, self.len) };
            for (((to, from), a), b) in to.iter_mut().zip(from).zip(a).zip(b) {
                *to = f(*from, *a, *b);
            }
        }
    }
}

/// Elements in TCM that belong to no tensor.
pub struct Buffer<'c, T> {
    len: usize,
    memory: Memory<'c>,
    element: PhantomData<&'c mut T>,
}

impl<T: Float> Buffer<'_, T> {
    /// Loads the elements in `range` of `input` to the front of the buffer: HBM to TCM, one DMA.
    ///
    /// # Errors
    /// When `range` is longer than the buffer or leaves the tensor.
    #[track_caller]
    pub fn load(&mut self, input: &Input<'_, T>, range: impl RangeBounds<usize>) -> OpResult<&mut [T]> {
        let at = Location::caller();
        let range = resolve(&range, input.len());
        if range.len() > self.len {
            return Err(self.memory.refuse("a load is longer than the TCM buffer it goes to", at));
        }
        dma_load(&input.hbm, &range, &self.memory, at)?;
        Ok(&mut self[..range.len()])
    }

    /// Sends the front of the buffer to the elements in `range` of `output`: TCM to HBM, one DMA.
    ///
    /// # Errors
    /// When `range` is longer than the buffer or leaves the tensor.
    #[track_caller]
    pub fn store(&self, output: &mut Output<'_, T>, range: impl RangeBounds<usize>) -> OpResult {
        let at = Location::caller();
        let range = resolve(&range, output.len());
        if range.len() > self.len {
            return Err(self.memory.refuse("a store is longer than the TCM buffer it comes from", at));
        }
        dma_store(&output.hbm, &range, &self.memory, at)
    }
}

impl<T: Float> Deref for Buffer<'_, T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `memory` reserves `len` elements, 64-byte aligned; the pool is initialised memory and any bits are a
        // `T`; nothing else leads there.
        unsafe { slice::from_raw_parts(self.memory.tcm.cast(), self.len) }
    }
}

impl<T: Float> DerefMut for Buffer<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and the buffer is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.memory.tcm.cast(), self.len) }
    }
}

/// A reservation in the pool, given back when dropped.
struct Memory<'c> {
    core: &'c Core,
    tcm: *mut u8,
    bytes: usize,
    at: &'static Location<'static>,
}

impl<'c> Memory<'c> {
    /// Reserves room for `len` elements, in whole multiples of 64 bytes. Nothing is reserved for nothing.
    #[inline]
    fn take<T: Float>(core: &'c Core, len: usize, at: &'static Location<'static>) -> OpResult<Self> {
        let bytes = len.saturating_mul(size_of::<T>()).checked_next_multiple_of(TCM_ALIGN).unwrap_or(usize::MAX);
        if bytes == 0 {
            return Ok(Self { core, tcm: ptr::without_provenance_mut(TCM_ALIGN), bytes, at });
        }
        match core.device.tcm_alloc(bytes, at) {
            Some(tcm) => Ok(Self { core, tcm, bytes, at }),
            None => Err(OpError::TcmExhausted { asked: bytes, left: core.device.tcm_left() }),
        }
    }

    /// Reports a DMA that does not fit the reservation, at the kernel's call.
    #[cold]
    fn refuse(&self, why: &'static str, at: &'static Location<'static>) -> OpError {
        self.core.device.fail(abi::FAILURE_REFUSED, why, at);
        OpError::Dma
    }
}

impl Drop for Memory<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.bytes != 0 {
            self.core.device.tcm_free(self.tcm, self.bytes, self.at);
        }
    }
}

fn dma_load(hbm: &Hbm<'_>, range: &Range<usize>, to: &Memory<'_>, at: &'static Location<'static>) -> OpResult {
    let start = hbm.address(range, at)?;
    let loaded = range.is_empty() || to.core.device.load(hbm.tensor, start, range.len(), to.tcm, at);
    if loaded { Ok(()) } else { Err(OpError::Dma) }
}

fn dma_store(hbm: &Hbm<'_>, range: &Range<usize>, from: &Memory<'_>, at: &'static Location<'static>) -> OpResult {
    let start = hbm.address(range, at)?;
    let stored = range.is_empty() || from.core.device.store(hbm.tensor, start, range.len(), from.tcm, at);
    if stored { Ok(()) } else { Err(OpError::Dma) }
}
