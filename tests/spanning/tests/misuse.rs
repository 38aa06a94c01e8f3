//! Every mistake of a kernel author that the emulator reports, made by a Rust kernel (`tests/faults/faulty-ops`), and the message
//! that the author reads.

use gpsimd_emulator::{Engine, Launch, LaunchError, Mode, Scalar, Tensor, TensorView, bf16};
use gpsimd_tests::{library, without_lines};
use insta::assert_snapshot;

fn engine(mode: Mode) -> Engine {
    Engine::builder().threads(2).mode(mode).build().expect("an engine")
}

/// 0, 1, 2, ... `len - 1`.
fn counting(len: usize) -> Tensor {
    Tensor::from_vec((0..len).map(|i| i as f32).collect(), &[len]).expect("as many elements as the shape")
}

fn run(mode: Mode, op: &str, x: &Tensor) -> Result<Tensor, LaunchError> {
    let library = library(&faulty_ops::OP_LIBRARY);
    engine(mode).call(&library.op(op).expect("the op"), &[x.view()], &[])
}

/// The message of a checked launch of `op` on `len` elements.
fn message(op: &str, len: usize) -> String {
    run(Mode::Checked, op, &counting(len)).expect_err("a launch of a faulty op fails").to_string()
}

#[test]
fn a_load_past_the_end_of_a_tensor_is_an_error() {
    assert_snapshot!(without_lines(message("loads_past_the_end", 130)));
}

#[test]
fn a_store_past_the_end_of_the_output_is_an_error() {
    assert_snapshot!(without_lines(message("stores_past_the_end", 130)));
}

#[test]
fn dmas_past_the_end_are_errors_in_fast_mode_too() {
    for op in ["loads_past_the_end", "stores_past_the_end"] {
        let x = counting(130);
        assert_eq!(run(Mode::Fast, op, &x).expect_err(op), run(Mode::Checked, op, &x).expect_err(op));
    }
}

#[test]
fn kernels_whose_mistake_is_not_reached_are_right() {
    for op in ["loads_past_the_end", "stores_past_the_end"] {
        assert_eq!(run(Mode::Checked, op, &counting(128)), Ok(counting(128)));
    }
    assert_eq!(run(Mode::Checked, "exhausts_tcm", &counting(100)), Ok(counting(100)));
}

#[test]
fn an_exhausted_pool_says_what_was_asked_and_what_is_left() {
    assert_snapshot!(without_lines(message("exhausts_tcm", 8 * 3000)));
}

#[test]
fn an_exhausted_pool_is_the_same_error_in_fast_mode() {
    let x = counting(8 * 3000);
    let [fast, checked] = [Mode::Fast, Mode::Checked].map(|mode| run(mode, "exhausts_tcm", &x).expect_err("fails"));
    assert_eq!(fast, checked);
}

#[test]
fn two_cores_writing_one_element_is_an_error() {
    assert_snapshot!(without_lines(message("writes_into_another_share", 80)));
}

#[test]
fn a_stage_that_is_not_stored_leaves_elements_unwritten() {
    assert_snapshot!(without_lines(message("forgets_to_store", 80)));
}

#[test]
fn storing_tcm_that_was_never_written_is_an_error() {
    assert_snapshot!(without_lines(message("stores_unwritten_tcm", 80)));
}

#[test]
fn computing_from_tcm_that_was_never_written_is_an_error() {
    assert_snapshot!(without_lines(message("sums_into_unwritten_tcm", 80)));
}

#[test]
fn a_panic_is_an_error_with_its_place_in_the_source() {
    assert_snapshot!(without_lines(message("indexes_out_of_bounds", 80)));
}

#[test]
fn a_panic_is_the_same_error_in_fast_mode() {
    let x = counting(80);
    let [fast, checked] =
        [Mode::Fast, Mode::Checked].map(|mode| run(mode, "indexes_out_of_bounds", &x).expect_err("fails"));
    assert_eq!(fast, checked);
}

#[test]
fn the_place_of_a_mistake_is_a_line_of_the_kernel() {
    let message = message("indexes_out_of_bounds", 80);
    let place = message.split(", at ").nth(1).and_then(|rest| rest.split(": ").next()).expect("a place");
    let (file, line) = place.split_once(".rs:").expect("path.rs:line:column");
    let line: usize = line.split(':').next().and_then(|line| line.parse().ok()).expect("a line number");
    assert!(file.ends_with("faulty-ops/src/lib"), "{file}");
    let source = include_str!("../../faults/faulty-ops/src/lib.rs");
    assert_eq!(source.lines().nth(line - 1).map(str::trim), Some("y[i] = tile[i];"));
}

#[test]
fn a_kernel_refuses_in_its_own_words() {
    assert_snapshot!(without_lines(message("refuses", 80)));
}

#[test]
fn freeing_out_of_order_is_an_error() {
    assert_snapshot!(without_lines(message("frees_out_of_order", 80)));
}

#[test]
fn an_error_does_not_depend_on_the_number_of_threads() {
    let library = library(&faulty_ops::OP_LIBRARY);
    let x = counting(8 * 3000);
    for op in library.ops() {
        let error = |threads| {
            let engine = Engine::builder().threads(threads).build().expect("an engine");
            engine.call(&op, &[x.view()], &[]).map(drop)
        };
        assert_eq!(error(1), error(4), "{}", op.name());
    }
}

/// Launches the first op, which takes x and returns the like.
fn launch(tensors: &[TensorView<'_>], scalars: &[Scalar], output: &mut Tensor, in_place: bool) -> String {
    let library = library(&faulty_ops::OP_LIBRARY);
    let (op, engine) = (library.op("loads_past_the_end").expect("the op"), engine(Mode::Checked));
    let launch = Launch { tensors, scalars, outputs: vec![output.view_mut()] };
    let result = if in_place { engine.launch_in_place(&op, launch) } else { engine.launch(&op, launch) };
    result.expect_err("the launch is refused").to_string()
}

#[test]
fn operands_of_the_wrong_number_are_refused() {
    let x = counting(16);
    assert_snapshot!(without_lines(launch(&[x.view(), x.view()], &[], &mut counting(16), false)));
}

#[test]
fn scalars_that_the_op_does_not_take_are_refused() {
    assert_snapshot!(without_lines(launch(&[counting(16).view()], &[1.0.into()], &mut counting(16), false)));
}

#[test]
fn an_output_of_another_shape_is_refused() {
    assert_snapshot!(without_lines(launch(&[counting(16).view()], &[], &mut counting(17), false)));
}

#[test]
fn an_output_of_another_dtype_is_refused() {
    let mut output = Tensor::from_vec(vec![bf16::ZERO; 16], &[16]).expect("a tensor");
    assert_snapshot!(without_lines(launch(&[counting(16).view()], &[], &mut output, false)));
}

#[test]
fn a_launch_in_place_of_an_op_that_replaces_nothing_is_refused() {
    assert_snapshot!(without_lines(launch(&[], &[], &mut counting(16), true)));
}

#[test]
fn an_op_that_the_library_lacks_is_named_with_those_it_has() {
    let library = library(&faulty_ops::OP_LIBRARY);
    assert_snapshot!(without_lines(library.op("refuse").expect_err("no such op")));
}
