//! What the macros' output calls. No kernel does.

use core::panic::Location;

use gpsimd_abi as abi;

pub use gpsimd_abi;
// Crates may have something else of this name.
pub use ::core;

use crate::device::Device;
use crate::element::Element;
use crate::engine_core::Core;
use crate::error::{OpError, OpResult};
use crate::shape::{ShapeError, TensorType};
use crate::tensor::Input;

/// The dtype that decides which version of a generic kernel runs: that of tensor `tensor`.
pub fn dtype(core: &Core, tensor: u32) -> Option<abi::DType> {
    abi::DType::from_code(core.device.tensor_type(tensor).dtype)
}

/// The bits of the launch's scalars: tensor `tensor`, loaded and kept.
///
/// # Errors
/// As a load.
pub fn scalars<const N: usize>(core: &Core, tensor: u32) -> OpResult<[i32; N]> {
    let params = core.tcm().load(&Input::<i32>::whole(core, tensor), ..N)?;
    let mut scalars = [0; N];
    scalars.copy_from_slice(&params);
    Ok(scalars)
}

/// The scalar of type `T` with these bits.
#[inline(always)]
pub fn scalar<T: Scalar>(bits: i32) -> T {
    T::from_bits(bits)
}

/// The size that is the length of tensor `tensor`.
#[inline(always)]
pub fn size(core: &Core, tensor: u32) -> usize {
    core.device.tensor_len(tensor)
}

/// What a scalar may be.
pub trait Scalar {
    /// The scalar with these bits.
    fn from_bits(bits: i32) -> Self;
}

impl Scalar for f32 {
    #[inline(always)]
    fn from_bits(bits: i32) -> Self {
        Self::from_bits(bits.cast_unsigned())
    }
}

impl Scalar for i32 {
    #[inline(always)]
    fn from_bits(bits: i32) -> Self {
        bits
    }
}

impl Scalar for u32 {
    #[inline(always)]
    fn from_bits(bits: i32) -> Self {
        bits.cast_unsigned()
    }
}

impl Scalar for bool {
    #[inline(always)]
    fn from_bits(bits: i32) -> Self {
        bits != 0
    }
}

/// Whether `T` is the type of `dtype`; lets generated code compare without naming codes.
pub fn is<T: Element>(dtype: Option<abi::DType>) -> bool {
    dtype == Some(T::DTYPE)
}

/// No version of the kernel for the dtype of its operands.
#[track_caller]
pub fn no_such_dtype(core: &Core) -> OpResult {
    core.device.fail(abi::FAILURE_DTYPE, "the kernel has no version for this dtype", Location::caller());
    Err(OpError::Reported)
}

/// Runs a kernel on the core of `table` and reports how it ended.
///
/// # Safety
/// `table` leads to a device table that keeps what the ABI says, for the length of the call.
#[cfg(not(target_arch = "wasm32"))]
#[track_caller]
pub unsafe fn run(table: *const abi::DeviceTable, kernel: impl FnOnce(&Core) -> OpResult) -> u32 {
    let Some(table) = core::ptr::NonNull::new(table.cast_mut()) else { return abi::STATUS_FAILED };
    // SAFETY: the caller's promise.
    let core = Core { device: unsafe { Device::new(table) } };
    let (free, at) = (core.device.tcm_left(), Location::caller());
    match crate::panics::catch(|| kernel(&core)) {
        Ok(result) => finish(&core, result, free, at),
        Err(panic) => {
            core.device.fail_at(abi::FAILURE_PANIC, panic.message(), panic.location());
            abi::STATUS_FAILED
        }
    }
}

/// Runs a kernel on this core.
#[cfg(target_arch = "wasm32")]
#[track_caller]
pub fn run(kernel: impl FnOnce(&Core) -> OpResult) -> u32 {
    let core = Core { device: Device::new() };
    let free = core.device.tcm_left();
    let result = kernel(&core);
    finish(&core, result, free, Location::caller())
}

