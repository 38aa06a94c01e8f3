//! [`PackageBuildError`] and [`DeviceLibraryError`]: why an op package could not be built with the SDK, and what is wrong with what it built.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnosis::CompilerError;

/// Why an op package could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageBuildError {
    /// The SDK is not here, or not all of it, or in versions that do not work.
    #[error(
        "the Neuron SDK that builds op packages is not complete on this host:\n{findings}\n`cargo gpsimd doctor` shows \
         everything; `cargo gpsimd build` without --neuron builds what runs here"
    )]
    Incomplete {
        /// The lines of what is missing or wrong.
        findings: String,
    },
    /// The folder is not an op package.
    #[error("{} is no op package: {problem}; `cargo gpsimd build` makes one", folder.display())]
    NoPackage {
        /// The folder.
        folder: PathBuf,
        /// Why.
        problem: String,
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
    /// A source does not compile.
    #[error(
        "the op package does not compile:{}\nthe sources are generated: please report this; the full log is {}",
        lines(errors),
        log.display()
    )]
    Compiler {
        /// The first errors.
        errors: Vec<CompilerError>,
        /// Everything that was printed.
        log: PathBuf,
    },
    /// The device's compiler got no licence.
    #[error(
        "the GPSIMD compiler got no licence: {message}\nthe licence comes with the package aws-neuronx-gpsimd-tools: \
         install that again, and see that $LM_LICENSE_FILE is unset or names its file; the full log is {}",
        log.display()
    )]
    Licence {
        /// What the licence manager says.
        message: String,
        /// Everything that was printed.
        log: PathBuf,
    },
    /// A Python module is missing.
    #[error(
        "{} has no module `{module}`, which the build needs: activate the environment that has it, or see \
         `cargo gpsimd doctor`; the full log is {}",
        python.display(),
        log.display()
    )]
    NoModule {
        /// The module.
        module: String,
        /// The interpreter.
        python: PathBuf,
        /// Everything that was printed.
        log: PathBuf,
    },
    /// It took longer than it may.
    #[error(
        "the build took longer than {} s and was stopped: allow more with --time-limit; what it printed is in {}",
        limit.as_secs(),
        log.display()
    )]
    TimeLimit {
        /// What was allowed.
        limit: Duration,
        /// Everything that was printed.
        log: PathBuf,
    },
    /// Somebody stopped it.
    #[error("the build was stopped; what was built before is as it was")]
    Stopped,
    /// It failed for a reason that is not known.
    #[error("build.py failed ({status}) after\n{end}\nthe full log is {}", log.display())]
    Failed {
        /// How it ended.
        status: String,
        /// The last lines that it printed.
        end: String,
        /// Everything that was printed.
        log: PathBuf,
    },
    /// The library is not what the package describes.
    #[error("the library that was built is not that of the package: {source}; the full log is {}", log.display())]
    Library {
        /// What is wrong.
        source: DeviceLibraryError,
        /// Everything that was printed.
        log: PathBuf,
    },
}

/// What is wrong with a library that the SDK built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceLibraryError {
    /// There is no such file, or it cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another kind of file.
    #[error("{} is no ar archive: {problem}", path.display())]
    NoArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Members are missing or too many.
    #[error("{}: expected {expected} {what}, found {found} among its members {members}", path.display())]
    Members {
        /// The file.
        path: PathBuf,
        /// "device libraries, one for each core", ...
        what: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
        /// Names of all members.
        members: String,
    },
    /// The metadata are no JSON.
    #[error("{}: metadata.json does not parse: {problem}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// Where and why.
        problem: String,
    },
    /// Other ops than the package's.
    #[error("{}: metadata.json lists {found} as its ops, expected {expected}; build it again from this package", path.display())]
    Ops {
        /// The file.
        path: PathBuf,
        /// What the package has.
        expected: String,
        /// What the library has.
        found: String,
    },
    /// An op with other operands.
    #[error("{}: op `{op}` has the schema `{found}`, expected `{expected}`; build it again from this package", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The op.
        op: String,
        /// What the package has.
        expected: String,
        /// What the library has.
        found: String,
    },
}

fn lines(errors: &[CompilerError]) -> String {
    errors.iter().fold(String::new(), |mut text, error| {
        let _ = write!(text, "\n  {error}");
        text
    })
}
