//! Write custom operators for the GPSIMD cores of AWS Trainium in Rust.
//!
//! A GPSIMD engine has 8 cores. Every core runs the same function on its own part of the data: it brings tiles of the
//! tensors from device memory (HBM) into its tightly coupled memory (TCM) by DMA, computes on them 16 lanes at a time,
//! and sends the result back. Nothing synchronises the cores. A kernel says what it computes, and [`Core::map`] or
//! [`Core::rows`] chooses the tiles and walks them:
//!
//! ```
//! use gpsimd::prelude::*;
//!
//! fn like_x(x: &TensorType, bias: &TensorType) -> Result<TensorType, ShapeError> {
//!     x.expect_rank_at_least(1)?;
//!     bias.expect_rank(1)?.expect_dim(0, x.last_dim())?;
//!     Ok(*x)
//! }
//!
//! /// y = x + bias. x: `[.., H]`, bias: `[H]`, y: like x; f32 or bf16, computed in f32.
//! #[custom_op(shape = like_x)]
//! pub fn add_bias<T: Float>(core: &Core, x: Input<T>, bias: Input<T>, y: Output<T>) -> OpResult {
//!     core.map((&x, &bias), y, |(x, bias)| T::from_f32(x.to_f32() + bias.to_f32()))
//! }
//!
//! op_library! { name: "example", ops: [add_bias] }
//! # fn main() {}
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`Core`] | the core a kernel runs on: its number, its share of the work, its TCM |
//! | [`Core::map`], [`Core::rows`], [`Core::reduce`] | the tile walk: element by element, row by row, a result for every row |
//! | [`Input::rows_at`], [`Input::narrow`], [`Core::scatter_rows`] | rows that lie apart: at indices, in a part of every dimension |
//! | [`Core::fold_rows`], [`Core::combine`], [`Core::parts`] | two phases: a result for every column, other partial results |
//! | [`Input`], [`Output`] | tensors in HBM |
//! | [`Tcm`], [`Tile`], [`RowTile`], [`Stage`], [`Transform`], [`Buffer`], [`Window`] | by hand: memory in TCM and the DMAs that fill and empty it |
//! | [`Element`], [`Number`], [`Float`], [`Integer`], [`Wide`], [`bf16`], [`f16`](struct@f16) | element types |
//! | [`math`] | elementary functions |
//! | [`random`] | random numbers by element |
//! | [`lanes`] | reductions ([`Lanes`]), scans, selection and sorting in vectors |
//! | [`TensorType`], [`ShapeError`] | shape functions |
//! | [`custom_op`], [`op_library!`], [`print!`] | the macros |
//! | [`macro@reference`], [`F64Tensor`] | what an op is compared with: a function in f64 |
#![no_std]

#[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
extern crate std;

mod device;
mod element;
mod engine_core;
mod error;
mod indices;
pub mod lanes;
pub mod math;
#[cfg(not(target_arch = "wasm32"))]
mod panics;
mod parts;
mod print;
pub mod random;
#[doc(hidden)]
#[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
pub mod references;
mod shape;
mod share;
mod tcm;
mod tensor;
mod walk;

#[doc(hidden)]
pub mod entry;
#[doc(hidden)]
pub mod ops;

pub use self::element::{Element, Float, Integer, Number, Wide, bf16, f16};
pub use self::engine_core::Core;
pub use self::error::{OpError, OpResult};
pub use self::lanes::{Lanes, greater};
pub use self::parts::PARTS;
#[doc(hidden)]
pub use self::print::Print;
pub use self::shape::{Shape, ShapeError, TensorType};
pub use self::share::{Chunks, Share};
pub use self::tcm::{Buffer, RowTile, Stage, Strided, Tcm, Tile, Transform, TransformRow, Window};
pub use self::tensor::{Input, Output};
pub use self::walk::{
    Gather, Kept, Narrowed, Operand, Operands, Outputs, PerRow, RandomBits, Row, RowBlock, Rows, Written, WrittenBlock,
};
pub use gpsimd_macros::{custom_op, op_library, print, reference};

#[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
pub use self::references::F64Tensor;

/// What a kernel needs, under one name.
pub mod prelude {
    #[cfg(not(any(target_arch = "wasm32", target_arch = "xtensa")))]
    pub use crate::F64Tensor;
    pub use crate::{
        Chunks, Core, Element, Float, Input, Integer, LANES, Lanes, Number, OpError, OpResult, Output, PARTS, Shape,
        ShapeError, Strided, TensorType, Wide, bf16, custom_op, f16, lanes, math, op_library, print, random, reference,
    };
}

/// Lanes of a core's vector unit in f32: 512 bit.
pub const LANES: usize = 16;

/// The code of the README, as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
