//! Operators that count indices and mark them.
//!
//! PyTorch's names and semantics. Every op takes any sizes, and computes the same bits however the TCM pool cuts the work into tiles
//! and however many cores share it. An index that is out of range is an error that says which and where.
#![no_std]

mod bincount;
mod one_hot;

pub use bincount::{bincount, sum_of_parts};
pub use one_hot::one_hot;

gpsimd::op_library! {
    name: "counting_ops",
    // The rest of the pool is what messages take.
    tcm: 13312,
    ops: [bincount::bincount, bincount::sum_of_parts, one_hot::one_hot],
}
