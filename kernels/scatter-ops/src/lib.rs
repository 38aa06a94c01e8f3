//! Operators that move elements to and from where indices say.
//!
//! PyTorch's names, semantics and rules for ties, and where it leaves the result of duplicate indices open, the last wins. Every op
//! takes any sizes, and computes the same bits however the TCM pool cuts the work into tiles and however many cores share it. An
//! index that is out of range is an error that says which and where.
#![no_std]

mod argmax;
mod cumprod;
mod expert_order;
mod gather;
mod rows;
mod scatter;
mod scatter_add;

pub use argmax::{argmax, argmax_of_parts};
pub use cumprod::{cumprod, cumprod_backward};
pub use expert_order::expert_order;
pub use gather::gather;
pub use scatter::{scatter, scatter_fill};
pub use scatter_add::{gather_backward, scatter_add};

gpsimd::op_library! {
    name: "scatter_ops",
    // The rest of the pool is what messages take.
    tcm: 10752,
    ops: [
        gather::gather,
        scatter_add::gather_backward,
        scatter::scatter,
        scatter::scatter_fill,
        scatter_add::scatter_add,
        argmax::argmax,
        argmax::argmax_of_parts,
        cumprod::cumprod,
        cumprod::cumprod_backward,
        expert_order::expert_order,
    ],
}
