//! [`Operands`]: what a walk reads.

use core::panic::Location;

use gpsimd_abi::{DType, TCM_ALIGN};

use super::broadcast::{Extent, RowMap};
use super::plan::Area;
use crate::core::Core;
use crate::element::Float;
use crate::error::OpResult;
use crate::tcm::dma_load;
use crate::tensor::{Hbm, Input};

/// The operands of a walk: `&x`, or a tuple of up to six of them, each broadcast to the output.
pub trait Operands<'l>: Copy {
    /// The elements that meet in one place: `T`, or a tuple of them.
    type Elements: Copy;
    /// The operands during a walk.
    #[doc(hidden)]
    type Sources: Sources<Elements = Self::Elements>;

    /// The operands of a walk over `walk`, for outputs of `outputs`.
    ///
    /// # Errors
    /// When one cannot be broadcast.
    #[doc(hidden)]
    fn sources(
        self,
        core: &'l Core,
        walk: &Extent<'l>,
        outputs: &[DType],
        at: &'static Location<'static>,
    ) -> OpResult<Self::Sources>;
}

/// Operands during a walk.
#[doc(hidden)]
pub trait Sources {
    type Elements: Copy;
    /// An address for each operand.
    type Pointers: Copy;

    /// Whether all operands have the walk's shape.
    fn are_full(&self) -> bool;
    /// Whether an operand is part of the output's storage, but not where the output that it shares TCM with is.
    fn are_entangled(&self, outputs: &[Option<usize>]) -> bool;
    /// Bytes of TCM that an area takes, without those that operands share with outputs.
    fn tcm_bytes(&self, rows: usize, columns: usize) -> usize;
    /// Gives the operands their TCM: that of the outputs in `shared`, and after it from `tcm` on.
    fn place(&mut self, tcm: *mut u8, shared: &[*mut u8], rows: usize, columns: usize);
    /// Rows from `row` on, at most `rows`, that one load of each operand brings.
    fn rows_from(&self, row: usize, rows: usize) -> usize;
    /// Brings the elements of an area.
    fn load(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        area: &Area,
        is_direct: bool,
        at: &'static Location<'static>,
    ) -> OpResult;
    /// Where the elements of row `row` of the area loaded last are.
    fn pointers(&self, row: usize, columns: usize) -> Self::Pointers;
    /// The same, with the operands that share an output's TCM where that output has the row.
    fn pointers_in(&self, outputs: &[*mut u8], row: usize, columns: usize) -> Self::Pointers;
    /// Of the operands that share an output's TCM, how many have row `row` where the output has it, and how many there are.
    fn in_place(&self, outputs: &[*mut u8], row: usize, columns: usize) -> (usize, usize);
    /// Copies row `row` of the operands that share an output's TCM to where the output has it.
    ///
    /// # Safety
    /// `outputs` are addresses of `columns` elements that nothing else reaches, and so many were loaded of each operand.
    unsafe fn bring(&self, outputs: &[*mut u8], row: usize, columns: usize);
    /// The elements at `i`.
    ///
    /// # Safety
    /// Every pointer leads to more than `i` elements.
    unsafe fn read(pointers: Self::Pointers, i: usize) -> Self::Elements;
}

/// An operand during a walk.
pub(super) struct Source<'l, T> {
    hbm: Hbm<'l>,
    map: RowMap,
    /// Whether it shares the TCM of the output of its position.
    is_shared: bool,
    /// Its TCM.
    tcm: *mut T,
    /// First element that was loaded last.
    data: *const T,
    /// What is in its TCM: first element and number.
    resident: (usize, usize),
}

impl<'l, T: Float> Source<'l, T> {
    fn new(
        core: &'l Core,
        operand: &Input<'l, T>,
        walk: &Extent<'l>,
        shared: Option<&DType>,
        index: usize,
        at: &'static Location<'static>,
    ) -> OpResult<Self> {
        let hbm = operand.hbm;
        let map = RowMap::of(core, walk, &hbm, index, at)?;
        let is_shared = shared == Some(&T::DTYPE);
        if is_shared && !map.is_full {
            core.device.fail_with(
                gpsimd_abi::FAILURE_REFUSED,
                "operand {} of the walk is to have the output's shape: it shares the TCM of the output of its position; name \
                 operands that are broadcast after it",
                &[index],
                at,
            );
            return Err(crate::error::OpError::Dma);
        }
        let nowhere = core::ptr::null_mut();
        Ok(Self { hbm, map, is_shared, tcm: nowhere, data: nowhere, resident: (0, 0) })
    }

