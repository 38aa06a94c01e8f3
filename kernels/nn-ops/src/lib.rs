//! Operators of neural networks, in one library: what a Llama needs, and quantisation to 8 bits.
//!
//! RMS norm, `SwiGLU` and rotary position embeddings have their gradients. Softmax of attention with dropout is that of
//! `training-ops`: on a Trainium a model has one op library.
//!
//! Every op computes in f32 whatever its tensors hold, takes any sizes, and computes the same bits however the TCM pool
//! cuts the work into tiles and however many cores share it.
#![no_std]

mod quantise;
mod rms_norm;
mod rope;
mod shapes;
mod swiglu;

pub use quantise::{dequantise_rows, quantise_rows};
pub use rms_norm::{rms_norm_backward, rms_norm_forward, rms_norm_gradients};
pub use rope::rope;
pub use swiglu::{swiglu_backward, swiglu_forward};

gpsimd::op_library! {
    name: "nn_ops",
    ops: [
        rms_norm::rms_norm_forward,
        rms_norm::rms_norm_backward,
        rms_norm::rms_norm_gradients,
        rope::rope,
        swiglu::swiglu_forward,
        swiglu::swiglu_backward,
        training_ops::softmax_dropout_forward,
        training_ops::softmax_dropout_backward,
        quantise::quantise_rows,
        quantise::dequantise_rows,
    ],
}
