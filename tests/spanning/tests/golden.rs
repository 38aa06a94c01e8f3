//! The ops of the BERT trainer against float64 references, and their own bits of yesterday.
//!
//! What an error in ulps is stands in `tests/golden`, in the modules of the ops. The measured errors of the cases are in the
//! snapshots, one line for each output of a case, with the digest of the result's bits: a change of any bit of any result
//! shows as a changed snapshot. `cargo insta review` shows what moved. Beside them stands, for comparison, the error of
//! PyTorch's operators on a CPU without vector extensions; on another CPU it is another.

use gpsimd_emulator::Op;
use gpsimd_tests::{Kind, Measured, Promise, library};

fn op(name: &str) -> Op {
    library(&bert_ops::OP_LIBRARY).op(name).expect("the op")
}

fn verify(name: &str, promised: &[Promise]) {
    let measured = Measured::all(&op(name));
    insta::assert_snapshot!(name, Measured::lines(&measured));
    Measured::verify(&measured, promised);
}

#[test]
fn bias_gelu_forward_is_as_exact_as_promised() {
    // Measured: 2.19, 1.92, 0.50.
    verify("bias_gelu_forward", &[("y", Kind::F32, 2.5), ("y", Kind::F32Rounded, 2.25), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn bias_gelu_backward_is_as_exact_as_promised() {
    // Measured: 2.89, 1.37, 0.50.
    verify("bias_gelu_backward", &[("dx", Kind::F32, 3.0), ("dx", Kind::F32Rounded, 1.5), ("dx", Kind::Narrow, 0.51)]);
}

#[test]
fn masked_softmax_forward_is_as_exact_as_promised() {
    // Measured: 3.70, 5.58, 2.53.
    verify("masked_softmax_forward", &[("p", Kind::F32, 4.0), ("p", Kind::F32Rounded, 6.0), ("p", Kind::Narrow, 2.75)]);
}

#[test]
fn masked_softmax_backward_is_as_exact_as_promised() {
    // Measured: 1.76, 0.50.
    verify("masked_softmax_backward", &[("dscores", Kind::F32, 2.0), ("dscores", Kind::Narrow, 0.51)]);
}

#[test]
fn adamw_step_is_as_exact_as_promised() {
    // Measured: 2.46.
    verify("adamw_step", &[("new_state", Kind::F32, 2.75)]);
}

#[test]
fn layer_norm_forward_is_as_exact_as_promised() {
    // Measured, in f32: 5.37, 1.06, 1.72.
    verify(
        "layer_norm_forward",
        &[("y", Kind::F32, 5.5), ("y", Kind::Narrow, 0.51), ("mean", Kind::F32, 1.25), ("rstd", Kind::F32, 1.75)],
    );
}

#[test]
fn layer_norm_backward_is_as_exact_as_promised() {
    // Measured, in f32: 1.61, 2.05, 1.12.
    verify(
        "layer_norm_backward",
        &[
            ("dx", Kind::F32, 1.75),
            ("dx", Kind::Narrow, 0.51),
            ("dgamma", Kind::F32, 2.25),
            ("dgamma", Kind::Narrow, 0.51),
            ("dbeta", Kind::F32, 1.25),
            ("dbeta", Kind::Narrow, 0.51),
        ],
    );
}

#[test]
fn cross_entropy_forward_is_as_exact_as_promised() {
    // Measured, in f32: 1.63, 0.68.
    verify("cross_entropy_forward", &[("loss", Kind::F32, 1.75), ("lse", Kind::F32, 0.75)]);
}

#[test]
fn cross_entropy_backward_is_as_exact_as_promised() {
    // Measured, in f32: 1.45.
    verify("cross_entropy_backward", &[("dlogits", Kind::F32, 1.75), ("dlogits", Kind::Narrow, 0.51)]);
}

#[test]
fn the_size_of_tcm_and_the_mode_change_no_bit() {
    for name in [
        "bias_gelu_forward",
        "bias_gelu_backward",
        "masked_softmax_forward",
        "masked_softmax_backward",
        "adamw_step",
        "layer_norm_forward",
    ] {
        Measured::verify_bits(&op(name), 1024);
    }
    // Beside windows of what they have for each row.
    for name in ["layer_norm_backward", "cross_entropy_forward", "cross_entropy_backward"] {
        Measured::verify_bits(&op(name), 4096);
    }
}
