//! The operators of a transformer's training step, with dropout, in one library.
//!
//! Dropout is part of the op before or after it: of attention softmax, and of the residual with layer norm. No mask is
//! stored: which elements are kept is a function of a seed and of the element's index, and the gradients compute it anew.
//! AdamW clips gradients by their global norm. The other ops of the step, GELU with bias and dropout alone, are those of
//! `bert-ops` and `index-ops`: on a Trainium a model has one op library, of at most 10 functions, which these are.
//!
//! Every op computes in f32 whatever its tensors hold, takes any sizes, and computes the same bits however the TCM pool
//! cuts the work into tiles and however many cores share it.
#![no_std]

mod adamw;
mod dropout;
mod dropout_norm;
mod softmax_dropout;

pub use adamw::{scaled_adamw_step, sum_of_squares};
pub use dropout_norm::{dropout_norm_backward, dropout_norm_forward, dropout_norm_gradients};
pub use softmax_dropout::{softmax_dropout_backward, softmax_dropout_forward};

gpsimd::op_library! {
    name: "training_ops",
    tcm: 11008,
    ops: [
        bert_ops::bias_gelu_forward,
        bert_ops::bias_gelu_backward,
        softmax_dropout::softmax_dropout_forward,
        softmax_dropout::softmax_dropout_backward,
        dropout_norm::dropout_norm_forward,
        dropout_norm::dropout_norm_backward,
        dropout_norm::dropout_norm_gradients,
        index_ops::dropout,
        adamw::sum_of_squares,
        adamw::scaled_adamw_step,
    ],
}
