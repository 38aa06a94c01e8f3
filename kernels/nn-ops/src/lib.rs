//! Operators of neural networks: RMS norm, a residual with layer norm in one pass, `SwiGLU`, each with its gradients.
//!
//! Every op computes in f32 whatever its tensors hold, takes any sizes, and computes the same bits however the TCM pool
//! cuts the work into tiles and however many cores share it.
#![no_std]

mod residual;
mod rms_norm;
mod shapes;
mod swiglu;

pub use residual::{
    residual_layer_norm_backward, residual_layer_norm_forward, residual_layer_norm_sums, residual_layer_norm_weights,
};
pub use rms_norm::{rms_norm_backward, rms_norm_forward, rms_norm_gradients};
pub use swiglu::{swiglu_backward, swiglu_forward};

gpsimd::op_library! {
    name: "nn_ops",
    ops: [
        rms_norm::rms_norm_forward,
        rms_norm::rms_norm_backward,
        rms_norm::rms_norm_gradients,
        residual::residual_layer_norm_forward,
        residual::residual_layer_norm_backward,
        residual::residual_layer_norm_weights,
        residual::residual_layer_norm_sums,
        swiglu::swiglu_forward,
        swiglu::swiglu_backward,
    ],
}
