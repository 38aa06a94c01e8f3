//! TCM that is never freed, and a shape function that panics: what the author reads.
#![allow(missing_docs, reason = "a test binary's op library is nobody's interface")]

use gpsimd::prelude::*;
use gpsimd_emulator::{Engine, Mode, OpLibrary, Tensor};

#[expect(clippy::unnecessary_wraps, reason = "the signature of a shape function")]
fn like_x(x: &TensorType) -> Result<TensorType, ShapeError> {
    Ok(*x)
}

fn twice_as_long(x: &TensorType) -> Result<TensorType, ShapeError> {
    x.with_shape(&[x.dim(0) * 2])
}

fn indexes(x: &TensorType) -> Result<TensorType, ShapeError> {
    let shape = x.shape();
    x.with_shape(&[shape[0], shape[1]])
}

fn copy<T: Float>(core: &Core, x: &Input<T>, y: &mut Output<T>, forgets: usize) -> OpResult {
    for (round, range) in core.share(x.len(), LANES).chunks(256).enumerate() {
        let tile = core.tcm().load(x, range.clone())?;
        let mut stage = core.tcm().stage(y, range)?;
        stage.copy_from_slice(&tile);
        stage.store()?;
        if round < forgets {
            core::mem::forget(tile);
        }
    }
    Ok(())
}

#[custom_op(shape = like_x)]
pub fn forgets_all<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, &mut y, usize::MAX)
}

#[custom_op(shape = like_x)]
pub fn forgets_one<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, &mut y, 1)
}

#[custom_op(shape = twice_as_long)]
pub fn shape_large<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, &mut y, 0)
}

#[custom_op(shape = indexes)]
pub fn shape_panics<T: Float>(core: &Core, x: Input<T>, mut y: Output<T>) -> OpResult {
    copy(core, &x, &mut y, 0)
}

op_library! {
    name: "leaks",
    ops: [forgets_all, forgets_one, shape_large, shape_panics],
}

fn message(op: &str, mode: Mode, len: usize) -> String {
    let engine = Engine::builder().mode(mode).threads(2).build().expect("an engine");
    let op = OpLibrary::from_static(&OP_LIBRARY).expect("the library").op(op).expect("the op");
    let x = Tensor::from_vec(vec![1.0_f32; len], &[len]).expect("as many elements as the shape");
    engine.call(&op, &[x.view()], &[]).map(|_| ()).expect_err("a mistake").to_string()
}

#[test]
fn a_pool_that_leaks_run_out_of_says_which_buffers_were_never_freed() {
    let message = message("forgets_all", Mode::Checked, 8 * 256 * 20);
    assert!(
        message.contains("12 buffers, 12288 bytes in all, taken at tests/spanning/tests/leaks.rs:23:"),
        "{message}"
    );
    assert!(message.contains("were never freed") && !message.contains("smaller"), "{message}");
}

#[test]
fn one_buffer_that_is_never_freed_is_an_error_in_either_mode() {
    for (op, mode) in [("forgets_one", Mode::Checked), ("forgets_one", Mode::Fast), ("forgets_all", Mode::Fast)] {
        let message = message(op, mode, 3001);
        assert!(message.contains("core 0") && message.contains("of TCM that it never freed"), "{message}");
        let has_place = message.contains("taken at tests/spanning/tests/leaks.rs:23:");
        assert_eq!(has_place, mode == Mode::Checked, "{message}");
    }
}

#[test]
fn an_output_that_is_larger_than_what_is_written_may_be_the_shape_functions_fault() {
    for mode in [Mode::Checked, Mode::Fast] {
        let message = message("shape_large", mode, 3000);
        assert!(message.contains("no core wrote elements 3000..6000 of output `y`"), "{message}");
        assert!(
            message.contains("its shape function asks for too large an output, f32[6000] for `x` f32[3000]"),
            "{message}"
        );
    }
}

#[test]
fn a_shape_function_that_panics_says_where_and_for_what() {
    let message = message("shape_panics", Mode::Checked, 3001);
    let expected =
        "op `shape_panics`: its shape function panicked for `x` f32[3001], at tests/spanning/tests/leaks.rs:18:";
    assert!(message.starts_with(expected) && message.contains("index out of bounds"), "{message}");
}
