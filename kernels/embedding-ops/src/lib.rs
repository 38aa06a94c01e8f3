//! The operators of the two ends of a BERT: its embeddings, and its pooler.
//!
//! A library of their own: with them `training_ops`, the library of a training step, would have more functions than the
//! vendor allows, and both ends together are a hundredth of the step.
//!
//! Every op computes in f32 whatever its tensors hold, takes any sizes, and computes the same bits however the TCM pool
//! cuts the work into tiles and however many cores share it.
#![no_std]

mod embedding_norm;
mod pooler;

pub use embedding_norm::{embedding_norm_backward, embedding_norm_forward, embedding_norm_gradients};
pub use pooler::{bias_tanh_backward, bias_tanh_forward};

gpsimd::op_library! {
    name: "embedding_ops",
    // The rest of the pool is what messages take.
    tcm: 9984,
    ops: [
        embedding_norm::embedding_norm_forward,
        embedding_norm::embedding_norm_backward,
        embedding_norm::embedding_norm_gradients,
        pooler::bias_tanh_forward,
        pooler::bias_tanh_backward,
    ],
}
