//! The tier that a test runs in: the kernels compiled by rustc, or the op package that was generated from them.
//!
//! `cargo xtask test package` builds the package and runs the tests of the ops again with its path in `GPSIMD_PACKAGE`.
//! The snapshots are the same, so the bits have to be.

use gpsimd_emulator::OpLibrary;
use gpsimd_emulator::gpsimd_abi::Library;

const PACKAGE: &str = "GPSIMD_PACKAGE";

/// The op library under test: `native`, or the package of the same ops.
///
/// # Panics
/// When the package does not load.
pub fn library(native: &'static Library) -> OpLibrary {
    match std::env::var_os(PACKAGE) {
        Some(path) => OpLibrary::load(path).unwrap_or_else(|error| panic!("{PACKAGE}: {error}")),
        None => OpLibrary::from_static(native).unwrap_or_else(|error| panic!("{error}")),
    }
}

/// Bytes of a core's pool for a test that asks for `bytes`: a package takes all it has in one block.
pub fn tcm_bytes(bytes: usize) -> usize {
    if std::env::var_os(PACKAGE).is_some() { bytes.max(16 * 1024) } else { bytes }
}
