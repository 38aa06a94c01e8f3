//! [`IsaError`]: why a program was not built, loaded or measured.

use std::path::PathBuf;

use gpsimd_emulator::{ConfigError, LoadError};

use crate::toolchain::MissingTool;

/// Why a program was not built, loaded or measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsaError {
    /// A program of the system is not installed.
    #[error(transparent)]
    Missing(#[from] MissingTool),
    /// The toolchain that has the Xtensa backend is not there and cannot be installed.
    #[error(
        "the Rust toolchain {toolchain} with rust-src is missing: `{command}` installs it, and failed here:\n{output}"
    )]
    NoNightly {
        /// Name of the toolchain.
        toolchain: &'static str,
        /// The command that installs it.
        command: String,
        /// What it said.
        output: String,
    },
    /// A command could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command.
        command: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed:\n{output}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        output: String,
    },
    /// A function needs a frame of 1 to 2 KiB on the stack, which LLVM's Xtensa backend reaches without a register to spare.
    #[error(
        "LLVM for Xtensa cannot compile a function of the library, most likely a kernel whose locals take 1 to 2 KiB of stack: \
         move a part of it (a loop with what it loads and stages) to a function with #[inline(never)]. The other tiers compile \
         it as it is.\n{output}"
    )]
    Frame {
        /// What the compiler said.
        output: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// "read", "write", ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder is not a crate of an op library.
    #[error("{} is not a crate of an op library: {problem}", folder.display())]
    NoLibrary {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The file is not an ELF file, or not a program.
    #[error("{} is not an ELF program: {problem}", path.display())]
    NoElf {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The program does not say what a program of this version says when it starts.
    #[error(
        "{} is not a program of the isa tier, or of another version ({problem}): build it again with `cargo gpsimd \
         build --isa`",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        problem: String,
    },
    /// All the places for programs are taken.
    #[error(
        "cannot load {}: {limit} programs are loaded, which is as many as a process can have; keep the library that \
         was loaded first",
        path.display()
    )]
    TooMany {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// The library's descriptor is broken.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An engine to measure on was refused.
    #[error(transparent)]
    Engine(#[from] ConfigError),
    /// The instructions of a launch were not counted.
    #[error("cannot count instructions: {problem}")]
    Count {
        /// Why.
        problem: String,
    },
}
