//! `SwiGLU` (Shazeer: GLU Variants Improve Transformer, 2020): what follows the first linear layers of a feed-forward block.

use gpsimd::prelude::*;

fn like_both(gate: &TensorType, up: &TensorType) -> Result<TensorType, ShapeError> {
    up.expect_shape_of(gate)?;
    Ok(*gate)
}

fn like_operands(dy: &TensorType, gate: &TensorType, up: &TensorType) -> Result<[TensorType; 2], ShapeError> {
    dy.expect_shape_of(gate)?;
    like_both(gate, up)?;
    Ok([*gate, *up])
}

/// y = gate sigmoid(gate) up.
///
/// gate, up and y: of one shape; f16, bf16 or f32, computed in f32.
#[custom_op(shape = like_both, gradient(gate, up) = swiglu_backward(grad, gate, up))]
pub fn swiglu_forward<T: Float>(core: &Core, gate: Input<T>, up: Input<T>, y: Output<T>) -> OpResult {
    core.map((&gate, &up), y, |(gate, up)| {
        let gate = gate.to_f32();
        T::from_f32(gate * math::sigmoid(gate) * up.to_f32())
    })
}

/// With s = sigmoid(gate), dgate = dy up s (1 + gate (1 - s)) and dup = dy gate s: the gradients of `swiglu_forward`.
///
/// All of one shape; f16, bf16 or f32, computed in f32.
#[custom_op(shape = like_operands)]
pub fn swiglu_backward<T: Float>(
    core: &Core,
    dy: Input<T>,
    gate: Input<T>,
    up: Input<T>,
    dgate: Output<T>,
    dup: Output<T>,
) -> OpResult {
    core.map((&dy, &gate, &up), (dgate, dup), |(dy, gate, up)| {
        let (dy, gate, up) = (dy.to_f32(), gate.to_f32(), up.to_f32());
        // 1 - s without cancellation.
        let (s, rest) = (math::sigmoid(gate), math::sigmoid(-gate));
        (T::from_f32(dy * up * s * math::fma(gate, rest, 1.0)), T::from_f32(dy * gate * s))
    })
}
