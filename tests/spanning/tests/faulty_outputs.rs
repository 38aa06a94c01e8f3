//! Mistakes with one of two outputs (`tests/faults/faulty-outputs`): the message names the output.

use gpsimd_emulator::{
    DType, Engine, Launch, LaunchError, Mode, Op, OperandError, Tensor, TensorType, TensorView, TensorViewMut,
};
use gpsimd_tests::{library, without_lines};
use insta::assert_snapshot;

fn op(name: &str) -> Op {
    library(&faulty_outputs::OP_LIBRARY).op(name).expect("the op")
}

fn engine(mode: Mode) -> Engine {
    Engine::builder().threads(2).mode(mode).build().expect("an engine")
}

fn counting() -> Tensor {
    Tensor::from_vec((0_u8..80).map(f32::from).collect(), &[80]).expect("as many elements as the shape")
}

fn message(mode: Mode, name: &str) -> String {
    let result = engine(mode).call_all(&op(name), &[counting().view()], &[]);
    without_lines(result.expect_err("a launch of a faulty op fails"))
}

/// The same in both modes.
fn message_in_any_mode(name: &str) -> String {
    let [checked, fast] = [Mode::Checked, Mode::Fast].map(|mode| message(mode, name));
    assert_eq!(checked, fast);
    checked
}

#[test]
fn what_makes_no_mistake_is_right() {
    let n = Tensor::from_vec((0..80).collect::<Vec<i32>>(), &[80]).expect("as many elements as the shape");
    for mode in [Mode::Checked, Mode::Fast] {
        let found = engine(mode).call_all(&op("is_right"), &[counting().view()], &[]).expect("a good launch");
        assert_eq!(found, [counting(), n.clone()]);
    }
}

#[test]
fn an_output_that_is_never_written_is_named() {
    assert_snapshot!(message_in_any_mode("forgets_the_second"), @"op `forgets_the_second`: no core wrote elements 0..80 of output `n`");
    assert_snapshot!(message_in_any_mode("forgets_the_first"), @"op `forgets_the_first`: no core wrote elements 0..80 of output `y`");
    assert_snapshot!(message_in_any_mode("leaves_out_the_last"), @"op `leaves_out_the_last`: no core wrote elements 79..80 of output `n`, all after the last that was written: the kernel stops too early, or its shape function asks for too large an output, i32[80] for `x` f32[80]");
}

#[test]
fn an_output_that_two_cores_write_is_named() {
    assert_snapshot!(message(Mode::Checked, "writes_the_second_twice"), @"op `writes_the_second_twice`, core 0, at tests/faults/faulty-outputs/src/lib.rs:LINE: elements 9..10 of output `n` are also written by core 1 (at tests/faults/faulty-outputs/src/lib.rs:LINE): give every core a part of its own (`core.share`, or by `get_cpu_id` in C++)");
    // In fast mode the core that comes second is refused, on the native tier where it writes.
    let fast = message(Mode::Fast, "writes_the_second_twice");
    assert!(fast.starts_with("op `writes_the_second_twice`, core "), "{fast}");
    assert!(fast.contains("elements 9..10 of output `n` are also written by core "), "{fast}");
}

#[test]
fn an_output_that_is_stored_past_its_end_is_named() {
    assert_snapshot!(message_in_any_mode("stores_past_the_second"), @"op `stores_past_the_second`, core 7, at tests/faults/faulty-outputs/src/lib.rs:LINE: store of 11 elements from element 70 of `n` goes past its end: it has 80 elements");
}

#[test]
fn an_output_with_an_element_of_unwritten_tcm_is_named() {
    assert_snapshot!(message(Mode::Checked, "leaves_one_as_it_was"), @"op `leaves_one_as_it_was`, core 0, at tests/faults/faulty-outputs/src/lib.rs:LINE: store of elements 0..1 of output `n` from TCM that was never written");
}

#[test]
fn an_operand_that_is_read_after_its_output_was_written_is_named() {
    assert_snapshot!(message(Mode::Checked, "reads_what_it_replaced"), @"op `reads_what_it_replaced`, core 0, at tests/faults/faulty-outputs/src/lib.rs:LINE: load of elements 0..10 of `x`, which this core has replaced before: in place the new values would be read; load before storing");
    assert_snapshot!(message(Mode::Checked, "reads_what_others_replace"), @"op `reads_what_others_replace`, core 1, at tests/faults/faulty-outputs/src/lib.rs:LINE: load of elements 0..10 of `x`, which core 0 replaces (at tests/faults/faulty-outputs/src/lib.rs:LINE): in place either value could be read");
}

/// Where y and n are in memory that begins with x: elements from its start.
fn overlap(y: usize, n: usize) -> OperandError {
    let mut memory = vec![0.0_f32; 300];
    let base = memory.as_mut_ptr();
    let [floats, integers] = [DType::F32, DType::I32].map(|dtype| TensorType::new(dtype, &[80]).expect("a type"));
    // SAFETY: all are inside `memory`, which nothing else reaches meanwhile; that they overlap is what the launch refuses
    // before anything runs.
    let (x, outputs) = unsafe {
        let x = TensorView::from_raw(base.cast_const().cast(), floats);
        let y = TensorViewMut::from_raw(base.add(y).cast(), floats);
        (x, vec![y, TensorViewMut::from_raw(base.add(n).cast(), integers)])
    };
    let launch = Launch { tensors: &[x], scalars: &[], outputs };
    match engine(Mode::Checked).launch(&op("is_right"), launch) {
        Err(LaunchError::Operands(error)) => error,
        other => panic!("expected an overlap, found {other:?}"),
    }
}

#[test]
fn outputs_that_overlap_are_named() {
    assert_snapshot!(overlap(100, 150), @"op `is_right`: outputs `y` and `n` share memory: give each memory of its own");
    assert_snapshot!(overlap(100, 10), @"op `is_right`: output `n` and operand `x` share memory: give the output memory of its own");
    assert_snapshot!(overlap(10, 200), @"op `is_right`: output `y` and operand `x` share memory: give the output memory of its own, or launch in place");
}

#[test]
fn another_number_of_outputs_is_refused() {
    let (x, mut y) = (counting(), counting());
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut()] };
    assert_snapshot!(engine(Mode::Checked).launch(&op("is_right"), launch).expect_err("one output"), @"op `is_right` has 2 outputs, found 1");
    assert_snapshot!(engine(Mode::Fast).call(&op("is_right"), &[x.view()], &[]).expect_err("two outputs"), @"op `is_right` has 2 outputs, found 1");
}

#[test]
fn the_outputs_need_their_types() {
    let (x, mut y, mut n) = (counting(), counting(), counting());
    let launch = Launch { tensors: &[x.view()], scalars: &[], outputs: vec![y.view_mut(), n.view_mut()] };
    assert_snapshot!(engine(Mode::Checked).launch(&op("is_right"), launch).expect_err("n is f32"), @"op `is_right`: output `n` is f32[80], expected i32[80]");
}