/// Reports how a kernel ended that began with `free` bytes of the pool.
fn finish(core: &Core, result: OpResult, free: usize, at: &'static Location<'static>) -> u32 {
    let (failure, message) = match result {
        Ok(()) if core.device.tcm_left() != free => {
            (abi::FAILURE_LEAKED, "the kernel returned with TCM that it never freed")
        }
        Ok(()) => return abi::STATUS_OK,
        Err(OpError::TcmExhausted { .. }) => (abi::FAILURE_DEVICE, "the TCM pool is exhausted"),
        Err(OpError::Reported) => (abi::FAILURE_DEVICE, "reported before"),
        Err(OpError::Refused(message)) => (abi::FAILURE_REFUSED, message),
    };
    core.device.fail(failure, message, at);
    abi::STATUS_FAILED
}

/// Runs a shape function on `OPERANDS` operand types, which says the types of `OUTPUTS` outputs.
///
/// # Safety
/// `operands` and `outputs` lead to as many types; `outputs` and `error` may be written.
pub unsafe fn shape<const OPERANDS: usize, const OUTPUTS: usize>(
    operands: (*const abi::RawTensorType, u32),
    outputs: (*mut abi::RawTensorType, u32),
    error: *mut abi::RawShapeError,
    function: impl FnOnce(&[TensorType; OPERANDS]) -> Result<[TensorType; OUTPUTS], ShapeError>,
) -> u32 {
    let result = if (operands.1 as usize, outputs.1 as usize) == (OPERANDS, OUTPUTS) {
        // SAFETY: the caller's promise, and there are as many.
        let types = core::array::from_fn(|i| TensorType::new(unsafe { &*operands.0.add(i) }, i as u32));
        caught(|| function(&types))
    } else {
        Err(ShapeError::new("the shape function was called with another number of operands or outputs"))
    };
    match &result {
        Ok(types) => {
            for (i, ty) in types.iter().enumerate() {
                // SAFETY: the caller's promise, and there are as many.
                unsafe { outputs.0.add(i).write(ty.to_abi()) };
            }
            abi::STATUS_OK
        }
        Err(why) => {
            // SAFETY: the caller's promise.
            unsafe { error.write(why.to_abi()) };
            abi::STATUS_FAILED
        }
    }
}

/// Calls a shape function; on a host a panic of it is a refusal.
pub(crate) fn caught<T>(function: impl FnOnce() -> Result<T, ShapeError>) -> Result<T, ShapeError> {
    #[cfg(not(target_arch = "wasm32"))]
    return crate::panics::catch(function).unwrap_or_else(|panic| Err(ShapeError::panicked(panic.keep())));
    #[cfg(target_arch = "wasm32")]
    function()
}

/// `parts` one after the other, `N` bytes in all.
pub const fn concat<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let text = parts[part].as_bytes();
        let mut i = 0;
        while i < text.len() {
            bytes[at] = text[i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == N, "the parts have another length");
    bytes
}

/// Length of `parts` one after the other.
pub const fn concat_len(parts: &[&str]) -> usize {
    let (mut len, mut part) = (0, 0);
    while part < parts.len() {
        len += parts[part].len();
        part += 1;
    }
    len
}

/// Prints a piece of a format string.
pub fn print_text(core: &Core, text: &'static str) {
    core.device.print_text(text);
}

/// The CPU features that the library is compiled for and that a CPU may lack.
#[cfg(not(target_arch = "wasm32"))]
pub const CPU_FEATURES: &str = {
    if cfg!(target_feature = "avx512f") {
        "sse4.2,avx,avx2,fma,avx512f,avx512vl,avx512bw,avx512dq"
    } else if cfg!(all(target_feature = "avx2", target_feature = "fma")) {
        "sse4.2,avx,avx2,fma"
    } else if cfg!(target_feature = "avx2") {
        "sse4.2,avx,avx2"
    } else {
        ""
    }
};

/// The panic handler of kernel images: says where, and stops the core. Here, and not in the crate of each op library, of
/// which an image may hold several.
#[cfg(all(target_arch = "wasm32", not(test)))]
#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    crate::device::panicked(info)
}
