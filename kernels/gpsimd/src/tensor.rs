//! Tensors in HBM. A kernel cannot touch their elements; it loads them into TCM and stores from there.

use core::marker::PhantomData;
use core::ops::{Bound, Range, RangeBounds};
use core::panic::Location;

use gpsimd_abi as abi;

use crate::device::Device;
use crate::element::Element;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::indices;
use crate::shape::Shape;

/// An operand: a tensor in HBM, or a contiguous part of one, that the kernel loads from.
#[derive(Clone, Copy)]
pub struct Input<'l, T> {
    pub(crate) hbm: Hbm<'l>,
    element: PhantomData<T>,
}

/// An output: a tensor in HBM, or a contiguous part of one, that the kernel stores to.
pub struct Output<'l, T> {
    pub(crate) hbm: Hbm<'l>,
    element: PhantomData<T>,
}

/// Part of a tensor of the launch.
#[derive(Clone, Copy)]
pub(crate) struct Hbm<'l> {
    core: &'l Core,
    /// Index among the tensors of the launch.
    pub(crate) tensor: u32,
    /// First element of the part, counted in the whole tensor.
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl<'l> Hbm<'l> {
    /// No element of any tensor.
    pub(crate) fn nothing(core: &'l Core) -> Self {
        Self { core, tensor: 0, start: 0, len: 0 }
    }

    fn whole(core: &'l Core, tensor: u32) -> Self {
        Self { core, tensor, start: 0, len: core.device.tensor_len(tensor) }
    }

    /// The part `range` of this part. A range that leaves it is reported, and the result is what of it there is.
    fn part(self, range: &Range<usize>, at: &'static Location<'static>) -> Self {
        if range.start > range.end || range.end > self.len {
            let message = "{}..{} is not a part of {} elements";
            self.core.device.fail_with(abi::FAILURE_REFUSED, message, &[range.start, range.end, self.len], at);
        }
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        Self { start: self.start + start, len: end - start, ..self }
    }

    fn shape(&self) -> Shape {
        (0..self.core.device.tensor_rank(self.tensor)).map(|i| self.dim(i)).collect()
    }

    fn dim(&self, i: usize) -> usize {
        if i < self.core.device.tensor_rank(self.tensor) { self.core.device.tensor_dim(self.tensor, i) } else { 1 }
    }

    /// Elements of a row of the whole tensor, along its last dimension.
    pub(crate) fn row_len(&self) -> usize {
        self.core.device.tensor_rank(self.tensor).checked_sub(1).map_or(1, |last| self.dim(last))
    }

    /// Number of such rows in this part.
    pub(crate) fn row_count(&self) -> usize {
        self.len.checked_div(self.row_len()).unwrap_or(0)
    }

    pub(crate) fn device(&self) -> &'l Device {
        &self.core.device
    }

    fn is_whole(&self) -> bool {
        self.start == 0 && self.len == self.core.device.tensor_len(self.tensor)
    }

    /// Number of dimensions of this part: those of the tensor, or one where it is only a part of it.
    pub(crate) fn rank(&self) -> usize {
        if self.is_whole() { self.core.device.tensor_rank(self.tensor) } else { 1 }
    }

    /// Size in dimension `i` of this part, which it has.
    pub(crate) fn size(&self, i: usize) -> usize {
        if self.is_whole() { self.core.device.tensor_dim(self.tensor, i) } else { self.len }
    }
}

