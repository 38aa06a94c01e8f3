#![allow(unused)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

#[custom_op(shape = like_x)]
pub fn copies(core: &Core, x: Input<f32>, mut y: Output<f32>) -> OpResult {
    core.tcm().update(&x, &mut y, ..)?.store()
}

op_library! { name: "eleven_ops", ops: [copies, copies, copies, copies, copies, copies, copies, copies, copies, copies, too_many] }

op_library! { name: "builtin", ops: [copies] }

op_library! { name: "Upper", ops: [copies] }

op_library! { name: "1st", ops: [copies] }

op_library! { ops: [copies] }

op_library! { name: "no_ops" }

op_library! { name: "empty", ops: [] }

op_library! { name: "unknown_field", ops: [copies], version: "1" }

op_library! { name: "odd_tcm", ops: [copies], tcm: 100 }

op_library! { name: "much_tcm", ops: [copies], tcm: 32768 }

op_library! { name: "twice", name: "thrice", ops: [copies] }

op_library! { name: "the_same_op_twice", ops: [copies, copies] }

fn main() {}
