//! [`LaunchError`], [`OperandError`]: why an op cannot be launched, or its launch failed.

use gpsimd_abi::DType;
use gpsimd_descriptor::limits::MAX_LARGE_DIM;
use gpsimd_descriptor::{OperandKind, ScalarType};

use super::{KernelError, Misuse, count};
use crate::tensor::TensorType;

/// Why a launch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The operands do not fit the op; nothing ran.
    #[error(transparent)]
    Operands(OperandError),
    /// The kernel failed, or did what would corrupt data on the device.
    #[error(transparent)]
    Kernel(Box<KernelError>),
}

impl LaunchError {
    /// Whether somebody ended the launch, as opposed to an error of it.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Kernel(error) if matches!(error.misuse, Misuse::Interrupted { .. }))
    }
}

impl From<OperandError> for LaunchError {
    fn from(error: OperandError) -> Self {
        Self::Operands(error)
    }
}

impl From<KernelError> for LaunchError {
    fn from(error: KernelError) -> Self {
        Self::Kernel(Box::new(error))
    }
}

/// How operands do not fit an op: its descriptor, its shape function, or the vendor's limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperandError {
    /// Wrong number of tensors.
    #[error(
        "op `{op}` takes {}{}, found {found}",
        count(*expected as u64, "tensor"),
        besides.as_ref().map(|name| format!(" besides `{name}`, which it replaces")).unwrap_or_default()
    )]
    TensorCount {
        /// The op.
        op: String,
        /// Tensor operands of the descriptor.
        expected: usize,
        /// Tensors given.
        found: usize,
        /// The replaced operand, which is not among them in a launch in place.
        besides: Option<String>,
    },
    /// Wrong number of scalars.
    #[error("op `{op}` takes {}, found {found}", count(*expected as u64, "scalar"))]
    ScalarCount {
        /// The op.
        op: String,
        /// Scalars and sizes of the descriptor.
        expected: usize,
        /// Scalars and sizes given.
        found: usize,
    },
    /// A scalar of another type.
    #[error("op `{op}`: operand `{operand}` is {}, found {}", described(*expected), described(*found))]
    ScalarType {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// What the descriptor says that it is.
        expected: OperandKind,
        /// What was given.
        found: OperandKind,
    },
    /// Wrong number of sizes, for a shape function.
    #[error("op `{op}` takes {}, found {found}", count(*expected as u64, "size"))]
    SizeCount {
        /// The op.
        op: String,
        /// Sizes of the descriptor.
        expected: usize,
        /// Sizes given.
        found: usize,
    },
    /// Wrong number of outputs.
    #[error("op `{op}` has {}, found {found}", count(*expected as u64, "output"))]
    OutputCount {
        /// The op.
        op: String,
        /// Outputs of the descriptor.
        expected: usize,
        /// Outputs given.
        found: usize,
    },
    /// An operand of a dtype that it does not take.
    #[error("op `{op}`: operand `{operand}` is {}, expected {}", found.name(), gpsimd_descriptor::any_of(expected))]
    DType {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// What the descriptor says that it may be.
        expected: Vec<DType>,
        /// What was given.
        found: DType,
    },
    /// Operands of one type parameter and different dtypes.
    #[error(
        "op `{op}`: operand `{operand}` is {}, but `{other}` is {}; they must have the same dtype",
        found.name(), expected.name()
    )]
    MixedDTypes {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// Its dtype.
        found: DType,
        /// The first operand of the parameter.
        other: String,
        /// Its dtype.
        expected: DType,
    },
    /// Sizes beyond what a GPSIMD core takes.
    #[error(
        "op `{op}`: tensor `{tensor}` of type {ty} is beyond the vendor's limits, at most 8 dimensions of at most 65535 \
         or 4 of at most 4294967295: reshape it"
    )]
    Dims {
        /// The op.
        op: String,
        /// The operand or output.
        tensor: String,
        /// Its type.
        ty: Box<TensorType>,
    },
    /// A size beyond what a GPSIMD core takes.
    #[error("op `{op}`: size `{size}` is {found}, the vendor's limit is {MAX_LARGE_DIM}")]
    Size {
        /// The op.
        op: String,
        /// The size.
        size: String,
        /// Its value.
        found: usize,
    },
    /// The output has another type than the shape function says.
    #[error("op `{op}`: output `{output}` is {found}, expected {expected}")]
    OutputType {
        /// The op.
        op: String,
        /// The output.
        output: String,
        /// What the shape function says.
        expected: Box<TensorType>,
        /// What was given.
        found: Box<TensorType>,
    },
    /// What should be the rows of one tensor are none, of different types, or too many dimensions.
    #[error(
        "op `{op}`: expected the rows of its output to be of one type, with at most 7 dimensions, found {}",
        if types.is_empty() { "none".to_owned() } else { types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
    )]
    Rows {
        /// The op.
        op: String,
        /// The rows' types.
        types: Vec<TensorType>,
    },
    /// The output's memory overlaps an operand's.
    #[error(
        "op `{op}`: output `{output}` and operand `{operand}` share memory: give the output memory of its own{}",
        if *replaces { ", or launch in place" } else { "" }
    )]
    Overlap {
        /// The op.
        op: String,
        /// The output.
        output: String,
        /// The operand.
        operand: String,
        /// Whether this is the operand that the op can replace in place.
        replaces: bool,
    },
    /// The memory of two outputs overlaps.
    #[error("op `{op}`: outputs `{other}` and `{output}` share memory: give each memory of its own")]
    OutputOverlap {
        /// The op.
        op: String,
        /// The output.
        output: String,
        /// One before it.
        other: String,
    },
    /// A launch in place of an op that replaces nothing.
    #[error("op `{op}` cannot be launched in place: its output replaces no operand (see `replaces` in its descriptor)")]
    NotInPlace {
        /// The op.
        op: String,
    },
    /// Wrong rank.
    #[error("op `{op}`: operand `{operand}` has {}, expected {expected}", count(*found, "dimension"))]
    Rank {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// Dimensions expected.
        expected: u64,
        /// Dimensions found.
        found: u64,
    },
    /// Too few dimensions.
    #[error("op `{op}`: operand `{operand}` has {}, expected at least {expected}", count(*found, "dimension"))]
    MinRank {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// Fewest dimensions.
        expected: u64,
        /// Dimensions found.
        found: u64,
    },
    /// Wrong size.
    #[error("op `{op}`: operand `{operand}` has {} in dimension {dim}, expected {expected}", count(*found, "element"))]
    Dim {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// The dimension, from 0.
        dim: u32,
        /// Size expected.
        expected: u64,
        /// Size found.
        found: u64,
    },
    /// A size that does not broadcast.
    #[error(
        "op `{op}`: operand `{operand}` has {} in dimension {dim}, expected 1 or {expected}",
        count(*found, "element")
    )]
    Broadcast {
        /// The op.
        op: String,
        /// The operand.
        operand: String,
        /// The dimension, from 0.
        dim: u32,
        /// Size expected, if not 1.
        expected: u64,
        /// Size found.
        found: u64,
    },
    /// The shape function refuses the operands in its own words.
    #[error("op `{op}`: {message}")]
    Refused {
        /// The op.
        op: String,
        /// What it says.
        message: String,
    },
    /// The shape function panicked.
    #[error("op `{op}`: its shape function panicked for {operands}, at {message}")]
    ShapePanicked {
        /// The op.
        op: String,
        /// The place in its source, and what the panic says.
        message: String,
        /// Names and types of the operands.
        operands: String,
    },
    /// The shape function does not keep the ABI.
    #[error("op `{op}`: its shape function is broken, it returned {what}")]
    ShapeBroken {
        /// The op.
        op: String,
        /// What it returned.
        what: String,
    },
}

