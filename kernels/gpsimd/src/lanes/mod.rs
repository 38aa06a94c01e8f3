//! What a core's vector unit is good at beside arithmetic: reductions, scans, selection and sorting, on slices in TCM.
//!
//! | | |
//! |---|---|
//! | [`Lanes`] | sums, maxima and the like: [`fold`](Lanes::fold), [`fold2`](Lanes::fold2), [`fold3`](Lanes::fold3) |
//! | [`argmax`], [`argmin`] | the greatest and the least element with its index |
//! | [`cumsum`], [`wrapping_cumsum`], [`scan`], [`scan_back`] | prefix sums, and prefixes of any associative operation |
//! | [`any`], [`position`] | whether an element satisfies a condition, and the first that does |
//! | [`compact`], [`gather`] | the indices of the elements that satisfy a condition; the elements of indices |
//! | [`key`], [`from_key`] | floats in their total order, as i32 |
//! | [`sort`], [`merge`], [`compare_exchange`] | keys with their indices, sorted by a bitonic network |
//!
//! All are loops without branches over the lanes of a 512-bit vector: 16 elements of 32 bits, 32 of 16, 64 of 8. The
//! order of their operations is fixed, so that results have the same bits on every tier. Where a row is longer than TCM,
//! what a tile leaves is what the next one starts from: the carry of a scan, the [`Extreme`] so far, the count of a
//! selection.

#![expect(clippy::needless_bitwise_bool, reason = "operators that skip an operand are branches")]

mod extreme;
mod order;
mod reduce;
mod scan;
mod select;
mod sort;

pub use self::extreme::{Extreme, argmax, argmin};
pub use self::order::{Order, from_key, key};
pub use self::reduce::{Lanes, greater};
pub use self::scan::{cumsum, scan, scan_back, wrapping_cumsum};
pub(crate) use self::scan::{is_in_registers, scan_to};
pub use self::select::{Compacted, any, compact, gather, position};
pub use self::sort::{compare_exchange, merge, sort};

use crate::LANES;

/// A type that a vector has lanes of.
pub trait Lane: Copy + private::Sealed {
    /// Lanes of a 512-bit vector of the type.
    const COUNT: usize = 64 / size_of::<Self>();
    /// A vector's worth.
    #[doc(hidden)]
    type Vector: Copy + core::fmt::Debug + AsRef<[Self]> + AsMut<[Self]>;

    /// All lanes the same.
    #[doc(hidden)]
    fn splat(value: Self) -> Self::Vector;
}

mod private {
    pub trait Sealed {}
}

macro_rules! lanes {
    ($($T:ident)+) => {$(
        impl private::Sealed for $T {}

        impl Lane for $T {
            type Vector = [Self; 64 / size_of::<Self>()];

            #[inline(always)]
            fn splat(value: Self) -> Self::Vector {
                [value; 64 / size_of::<Self>()]
            }
        }
    )+};
}

lanes! { f32 i32 u32 i16 u16 i8 u8 }

const _: () = assert!(<f32 as Lane>::COUNT == LANES);
