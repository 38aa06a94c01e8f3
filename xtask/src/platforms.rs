//! Hosts of other kinds than this one: type-checked, and the kernels' bits on aarch64.

use std::process::Command;

use cargo_gpsimd::build::ensure_target;
use cargo_gpsimd::process;

use crate::test::cargo;

/// What is of Linux is checked on this host, what is of aarch64 there and by the golden tests.
const CHECKED: &str = "aarch64-apple-darwin";

/// Linked statically by the linker that Rust brings: neither a C compiler nor libraries for aarch64 are needed.
const RUN: &str = "aarch64-unknown-linux-musl";
const QEMU: &str = "qemu-aarch64";

/// Checks every crate for macOS on aarch64, and runs the golden tests as a program for aarch64.
pub(crate) fn test() -> anyhow::Result<()> {
    ensure_target(CHECKED)?;
    process::run(cargo().args(["check", "--workspace", "--target", CHECKED]))?;

    if Command::new(QEMU).arg("--version").output().is_err() {
        eprintln!(
            "platforms: the golden tests on aarch64 are skipped: {QEMU} is not installed (Debian, Ubuntu: apt-get install qemu-user)"
        );
        return Ok(());
    }
    ensure_target(RUN)?;
    // The snapshots of these tests have the digests of all results.
    let variable = |name: &str| format!("CARGO_TARGET_{}_{name}", RUN.to_uppercase().replace('-', "_"));
    process::run(
        cargo()
            .args(["test", "--package", "gpsimd-tests", "--target", RUN])
            .args(["--test", "golden", "--test", "golden_activation", "--test", "golden_index", "--test", "golden_nn"])
            .env(variable("LINKER"), "rust-lld")
            .env(variable("RUSTFLAGS"), "-Clink-self-contained=yes")
            .env(variable("RUNNER"), QEMU),
    )
}
