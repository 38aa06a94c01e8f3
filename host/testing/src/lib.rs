//! What the tests of an op library need: its ops on the tier under test, in both modes of the emulator.
//!
//! ```
//! # mod my_ops {
//! #     use gpsimd::prelude::*;
//! #     fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> { Ok(*x) }
//! #     #[custom_op(shape = like_x)]
//! #     pub fn relu(core: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
//! #         core.map(&x, y, |x| if x > 0.0 { x } else { 0.0 })
//! #     }
//! #     op_library! { name: "my_ops", ops: [relu] }
//! # }
//! use gpsimd_testing::{Ops, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ops = Ops::of(&my_ops::OP_LIBRARY);
//! let x = Tensor::from_vec(vec![-1.0_f32, 2.0], &[2])?;
//! let y = ops.run("relu", &[&x], &[]);
//! assert_eq!(y.as_slice::<f32>()?, [0.0, 2.0]);
//! # Ok(())
//! # }
//! ```
//!
//! `cargo test` runs the kernels as rustc compiles them for this CPU. `cargo gpsimd test` runs the same tests again on the op
//! package that ships, and on the Xtensa program: the bits have to be the same, so a snapshot of [`digest`] holds for all.

mod digest;
mod error;
mod numbers;
mod ops;
mod tier;

pub use digest::digest;
pub use error::{assert_within, error_in_ulps, values};
pub use gpsimd_emulator::gpsimd_abi::LibraryTable;
pub use gpsimd_emulator::{
    self, DType, Engine, Launch, LaunchError, Mode, Op, OpLibrary, Scalar, Tensor, TensorType, TensorView, bf16, f16,
};
pub use numbers::numbers;
pub use ops::Ops;
pub use tier::{ISA, PACKAGE, cases, library};
