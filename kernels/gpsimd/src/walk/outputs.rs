//! [`Outputs`]: what a walk writes.

use core::panic::Location;

use gpsimd_abi::DType;

use super::operands::slot_bytes;
use super::plan::Area;
use crate::core::Core;
use crate::element::Float;
use crate::error::{OpError, OpResult};
use crate::tcm::dma_store;
use crate::tensor::{Hbm, Output};

/// The outputs of a walk, all of one shape: `y`, or a tuple of up to four, such as the parts that
/// [`Output::split_at`] gives.
pub trait Outputs<'l> {
    /// What is written in one place: `T`, or a tuple of such.
    type Elements;
    /// The outputs during a walk.
    #[doc(hidden)]
    type Destinations: Destinations<'l, Elements = Self::Elements>;

    #[doc(hidden)]
    fn destinations(self) -> Self::Destinations;
}

/// Outputs during a walk.
#[doc(hidden)]
pub trait Destinations<'l> {
    type Elements;
    /// An address for each output.
    type Pointers: Copy;
    /// What each output has.
    type Each<V>: AsRef<[V]>
    where
        V: 'l;

    /// The dtypes.
    fn dtypes() -> Self::Each<DType>;
    /// The first output, whose shape the walk has.
    fn first(&self) -> Hbm<'l>;
    /// Fails unless all have as many elements.
    fn verify(&self, core: &Core, at: &'static Location<'static>) -> OpResult;
    /// First element of each in its tensor.
    fn starts(&self) -> Self::Each<Option<usize>>;
    /// Bytes of TCM that an area takes.
    fn tcm_bytes(&self, rows: usize, columns: usize) -> usize;
    /// Gives the outputs their TCM, from `tcm` on; where that ends.
    fn place(&mut self, tcm: *mut u8, rows: usize, columns: usize) -> *mut u8;
    /// The TCM of each.
    fn slots(&self) -> Self::Each<*mut u8>;
    /// Claims elements for this core, which lets it write them where they are if the host does.
    fn claim(&mut self, start: usize, len: usize, at: &'static Location<'static>) -> OpResult;
    /// Where row `row` of an area is to be written: in TCM, or in the output.
    fn pointers(&self, start: usize, row: usize, columns: usize, is_direct: bool) -> Self::Pointers;
    /// The same addresses without their types.
    fn addresses(pointers: Self::Pointers) -> Self::Each<*mut u8>;
    /// Sends an area that was written in TCM.
    fn store(&self, core: &Core, start: usize, area: &Area, at: &'static Location<'static>) -> OpResult;
    /// Writes the elements at `i`.
    ///
    /// # Safety
    /// Every pointer leads to more than `i` elements, which nothing else reaches.
    unsafe fn write(pointers: Self::Pointers, i: usize, elements: Self::Elements);
}

/// An output during a walk.
pub(super) struct Destination<'l, T> {
    hbm: Hbm<'l>,
    tcm: *mut T,
    /// Where its first element is, once claimed; null where the host gives no direct access.
    direct: *mut T,
}

impl<'l, T: Float> Destination<'l, T> {
    fn new(output: &Output<'l, T>) -> Self {
        Self { hbm: output.hbm, tcm: core::ptr::null_mut(), direct: core::ptr::null_mut() }
    }

    fn verify(&self, core: &Core, len: usize, at: &'static Location<'static>) -> OpResult {
        if self.hbm.len == len {
            return Ok(());
        }
        let message = "the outputs of a walk are of one size: one has {} elements, another {}";
        core.device.fail_with(gpsimd_abi::FAILURE_REFUSED, message, &[len, self.hbm.len], at);
        Err(OpError::Dma)
    }

    fn place(&mut self, tcm: *mut u8, rows: usize, columns: usize) -> *mut u8 {
        self.tcm = tcm.cast();
        tcm.wrapping_add(Self::tcm_bytes(rows, columns))
    }

    fn tcm_bytes(rows: usize, columns: usize) -> usize {
        slot_bytes::<T>(rows.saturating_mul(columns))
    }

    fn claim(&mut self, start: usize, len: usize, at: &'static Location<'static>) -> OpResult {
        if let Some(data) = self.hbm.claim::<T>(&(start..start + len), at)? {
            self.direct = data.wrapping_sub(start);
        }
        Ok(())
    }

    #[inline(always)]
    fn pointer(&self, start: usize, row: usize, columns: usize, is_direct: bool) -> *mut T {
        let area = if is_direct { self.direct.wrapping_add(start) } else { self.tcm };
        area.wrapping_add(row * columns)
    }

