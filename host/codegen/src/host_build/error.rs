//! [`HostBuildError`]: why C++ ops could not be built.

use std::path::PathBuf;

/// Why C++ ops could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostBuildError {
    /// No C++ compiler is installed.
    #[error("no C++ compiler found (looked for $CXX, {looked_for}): install one, or name it in $CXX")]
    NoCompiler {
        /// The commands that were tried.
        looked_for: String,
    },
    /// A command could not be started.
    #[error("cannot run `{command}`: {source}")]
    Start {
        /// The command.
        command: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The compiler refuses a source.
    #[error("{} does not compile:\n{message}\nthe command was `{command}`", file.display())]
    Compile {
        /// The source.
        file: PathBuf,
        /// What the compiler says.
        message: String,
        /// The command.
        command: String,
    },
    /// No kernel function can be called for an op.
    #[error("op `{op}`: {problem}")]
    Kernel {
        /// The op.
        op: String,
        /// Why.
        problem: String,
    },
    /// The linker refuses the objects: a function is missing or defined twice.
    #[error(
        "{} does not link:\n{message}\nwhat is called is defined once, in a source that is given; the command was `{command}`",
        library.display()
    )]
    Link {
        /// The library.
        library: PathBuf,
        /// What the linker says.
        message: String,
        /// The command.
        command: String,
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
    /// `PyTorch`'s headers or libraries are not where they were said to be.
    #[error(
        "{} is no `torch` folder of an installed PyTorch: {missing} is missing. It is where \
         `python -c \"import torch; print(torch.__path__[0])\"` says",
        folder.display()
    )]
    NoTorch {
        /// The folder.
        folder: PathBuf,
        /// What is missing there.
        missing: &'static str,
    },
    /// What the shape sources register could not be asked, or cannot be one library.
    #[error("the ops that {files} register: {problem}")]
    Registered {
        /// The shape sources.
        files: String,
        /// Why.
        problem: String,
    },
    /// The ops are beyond what the vendor takes, or are described in a way that cannot be built.
    #[error("library `{library}`: {problem}")]
    Refused {
        /// The library.
        library: String,
        /// Why.
        problem: String,
    },
}
