//! Activations and dropout, each with its gradients, in one library: what GPT-2 needs, and `SiLU`.
//!
//! Softmax of attention with dropout, and dropout alone, are those of `training-ops` and `index-ops`: on a Trainium a model
//! has one op library.
//!
//! Every op computes in f32 whatever its tensors hold, takes any sizes, and computes the same bits however the TCM pool
//! cuts the work into tiles and however many cores share it.
#![no_std]

mod gelu_tanh;
mod silu;

pub use gelu_tanh::{bias_gelu_tanh_backward, bias_gelu_tanh_forward};
pub use silu::{silu_backward, silu_forward};

gpsimd::op_library! {
    name: "activation_ops",
    ops: [
        gelu_tanh::bias_gelu_tanh_forward,
        gelu_tanh::bias_gelu_tanh_backward,
        silu::silu_forward,
        silu::silu_backward,
        training_ops::softmax_dropout_forward,
        training_ops::softmax_dropout_backward,
        index_ops::dropout,
    ],
}