impl Hbm<'_> {
    /// `range` with its ends filled in.
    ///
    /// # Errors
    /// When it runs backwards. That it leaves the tensor is the DMA's to report.
    #[inline]
    pub(crate) fn resolve(
        &self,
        range: &impl RangeBounds<usize>,
        at: &'static Location<'static>,
    ) -> OpResult<Range<usize>> {
        let range = resolve(range, self.len);
        if range.start > range.end {
            let message = "the range {}..{} runs backwards";
            self.core.device.fail_with(abi::FAILURE_REFUSED, message, &[range.start, range.end], at);
            return Err(OpError::Reported);
        }
        Ok(range)
    }

    /// Where in the whole tensor the elements in `range` of this part start.
    ///
    /// # Errors
    /// When `range` leaves the part. Where the part is the whole tensor, the host's own check says so better.
    pub(crate) fn address(&self, range: &Range<usize>, at: &'static Location<'static>) -> OpResult<usize> {
        if self.contains(range) || self.is_whole() {
            return Ok(self.start.saturating_add(range.start));
        }
        self.core.device.fail(abi::FAILURE_REFUSED, "a DMA leaves the part of the tensor that it was given", at);
        Err(OpError::Reported)
    }

    /// The address of the elements in `range` of this part, where the host allows direct access and `range` is inside.
    #[inline(always)]
    pub(crate) fn direct<T>(&self, range: &Range<usize>) -> Option<*mut T> {
        Some(self.direct_bytes(range.start, range.len(), size_of::<T>())?.cast())
    }

    /// As [`direct`](Self::direct), for `len` elements from `start` of `bytes` bytes each.
    #[inline(always)]
    pub(crate) fn direct_bytes(&self, start: usize, len: usize, bytes: usize) -> Option<*mut u8> {
        let end = start.checked_add(len)?;
        if end > self.len {
            return None;
        }
        let elements = self.start + start..self.start + end;
        // SAFETY: the elements are inside the part, which is inside the tensor, and have as many bytes.
        unsafe { self.core.device.direct(self.tensor, &elements, bytes) }
    }

    /// As [`direct`](Self::direct), for elements of the output that this core is about to write.
    ///
    /// # Errors
    /// When another core writes one of them.
    #[inline(always)]
    pub(crate) fn claim<T>(&self, range: &Range<usize>, at: &'static Location<'static>) -> OpResult<Option<*mut T>> {
        Ok(self.claim_bytes(range.start, range.len(), size_of::<T>(), at)?.map(<*mut u8>::cast))
    }

    /// As [`claim`](Self::claim), for `len` elements from `start` of `bytes` bytes each.
    ///
    /// # Errors
    /// When another core writes one of them.
    #[inline(always)]
    pub(crate) fn claim_bytes(
        &self,
        start: usize,
        len: usize,
        bytes: usize,
        at: &'static Location<'static>,
    ) -> OpResult<Option<*mut u8>> {
        let Some(data) = self.direct_bytes(start, len, bytes) else { return Ok(None) };
        let claimed = self.core.device.claim(self.tensor, self.start + start, len, at);
        if claimed { Ok(Some(data)) } else { Err(OpError::Reported) }
    }

    /// The output that has its storage.
    #[inline(always)]
    pub(crate) fn output_in_place(&self) -> Option<u32> {
        self.core.device.output_in_place_of(self.tensor)
    }

    /// Refuses in fast mode to read rows of it elsewhere than they are written, where it has the storage of an output: they
    /// may have been replaced before. In checked mode the host sees what is read.
    ///
    /// # Errors
    /// Then.
    pub(crate) fn refuse_in_place(&self, at: &'static Location<'static>) -> OpResult {
        if self.len == 0 || self.output_in_place().is_none() || self.direct_bytes(0, 0, 1).is_none() {
            return Ok(());
        }
        let message =
            "rows of `{{}}`, replaced in place, are read elsewhere than written: some may have been replaced already";
        self.core.device.fail_with(abi::FAILURE_REFUSED, message, &[self.tensor as usize], at);
        Err(OpError::Reported)
    }

    #[inline(always)]
    fn contains(&self, range: &Range<usize>) -> bool {
        range.start <= range.end && range.end <= self.len
    }
}

/// `range` with its ends filled in for a tensor of `len` elements.
pub(crate) fn resolve(range: &impl RangeBounds<usize>, len: usize) -> Range<usize> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => len,
    };
    start..end
}

macro_rules! tensor_methods {
    () => {
        #[doc(hidden)]
        pub fn whole(core: &'l Core, tensor: u32) -> Self {
            Self { hbm: Hbm::whole(core, tensor), element: PhantomData }
        }

        /// Number of elements of this part.
        pub fn len(&self) -> usize {
            self.hbm.len
        }

        /// Whether there are no elements.
        pub fn is_empty(&self) -> bool {
            self.hbm.len == 0
        }

        /// Sizes of the whole tensor, outermost first.
        pub fn shape(&self) -> Shape {
            self.hbm.shape()
        }

        /// Size of dimension `i` of the whole tensor, counted from the outermost; 1 past the last.
        pub fn dim(&self, i: usize) -> usize {
            self.hbm.dim(i)
        }
    };
}

impl<'l, T: Element> Input<'l, T> {
    tensor_methods!();

    /// The elements in `range`, as an operand of their own. A range that runs backwards or leaves this operand is an
    /// error of the launch.
    #[must_use]
    #[track_caller]
    pub fn part(&self, range: impl RangeBounds<usize>) -> Input<'l, T> {
        Self { hbm: self.hbm.part(&resolve(&range, self.len()), Location::caller()), element: PhantomData }
    }

    /// The error of a kernel whose operand has to be sorted, and whose element `element` belongs before the one before it. It
    /// names the tensor and the element.
    #[cold]
    #[must_use]
    #[track_caller]
    pub fn out_of_order(&self, element: usize) -> OpError {
        indices::refuse_unsorted(&self.hbm, element, Location::caller())
    }
}

impl<'l, T: Element> Output<'l, T> {
    tensor_methods!();

    pub(crate) fn into_hbm(self) -> Hbm<'l> {
        self.hbm
    }

    /// Two outputs: the first `mid` elements, and the rest. A `mid` past the end is an error of the launch.
    #[track_caller]
    pub fn split_at(self, mid: usize) -> (Output<'l, T>, Output<'l, T>) {
        let at = Location::caller();
        let part = |range| Self { hbm: self.hbm.part(&range, at), element: PhantomData };
        (part(0..mid), part(mid.min(self.len())..self.len()))
    }
}