    /// Elements of an area of the walk.
    fn len(&self, rows: usize, columns: usize) -> usize {
        if self.map.steps { rows.saturating_mul(columns) } else { columns }
    }

    fn tcm_bytes(&self, rows: usize, columns: usize) -> usize {
        if self.is_shared { 0 } else { slot_bytes::<T>(self.len(rows, columns)) }
    }

    fn place(&mut self, tcm: *mut u8, shared: Option<&*mut u8>, rows: usize, columns: usize) -> *mut u8 {
        match shared {
            Some(shared) if self.is_shared => {
                self.tcm = shared.cast();
                tcm
            }
            _ => {
                self.tcm = tcm.cast();
                tcm.wrapping_add(self.tcm_bytes(rows, columns))
            }
        }
    }

    fn load(
        &mut self,
        core: &Core,
        walk: &Extent<'_>,
        area: &Area,
        is_direct: bool,
        at: &'static Location<'static>,
    ) -> OpResult {
        let start = self.map.row(walk, &self.hbm, area.row) * walk.columns + area.column;
        let range = start..start + self.len(area.rows, area.columns);
        // What is replaced in place is read before it is, or where it is.
        if is_direct
            && (self.is_shared || !self.hbm.shares_storage_with_output())
            && let Some(data) = self.hbm.direct::<T>(&range)
        {
            self.data = data;
            return Ok(());
        }
        self.data = self.tcm;
        // Results take the place of what is shared.
        if self.is_shared || self.resident != (range.start, range.len()) {
            dma_load(core, &self.hbm, &range, self.tcm.cast(), at)?;
            self.resident = (range.start, range.len());
        }
        Ok(())
    }

    #[inline(always)]
    fn pointer(&self, row: usize, columns: usize) -> *const T {
        if self.map.steps { self.data.wrapping_add(row * columns) } else { self.data }
    }

    #[inline(always)]
    fn pointer_in(&self, shared: Option<&*mut u8>, row: usize, columns: usize) -> *const T {
        match shared {
            Some(output) if self.is_shared => output.cast_const().cast(),
            _ => self.pointer(row, columns),
        }
    }

    fn is_entangled(&self, output: Option<&Option<usize>>) -> bool {
        self.is_shared && self.hbm.shares_storage_with_output() && output != Some(&Some(self.hbm.start))
    }

    #[inline(always)]
    fn is_in_place(&self, output: Option<&*mut u8>, row: usize, columns: usize) -> bool {
        output.is_some_and(|output| self.is_shared && output.cast_const().cast() == self.pointer(row, columns))
    }

    /// # Safety
    /// As [`Sources::bring`].
    unsafe fn bring(&self, output: Option<&*mut u8>, row: usize, columns: usize) {
        if let Some(output) = output
            && self.is_shared
        {
            // SAFETY: the caller's promise; `copy` lets them be the same.
            unsafe { core::ptr::copy(self.pointer(row, columns), output.cast(), columns) };
        }
    }
}

/// Bytes of TCM of `len` elements, in whole vectors.
pub(super) fn slot_bytes<T>(len: usize) -> usize {
    len.saturating_mul(size_of::<T>()).checked_next_multiple_of(TCM_ALIGN).unwrap_or(usize::MAX)
}

