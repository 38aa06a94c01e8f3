//! The C interface between an op library and its host, and nothing else: the entry point and the table of device calls.
//!
//! A library exports one C symbol, [`ENTRY_POINT`]. Calling it returns a [`LibraryTable`]: who it is, its descriptor,
//! and two C functions per op. The host calls [`OpFunctions::run`] once for every core with a [`DeviceTable`], which is
//! all of the world that a kernel can see: its core's number, the tensors of the launch, the TCM pool and the calls
//! that move data between them. Native libraries (rustc) and op packages (C++) use the same types, so the host cannot
//! tell them apart.
//!
//! Every type here is plain C (`repr(C)`, fixed-width integers, pointers with lengths). Changing any of them, or what
//! it means, means raising [`ABI_VERSION`]; a test compares them with what they were in this version, and with the C
//! header [`C_HEADER`].
#![no_std]

use core::ffi::c_void;

/// Raised whenever a type of this crate changes. A host refuses a library of another version.
pub const ABI_VERSION: u32 = 2;

/// First field of a [`LibraryTable`]: `gpsimd` and two zero bytes. Tells an op library from any other shared library
/// that happens to export the symbol.
pub const MAGIC: [u8; 8] = *b"gpsimd\0\0";

/// Name of the one C symbol of an op library, of type [`EntryPoint`].
pub const ENTRY_POINT: &str = "gpsimd_op_library";

/// This interface as a C header, `gpsimd_abi.h`, for op packages.
pub const C_HEADER: &str = include_str!("../include/gpsimd_abi.h");

/// Bytes before [`DeviceTable::tcm`] that belong to the library during a call: where an op package has its stack and
/// constants, which on a core are in TCM, too, and take from it what the pool does not have.
pub const TCM_BELOW: usize = 20 * 1024;

/// Alignment of TCM buffers in bytes: the width of a core's vector register, 512 bit.
pub const TCM_ALIGN: usize = 64;

/// The vendor's limit on the rank of a tensor.
pub const MAX_RANK: usize = 8;

/// Outputs of an op.
pub const MAX_OUTPUTS: usize = 8;

/// Type of the symbol [`ENTRY_POINT`]. The library lives as long as it is loaded.
pub type EntryPoint = unsafe extern "C" fn() -> *const LibraryTable;

/// An op library as its entry point returns it.
///
/// `magic` and `abi_version` keep their place in every version, so that a host can tell a foreign library apart before
/// it reads anything else.
#[repr(C)]
pub struct LibraryTable {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`ABI_VERSION`] of the headers that the library was built with.
    pub abi_version: u32,
    /// Number of `ops`.
    pub op_count: u32,
    /// Name, version and ops as JSON (see the crate `gpsimd-descriptor`); op `i` there is `ops[i]` here.
    pub descriptor: Text,
    /// CPU features the library was compiled for, comma-separated names as `is_x86_feature_detected!` takes them.
    /// A host refuses to run it on a CPU without them, where it would die of an illegal instruction.
    pub cpu_features: Text,
    /// The ops.
    pub ops: *const OpFunctions,
}
// SAFETY: a library is immutable data and functions; its pointers lead to statics.
unsafe impl Sync for LibraryTable {}

/// The two functions of an op.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OpFunctions {
    /// Runs one core's part of a launch. Returns [`STATUS_OK`], or [`STATUS_FAILED`] after saying why through the
    /// table.
    pub run: unsafe extern "C" fn(device: *const DeviceTable) -> u32,
    /// Computes the types of the outputs from those of the tensor operands, then of the sizes. Returns [`STATUS_OK`] and
    /// fills all `output_count` of `outputs`, or [`STATUS_FAILED`] and fills `error`.
    pub shape: unsafe extern "C" fn(
        operands: *const RawTensorType,
        operand_count: u32,
        outputs: *mut RawTensorType,
        output_count: u32,
        error: *mut RawShapeError,
    ) -> u32,
}

/// The call did what it was asked.
pub const STATUS_OK: u32 = 0;
/// The call failed, and the reason has been reported.
pub const STATUS_FAILED: u32 = 1;

/// UTF-8 text, not terminated.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    /// First byte; may be null when `len` is 0.
    pub data: *const u8,
    /// Length in bytes.
    pub len: usize,
}
// SAFETY: a text in a static is immutable and leads to static bytes.
unsafe impl Sync for Text {}

impl Text {
    /// The text of a static string.
    pub const fn new(text: &'static str) -> Self {
        Self { data: text.as_ptr(), len: text.len() }
    }

    /// The bytes.
    ///
    /// # Safety
    /// `data` leads to `len` readable bytes for as long as the result is used.
    pub const unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts(self.data, self.len) }
    }
}

