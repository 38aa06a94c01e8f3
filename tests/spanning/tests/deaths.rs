//! What becomes of a launch when the program of a core dies: an error that says how, and the next launch is a good one.

use gpsimd_emulator::{Engine, LaunchError, Tensor};
use gpsimd_tests::{library, without_lines};

/// `op` on 64 elements, all of them `value`, on 8 cores.
fn run(op: &str, value: f32) -> Result<Tensor, LaunchError> {
    assert!(std::env::var_os("GPSIMD_ISA").is_some(), "these kernels end the program: run `cargo xtask test isa`");
    let x = tensor(value);
    let engine = Engine::builder().threads(2).build().expect("an engine");
    engine.call(&library(&dying_ops::OP_LIBRARY).op(op).expect("the op"), &[x.view()], &[])
}

fn tensor(value: f32) -> Tensor {
    Tensor::from_vec(vec![value; 64], &[64]).expect("64 elements")
}

fn message(op: &str, value: f32) -> String {
    without_lines(run(op, value).expect_err("the launch fails"))
}

#[test]
#[ignore = "needs the program in GPSIMD_ISA: cargo xtask test isa"]
fn running_out_of_stack_is_an_error_and_the_next_launch_is_a_good_one() {
    assert_eq!(run("recurses", 8.0), Ok(tensor(8.0)));
    let message = message("recurses", 100.0);
    assert!(message.contains("the core's program died") && message.contains("signal 11"), "{message}");
    assert!(message.contains("recurses") && message.contains("core 0"), "{message}");
    assert_eq!(run("recurses", 8.0), Ok(tensor(8.0)));
}

/// On a host it is not: x86 reads words from anywhere.
#[test]
#[ignore = "needs the program in GPSIMD_ISA: cargo xtask test isa"]
fn reading_a_word_off_its_alignment_is_an_error() {
    assert_eq!(run("reads_off_alignment", 4.0), Ok(tensor(4.0)));
    for bytes in [1.0, 2.0, 3.0] {
        let message = message("reads_off_alignment", bytes);
        assert!(message.contains("the core's program died") && message.contains("signal 7"), "{message}");
    }
}

#[test]
#[ignore = "needs the program in GPSIMD_ISA: cargo xtask test isa"]
fn a_panic_of_a_shape_function_is_a_refusal() {
    let message = message("has_no_shape", 0.0);
    assert!(
        message.contains("its shape function panicked for `x` f32[64], at tests/faults/dying-ops/src/lib.rs:LINE: "),
        "{message}"
    );
}

#[test]
#[ignore = "needs the program in GPSIMD_ISA: cargo xtask test isa"]
fn a_panic_with_a_float_in_its_message_is_still_one_with_its_place() {
    assert_eq!(run("expects_zero", 0.0), Ok(tensor(0.0)));
    let message = message("expects_zero", 0.5);
    assert!(message.contains("a message with a float in it"), "{message}");
    assert!(message.contains("dying-ops/src/lib.rs:LINE"), "{message}");
}
