//! [`LoadError`]: why an op library cannot be used.

use std::path::PathBuf;

use gpsimd_abi::{ABI_VERSION, ENTRY_POINT};
use gpsimd_descriptor::DescriptorError;

use super::{count, list};

/// Why an op library cannot be used. `library` is its file, or says that it is part of this program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such file.
    #[error("{} does not exist: build it with `cargo gpsimd build`", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file was built anew while its earlier code is loaded.
    #[error(
        "{} was built anew since this process loaded it, and its earlier code is still loaded: start a new process for the \
         new code",
        path.display()
    )]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The system's loader refuses the file.
    #[error("{} is not a shared library that this host can load: {source}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What the loader says.
        source: libloading::Error,
    },
    /// A shared library, but not an op library.
    #[error("{} is not an op library: it does not export `{ENTRY_POINT}` (does its crate call `op_library!`? `cargo gpsimd build` builds it)", path.display())]
    NoEntryPoint {
        /// The file.
        path: PathBuf,
    },
    /// The entry point returned a null or misaligned pointer.
    #[error("{library} is broken: `{ENTRY_POINT}` returned no library")]
    NoLibrary {
        /// The library.
        library: String,
    },
    /// Something else exports the symbol.
    #[error("{library} is not an op library: it starts with the bytes {found:02x?} where `gpsimd` is expected")]
    Magic {
        /// The library.
        library: String,
        /// What stands in place of the magic.
        found: [u8; 8],
    },
    /// Built for another version of the interface.
    #[error("{library} has ABI version {found}, this host speaks {ABI_VERSION}: rebuild it with `cargo gpsimd build`")]
    AbiVersion {
        /// The library.
        library: String,
        /// Its version.
        found: u32,
    },
    /// Compiled for a CPU with features that this one lacks.
    #[error(
        "{library} was compiled for a CPU with {}, which this one lacks: rebuild it here with `cargo gpsimd \
         build`",
        list(missing.iter().map(String::as_str))
    )]
    CpuFeatures {
        /// The library.
        library: String,
        /// Features that it needs and this CPU lacks.
        missing: Vec<String>,
    },
    /// Compiled for a CPU feature that this host has never heard of.
    #[error(
        "{library} was compiled for a CPU with `{feature}`, which this host cannot check: use names that \
         `is_x86_feature_detected!` takes"
    )]
    UnknownCpuFeature {
        /// The library.
        library: String,
        /// The feature.
        feature: String,
    },
    /// The library's descriptor is broken.
    #[error("{library}: {source}")]
    Descriptor {
        /// The library.
        library: String,
        /// How.
        source: DescriptorError,
    },
    /// A text or table of the library is null.
    #[error("{library} is broken: its {what} is null")]
    Null {
        /// The library.
        library: String,
        /// Which.
        what: String,
    },
    /// The table of ops and the descriptor differ.
    #[error(
        "{library} is broken: its table has {}, its descriptor {}",
        count(u64::from(*table), "op"), descriptor
    )]
    OpCount {
        /// The library.
        library: String,
        /// Ops in the table.
        table: u32,
        /// Ops in the descriptor.
        descriptor: usize,
    },
}

/// The library has no op of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("library `{library}` has no op `{op}`, it has {}", list(ops.iter().map(String::as_str)))]
pub struct UnknownOp {
    /// Name of the library.
    pub library: String,
    /// What was asked for.
    pub op: String,
    /// The ops that exist.
    pub ops: Vec<String>,
}