/// Implements the traits for operands of one form.
macro_rules! operands {
    (
        $sources:ident[$($T:ident $i:tt),+]: $operands:ty,
        $this:ident => [$($operand:expr),+],
        $elements:ty = ($($element:ident),+) => $together:expr
    ) => {
        #[doc(hidden)]
        pub struct $sources<'l, $($T),+>($(Source<'l, $T>),+);

        impl<'l, $($T: Float),+> Operands<'l> for $operands {
            type Elements = $elements;
            type Sources = $sources<'l, $($T),+>;

            #[inline(always)]
            fn sources(
                self,
                core: &'l Core,
                walk: &Extent<'l>,
                outputs: &[DType],
                at: &'static Location<'static>,
            ) -> OpResult<Self::Sources> {
                let $this = self;
                Ok($sources($(Source::new(core, $operand, walk, outputs.get($i), $i, at)?),+))
            }
        }

        impl<$($T: Float),+> Sources for $sources<'_, $($T),+> {
            type Elements = $elements;
            type Pointers = ($(*const $T,)+);

            #[inline(always)]
            fn are_full(&self) -> bool {
                $(self.$i.map.is_full)&&+
            }

            #[inline(always)]
            fn are_entangled(&self, outputs: &[Option<usize>]) -> bool {
                $(self.$i.is_entangled(outputs.get($i)))||+
            }

            #[inline(always)]
            fn tcm_bytes(&self, rows: usize, columns: usize) -> usize {
                0_usize$(.saturating_add(self.$i.tcm_bytes(rows, columns)))+
            }

            #[inline(always)]
            fn place(&mut self, tcm: *mut u8, shared: &[*mut u8], rows: usize, columns: usize) {
                $(let tcm = self.$i.place(tcm, shared.get($i), rows, columns);)+
                let _ = tcm;
            }

            #[inline(always)]
            fn rows_from(&self, row: usize, rows: usize) -> usize {
                rows$(.min(self.$i.map.rows_from(row)))+
            }

            #[inline(always)]
            fn load(
                &mut self,
                core: &Core,
                walk: &Extent<'_>,
                area: &Area,
                is_direct: bool,
                at: &'static Location<'static>,
            ) -> OpResult {
                $(self.$i.load(core, walk, area, is_direct, at)?;)+
                Ok(())
            }

            #[inline(always)]
            fn pointers(&self, row: usize, columns: usize) -> Self::Pointers {
                ($(self.$i.pointer(row, columns),)+)
            }

            #[inline(always)]
            fn pointers_in(&self, outputs: &[*mut u8], row: usize, columns: usize) -> Self::Pointers {
                ($(self.$i.pointer_in(outputs.get($i), row, columns),)+)
            }

            #[inline(always)]
            fn in_place(&self, outputs: &[*mut u8], row: usize, columns: usize) -> (usize, usize) {
                let in_place = 0$(+ usize::from(self.$i.is_in_place(outputs.get($i), row, columns)))+;
                (in_place, 0$(+ usize::from(self.$i.is_shared))+)
            }

            #[inline(always)]
            unsafe fn bring(&self, outputs: &[*mut u8], row: usize, columns: usize) {
                // SAFETY: the caller's promise.
                unsafe { $(self.$i.bring(outputs.get($i), row, columns);)+ }
            }

            #[inline(always)]
            unsafe fn read(pointers: Self::Pointers, i: usize) -> Self::Elements {
                // SAFETY: the caller's promise.
                let ($($element,)+) = unsafe { ($(*pointers.$i.add(i),)+) };
                $together
            }
        }
    };
}

operands! { One[A 0]: &Input<'l, A>, operand => [operand], A = (a) => a }
operands! { Of1[A 0]: (&Input<'l, A>,), all => [all.0], (A,) = (a) => (a,) }
operands! { Of2[A 0, B 1]: (&Input<'l, A>, &Input<'l, B>), all => [all.0, all.1], (A, B) = (a, b) => (a, b) }
operands! {
    Of3[A 0, B 1, C 2]: (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>),
    all => [all.0, all.1, all.2],
    (A, B, C) = (a, b, c) => (a, b, c)
}
operands! {
    Of4[A 0, B 1, C 2, D 3]: (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>, &Input<'l, D>),
    all => [all.0, all.1, all.2, all.3],
    (A, B, C, D) = (a, b, c, d) => (a, b, c, d)
}
operands! {
    Of5[A 0, B 1, C 2, D 3, E 4]: (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>, &Input<'l, D>, &Input<'l, E>),
    all => [all.0, all.1, all.2, all.3, all.4],
    (A, B, C, D, E) = (a, b, c, d, e) => (a, b, c, d, e)
}
operands! {
    Of6[A 0, B 1, C 2, D 3, E 4, F 5]:
        (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>, &Input<'l, D>, &Input<'l, E>, &Input<'l, F>),
    all => [all.0, all.1, all.2, all.3, all.4, all.5],
    (A, B, C, D, E, F) = (a, b, c, d, e, f) => (a, b, c, d, e, f)
}
