//! [`KernelError`]: what a kernel did wrong, where, and on which core.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use gpsimd_abi::{DType, Location};

use super::count;

/// What a kernel did wrong, where, and on which core.
///
/// The same whatever the number of host threads: the lowest core's first error, or, when no core had one by itself,
/// what the cores did to each other at the lowest element.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelError {
    /// The op.
    pub op: String,
    /// The core, unless it is nobody's doing in particular.
    pub core: Option<u32>,
    /// What.
    pub misuse: Misuse,
    /// Where in the kernel's source, where known.
    pub location: Option<SourceLocation>,
}

impl std::error::Error for KernelError {}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op `{}`", self.op)?;
        if let Some(core) = self.core {
            write!(f, ", core {core}")?;
        }
        if let Some(location) = &self.location {
            write!(f, ", at {location}")?;
        }
        write!(f, ": {}", self.misuse)
    }
}

/// A place in a kernel's source: `path:line:column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    /// Path of the source file, as the compiler was given it.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column, from 1; 0 when unknown.
    pub column: u32,
}

impl SourceLocation {
    /// Copies a location out of a kernel; none when the pointer is null or the file has no name.
    ///
    /// # Safety
    /// `location` is null, or leads to a location whose text is readable.
    pub(crate) unsafe fn read(location: *const Location) -> Option<Self> {
        // SAFETY: the caller's promise.
        let location = unsafe { location.as_ref() }?;
        // SAFETY: the caller's promise.
        let file = unsafe { text(location.file) };
        (!file.is_empty()).then_some(Self { file, line: location.line, column: location.column })
    }
}

/// A text of a library, bytes that are not UTF-8 replaced.
///
/// # Safety
/// `text.data` leads to `text.len` readable bytes, or is null.
pub(crate) unsafe fn text(text: gpsimd_abi::Text) -> String {
    if text.data.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { text.bytes() }).into_owned()
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line != 0 {
            write!(f, ":{}", self.line)?;
            if self.column != 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// Direction of a DMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// HBM to TCM.
    Load,
    /// TCM to HBM.
    Store,
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Store => "store",
        })
    }
}

/// TCM buffers that one place in the source took and nothing has freed, in words: `2 buffers, 512 bytes in all, taken
/// at k.rs:7:9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBuffers {
    /// How many.
    pub count: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// The place, where known.
    pub location: Option<SourceLocation>,
}

impl fmt::Display for HeldBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count: buffers, bytes, location } = self;
        match buffers {
            1 => write!(f, "1 buffer of {}", count(*bytes as u64, "byte"))?,
            _ => write!(f, "{buffers} buffers, {bytes} bytes in all,")?,
        }
        if let Some(location) = location {
            write!(f, " taken at {location}")?;
        }
        Ok(())
    }
}

/// How far a kernel had come when it was stopped. Where in its source is the error's `location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastDma {
    /// This was its last DMA.
    Of {
        /// Direction.
        transfer: Transfer,
        /// The tensor.
        tensor: String,
        /// The elements.
        range: Range<u64>,
    },
    /// It had made none.
    None,
    /// In fast mode kernels reach tensors in other ways.
    Unknown,
    /// No core ran.
    NoCore,
}

impl fmt::Display for LastDma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of { transfer, tensor, range } => {
                write!(f, "the last DMA was the {transfer} of elements {range:?} of `{tensor}`")
            }
            Self::None => f.write_str("the kernel had made no DMA"),
            Self::Unknown => f.write_str("which DMA was the last, checked mode would say"),
            Self::NoCore => f.write_str("no core was running"),
        }
    }
}

/// What is wrong with the TCM side of a DMA. Offsets are in bytes of the pool, negative before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TcmProblem {
    /// A null pointer.
    #[error("with a null TCM pointer: check what `tcm_malloc` returned")]
    Null,
    /// An address that is not a multiple of the element size.
    #[error("at TCM byte {offset}, which is not a multiple of the element size, {element_bytes} bytes")]
    Misaligned {
        /// Offset in the pool.
        offset: i64,
        /// Bytes of an element.
        element_bytes: usize,
    },
    /// It leaves the core's pool.
    #[error(
        "leaves the TCM pool: {} from TCM byte {offset}, the pool has {}",
        count(*bytes, "byte"), count(*pool as u64, "byte")
    )]
    OutsidePool {
        /// Offset in the pool.
        offset: i64,
        /// Bytes of the DMA.
        bytes: u64,
        /// Bytes of the pool.
        pool: usize,
    },
    /// It starts in no live buffer.
    #[error("at TCM byte {offset}, where no buffer is allocated (freed, or never asked of `tcm_malloc`)")]
    NoBuffer {
        /// Offset in the pool.
        offset: i64,
    },
    /// It runs past the end of its buffer.
    #[error(
        "goes {} past the end of its TCM buffer: {} from byte {within} of {buffer}",
        count(*past, "byte"), count(*bytes, "byte")
    )]
    OutsideBuffer {
        /// Bytes of the DMA.
        bytes: u64,
        /// Offset in the buffer.
        within: u64,
        /// Bytes of the buffer.
        buffer: u64,
        /// Bytes past its end.
        past: u64,
    },
}

