//! Mistakes that once changed a result without a word (`tests/faults/silent-ops`): the message that the author reads, on every tier,
//! in either mode.

use gpsimd_emulator::{Engine, LaunchError, Mode, Tensor};
use gpsimd_tests::{library, without_lines};
use insta::assert_snapshot;

fn launch(mode: Mode, op: &str) -> Result<Tensor, LaunchError> {
    let library = library(&silent_ops::OP_LIBRARY);
    let engine = Engine::builder().threads(2).mode(mode).build().expect("an engine");
    let x = Tensor::from_vec((0_u16..3001).map(f32::from).collect(), &[3001]).expect("as many elements as the shape");
    engine.call(&library.op(op).expect("the op"), &[x.view()], &[])
}

fn message(mode: Mode, op: &str) -> String {
    without_lines(launch(mode, op).expect_err("a launch of a faulty op fails"))
}

/// The same in both modes.
fn message_in_any_mode(op: &str) -> String {
    let [checked, fast] = [Mode::Checked, Mode::Fast].map(|mode| message(mode, op));
    assert_eq!(checked, fast);
    checked
}

#[test]
fn rows_that_leave_a_remainder_are_an_error_that_names_it() {
    assert_snapshot!(message_in_any_mode("leaves_a_remainder"));
}

#[test]
fn a_row_that_is_not_mapped_is_an_error() {
    assert_snapshot!(message_in_any_mode("skips_a_row"));
}

#[test]
fn chunks_of_0_elements_are_an_error() {
    assert_snapshot!(message_in_any_mode("makes_chunks_of_nothing"));
}

#[test]
fn a_range_that_runs_backwards_is_an_error() {
    assert_snapshot!(message_in_any_mode("goes_backwards"));
}

#[test]
fn a_stage_that_is_not_written_to_its_end_is_an_error_in_checked_mode() {
    assert_snapshot!(message(Mode::Checked, "forgets_the_tail"));
}

#[test]
fn a_stage_that_is_not_written_to_its_end_gives_the_same_bits_every_time_in_fast_mode() {
    let first = launch(Mode::Fast, "forgets_the_tail").expect("fast mode does not see it");
    for _ in 0..5 {
        assert_eq!(launch(Mode::Fast, "forgets_the_tail"), Ok(first.clone()));
    }
}

#[test]
fn buffers_that_are_never_freed_are_named() {
    assert_snapshot!(message(Mode::Checked, "leaks"));
}

#[test]
fn buffers_that_are_never_freed_are_an_error_in_fast_mode() {
    launch(Mode::Fast, "leaks").expect_err("a leak");
}

#[test]
fn freeing_too_early_is_an_error() {
    assert_snapshot!(message_in_any_mode("frees_too_early"));
}

#[test]
fn a_stage_that_is_dropped_is_named() {
    assert_snapshot!(message_in_any_mode("stores_nothing"));
}

#[test]
fn an_output_longer_than_what_is_written_is_an_error_that_names_the_shape_function() {
    assert_snapshot!(message_in_any_mode("has_a_longer_output"));
}

#[test]
fn a_panic_of_a_shape_function_arrives_with_its_place_and_the_shapes() {
    assert_snapshot!(message_in_any_mode("has_no_shape"));
}
