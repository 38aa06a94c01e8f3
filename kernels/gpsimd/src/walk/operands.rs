//! [`Operands`]: what a walk reads.

use super::outputs::Outputs;
use super::source::Source;
use crate::element::Element;
use crate::tensor::Input;

/// The operands of a walk: `&x`, or a tuple of up to six of them, each broadcast to the output.
pub trait Operands<'l>: Copy {
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

/// Where the output is whose TCM an operand of position `index` and type `T` shares.
#[inline(always)]
fn shared<'l, T: Element, O: Outputs<'l>>(index: usize, outputs: O::Pointers) -> Option<*mut T> {
    if O::dtype(index) == Some(T::DTYPE) { Some(O::address(outputs, index).cast()) } else { None }
}

/// Implements the trait for operands of one form.
macro_rules! operands {
    (
        [$count:literal; $($T:ident $i:tt),+]: $operands:ty,
        $this:ident => [$($operand:expr),+],
        $elements:ty = ($($element:ident),+) => $together:expr
    ) => {
        impl<'l, $($T: Element),+> Operands<'l> for $operands {
            type Elements = $elements;
            type Sources = [Source<'l>; $count];
            type Pointers = ($(*const $T,)+);

            #[inline(always)]
            fn sources(self) -> Self::Sources {
                let $this = self;
                [$(Source::new($operand.hbm, $T::DTYPE)),+]
            }

            #[inline(always)]
            fn pointers(sources: &[Source<'l>], row: usize, columns: usize) -> Self::Pointers {
                ($(sources[$i].pointer::<$T>(row, columns),)+)
            }

            #[inline(always)]
            fn pointers_in<O: Outputs<'l>>(
                sources: &[Source<'l>],
                outputs: O::Pointers,
                row: usize,
                columns: usize,
            ) -> Self::Pointers {
                ($(match shared::<$T, O>($i, outputs) {
                    Some(output) => output.cast_const(),
                    None => sources[$i].pointer::<$T>(row, columns),
                },)+)
            }

            #[inline(always)]
            fn in_place<O: Outputs<'l>>(pointers: Self::Pointers, outputs: O::Pointers) -> (usize, usize) {
                let (mut in_place, mut all) = (0, 0);
                $(if let Some(output) = shared::<$T, O>($i, outputs) {
                    in_place += usize::from(core::ptr::eq(output, pointers.$i));
                    all += 1;
                })+
                (in_place, all)
            }

            #[inline(always)]
            unsafe fn bring<O: Outputs<'l>>(pointers: Self::Pointers, outputs: O::Pointers, columns: usize) {
                $(if let Some(output) = shared::<$T, O>($i, outputs) {
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

operands! { [1; A 0]: &Input<'l, A>, operand => [operand], A = (a) => a }
operands! { [1; A 0]: (&Input<'l, A>,), all => [all.0], (A,) = (a) => (a,) }
operands! { [2; A 0, B 1]: (&Input<'l, A>, &Input<'l, B>), all => [all.0, all.1], (A, B) = (a, b) => (a, b) }
operands! {
    [3; A 0, B 1, C 2]: (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>),
    all => [all.0, all.1, all.2],
    (A, B, C) = (a, b, c) => (a, b, c)
}
operands! {
    [4; A 0, B 1, C 2, D 3]: (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>, &Input<'l, D>),
    all => [all.0, all.1, all.2, all.3],
    (A, B, C, D) = (a, b, c, d) => (a, b, c, d)
}
operands! {
    [5; A 0, B 1, C 2, D 3, E 4]: (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>, &Input<'l, D>, &Input<'l, E>),
    all => [all.0, all.1, all.2, all.3, all.4],
    (A, B, C, D, E) = (a, b, c, d, e) => (a, b, c, d, e)
}
operands! {
    [6; A 0, B 1, C 2, D 3, E 4, F 5]:
        (&Input<'l, A>, &Input<'l, B>, &Input<'l, C>, &Input<'l, D>, &Input<'l, E>, &Input<'l, F>),
    all => [all.0, all.1, all.2, all.3, all.4, all.5],
    (A, B, C, D, E, F) = (a, b, c, d, e, f) => (a, b, c, d, e, f)
}
