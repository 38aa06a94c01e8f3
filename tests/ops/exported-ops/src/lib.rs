//! An op library with an entry point whoever builds it: cargo's tests, which load it, build libraries without theirs.
#![no_std]

use gpsimd::prelude::*;
use gpsimd_abi::LibraryTable;

op_library! {
    name: "exported_ops",
    ops: [bert_ops::bias_gelu_forward, bert_ops::bias_gelu_backward, faulty_ops::loads_past_the_end, faulty_ops::indexes_out_of_bounds],
}

/// What `op_library!` makes where `cargo gpsimd build` builds this library.
#[unsafe(no_mangle)]
pub extern "C" fn gpsimd_op_library() -> *const LibraryTable {
    &raw const OP_LIBRARY
}
