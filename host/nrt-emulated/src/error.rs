//! [`Error`]: why a call fails, and the status that the program is given for it.

use std::path::PathBuf;

use gpsimd_emulator::{ConfigError, LaunchError, LoadError, Misuse, TcmProblem};
use gpsimd_neff::{GraphError, NeffError, ResolveError};

use crate::status::Status;

/// Why a call fails. The message goes to the log, [`status`](Self::status) to the program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Before `nrt_init`.
    #[error("called before nrt_init: call it first, once in a process")]
    Uninitialized,
    /// After `nrt_close`.
    #[error("called after nrt_close: a process can use the runtime once")]
    Closed,
    /// A second `nrt_init`.
    #[error("the runtime is initialised already: call nrt_init once in a process")]
    AlreadyInitialized,
    /// An argument that no call takes.
    #[error("`{name}` is {found}, expected {expected}")]
    Argument {
        /// The parameter.
        name: &'static str,
        /// What was given.
        found: String,
        /// What is taken.
        expected: String,
    },
    /// What needs hardware, or other processes.
    #[error("{function} is not emulated here: {problem}")]
    NotEmulated {
        /// The function.
        function: &'static str,
        /// What is missing, and what to do.
        problem: String,
    },
    /// What the SDK documents as invalid where there is no such memory.
    #[error("the emulated device memory cannot be mapped: copy with nrt_tensor_read and nrt_tensor_write")]
    NoMapping,
    /// A recording that was started already, or never.
    #[error("{problem}")]
    Recording {
        /// Which, and what to do.
        problem: String,
    },
    /// A recording that cannot be written.
    #[error("cannot write the recording to {}: {source} (the recording is lost)", path.display())]
    WriteRecording {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An output that executions did not write as often as expected.
    #[error("output `{tensor}` was written {found} times in {microseconds} us, expected {expected}")]
    NotCompleted {
        /// The tensor.
        tensor: String,
        /// Times that it was written.
        found: u64,
        /// Times that the program waits for.
        expected: u64,
        /// How long it waited.
        microseconds: u64,
    },
    /// A handle that stands for nothing.
    #[error("{address:#x} is no {kind}{}", if *address == 0 { "" } else { ": it was freed, or never given by this runtime" })]
    Handle {
        /// What it should be.
        kind: &'static str,
        /// Its number.
        address: usize,
    },
    /// An environment variable that cannot be understood.
    #[error("{variable} is `{found}`, expected {expected}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// Its value.
        found: String,
        /// What is understood.
        expected: String,
    },
    /// NeuronCores that another process has.
    #[error("{wanted} in use by another process (found by the locks in {})", folder.display())]
    CoresInUse {
        /// "NeuronCore 1 is", ...
        wanted: String,
        /// Where the locks are.
        folder: PathBuf,
    },
    /// A lock file that cannot be used.
    #[error("cannot lock a NeuronCore: {}: {source} (GPSIMD_EMULATED_LOCK_DIR names another folder)", path.display())]
    Lock {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Threads that the system refuses.
    #[error("cannot start the thread of a NeuronCore: {0}")]
    Thread(std::io::Error),
    /// An engine that cannot be built.
    #[error("cannot start the emulated engine: {0}")]
    Engine(#[from] ConfigError),
    /// A core's device memory is full.
    #[error(
        "device memory of NeuronCore {core} is exhausted: {asked} bytes asked, {left} of {of} left \
         (GPSIMD_EMULATED_HBM_BYTES sets how many it has)"
    )]
    DeviceMemory {
        /// The core.
        core: usize,
        /// Bytes asked for.
        asked: u64,
        /// Bytes left.
        left: u64,
        /// Bytes it has.
        of: u64,
    },
    /// The host's memory is full.
    #[error("the host gives no {bytes} bytes of memory")]
    HostMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// Bytes that are no NEFF, or none that runs here.
    #[error("{0}")]
    Neff(#[from] NeffError),
    /// A NEFF that is not what its hash says.
    #[error(
        "the archive of the NEFF has another hash than its header says: copy it again (NEURON_RT_VALIDATE_HASH is set)"
    )]
    Hash,
    /// A NEFF for more cores than there are.
    #[error("the NEFF wants {wanted} from NeuronCore {first} on, this process has {visible}")]
    NotEnoughCores {
        /// Cores it wants.
        wanted: u32,
        /// The first.
        first: usize,
        /// Cores there are.
        visible: usize,
    },
    /// An op library of a NEFF that cannot be stored for loading.
    #[error("cannot store op library `{file}` for loading: {source} (TMPDIR names the folder)")]
    StoreLibrary {
        /// Its file in the archive.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// An op library of a NEFF that does not load.
    #[error("op library `{file}` of the NEFF: {source}")]
    Library {
        /// Its file in the archive.
        file: String,
        /// What the emulator says.
        source: LoadError,
    },
    /// A graph that does not fit its ops.
    #[error("graph.json: {0}")]
    Graph(#[from] ResolveError),
    /// Bytes that a tensor does not have.
    #[error("{size} bytes from byte {offset} of tensor `{tensor}` go past its end: it has {of}")]
    Range {
        /// The tensor.
        tensor: String,
        /// First byte.
        offset: usize,
        /// Bytes.
        size: usize,
        /// Bytes of the tensor.
        of: usize,
    },
    /// A tensor without memory.
    #[error("tensor `{tensor}` is empty: attach a buffer to it first")]
    NoMemory {
        /// The tensor.
        tensor: String,
    },
    /// A copy between the device memories of two cores.
    #[error("a copy from device memory of NeuronCore {from} to that of {to}: copy through host memory")]
    BetweenCores {
        /// The source's core.
        from: usize,
        /// The target's core.
        to: usize,
    },
    /// A tensor that is not in a set.
    #[error("no tensor `{name}` in the set")]
    NotInSet {
        /// What was asked for.
        name: String,
    },
    /// A set with a tensor that the model does not have.
    #[error("the model has no {usage} `{name}`, it has {known}")]
    UnknownTensor {
        /// "input" or "output".
        usage: &'static str,
        /// The name in the set.
        name: String,
        /// The model's.
        known: String,
    },
    /// A set without a tensor that the model wants.
    #[error("the set has no {usage} `{name}`: add it before executing")]
    MissingTensor {
        /// "input" or "output".
        usage: &'static str,
        /// The name in the model.
        name: String,
    },
    /// A set with a tensor of another size than the model wants.
    #[error("{usage} `{name}` has {found} bytes, the model wants {expected}")]
    TensorSize {
        /// "input" or "output".
        usage: &'static str,
        /// The name.
        name: String,
        /// Bytes in the set.
        found: usize,
        /// Bytes in the model.
        expected: usize,
    },
    /// A model that cannot be repeated on its own outputs.
    #[error("the model cannot be repeated: {0}")]
    NotRepeatable(String),
    /// An execution that took too long.
    #[error(
        "the execution was not done after {seconds} s (NEURON_RT_EXEC_TIMEOUT): NeuronCore {core} is busy until the op that \
         runs there ends"
    )]
    Timeout {
        /// The limit.
        seconds: u64,
        /// The core.
        core: usize,
    },
    /// A core on which an execution that timed out still runs.
    #[error("NeuronCore {core} is busy with an execution that timed out before")]
    CoreBusy {
        /// The core.
        core: usize,
    },
    /// A kernel failed, or broke a rule.
    #[error("{0}")]
    Launch(#[from] LaunchError),
    /// NaN that the execution made.
    #[error("element {element} of output `{tensor}` is NaN, and no input has one")]
    Nan {
        /// The output.
        tensor: String,
        /// The first element.
        element: usize,
    },
    /// The emulation itself failed.
    #[error("the emulated runtime failed (a bug in gpsimd): {0}")]
    Panicked(String),
}

