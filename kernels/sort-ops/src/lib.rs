//! Operators that sort rows of any length, and of what is sorted.
//!
//! A row longer than TCM is sorted in several launches: [`sort_runs`] sorts runs of [`RUN`] elements, and every
//! [`merge_runs`] makes one run of two. Both are stable, so that the result is the same however many cores share it.
#![no_std]

mod masked_select;
mod merge_runs;
mod parts;
mod searchsorted;
mod sort_runs;
mod unique_consecutive;

pub use masked_select::{masked_select, masked_select_backward, masked_select_gradients, masked_select_of_parts};
pub use merge_runs::merge_runs;
pub use searchsorted::searchsorted;
pub use sort_runs::{RUN, sort_runs};
pub use unique_consecutive::{unique_consecutive, unique_consecutive_of_parts};

gpsimd::op_library! {
    name: "sort_ops",
    // The rest of the pool is what messages take.
    tcm: 11264,
    ops: [
        sort_runs::sort_runs,
        merge_runs::merge_runs,
        searchsorted::searchsorted,
        unique_consecutive::unique_consecutive,
        unique_consecutive::unique_consecutive_of_parts,
        masked_select::masked_select,
        masked_select::masked_select_of_parts,
        masked_select::masked_select_backward,
        masked_select::masked_select_gradients,
    ],
}
