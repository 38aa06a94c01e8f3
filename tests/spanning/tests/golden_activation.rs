//! The ops of `kernels/activation-ops` against float64 references, and their own bits of yesterday: see `golden.rs`.

use gpsimd_emulator::Op;
use gpsimd_tests::{Kind, Measured, Promise, library};

fn op(name: &str) -> Op {
    library(&activation_ops::OP_LIBRARY).op(name).expect("the op")
}

fn verify(name: &str, promised: &[Promise]) {
    let measured = Measured::all(&op(name));
    insta::assert_snapshot!(name, Measured::lines(&measured));
    Measured::verify(&measured, promised);
    Measured::verify_bits(&op(name), 4096);
}

#[test]
fn bias_gelu_tanh_forward_is_as_exact_as_promised() {
    // Measured, in f32: 2.16.
    verify("bias_gelu_tanh_forward", &[("y", Kind::F32, 2.25), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn bias_gelu_tanh_backward_is_as_exact_as_promised() {
    // Measured, in f32: 2.77.
    verify("bias_gelu_tanh_backward", &[("dx", Kind::F32, 3.0), ("dx", Kind::Narrow, 0.51)]);
}

#[test]
fn silu_forward_is_as_exact_as_promised() {
    // Measured, in f32: 2.58.
    verify("silu_forward", &[("y", Kind::F32, 2.75), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn silu_backward_is_as_exact_as_promised() {
    // Measured, in f32: 2.62.
    verify("silu_backward", &[("dx", Kind::F32, 2.75), ("dx", Kind::Narrow, 0.51)]);
}