impl Error {
    /// What the program is given.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Uninitialized => Status::Uninitialized,
            Self::Closed => Status::Closed,
            Self::Handle { .. } => Status::InvalidHandle,
            Self::CoresInUse { .. } | Self::CoreBusy { .. } => Status::ExecNcBusy,
            Self::Lock { .. }
            | Self::Thread(_)
            | Self::Engine(_)
            | Self::DeviceMemory { .. }
            | Self::StoreLibrary { .. } => Status::Resource,
            Self::HostMemory { .. } => Status::FailHostMemAlloc,
            Self::Neff(NeffError::Graph(GraphError::Version { .. })) => Status::UnsupportedNeffVersion,
            Self::Neff(error) if error.is_unsupported_version() => Status::UnsupportedNeffVersion,
            Self::NotEnoughCores { .. } => Status::LoadNotEnoughNc,
            Self::MissingTensor { .. } | Self::TensorSize { .. } => Status::ExecBadInput,
            Self::Timeout { .. } | Self::NotCompleted { .. } => Status::Timeout,
            Self::Launch(LaunchError::Kernel(error)) if is_out_of_bounds(&error.misuse) => Status::ExecOob,
            Self::Launch(LaunchError::Kernel(_)) => Status::ExecCompletedWithErr,
            Self::Nan { .. } => Status::ExecCompletedWithNumErr,
            Self::NotInSet { .. } | Self::Panicked(_) | Self::NotEmulated { .. } | Self::WriteRecording { .. } => {
                Status::Failure
            }
            Self::AlreadyInitialized
            | Self::Argument { .. }
            | Self::Setting { .. }
            | Self::NoMapping
            | Self::Recording { .. }
            | Self::Neff(_)
            | Self::Hash
            | Self::Library { .. }
            | Self::Graph(_)
            | Self::Range { .. }
            | Self::NoMemory { .. }
            | Self::BetweenCores { .. }
            | Self::UnknownTensor { .. }
            | Self::NotRepeatable(_)
            | Self::Launch(_) => Status::Invalid,
        }
    }
}

/// Whether a DMA left its tensor or its TCM buffer.
fn is_out_of_bounds(misuse: &Misuse) -> bool {
    match misuse {
        Misuse::OutsideTensor { .. } => true,
        Misuse::BadTcm { problem, .. } => !matches!(problem, TcmProblem::Null | TcmProblem::Misaligned { .. }),
        Misuse::Swallowed { failed } => is_out_of_bounds(failed),
        _ => false,
    }
}
