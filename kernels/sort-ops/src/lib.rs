//! Operators that sort rows of any length.
//!
//! A row longer than TCM is sorted in several launches: [`sort_runs`] sorts runs of [`RUN`] elements, and every
//! [`merge_runs`] makes one run of two. Both are stable, so that the result is the same however many cores share it.
#![no_std]

mod merge_runs;
mod sort_runs;

pub use merge_runs::merge_runs;
pub use sort_runs::{RUN, sort_runs};

gpsimd::op_library! {
    name: "sort_ops",
    ops: [sort_runs::sort_runs, merge_runs::merge_runs],
}
