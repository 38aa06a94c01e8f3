//! Mistakes that a compiler of the kernel image could hide (`tests/faults/image-ops`): the same errors on every tier.

use std::time::Duration;

use gpsimd_emulator::{Engine, KernelError, LaunchError, Misuse, Mode, Tensor};
use gpsimd_tests::{library, without_lines};
use insta::assert_snapshot;

fn engine(mode: Mode) -> Engine {
    Engine::builder()
        .mode(mode)
        .threads(2)
        .tcm_bytes(8192)
        .time_limit(Duration::from_millis(300))
        .build()
        .expect("an engine")
}

/// `start` and then 0, 1, 2, ..: 3001 elements.
fn tensor(start: &[f32]) -> Tensor {
    let mut elements = start.to_vec();
    elements.extend((0..3001 - start.len()).map(|i| i as f32));
    Tensor::from_vec(elements, &[3001]).expect("as many elements as the shape")
}

fn run(mode: Mode, op: &str, x: &Tensor) -> Result<Tensor, LaunchError> {
    let op = library(&image_ops::OP_LIBRARY).op(op).expect("the op");
    engine(mode).call(&op, &[x.view()], &[])
}

fn error(mode: Mode, op: &str, start: &[f32]) -> KernelError {
    match run(mode, op, &tensor(start)) {
        Err(LaunchError::Kernel(error)) => *error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("`{op}` returns"),
    }
}

fn message(op: &str, start: &[f32]) -> String {
    without_lines(error(Mode::Checked, op, start))
}

#[test]
fn loops_that_do_not_end_are_kept() {
    for way in [1.0, 2.0, 3.0, 4.0] {
        for mode in [Mode::Checked, Mode::Fast] {
            let error = error(mode, "loops", &[way]);
            assert_eq!(error.core, Some(3), "{way}: {error}");
            assert!(matches!(error.misuse, Misuse::TimeLimit { .. }), "{way}: {error}");
        }
    }
    let x = tensor(&[0.0]);
    assert_eq!(run(Mode::Checked, "loops", &x), Ok(x));
}

#[test]
fn a_loop_over_floats_that_does_not_end_is_kept() {
    let error = error(Mode::Checked, "loops_over_floats", &[]);
    assert!(matches!(error.misuse, Misuse::TimeLimit { .. }), "{error}");
}

#[test]
fn deep_recursion_is_an_error() {
    for way in [1.0, 2.0, 3.0] {
        let error = error(Mode::Checked, "recurses", &[way, 10_000_000.0]);
        assert_eq!(error.core, Some(0), "{way}: {error}");
        assert!(error.to_string().contains("stack"), "{way}: {error}");
        let x = tensor(&[way, 7.0]);
        assert_eq!(run(Mode::Checked, "recurses", &x), Ok(x));
    }
}

#[test]
fn panics_have_their_text_and_place() {
    assert_snapshot!(message("panics", &[1.0, 2.5]));
    assert_snapshot!(message("panics", &[2.0, 2.5]));
    assert_snapshot!(message("panics", &[5.0, 2.5]));
    assert_snapshot!(message("panics", &[6.0, 2.5]));
}

#[test]
fn a_long_message_ends_with_a_whole_character() {
    let message = message("panics", &[4.0, 2.5]);
    assert!(message.contains("panicked: longéééé") && message.ends_with('é'), "{message}");
}

/// A native program ends.
#[test]
fn a_panic_in_the_message_of_a_panic_ends_the_message() {
    if std::env::var_os("GPSIMD_PACKAGE").is_some() {
        assert_snapshot!(message("panics", &[3.0, 2.5]));
    }
}

#[test]
fn a_panic_is_where_the_kernel_says() {
    let error = error(Mode::Fast, "panics", &[2.0, 2.5]);
    let location = error.location.expect("a place");
    let source =
        include_str!("../../faults/image-ops/src/lib.rs").lines().nth(location.line as usize - 1).expect("a line");
    assert_eq!(&source[location.column as usize - 1..][..6], "panic!");
}

#[test]
fn what_tcm_held_before_is_not_written() {
    assert_snapshot!(message("forgets_the_remainder", &[]));
}

#[test]
fn what_tcm_held_before_is_zero_in_fast_mode() {
    let x = tensor(&[]);
    let result = run(Mode::Fast, "forgets_the_remainder", &x).expect("fast mode finds nothing");
    let (x, y) = (x.as_slice::<f32>().expect("f32"), result.as_slice::<f32>().expect("f32"));
    assert_eq!(y[..2992], x[..2992]);
    assert_eq!(y[2992..], [0.0; 9]);
}

#[test]
fn buffers_that_are_never_freed_exhaust_the_pool() {
    // 3001 elements leave room for all of them.
    let x = Tensor::from_vec((0..60_000).map(|i| i as f32).collect(), &[60_000]).expect("a tensor");
    let error = run(Mode::Checked, "leaks", &x).expect_err("it leaks");
    assert_snapshot!(without_lines(error));
}

#[test]
fn freeing_the_first_first_is_an_error_in_either_mode() {
    assert_snapshot!(message("frees_the_first_first", &[]));
    let fast = without_lines(error(Mode::Fast, "frees_the_first_first", &[]));
    assert_eq!(fast, message("frees_the_first_first", &[]));
}

#[test]
fn a_stage_that_is_dropped_is_an_error_at_its_place() {
    assert_snapshot!(message("drops_a_stage", &[]));
}
