//! Why something could not be done through libnrt.

use std::ops::Range;
use std::path::PathBuf;

use super::bindings;
use super::status::Status;
use gpsimd_neff::NeffDType;

/// Why something could not be done through libnrt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libnrt could not be opened.
    #[error(transparent)]
    Library(#[from] LibnrtError),
    /// A call did not succeed.
    #[error(transparent)]
    Call(#[from] NrtError),
    /// A second runtime while there is one.
    #[error("the Neuron Runtime is initialised already: it is once per process, clone the `Runtime` there is")]
    Initialised,
    /// Two things of different libraries.
    #[error("{what} was made with another libnrt than {with}: both have to come from one `Runtime`")]
    OtherRuntime {
        /// One.
        what: String,
        /// The other.
        with: String,
    },
    /// A libnrt with another interface.
    #[error(
        "{} is version {found} of the Neuron Runtime, which may have another interface than version {expected}: install \
         an aws-neuronx-runtime-lib of that version",
        library.display()
    )]
    Version {
        /// The library.
        library: PathBuf,
        /// Its version.
        found: String,
        /// The major version expected.
        expected: u64,
    },
    /// A name that cannot be a C string of the size that the runtime has room for.
    #[error("{name:?} cannot name a tensor: names have 1 to {most} bytes, none of them zero")]
    Name {
        /// The name.
        name: String,
        /// The most bytes.
        most: usize,
    },
    /// A name that is in the set.
    #[error("the set has a tensor `{name}` already: make another set")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Elements of another type than the tensor holds.
    #[error("tensor `{tensor}` holds {dtype}, not {given}: {advice}")]
    DType {
        /// The tensor.
        tensor: String,
        /// What it holds.
        dtype: NeffDType,
        /// What it was used as.
        given: String,
        /// What to do.
        advice: &'static str,
    },
    /// A dtype that the documentation does not have.
    #[error(
        "tensor `{tensor}` is of the undocumented dtype {code:#x}: allocate it by its size, and read and write bytes"
    )]
    UnknownDtype {
        /// The tensor.
        tensor: String,
        /// The code.
        code: u32,
    },
    /// Elements that the tensor does not have.
    #[error("elements {}..{} of tensor `{tensor}`, which has {len}", range.start, range.end)]
    Range {
        /// The tensor.
        tensor: String,
        /// The elements.
        range: Range<usize>,
        /// How many it has.
        len: usize,
    },
    /// A size that no memory has.
    #[error("tensor `{tensor}` of {len} elements of {dtype} is larger than memory can be")]
    Size {
        /// The tensor.
        tensor: String,
        /// Elements.
        len: usize,
        /// Their dtype.
        dtype: NeffDType,
    },
    /// What is written shares memory with something else that is used.
    #[error(
        "tensors `{written}` and `{other}` share memory, and one of them is written: what the runtime does then is not \
         documented, use memory of its own"
    )]
    Overlap {
        /// What is written.
        written: String,
        /// What it overlaps.
        other: String,
    },
    /// A buffer that cannot be given back yet.
    #[error("tensor `{tensor}` is in a set or has slices or other handles: drop these first")]
    InUse {
        /// The tensor.
        tensor: String,
    },
    /// A tensor without a buffer.
    #[error("tensor `{tensor}` has no attached buffer: its memory is the runtime's")]
    NotAttached {
        /// The tensor.
        tensor: String,
    },
    /// A number that C has no room for.
    #[error("{what} {value} is more than {most}")]
    Number {
        /// What it is.
        what: &'static str,
        /// The number.
        value: u64,
        /// The most there can be.
        most: u64,
    },
    /// What the runtime says of a model cannot be.
    #[error("libnrt says of the model's tensor `{tensor}` what cannot be: {problem}")]
    Info {
        /// The tensor.
        tensor: String,
        /// What.
        problem: &'static str,
    },
}

/// A call of libnrt that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} of {what} gave {status}: {}{}", status.meaning(), advice(*status, call))]
pub struct NrtError {
    /// The function: `nrt_load`.
    pub call: &'static str,
    /// What it was called on.
    pub what: String,
    /// What it gave.
    pub status: Status,
}

impl NrtError {
    /// What to do, where more is known than the meaning of the status says.
    pub fn hint(&self) -> Option<&'static str> {
        self.status.hint(self.call)
    }
}

/// The error of a status that is not success; `what` the call was made on.
pub(super) fn check(
    status: bindings::NRT_STATUS,
    call: &'static str,
    what: impl FnOnce() -> String,
) -> Result<(), NrtError> {
    Status::from_code(status).map_or(Ok(()), |status| Err(NrtError { call, what: what(), status }))
}

fn advice(status: Status, call: &str) -> String {
    status.hint(call).map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// Why libnrt could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibnrtError {
    /// It is nowhere.
    #[error(
        "libnrt.so.1 is not here ({}): install the package aws-neuronx-runtime-lib, or name the library in \
         NEURON_RT_LIBRARY; gpsimd's emulated one is built with `cargo gpsimd emulated-runtime`",
        tried.join("; ")
    )]
    NotFound {
        /// What was tried, and what the loader said of each.
        tried: Vec<String>,
    },
    /// A library that was named cannot be loaded.
    #[error("cannot load {}, {named_by}: {problem}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// By what.
        named_by: &'static str,
        /// What the loader says.
        problem: String,
    },
    /// A library without functions that are called.
    #[error(
        "{} is no libnrt of a version that gpsimd runs with: it has no {}; install another aws-neuronx-runtime-lib",
        path.display(),
        missing.join(", no ")
    )]
    Functions {
        /// The library.
        path: PathBuf,
        /// What it lacks.
        missing: Vec<&'static str>,
    },
}