    fn store(&self, core: &Core, start: usize, area: &Area, at: &'static Location<'static>) -> OpResult {
        dma_store(core, &self.hbm, &(start..start + area.rows * area.columns), self.tcm.cast_const().cast(), at)
    }
}

/// Implements the traits for outputs of one form.
macro_rules! outputs {
    (
        $destinations:ident[$($T:ident $i:tt),+; $count:literal]: $outputs:ty,
        $this:ident => [$($output:expr),+],
        $elements:ty = $together:pat => ($($element:ident),+)
    ) => {
        #[doc(hidden)]
        pub struct $destinations<'l, $($T),+>($(Destination<'l, $T>),+);

        impl<'l, $($T: Float),+> Outputs<'l> for $outputs {
            type Elements = $elements;
            type Destinations = $destinations<'l, $($T),+>;

            #[inline(always)]
            fn destinations(self) -> Self::Destinations {
                let $this = self;
                $destinations($(Destination::new(&$output)),+)
            }
        }

        impl<'l, $($T: Float),+> Destinations<'l> for $destinations<'l, $($T),+> {
            type Elements = $elements;
            type Pointers = ($(*mut $T,)+);
            type Each<V>
                = [V; $count]
            where
                V: 'l;

            #[inline(always)]
            fn dtypes() -> [DType; $count] {
                [$($T::DTYPE),+]
            }

            #[inline(always)]
            fn first(&self) -> Hbm<'l> {
                self.0.hbm
            }

            #[inline(always)]
            fn verify(&self, core: &Core, at: &'static Location<'static>) -> OpResult {
                $(self.$i.verify(core, self.0.hbm.len, at)?;)+
                Ok(())
            }

            #[inline(always)]
            fn starts(&self) -> [Option<usize>; $count] {
                [$(Some(self.$i.hbm.start)),+]
            }

            #[inline(always)]
            fn tcm_bytes(&self, rows: usize, columns: usize) -> usize {
                0_usize$(.saturating_add(Destination::<$T>::tcm_bytes(rows, columns)))+
            }

            #[inline(always)]
            fn place(&mut self, tcm: *mut u8, rows: usize, columns: usize) -> *mut u8 {
                $(let tcm = self.$i.place(tcm, rows, columns);)+
                tcm
            }

            #[inline(always)]
            fn slots(&self) -> [*mut u8; $count] {
                [$(self.$i.tcm.cast()),+]
            }

            #[inline(always)]
            fn claim(&mut self, start: usize, len: usize, at: &'static Location<'static>) -> OpResult {
                $(self.$i.claim(start, len, at)?;)+
                Ok(())
            }

            #[inline(always)]
            fn pointers(&self, start: usize, row: usize, columns: usize, is_direct: bool) -> Self::Pointers {
                ($(self.$i.pointer(start, row, columns, is_direct),)+)
            }

            #[inline(always)]
            fn addresses(pointers: Self::Pointers) -> [*mut u8; $count] {
                [$(pointers.$i.cast()),+]
            }

            #[inline(always)]
            fn store(&self, core: &Core, start: usize, area: &Area, at: &'static Location<'static>) -> OpResult {
                $(self.$i.store(core, start, area, at)?;)+
                Ok(())
            }

            #[inline(always)]
            unsafe fn write(pointers: Self::Pointers, i: usize, $together: Self::Elements) {
                // SAFETY: the caller's promise.
                unsafe { $(pointers.$i.add(i).write($element);)+ }
            }
        }
    };
}

outputs! { One[A 0; 1]: Output<'l, A>, output => [output], A = a => (a) }
outputs! { Of2[A 0, B 1; 2]: (Output<'l, A>, Output<'l, B>), all => [all.0, all.1], (A, B) = (a, b) => (a, b) }
outputs! {
    Of3[A 0, B 1, C 2; 3]: (Output<'l, A>, Output<'l, B>, Output<'l, C>),
    all => [all.0, all.1, all.2],
    (A, B, C) = (a, b, c) => (a, b, c)
}
outputs! {
    Of4[A 0, B 1, C 2, D 3; 4]: (Output<'l, A>, Output<'l, B>, Output<'l, C>, Output<'l, D>),
    all => [all.0, all.1, all.2, all.3],
    (A, B, C, D) = (a, b, c, d) => (a, b, c, d)
}
