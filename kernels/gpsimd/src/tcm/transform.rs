//! [`Transform`]: elements of an operand on their way to be elements of the output.

use core::cell::Cell;
use core::marker::PhantomData;
use core::panic::Location;
use core::{ptr, slice};

use gpsimd_abi as abi;

use super::stage::Stage;
use crate::LANES;
use crate::element::{Element, Wide};
use crate::error::{OpError, OpResult};
use crate::lanes;

/// Elements of an operand on their way to be elements of the output: from [`Tcm::transform`](super::Tcm::transform).
///
/// Every element is to be produced, by [`TransformRow::map`] of the row that it is in; [`store`](Self::store) refuses
/// otherwise.
#[must_use = "a transform that is not stored leaves the output as it was"]
pub struct Transform<'c, 'o, T> {
    /// The operand's elements: where the output's are, or (fast mode) in the operand itself.
    pub(super) from: *const T,
    pub(super) stage: Stage<'c, 'o, T>,
    pub(super) produced: Produced,
}

/// Which elements of a transform its rows have produced.
#[derive(Default)]
pub(super) struct Produced {
    /// How many.
    count: Cell<usize>,
    /// How many from the first on without a gap.
    prefix: Cell<usize>,
}

impl Produced {
    #[inline(always)]
    fn add(&self, start: usize, len: usize) {
        self.count.set(self.count.get() + len);
        if self.prefix.get() == start {
            self.prefix.set(start + len);
        }
    }
}

impl<T: Element> Transform<'_, '_, T> {
    /// The elements in rows of `len`, each of which is to be [mapped](TransformRow::map). Where `len` does not divide the
    /// number of elements, the remainder is in no row, and [`store`](Self::store) says so.
    ///
    /// # Panics
    /// When `len` is 0.
    #[track_caller]
    #[inline(always)]
    pub fn rows(&mut self, len: usize) -> impl Iterator<Item = TransformRow<'_, T>> {
        assert!(len != 0, "rows of 0 elements: a row has at least one");
        // Whoever starts again produces all again: no row of an earlier call can be left.
        self.produced = Produced::default();
        let (from, to, produced) = (self.from, self.stage.data, &self.produced);
        (0..self.stage.range.len() / len).map(move |row| TransformRow {
            from: from.wrapping_add(row * len),
            to: to.wrapping_add(row * len),
            start: row * len,
            len,
            produced,
            memory: PhantomData,
        })
    }

    /// Sends the elements to the output: TCM to HBM, one DMA.
    ///
    /// # Errors
    /// When elements were not produced, or the range leaves the tensor.
    #[track_caller]
    #[inline]
    pub fn store(mut self) -> OpResult {
        let len = self.stage.range.len();
        if self.produced.count.get() == len {
            return self.stage.store();
        }
        self.stage.is_done = true;
        Err(self.refuse(Location::caller()))
    }

    #[cold]
    fn refuse(&self, at: &'static Location<'static>) -> OpError {
        let (range, Produced { count, prefix }) = (&self.stage.range, &self.produced);
        let (missing, first) = (range.len() - count.get(), range.start.saturating_add(prefix.get()));
        let device = &self.stage.reservation.core.device;
        if count == prefix {
            let message = "elements {}..{} of the tile were not produced: no row of `rows` reached them; give it a length \
                           that divides the tile";
            device.fail_with(abi::FAILURE_REFUSED, message, &[first, range.end], at);
        } else {
            let message = "{} elements of the tile, from element {} on, were not produced: `map` every row of `rows`";
            device.fail_with(abi::FAILURE_REFUSED, message, &[missing, first], at);
        }
        OpError::Reported
    }
}

/// A row of a [`Transform`].
pub struct TransformRow<'t, T> {
    from: *const T,
    to: *mut T,
    /// First element, counted in the transform.
    start: usize,
    len: usize,
    produced: &'t Produced,
    memory: PhantomData<&'t mut T>,
}