/// What a kernel did wrong. Ranges are in elements of the flattened tensor, offsets in bytes of the TCM pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// A DMA of a tensor that the launch does not have.
    #[error("{transfer} of tensor number {index}, but the launch has {}", count(u64::from(*tensors), "tensor"))]
    NoSuchTensor {
        /// Direction.
        transfer: Transfer,
        /// The number asked for, from 0.
        index: u32,
        /// Tensors of the launch.
        tensors: u32,
    },
    /// A DMA past the end of a tensor.
    #[error(
        "{transfer} of {} from element {start} of `{tensor}` goes past its end: it has {}",
        count(*len, "element"), count(*tensor_len, "element")
    )]
    OutsideTensor {
        /// Direction.
        transfer: Transfer,
        /// The tensor.
        tensor: String,
        /// First element.
        start: u64,
        /// Number of elements.
        len: u64,
        /// Elements of the tensor.
        tensor_len: u64,
    },
    /// A store to an operand.
    #[error("store to elements {range:?} of operand `{tensor}`: a kernel may write only its output, `{output}`")]
    StoreToOperand {
        /// The operand.
        tensor: String,
        /// The elements.
        range: Range<u64>,
        /// Name of the output.
        output: String,
    },
    /// A load from the output.
    #[error("load of elements {range:?} of output `{tensor}`: a kernel may not read its output, keep results in TCM")]
    LoadFromOutput {
        /// The output.
        tensor: String,
        /// The elements.
        range: Range<u64>,
    },
    /// A DMA whose TCM side is not what it may be.
    #[error("{transfer} of elements {range:?} of `{tensor}` {problem}")]
    BadTcm {
        /// Direction.
        transfer: Transfer,
        /// The tensor.
        tensor: String,
        /// The elements.
        range: Range<u64>,
        /// What is wrong with it.
        problem: TcmProblem,
    },
    /// The kernel gave up because the TCM pool was exhausted.
    #[error("the TCM pool is exhausted: {} asked, {left} of {pool} left; {}", count(u64::from(*asked), "byte"), held.as_ref().map_or_else(|| "use smaller tiles".into(), |held| format!("{held} were never freed")))]
    TcmExhausted {
        /// Bytes asked for.
        asked: u32,
        /// Bytes left.
        left: usize,
        /// Bytes of the pool.
        pool: usize,
        /// Several live buffers from one place: what a leak in a loop leaves. Not known in fast mode.
        held: Option<HeldBuffers>,
    },
    /// The kernel returned and had not freed all of its TCM.
    #[error(
        "the kernel returned with {} of TCM that it never freed{}",
        count(*bytes as u64, "byte"),
        held.as_ref().map(|held| format!(": {held}")).unwrap_or_default()
    )]
    TcmLeaked {
        /// Bytes still allocated.
        bytes: usize,
        /// The buffers from the place that took the most. Not known in fast mode.
        held: Option<HeldBuffers>,
    },
    /// TCM freed while a buffer allocated later lives.
    #[error(
        "`tcm_free` of the buffer at TCM byte {offset} while what was allocated after it is in use, up to byte {top}: free in \
         reverse order, as scopes do"
    )]
    FreeOutOfOrder {
        /// Offset of the buffer.
        offset: usize,
        /// Bytes of the pool in use.
        top: usize,
    },
    /// Freed what is not a live buffer.
    #[error("`tcm_free` of TCM byte {offset}, where no buffer starts (freed before, or never allocated)")]
    FreeOfNothing {
        /// Offset in the pool.
        offset: i64,
    },
    /// Two cores stored to the same elements.
    #[error(
        "elements {range:?} of output `{tensor}` are also written by core {other}{}: give every core a part of its own \
         (`core.share`, or by `get_cpu_id` in C++)", also_at(other_location.as_ref())
    )]
    WriteConflict {
        /// The output.
        tensor: String,
        /// The first range that both write.
        range: Range<u64>,
        /// The other core, higher than the error's.
        other: u32,
        /// Where it writes.
        other_location: Option<SourceLocation>,
    },
    /// Elements of the output that no core stored.
    #[error(
        "no core wrote elements {first:?} of output `{tensor}`{}{}",
        if *missing == first.end - first.start { String::new() } else { format!(", nor others: {missing} in all") },
        tail_of.as_ref().map(|types| format!(
            ", all after the last that was written: the kernel stops too early, or its shape function asks for too large \
             an output, {types}"
        )).unwrap_or_default()
    )]
    NeverWritten {
        /// The output.
        tensor: String,
        /// The first range.
        first: Range<u64>,
        /// How many in all.
        missing: u64,
        /// Where they are all elements after those written: the output's type and the operands'.
        tail_of: Option<String>,
    },
    /// An element of the replaced operand was read after this core replaced it.
    #[error(
        "load of elements {range:?} of `{tensor}`, which this core has replaced before: in place the new values would be \
         read; load before storing"
    )]
    ReadAfterReplace {
        /// The operand.
        tensor: String,
        /// The first of the elements loaded that were replaced.
        range: Range<u64>,
    },
    /// An element of the replaced operand is read by one core and replaced by another.
    #[error(
        "load of elements {range:?} of `{tensor}`, which core {writer} replaces{}: in place either value could be read",
        also_at(writer_location.as_ref())
    )]
    ReadReplacedByOther {
        /// The operand.
        tensor: String,
        /// The first range.
        range: Range<u64>,
        /// The core that stores there.
        writer: u32,
        /// Where it stores.
        writer_location: Option<SourceLocation>,
    },
    /// The output holds what TCM held before the kernel wrote there.
    #[error("store of elements {range:?} of output `{tensor}` from TCM that was never written")]
    TcmNeverWritten {
        /// The output.
        tensor: String,
        /// The first range.
        range: Range<u64>,
    },
    /// The output depends on what TCM held before the kernel wrote there.
    #[error(
        "elements {range:?} of output `{tensor}` depend on TCM that was never written, or on something else that changes \
         from run to run (a static, a clock, an address): they differ between two runs that differ only in what TCM \
         holds at the start"
    )]
    DependsOnTcm {
        /// The output.
        tensor: String,
        /// The first range.
        range: Range<u64>,
    },
    /// What the kernel does depends on what TCM held before.
    #[error(
        "what the kernel does depends on TCM that was never written, or on something else that changes from run to run (a \
         static, a clock, an address): between two runs that differ only in what TCM holds at the start, {what}"
    )]
    BehaviourDependsOnTcm {
        /// What differs.
        what: String,
    },
    /// The kernel dropped elements for the output without storing them.
    #[error("elements for output `{tensor}` were lost: {message}")]
    Dropped {
        /// The output.
        tensor: String,
        /// What was dropped.
        message: String,
    },
    /// The kernel returned an error of its own.
    #[error("{message}")]
    Refused {
        /// Its message.
        message: String,
    },
    /// The kernel panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// Its message.
        message: String,
    },
    /// The kernel has no version for the dtype of its operands.
    #[error("the kernel has no version for {}", dtype.name())]
    NoVersion {
        /// The dtype.
        dtype: DType,
    },
    /// The kernel failed without a reason.
    #[error("the kernel returned failure without a reason: report one with `fail`")]
    FailedSilently,
    /// A DMA failed and the kernel returned success.
    #[error("the kernel returned success although a DMA failed: {failed}")]
    Swallowed {
        /// Why the DMA failed.
        failed: Box<Misuse>,
    },
    /// The kernel did not return in time.
    #[error(
        "still running after {}, the time limit of a launch: {last}. If no loop is endless and the kernel needs longer, \
         raise the limit: `EngineBuilder::time_limit`, or GPSIMD_TIME_LIMIT in seconds (0 for none)", seconds(*limit)
    )]
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// How far it had come.
        last: LastDma,
    },
    /// Somebody ended the launch.
    #[error("interrupted: {last}")]
    Interrupted {
        /// How far the kernel had come.
        last: LastDma,
    },
    /// The kernel ran out of stack.
    #[error(
        "stack overflow: its calls and local variables need more than {stack} bytes, and a core has far fewer. Recurse less \
         deeply, in a loop if possible, and keep arrays in TCM buffers: {last}"
    )]
    StackOverflow {
        /// Bytes of stack.
        stack: usize,
        /// How far it had come.
        last: LastDma,
    },
    /// The kernel returned something that is not a status.
    #[error("the kernel returned status {status}, expected 0 (success) or 1 (failure)")]
    UnknownStatus {
        /// What it returned.
        status: u32,
    },
    /// The kernel reported a failure of a kind that this host does not know.
    #[error("the kernel reported a failure of unknown code {code}: {message}")]
    UnknownFailure {
        /// The code.
        code: u32,
        /// Its message.
        message: String,
    },
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn also_at(location: Option<&SourceLocation>) -> String {
    location.map(|location| format!(" (at {location})")).unwrap_or_default()
}
