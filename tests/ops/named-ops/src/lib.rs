//! Ops that are named like what the macros, C++ and PyTorch name, in a crate that calls `gpsimd` otherwise. Their
//! gradients are the gradient of the output, or what the op itself computes of it.
#![no_std]

use gp::prelude::*;

mod add;
mod core;

pub use add::add;
pub use core::core;

/// y = dtype shape.  shape: any, y: like shape.
#[custom_op(shape = shape_of, gradient(shape) = shape(grad, dtype, f32))]
pub fn shape<Element: Float>(
    core: &Core,
    shape: Input<Element>,
    dtype: f32,
    f32: f32,
    mut output: Output<Element>,
) -> OpResult {
    for range in core.share(shape.len(), LANES).chunks(LANES) {
        let tile = core.tcm().load(&shape, range.clone())?;
        let mut result = core.tcm().stage(&mut output, range)?;
        for (y, x) in result.iter_mut().zip(&*tile) {
            *y = Element::from_f32(x.to_f32() * dtype + f32);
        }
        result.store()?;
    }
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn shape_of(operands: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*operands)
}

op_library! { name: "named_ops", ops: [shape, add, core] }
