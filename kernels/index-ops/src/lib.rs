//! Operators for what GPSIMD cores do and the other engines of a NeuronCore do badly: selection, indices, scans, random
//! numbers.
//!
//! PyTorch's names, semantics and rules for ties. Every op takes any sizes, and computes the same bits however the TCM
//! pool cuts the work into tiles and however many cores share it.
#![no_std]

mod cumsum;
mod dropout;
mod gather_rows;
mod index_add;
mod nonzero;
mod topk;

pub use cumsum::{cumsum, cumsum_of_parts};
pub use dropout::dropout;
pub use gather_rows::gather_rows;
pub use index_add::{add_rows, gather_rows_backward, index_add};
pub use nonzero::{nonzero, nonzero_of_parts};
pub use topk::{topk, topk_backward};

gpsimd::op_library! {
    name: "index_ops",
    // The rest of the pool is what messages take.
    tcm: 9984,
    ops: [
        cumsum::cumsum,
        cumsum::cumsum_of_parts,
        dropout::dropout,
        gather_rows::gather_rows,
        index_add::gather_rows_backward,
        index_add::index_add,
        nonzero::nonzero,
        nonzero::nonzero_of_parts,
        topk::topk,
        topk::topk_backward,
    ],
}
