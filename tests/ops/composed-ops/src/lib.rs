//! An op library of ops from several crates, two of which are op libraries themselves, and one of its own.
#![no_std]

use gpsimd::prelude::*;

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

/// y = 3 x.
#[custom_op(shape = like_x)]
pub fn triple<T: Float>(core: &Core, x: Input<T>, y: Output<T>) -> OpResult {
    core.map(&x, y, |x| T::from_f32(3.0 * x.to_f32()))
}

op_library! {
    name: "composed_ops",
    ops: [bert_ops::bias_gelu_forward, bert_ops::bias_gelu_backward, element_ops::relu, output_ops::squares, triple],
}
