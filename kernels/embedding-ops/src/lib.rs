//! The operators of the two ends of a BERT: the sum of its embeddings, and the bias and tanh of its pooler.
//!
//! A library of their own: with them `training_ops`, the library of a training step, would have more functions than the
//! vendor allows. The embeddings' layer norm and dropout are ops of `bert_ops` and `training_ops`, not fused with the sum: the
//! stack of a core has no room for the operands of all three.
//!
//! Every op computes in f32 whatever its tensors hold, takes any sizes, and computes the same bits however the TCM pool
//! cuts the work into tiles and however many cores share it.
#![no_std]

mod embedding_sum;
mod pooler;

pub use embedding_sum::{embedding_rows_backward, embedding_sum_forward};
pub use pooler::{bias_tanh_backward, bias_tanh_forward};

gpsimd::op_library! {
    name: "embedding_ops",
    // The rest of the pool is what messages take.
    tcm: 9984,
    ops: [
        embedding_sum::embedding_sum_forward,
        embedding_sum::embedding_rows_backward,
        pooler::bias_tanh_forward,
        pooler::bias_tanh_backward,
    ],
}
