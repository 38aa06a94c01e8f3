//! The ops of `kernels/index-ops` against exact integers, selections and float64 references, and their own bits of yesterday:
//! see `golden.rs`.

use gpsimd_emulator::Op;
use gpsimd_tests::{Kind, Measured, Promise, library};

fn op(name: &str) -> Op {
    library(&index_ops::OP_LIBRARY).op(name).expect("the op")
}

fn verify(name: &str, promised: &[Promise]) {
    let measured = Measured::all(&op(name));
    insta::assert_snapshot!(name, Measured::lines(&measured));
    Measured::verify(&measured, promised);
    Measured::verify_bits(&op(name), 6144);
}

#[test]
fn topk_is_exact() {
    verify("topk", &[]);
}

#[test]
fn topk_backward_is_exact() {
    verify("topk_backward", &[]);
}

#[test]
fn gather_rows_is_exact() {
    verify("gather_rows", &[]);
}

#[test]
fn gather_rows_backward_is_as_exact_as_promised() {
    // Measured, in f32: 1.62.
    verify("gather_rows_backward", &[("dtable", Kind::F32, 1.75), ("dtable", Kind::Narrow, 0.51)]);
}

#[test]
fn index_add_is_as_exact_as_promised() {
    // Measured, in f32: 1.79, as PyTorch, which adds in the same order.
    verify("index_add", &[("y", Kind::F32, 1.9), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn dropout_is_as_exact_as_promised() {
    // Measured, in f32: 1.20.
    verify("dropout", &[("y", Kind::F32, 1.25), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn cumsum_is_as_exact_as_promised() {
    // Measured, in f32: 1.14.
    verify("cumsum", &[("y", Kind::F32, 1.25), ("y", Kind::Narrow, 0.51)]);
}

#[test]
fn nonzero_is_exact() {
    verify("nonzero", &[]);
}
