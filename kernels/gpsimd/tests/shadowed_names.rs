//! A crate that gives its own meaning to what every crate has. What this file holds is that it compiles.
#![allow(
    missing_docs,
    dead_code,
    unused_macros,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub,
    clippy::unnecessary_wraps
)]

use gpsimd::{Core, Float, Input, OpResult, Output, TensorType, custom_op, op_library, print};

pub struct Result;
pub struct Option;
pub struct Some;
pub struct String;
mod std {}
mod core {}
mod gpsimd_abi {}
mod entry {}
fn drop() {}
fn panic() {}
fn Ok() {}
fn Err() {}
type u64 = ();

macro_rules! env {
    () => {};
}
macro_rules! panic {
    () => {};
}
macro_rules! assert {
    () => {};
}

fn like_x(x: &TensorType) -> ::std::result::Result<TensorType, gpsimd::ShapeError> {
    ::std::result::Result::Ok(*x)
}

fn back(x: &TensorType, _: &TensorType) -> ::std::result::Result<TensorType, gpsimd::ShapeError> {
    like_x(x)
}

#[custom_op(shape = like_x, gradient(x) = shadowed_backward(grad, x, 1.0))]
pub fn shadowed<Output_: Float>(engine: &Core, x: Input<Output_>, rate: f32, y: Output<Output_>) -> OpResult {
    let core = rate;
    print!(engine, "{} {core}", core);
    let _ = (x, y);
    ::std::result::Result::Ok(())
}

#[custom_op(shape = self::back)]
pub fn shadowed_backward<T: Float>(_: &Core, dy: Input<T>, x: Input<T>, rate: f32, y: Output<T>) -> OpResult {
    let _ = (dy, x, rate, y);
    ::std::result::Result::Ok(())
}

/// Of the name of a macro that every crate has.
#[custom_op(shape = like_x)]
fn concat(_: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    let _ = (x, y);
    ::std::result::Result::Ok(())
}

/// Of the name of a macro of this crate.
#[custom_op(shape = like_x)]
pub(crate) fn env(_: &Core, x: Input<f32>, y: Output<f32>) -> OpResult {
    let _ = (x, y);
    ::std::result::Result::Ok(())
}

op_library! { name: "shadowed", ops: [shadowed, shadowed_backward, concat, env] }
