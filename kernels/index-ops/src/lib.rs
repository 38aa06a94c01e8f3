//! Operators for what GPSIMD cores do and the other engines of a NeuronCore do badly: selection, indices, scans, random
//! numbers.
//!
//! PyTorch's names, semantics and rules for ties. Every op takes any sizes, and computes the same bits however the TCM
//! pool cuts the work into tiles and however many cores share it.
#![no_std]

mod dropout;
mod gather_rows;

pub use dropout::dropout;
pub use gather_rows::{gather_rows, gather_rows_backward};

gpsimd::op_library! {
    name: "index_ops",
    ops: [
        dropout::dropout,
        gather_rows::gather_rows,
        gather_rows::gather_rows_backward,
    ],
}