/// Name of the C symbol, of type [`ReferencesEntryPoint`], of a native library that has references of its ops in Rust. An op
/// package has none.
pub const REFERENCES: &str = "gpsimd_references";

/// Type of the symbol [`REFERENCES`]. Leads to as many functions as the library has ops, in their order; null where an op has
/// none.
pub type ReferencesEntryPoint = unsafe extern "C" fn() -> *const Option<ReferenceFunction>;

/// Computes in f64 what an op computes: `operands` in their order, a scalar or size as a tensor of one element, and `outputs`,
/// which it writes. Returns [`STATUS_OK`], or [`STATUS_FAILED`] and fills `error` as a shape function that panics.
pub type ReferenceFunction = unsafe extern "C" fn(
    operands: *const ReferenceTensor,
    operand_count: u32,
    outputs: *const ReferenceTensor,
    output_count: u32,
    error: *mut RawShapeError,
) -> u32;

/// An operand or output of a reference.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ReferenceTensor {
    /// Its elements, never null.
    pub elements: *mut f64,
    /// Number of elements.
    pub len: usize,
    /// Its sizes, outermost first, never null.
    pub shape: *const usize,
    /// Number of sizes.
    pub rank: usize,
}

/// Element types of tensors: the vendor's.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 binary32.
    F32 = 1,
    /// The upper half of a binary32.
    Bf16 = 2,
    /// IEEE 754 binary16.
    F16 = 3,
    /// Signed, 32 bit.
    I32 = 4,
    /// Signed, 16 bit.
    I16 = 5,
    /// Signed, 8 bit.
    I8 = 6,
    /// Unsigned, 8 bit.
    U8 = 7,
}

impl DType {
    /// Every dtype.
    pub const ALL: [Self; 7] = [Self::F32, Self::Bf16, Self::F16, Self::I32, Self::I16, Self::I8, Self::U8];

    /// The dtype of a code, if it is one.
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::F32),
            2 => Some(Self::Bf16),
            3 => Some(Self::F16),
            4 => Some(Self::I32),
            5 => Some(Self::I16),
            6 => Some(Self::I8),
            7 => Some(Self::U8),
            _ => None,
        }
    }

    /// Bytes of an element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::Bf16 | Self::F16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// The name used in descriptors and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
        }
    }
}

/// Shape and dtype of a tensor, as shape functions take and return it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTensorType {
    /// A [`DType`] code.
    pub dtype: u32,
    /// How many of `dims` count; at most [`MAX_RANK`].
    pub rank: u32,
    /// Sizes, outermost first; those after `rank` are 0.
    pub dims: [u64; MAX_RANK],
}

/// Why a shape function refused: which of its operands, and what was expected.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawShapeError {
    /// One of the `SHAPE_ERROR_*` codes; says which of the other fields count.
    pub code: u32,
    /// Index of the tensor operand.
    pub operand: u32,
    /// Index of the dimension.
    pub dim: u32,
    /// What was expected.
    pub expected: u64,
    /// What was found.
    pub found: u64,
    /// The message of [`SHAPE_ERROR_MESSAGE`].
    pub message: Text,
}

/// The operand `operand` has rank `found`, expected `expected`.
pub const SHAPE_ERROR_RANK: u32 = 1;
/// Dimension `dim` of operand `operand` is `found`, expected `expected`.
pub const SHAPE_ERROR_DIM: u32 = 2;
/// Operand `operand` has rank `found`, expected at least `expected`.
pub const SHAPE_ERROR_MIN_RANK: u32 = 3;
/// Dimension `dim` of operand `operand` is `found`, expected 1 or `expected`.
pub const SHAPE_ERROR_BROADCAST: u32 = 4;
/// `message` says it all.
pub const SHAPE_ERROR_MESSAGE: u32 = 5;
/// The shape function panicked: `message` says where, and with what.
pub const SHAPE_ERROR_PANIC: u32 = 6;

/// A tensor of the launch, in HBM.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LaunchTensor {
    /// Shape and dtype.
    pub ty: RawTensorType,
    /// Number of elements: the product of the dims.
    pub len: u64,
    /// Null: the tensor is reached by [`DeviceTable::load`] and [`DeviceTable::store`] alone. Otherwise the address of
    /// its first element: the host runs in fast mode and lets the library read and write the tensor where a DMA would
    /// copy.
    pub direct: *mut u8,
    /// Null: `direct` leads to all of the tensor. Otherwise its rows, along the first dimension, lie apart, and these
    /// are the addresses of their first elements, the first of which is `direct`.
    pub rows: *const *mut u8,
}

