//! [`Operands`]: what a walk reads.

use gpsimd_abi::DType;

use super::gather::Gather;
use super::layout::Layout;
use super::narrow::Narrowed;
use super::outputs::Outputs;
use super::random_bits::{BITS, RandomBits};
use super::source::Source;
use crate::element::Element;
use crate::tensor::Input;

/// An operand of a walk: `&x`, its rows at indices ([`Input::rows_at`]), a part of every dimension of it
/// ([`Input::narrow`]), or random bits ([`Core::random_bits`](crate::Core::random_bits)).
pub trait Operand<'l>: Copy {
    /// The type of its elements.
    type Element: Copy;
    /// The dtype of its tensor, if it is of one.
    #[doc(hidden)]
    const DTYPE: Option<DType>;
    /// Whether its rows may lie apart. Walks without such operands have no code for them.
    #[doc(hidden)]
    const IS_APART: bool = false;
    /// Whether it is made of random numbers. Walks without such operands have no code for them.
    #[doc(hidden)]
    const IS_RANDOM: bool = false;

    #[doc(hidden)]
    fn source(self) -> Source<'l>;

    /// Where row `row` of the area that was loaded last is; every row has `columns` there.
    #[doc(hidden)]
    #[inline(always)]
    fn pointer(source: &Source<'l>, row: usize, columns: usize) -> *const Self::Element {
        if Self::IS_APART { source.pointer_apart(row, columns) } else { source.pointer(row, columns) }
    }
}

impl<'l, T: Element> Operand<'l> for &Input<'l, T> {
    type Element = T;
    const DTYPE: Option<DType> = Some(T::DTYPE);

    #[inline(always)]
    fn source(self) -> Source<'l> {
        Source::new(self.hbm, T::DTYPE, Layout::Dense)
    }
}

impl<'l, T: Element> Operand<'l> for &'l Gather<'l, T> {
    type Element = T;
    const DTYPE: Option<DType> = Some(T::DTYPE);
    const IS_APART: bool = true;

    #[inline(always)]
    fn source(self) -> Source<'l> {
        Source::new(self.table, T::DTYPE, Layout::Gathered(&self.indices))
    }
}

impl<'l, T: Element> Operand<'l> for &'l Narrowed<'l, T> {
    type Element = T;
    const DTYPE: Option<DType> = Some(T::DTYPE);
    const IS_APART: bool = true;

    #[inline(always)]
    fn source(self) -> Source<'l> {
        Source::new(self.tensor, T::DTYPE, Layout::Region(&self.region))
    }
}

impl<'l> Operand<'l> for &'l RandomBits<'l> {
    type Element = u32;
    const DTYPE: Option<DType> = None;
    const IS_RANDOM: bool = true;

    #[inline(always)]
    fn source(self) -> Source<'l> {
        Source::new(self.hbm(), BITS, Layout::Random(&self.numbers))
    }
}

/// The operands of a walk: one, or a tuple of up to six of them, each broadcast to the output.
pub trait Operands<'l>: Copy {
    /// Whether the rows of one of them may lie apart.
    #[doc(hidden)]
    const ARE_APART: bool;
    /// Whether one of them is made of random numbers.
    #[doc(hidden)]
    const ARE_RANDOM: bool;
    /// The elements that meet in one place: `T`, or a tuple of them.
    type Elements: Copy;
    /// An operand each, without its type.
    #[doc(hidden)]
    type Sources: AsRef<[Source<'l>]> + AsMut<[Source<'l>]>;
    /// An address for each operand.
    #[doc(hidden)]
    type Pointers: Copy;

    #[doc(hidden)]
    fn sources(self) -> Self::Sources;

    /// Where row `row` of the area that was loaded is.
    #[doc(hidden)]
    fn pointers(sources: &[Source<'l>], row: usize, columns: usize) -> Self::Pointers;

    /// The same, with the operands that share an output's TCM where that output has the row: known at compile time, so
    /// that no compiler takes the two for different memory.
    #[doc(hidden)]
    fn pointers_in<O: Outputs<'l>>(
        sources: &[Source<'l>],
        outputs: O::Pointers,
        row: usize,
        columns: usize,
    ) -> Self::Pointers;

    /// Of the operands that share an output's TCM, how many have the row where the output has it, and how many there
    /// are.
    #[doc(hidden)]
    fn in_place<O: Outputs<'l>>(pointers: Self::Pointers, outputs: O::Pointers) -> (usize, usize);

    /// Copies the row of the operands that share an output's TCM to where the output has it.
    ///
    /// # Safety
    /// All pointers lead to `columns` elements; what else leads to those of `outputs` is not used meanwhile.
    #[doc(hidden)]
    unsafe fn bring<O: Outputs<'l>>(pointers: Self::Pointers, outputs: O::Pointers, columns: usize);

    /// The elements at `i`.
    ///
    /// # Safety
    /// Every pointer leads to more than `i` elements.
    #[doc(hidden)]
    unsafe fn read(pointers: Self::Pointers, i: usize) -> Self::Elements;
}

/// Where the output is whose TCM an operand of position `index` shares.
#[inline(always)]
fn shared<'l, I: Operand<'l>, O: Outputs<'l>>(index: usize, outputs: O::Pointers) -> Option<*mut I::Element> {
    let is_shared = I::DTYPE.is_some() && O::dtype(index) == I::DTYPE;
    if is_shared { Some(O::address(outputs, index).cast()) } else { None }
}