impl<T: Element> TransformRow<'_, T> {
    /// The operand's elements, until [`map`](Self::map) takes the row.
    #[inline(always)]
    pub fn old(&self) -> &[T] {
        // SAFETY: `from` leads to `len` elements of the transform, initialised and aligned: in its TCM, of this
        // row alone, which `map2` consumes, or of the operand's range, which nothing writes.
        unsafe { slice::from_raw_parts(self.from, self.len) }
    }

    /// Every element becomes `f` of it and the one beside it in `a`, which is at least as long.
    ///
    /// # Panics
    /// When `a` is shorter.
    #[track_caller]
    #[inline(always)]
    pub fn map<A: Copy>(self, a: &[A], f: impl Fn(T, A) -> T) {
        self.map2(a, a, |element, a, _| f(element, a));
    }

    /// Every element becomes `f` of it and those beside it in `a` and `b`, which are at least as long.
    ///
    /// # Panics
    /// When `a` or `b` is shorter.
    #[track_caller]
    #[inline(always)]
    pub fn map2<A: Copy, B: Copy>(self, a: &[A], b: &[B], f: impl Fn(T, A, B) -> T) {
        assert!(a.len() >= self.len && b.len() >= self.len, "a slice is shorter than the row that it is mapped with");
        let (a, b) = (&a[..self.len], &b[..self.len]);
        // SAFETY: no other slice of them lives.
        let to = unsafe { self.to() };
        // In an image both are the same TCM, which its compiler cannot see.
        if cfg!(target_arch = "wasm32") || ptr::eq(self.from, self.to) {
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                *to = f(*to, *a, *b);
            }
        } else {
            // SAFETY: as in `old`. The operand's storage is not the output's: in place a stage is in TCM, and `from` is
            // `to`.
            let from = unsafe { slice::from_raw_parts(self.from, self.len) };
            for (((to, from), a), b) in to.iter_mut().zip(from).zip(a).zip(b) {
                *to = f(*from, *a, *b);
            }
        }
        self.produced.add(self.start, self.len);
    }

    /// Every element becomes `narrow` of the prefix that ends with it: of `widen` of the elements, as
    /// [`lanes::scan`] has them with `f` and `carry`. Returns the last of these. If `reverse`, from the last element to the
    /// first.
    ///
    /// `scratch` is room for as many values as the row has elements; what it holds afterwards is unspecified.
    ///
    /// # Panics
    /// When `scratch` is shorter.
    #[track_caller]
    #[inline(always)]
    pub fn scan<W: Wide>(
        self,
        scratch: &mut [W],
        carry: W,
        reverse: bool,
        (widen, f, narrow): (impl Fn(T) -> W, impl Fn(W, W) -> W, impl Fn(W) -> T),
    ) -> W {
        assert!(scratch.len() >= self.len, "the scratch of a scan is shorter than the row");
        self.produced.add(self.start, self.len);
        let is_in_place = cfg!(target_arch = "wasm32") || ptr::eq(self.from, self.to);
        if lanes::is_in_registers::<LANES>() && !is_in_place {
            // SAFETY: as in `map2`.
            let (from, to) = unsafe { (slice::from_raw_parts(self.from, self.len), self.to()) };
            return if reverse {
                lanes::scan_to::<_, _, _, true>(from, to, carry, (widen, f, narrow))
            } else {
                lanes::scan_to::<_, _, _, false>(from, to, carry, (widen, f, narrow))
            };
        }
        let scratch = &mut scratch[..self.len];
        for (scratch, old) in scratch.iter_mut().zip(self.old()) {
            *scratch = widen(*old);
        }
        let carry = if reverse { lanes::scan_back(scratch, carry, f) } else { lanes::scan(scratch, carry, f) };
        // SAFETY: as in `map2`; `old` is not looked at again.
        for (to, scratch) in unsafe { self.to() }.iter_mut().zip(scratch) {
            *to = narrow(*scratch);
        }
        carry
    }

    /// The elements to produce.
    ///
    /// # Safety
    /// No other slice of them lives.
    #[expect(clippy::mut_from_ref, reason = "from a pointer")]
    unsafe fn to(&self) -> &mut [T] {
        // SAFETY: `to` leads to `len` elements of the transform's stage, initialised and aligned, of this row alone, and
        // the caller has no other slice of them.
        unsafe { slice::from_raw_parts_mut(self.to, self.len) }
    }
}