/// Where in the source of a kernel something happened.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Location {
    /// Path of the source file.
    pub file: Text,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column, from 1; 0 when unknown.
    pub column: u32,
}

/// One core's view of a launch: everything a kernel can reach.
///
/// The calls take `context` first. They report what went wrong to the host themselves, with op, core, tensor, range and
/// location; the kernel only learns that it failed.
#[repr(C)]
pub struct DeviceTable {
    /// The host's own; passed to every call.
    pub context: *mut c_void,
    /// This core, from 0.
    pub core_id: u32,
    /// Cores of the launch.
    pub core_count: u32,
    /// Tensors: the tensor operands in order, the sizes in order, `params` if the op has scalars, the outputs in order. A
    /// size is the length of a u8 tensor of rank 1 that nothing is loaded from; `params` is an i32 tensor of the scalars'
    /// bits.
    pub tensors: *const LaunchTensor,
    /// Number of `tensors`.
    pub tensor_count: u32,
    /// Bit `i`: output `i` has the storage of the operand that it replaces.
    pub in_place: u32,
    /// The core's TCM pool, aligned to [`TCM_ALIGN`]; [`TCM_BELOW`] bytes before it are the library's.
    pub tcm: *mut u8,
    /// Bytes of the pool.
    pub tcm_bytes: u32,
    /// Number of outputs: the last of `tensors`.
    pub output_count: u32,
    /// Null: TCM is had from `tcm_alloc` alone. Otherwise (fast mode) the number of pool bytes handed out so far,
    /// always a multiple of [`TCM_ALIGN`], which the library may raise and lower itself; `tcm_alloc`, `tcm_free` and
    /// `tcm_left` go by the same number.
    pub tcm_top: *mut u32,
    /// Reserves TCM, aligned to [`TCM_ALIGN`]; null when the pool is exhausted.
    pub tcm_alloc: unsafe extern "C" fn(*mut c_void, bytes: u32, *const Location) -> *mut u8,
    /// Frees TCM. Buffers are freed in reverse order.
    pub tcm_free: unsafe extern "C" fn(*mut c_void, tcm: *mut u8, *const Location),
    /// Bytes of the pool still free.
    pub tcm_left: unsafe extern "C" fn(*mut c_void) -> u32,
    /// Copies `len` elements from `start` of tensor `tensor` to TCM.
    pub load:
        unsafe extern "C" fn(*mut c_void, tensor: u32, start: u64, len: u64, tcm: *mut u8, *const Location) -> u32,
    /// Copies `len` elements from TCM to `start` of tensor `tensor`, which must be an output.
    pub store:
        unsafe extern "C" fn(*mut c_void, tensor: u32, start: u64, len: u64, tcm: *const u8, *const Location) -> u32,
    /// Prints text; a line is shown when it is complete, with the core's id.
    pub print_text: unsafe extern "C" fn(*mut c_void, Text),
    /// Prints a float.
    pub print_float: unsafe extern "C" fn(*mut c_void, f64),
    /// Prints a signed integer.
    pub print_signed: unsafe extern "C" fn(*mut c_void, i64),
    /// Prints an unsigned integer.
    pub print_unsigned: unsafe extern "C" fn(*mut c_void, u64),
    /// Reports that the kernel gave up: one of the `FAILURE_*` codes and its message. With [`FAILURE_REFUSED`] `{3}`
    /// stands for the name of tensor 3.
    pub fail: unsafe extern "C" fn(*mut c_void, code: u32, Text, *const Location),
    /// Says that this core is about to write `len` elements from `start` of tensor `tensor`, an output, at its `direct`
    /// address, before it does. [`STATUS_FAILED`] when they are outside the output or another core has claimed one of
    /// them: then they may not be touched. What a core claims twice is its own; `store` claims by itself.
    pub claim: unsafe extern "C" fn(*mut c_void, tensor: u32, start: u64, len: u64, *const Location) -> u32,
}

/// The kernel returned an error of its own.
pub const FAILURE_REFUSED: u32 = 1;
/// The kernel panicked.
pub const FAILURE_PANIC: u32 = 2;
/// The kernel returned the error of a device call, which the host has seen already.
pub const FAILURE_DEVICE: u32 = 3;
/// The kernel has no version for the dtype of its operands.
pub const FAILURE_DTYPE: u32 = 4;
/// The kernel dropped elements for an output without storing them. The one failure that does not end the launch: the
/// host keeps the first, and reports it when nothing else is wrong.
pub const FAILURE_DROPPED: u32 = 5;
/// The kernel returned and has not freed all of its TCM.
pub const FAILURE_LEAKED: u32 = 6;