/// Implements the trait for operands of one form.
macro_rules! operands {
    (
        [$count:literal; $($O:ident $i:tt),+]: $operands:ty,
        $this:ident => [$($operand:expr),+],
        $elements:ty = ($($element:ident),+) => $together:expr
    ) => {
        impl<'l, $($O: Operand<'l>),+> Operands<'l> for $operands {
            const ARE_APART: bool = $($O::IS_APART)||+;
            const ARE_RANDOM: bool = $($O::IS_RANDOM)||+;
            type Elements = $elements;
            type Sources = [Source<'l>; $count];
            type Pointers = ($(*const $O::Element,)+);

            #[inline(always)]
            fn sources(self) -> Self::Sources {
                let $this = self;
                [$($operand.source()),+]
            }

            #[inline(always)]
            fn pointers(sources: &[Source<'l>], row: usize, columns: usize) -> Self::Pointers {
                ($($O::pointer(&sources[$i], row, columns),)+)
            }

            #[inline(always)]
            fn pointers_in<P: Outputs<'l>>(
                sources: &[Source<'l>],
                outputs: P::Pointers,
                row: usize,
                columns: usize,
            ) -> Self::Pointers {
                ($(match shared::<$O, P>($i, outputs) {
                    Some(output) => output.cast_const(),
                    None => $O::pointer(&sources[$i], row, columns),
                },)+)
            }

            #[inline(always)]
            fn in_place<P: Outputs<'l>>(pointers: Self::Pointers, outputs: P::Pointers) -> (usize, usize) {
                let (mut in_place, mut all) = (0, 0);
                $(if let Some(output) = shared::<$O, P>($i, outputs) {
                    in_place += usize::from(core::ptr::eq(output, pointers.$i));
                    all += 1;
                })+
                (in_place, all)
            }

            #[inline(always)]
            unsafe fn bring<P: Outputs<'l>>(pointers: Self::Pointers, outputs: P::Pointers, columns: usize) {
                $(if let Some(output) = shared::<$O, P>($i, outputs) {
                    // SAFETY: the caller's promise; `copy` lets them be the same.
                    unsafe { core::ptr::copy(pointers.$i, output, columns) };
                })+
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

operands! { [1; A 0]: A, operand => [operand], A::Element = (a) => a }
operands! { [1; A 0]: (A,), all => [all.0], (A::Element,) = (a) => (a,) }
operands! { [2; A 0, B 1]: (A, B), all => [all.0, all.1], (A::Element, B::Element) = (a, b) => (a, b) }
operands! {
    [3; A 0, B 1, C 2]: (A, B, C),
    all => [all.0, all.1, all.2],
    (A::Element, B::Element, C::Element) = (a, b, c) => (a, b, c)
}
operands! {
    [4; A 0, B 1, C 2, D 3]: (A, B, C, D),
    all => [all.0, all.1, all.2, all.3],
    (A::Element, B::Element, C::Element, D::Element) = (a, b, c, d) => (a, b, c, d)
}
operands! {
    [5; A 0, B 1, C 2, D 3, E 4]: (A, B, C, D, E),
    all => [all.0, all.1, all.2, all.3, all.4],
    (A::Element, B::Element, C::Element, D::Element, E::Element) = (a, b, c, d, e) => (a, b, c, d, e)
}
operands! {
    [6; A 0, B 1, C 2, D 3, E 4, F 5]: (A, B, C, D, E, F),
    all => [all.0, all.1, all.2, all.3, all.4, all.5],
    (A::Element, B::Element, C::Element, D::Element, E::Element, F::Element) = (a, b, c, d, e, f) => (a, b, c, d, e, f)
}
