//! Whatever names a kernel author gives, that Rust and the hosts take, the macros' output does not collide with them.
//! What this file holds is that it compiles; the descriptor shows that the names arrive.

#![allow(missing_docs, unreachable_pub, clippy::unnecessary_wraps, clippy::too_many_arguments)]

use gpsimd::prelude::*;

fn like_x(x: &TensorType) -> gpsimd::entry::core::result::Result<TensorType, ShapeError> {
    Ok(*x)
}

/// As people split a crate: the module is called like the op in it.
mod relu {
    use super::*;

    #[custom_op(shape = like_x)]
    pub fn relu(_: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
        let _ = (x, y);
        Ok(())
    }
}
pub use relu::relu;

/// Operands and scalars called like what generated code could call something.
mod operands {
    use super::*;

    pub(super) fn shape(
        _: &TensorType,
        _: &TensorType,
        _: &TensorType,
        _: &TensorType,
        _: &TensorType,
        _: &TensorType,
        _: &TensorType,
        operand: &TensorType,
    ) -> Result<TensorType, ShapeError> {
        Ok(*operand)
    }

    #[custom_op(shape = shape, replaces = shape, gradient(r#type) = grad, gradient(error) = operands(
        grad, core, device, r#type, operands, error, _x, dtype, 1.0, 2, -3.5, r#type
    ))]
    pub(crate) fn operands<A: Float>(
        gpsimd: &Core,
        core: Input<A>,
        device: Input<bf16>,
        r#type: Input<A>,
        operands: Input<A>,
        error: Input<A>,
        _x: Input<A>,
        shape: Input<A>,
        dtype: f32,
        call: f32,
        f32: f32,
        scalars: f32,
        run: Input<A>,
        output: Output<A>,
    ) -> OpResult {
        let _ = (gpsimd, core, device, r#type, operands, error, shape, dtype, call, f32, scalars, run, output);
        Ok(())
    }
}

/// Ops called like macros, modules and what generated code could call something.
mod ops {
    use super::like_x;
    use gpsimd::prelude::*;

    mod shape {}
    mod call {}
    mod core {}

    /// A shape function called like a variable of generated code.
    fn output(x: &TensorType) -> Result<TensorType, ShapeError> {
        Ok(*x)
    }

    macro_rules! ops {
        ($($name:ident shape $shape:ident),*) => {$(
            #[custom_op(shape = $shape)]
            pub fn $name<F: Float>(core: &Core, x: Input<F>, y: Output<F>) -> OpResult {
                let _ = (core, x, y);
                Ok(())
            }
        )*};
    }
    ops! { concat shape output, shape shape like_x, r#yield_ shape output, call shape like_x, core shape like_x, info shape like_x }
}

use ops::{call, concat};

// `concat!` is a macro of every crate, too.
op_library! {
    name: "names",
    ops: [relu, operands::operands, concat, ops::shape, crate::ops::yield_, call, self::ops::core, ops::info],
}

#[test]
fn names_arrive_as_they_are_written() {
    // SAFETY: the library's own descriptor.
    let text = unsafe { std::slice::from_raw_parts(OP_LIBRARY.descriptor.data, OP_LIBRARY.descriptor.len) };
    let text = std::str::from_utf8(text).unwrap();
    let names: Vec<_> = text.split("\"name\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    // Each op, its type parameters, its operands, its output.
    assert_eq!(names[..4], ["names", "relu", "x", "y"]);
    let operands = [
        "operands", "A", "core", "device", "type", "operands", "error", "_x", "shape", "dtype", "call", "f32",
        "scalars",
    ];
    assert_eq!(names[4..17], operands);
    assert_eq!(names[17..19], ["run", "output"]);
    assert_eq!(
        names[19..].iter().step_by(4).collect::<Vec<_>>(),
        [&"concat", &"shape", &"yield_", &"call", &"core", &"info"]
    );
    assert!(text.contains("\"replaces\":\"shape\""));
}
