//! [`Outputs`]: what a walk writes.

use gpsimd_abi::DType;

use super::destination::Destination;
use crate::element::Element;
use crate::tensor::Output;

/// The outputs of a walk, all of one shape: `y`, or a tuple of up to four, such as the parts that
/// [`Output::split_at`] returns.
pub trait Outputs<'l> {
    /// What is written in one place: `T`, or a tuple of such.
    type Elements: Copy;
    /// An output each, without its type.
    #[doc(hidden)]
    type Destinations: AsRef<[Destination<'l>]> + AsMut<[Destination<'l>]>;
    /// An address for each output.
    #[doc(hidden)]
    type Pointers: Copy;

    #[doc(hidden)]
    fn destinations(self) -> Self::Destinations;

    /// The dtype of the output of position `index`, if there is one.
    #[doc(hidden)]
    fn dtype(index: usize) -> Option<DType>;

    /// The address of the output of position `index`, which there is.
    #[doc(hidden)]
    fn address(pointers: Self::Pointers, index: usize) -> *mut u8;

    /// Where row `row` of the area from element `start` on is to be written.
    #[doc(hidden)]
    fn pointers(
        destinations: &[Destination<'l>],
        start: usize,
        row: usize,
        columns: usize,
        is_direct: bool,
    ) -> Self::Pointers;

    /// The elements at `i`.
    ///
    /// # Safety
    /// Every pointer leads to more than `i` elements, which were written.
    #[doc(hidden)]
    unsafe fn read(pointers: Self::Pointers, i: usize) -> Self::Elements;

    /// Writes the elements at `i`.
    ///
    /// # Safety
    /// Every pointer leads to more than `i` elements, which nothing else reaches meanwhile.
    #[doc(hidden)]
    unsafe fn write(pointers: Self::Pointers, i: usize, elements: Self::Elements);
}

/// No output: of a walk whose results go elsewhere.
impl<'l> Outputs<'l> for () {
    type Elements = ();
    type Destinations = [Destination<'l>; 0];
    type Pointers = ();

    #[inline(always)]
    fn destinations(self) -> Self::Destinations {
        []
    }

    #[inline(always)]
    fn dtype(_index: usize) -> Option<DType> {
        None
    }

    #[inline(always)]
    fn address((): (), _index: usize) -> *mut u8 {
        core::ptr::null_mut()
    }

    #[inline(always)]
    fn pointers(_: &[Destination<'l>], _start: usize, _row: usize, _columns: usize, _is_direct: bool) {}

    #[inline(always)]
    unsafe fn read((): (), _i: usize) {}

    #[inline(always)]
    unsafe fn write((): (), _i: usize, (): ()) {}
}

/// Implements the trait for outputs of one form.
macro_rules! outputs {
    (
        [$count:literal; $($T:ident $i:tt),+]: $outputs:ty,
        $this:ident => [$($output:expr),+],
        $elements:ty = $together:expr, $apart:pat => ($($element:ident),+)
    ) => {
        impl<'l, $($T: Element),+> Outputs<'l> for $outputs {
            type Elements = $elements;
            type Destinations = [Destination<'l>; $count];
            type Pointers = ($(*mut $T,)+);

            #[inline(always)]
            fn destinations(self) -> Self::Destinations {
                let $this = self;
                [$(Destination::new($output.hbm, $T::DTYPE)),+]
            }

            #[inline(always)]
            fn dtype(index: usize) -> Option<DType> {
                match index {
                    $($i => Some($T::DTYPE),)+
                    _ => None,
                }
            }

            #[inline(always)]
            fn address(pointers: Self::Pointers, index: usize) -> *mut u8 {
                match index {
                    $($i => pointers.$i.cast(),)+
                    _ => core::ptr::null_mut(),
                }
            }

            #[inline(always)]
            fn pointers(
                destinations: &[Destination<'l>],
                start: usize,
                row: usize,
                columns: usize,
                is_direct: bool,
            ) -> Self::Pointers {
                ($(destinations[$i].pointer::<$T>(start, row, columns, is_direct),)+)
            }

            #[inline(always)]
            unsafe fn read(pointers: Self::Pointers, i: usize) -> Self::Elements {
                // SAFETY: the caller's promise.
                let ($($element,)+) = unsafe { ($(pointers.$i.add(i).read(),)+) };
                $together
            }

            #[inline(always)]
            unsafe fn write(pointers: Self::Pointers, i: usize, $apart: Self::Elements) {
                // SAFETY: the caller's promise.
                unsafe { $(pointers.$i.add(i).write($element);)+ }
            }
        }
    };
}

outputs! { [1; A 0]: Output<'l, A>, output => [output], A = a, a => (a) }
outputs! { [2; A 0, B 1]: (Output<'l, A>, Output<'l, B>), all => [all.0, all.1], (A, B) = (a, b), (a, b) => (a, b) }
outputs! {
    [3; A 0, B 1, C 2]: (Output<'l, A>, Output<'l, B>, Output<'l, C>),
    all => [all.0, all.1, all.2],
    (A, B, C) = (a, b, c), (a, b, c) => (a, b, c)
}
outputs! {
    [4; A 0, B 1, C 2, D 3]: (Output<'l, A>, Output<'l, B>, Output<'l, C>, Output<'l, D>),
    all => [all.0, all.1, all.2, all.3],
    (A, B, C, D) = (a, b, c, d), (a, b, c, d) => (a, b, c, d)
}