impl OperandError {
    /// Whether it is the op's shape function that refuses the operands, as it may.
    pub const fn is_of_shape_function(&self) -> bool {
        matches!(
            self,
            Self::Rank { .. } | Self::MinRank { .. } | Self::Dim { .. } | Self::Broadcast { .. } | Self::Refused { .. }
        )
    }
}

/// Why an engine cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not a number of cores that an engine can have.
    #[error("a GPSIMD engine has 1 to {} cores, found {found}", gpsimd_descriptor::limits::CORES)]
    Cores {
        /// Cores asked for.
        found: usize,
    },
    /// Not a size that a TCM pool can have.
    #[error("a TCM pool has 64 to 65536 bytes, a multiple of 64, found {found}")]
    TcmBytes {
        /// Bytes asked for.
        found: usize,
    },
    /// Not a time limit.
    #[error("{variable} is `{found}`, expected a number of seconds, 0 for no limit")]
    TimeLimit {
        /// The environment variable.
        variable: &'static str,
        /// What it says.
        found: String,
    },
    /// The system refuses threads.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the pool says.
        source: rayon::ThreadPoolBuildError,
    },
}

fn described(kind: OperandKind) -> &'static str {
    match kind {
        OperandKind::Tensor(_) => "a tensor",
        OperandKind::Scalar(ScalarType::F32) => "an f32",
        OperandKind::Scalar(ScalarType::I32) => "an i32",
        OperandKind::Scalar(ScalarType::U32) => "a u32",
        OperandKind::Scalar(ScalarType::Bool) => "a bool",
        OperandKind::Size => "a size",
    }
}
