//! [`Transform`]: elements of an operand on their way to be elements of the output.

use core::cell::Cell;
use core::marker::PhantomData;
use core::panic::Location;
use core::{ptr, slice};

use gpsimd_abi as abi;

use super::stage::Stage;
use crate::element::Element;
use crate::error::{OpError, OpResult};

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
        // SAFETY: `to` leads to `len` elements of the transform's stage, initialised and aligned, of this row alone.
        let to = unsafe { slice::from_raw_parts_mut(self.to, self.len) };
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
        let Produced { count, prefix } = self.produced;
        count.set(count.get() + self.len);
        if prefix.get() == self.start {
            prefix.set(self.start + self.len);
        }
    }
}
