//! The operators of the BERT trainer: fused bias and GELU, attention softmax with mask and scale, layer normalisation,
//! cross-entropy, AdamW.
//!
//! Every op computes in f32 whatever its tensors hold, computes the same bits however the TCM pool cuts the work into
//! tiles, and takes sizes that divide by nothing. Rows that do not fit in TCM are read several times in one launch.
#![no_std]

mod adamw;
mod cross_entropy;
mod gelu;
mod layer_norm;
mod softmax;

pub use adamw::{AdamWFactors, adamw_step};
pub use cross_entropy::{cross_entropy_backward, cross_entropy_forward};
pub use gelu::{bias_gelu_backward, bias_gelu_forward};
pub use layer_norm::{layer_norm_backward, layer_norm_forward, layer_norm_gradients};
pub use softmax::{masked_softmax_backward, masked_softmax_forward};

gpsimd::op_library! {
    name: "bert_ops",
    ops: [
        gelu::bias_gelu_forward,
        gelu::bias_gelu_backward,
        softmax::masked_softmax_forward,
        softmax::masked_softmax_backward,
        layer_norm::layer_norm_forward,
        layer_norm::layer_norm_backward,
        layer_norm::layer_norm_gradients,
        cross_entropy::cross_entropy_forward,
        cross_entropy::cross_entropy_backward,
        adamw::adamw_step,
    ],
}
