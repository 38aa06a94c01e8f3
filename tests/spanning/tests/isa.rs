//! What the Xtensa program of the BERT ops takes: instructions and TCM, exactly. Counts change with the kernels and with
//! the pinned nightly; `cargo insta review` shows by how much.
//!
//! The stack is only held to its limit: rustc orders functions by hashes of their crates' paths, and how the runner's are
//! inlined moves it by some bytes from checkout to checkout. The counts of kernels have not been seen to move.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn program() -> PathBuf {
    std::env::var_os("GPSIMD_ISA").expect("GPSIMD_ISA names the program: run `cargo xtask test isa`").into()
}

/// Instructions of all elements together, not rounded: a count that moves by one is another program.
#[test]
#[ignore = "needs the program in GPSIMD_ISA: cargo xtask test isa"]
fn ops_execute_as_many_instructions_as_they_did() {
    let program = program();
    let measured = gpsimd_isa::measure(&program, program.parent().unwrap_or(Path::new(".")));
    let measured = measured.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(measured.failed, [], "launches that fail");
    let mut lines = String::new();
    for op in measured.ops {
        assert!(op.stack <= gpsimd_isa::LOCAL_STACK_BYTES, "{} takes {} bytes of stack", op.op, op.stack);
        let counts = op.instructions;
        writeln!(
            lines,
            "{} of {}: kernels {}, arithmetic {}, memory {}; TCM {}",
            op.op,
            op.operands.join(", "),
            counts.kernels,
            counts.arithmetic,
            counts.memory,
            op.tcm
        )
        .expect("a string takes all");
    }
    insta::assert_snapshot!(lines);
}
