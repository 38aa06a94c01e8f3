//! The ops of `kernels/nn-ops` against float64 references, and their own bits of yesterday: see `golden.rs`.

use gpsimd_emulator::Op;
use gpsimd_tests::{Kind, Measured, Promise, library};

fn op(name: &str) -> Op {
    library(&nn_ops::OP_LIBRARY).op(name).expect("the op")
}

fn verify(name: &str, promised: &[Promise]) {
    let measured = Measured::all(&op(name));
    insta::assert_snapshot!(name, Measured::lines(&measured));
    Measured::verify(&measured, promised);
    Measured::verify_bits(&op(name), 4096);
}

#[test]
fn rms_norm_forward_is_as_exact_as_promised() {
    // Measured, in f32: 2.55, 1.61.
    verify("rms_norm_forward", &[("y", Kind::F32, 2.75), ("y", Kind::Narrow, 0.51), ("rstd", Kind::F32, 1.75)]);
}

#[test]
fn rms_norm_backward_is_as_exact_as_promised() {
    // Measured, in f32: 2.38, 1.40.
    verify(
        "rms_norm_backward",
        &[
            ("dx", Kind::F32, 2.5),
            ("dx", Kind::Narrow, 0.51),
            ("dgamma", Kind::F32, 1.5),
            ("dgamma", Kind::Narrow, 0.51),
        ],
    );
}

#[test]
fn rope_is_as_exact_as_promised() {
    // Measured, in f32: 0.97.
    verify("rope", &[("y", Kind::F32, 1.0), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn rows_of_8_bits_are_exact() {
    verify("quantise_rows", &[]);
    verify("dequantise_rows", &[]);
}

#[test]
fn swiglu_forward_is_as_exact_as_promised() {
    // Measured, in f32: 2.22.
    verify("swiglu_forward", &[("y", Kind::F32, 2.5), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn swiglu_backward_is_as_exact_as_promised() {
    // Measured, in f32: 2.35, 2.09.
    verify(
        "swiglu_backward",
        &[
            ("dgate", Kind::F32, 2.5),
            ("dgate", Kind::Narrow, 0.51),
            ("dup", Kind::F32, 2.25),
            ("dup", Kind::Narrow, 0.51),
        ],
    );
}
