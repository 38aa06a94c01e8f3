//! The isa tier: an op library compiled by rustc itself to a 32-bit Xtensa program, run under QEMU, driven by the
//! emulator like a native library.
//!
//! [`build`] makes the program: the library linked with `gpsimd-isa-runner`, `no_std`, soft float, for the base Xtensa
//! ISA that LLVM knows. [`IsaLibrary::load`] makes an op library of it for the emulator. Every core of a launch is a
//! QEMU process; its device calls come here over pipes and are made on the emulator's device table, so every check of
//! the emulator holds: bounds, freed and unwritten TCM, overlapping writes. [`sizes`] and [`measure`] say how large the
//! program is, how deep its stack gets, and how many instructions an op takes.
//!
//! Nothing of it is a Trainium: the vendor's cores have a vector unit, hardware floating point, a windowed ABI and a
//! compiler of their own.

mod build;
mod count;
mod error;
mod library;
mod measure;
mod process;
mod serve;
mod sizes;
mod symbols;
mod toolchain;

pub use build::build;
pub use error::IsaError;
pub use library::IsaLibrary;
pub use measure::{Failed, Instructions, Measured, Measurements, measure};
pub use sizes::{CodeSize, Sizes, sizes};
pub use symbols::Group;
pub use toolchain::{MissingTool, NIGHTLY, ensure_nightly, missing_tools, source_of_std};

/// Bytes of a core's stack that are in its local memory; a larger one goes to slow memory
/// (custom-c++-operators-devguide: "below about 8 KB").
pub const LOCAL_STACK_BYTES: u32 = 8 * 1024;
