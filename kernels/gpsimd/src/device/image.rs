//! The device as a kernel image sees it: imports, which the code generator turns into the vendor's C++ API, and under
//! emulation into the calls of the device table.
//!
//! There is no direct access to HBM. Places in the source are passed as numbers: the imports use them where there is
//! somebody to read them.

use core::fmt::{self, Write};
use core::ops::Range;
use core::panic::{Location, PanicInfo};

use gpsimd_abi as abi;

#[link(wasm_import_module = "gpsimd")]
unsafe extern "C" {
    safe fn core_id() -> u32;
    safe fn core_count() -> u32;
    safe fn tensor_dtype(tensor: u32) -> u32;
    safe fn tensor_rank(tensor: u32) -> u32;
    safe fn tensor_dim(tensor: u32, dim: u32) -> u64;
    safe fn tensor_len(tensor: u32) -> u64;
    safe fn tcm_left() -> u32;
    fn tcm_alloc(bytes: u32, file: *const u8, file_len: usize, line: u32, column: u32) -> *mut u8;
    fn tcm_free(tcm: *mut u8, bytes: u32, file: *const u8, file_len: usize, line: u32, column: u32);
    fn load(
        tensor: u32,
        start: u64,
        len: u64,
        tcm: *mut u8,
        file: *const u8,
        file_len: usize,
        line: u32,
        column: u32,
    ) -> u32;
    fn store(
        tensor: u32,
        start: u64,
        len: u64,
        tcm: *const u8,
        file: *const u8,
        file_len: usize,
        line: u32,
        column: u32,
    ) -> u32;
    fn print_text(text: *const u8, len: usize);
    safe fn print_float(value: f64);
    safe fn print_signed(value: i64);
    safe fn print_unsigned(value: u64);
    /// A part of the message of the `fail` that comes next.
    fn fail_text(text: *const u8, len: usize);
    safe fn fail_number(number: u64);
    fn fail(code: u32, file: *const u8, file_len: usize, line: u32, column: u32);
    /// Gives the calls from here on a stack of their own; whether this is the first time.
    safe fn start_panic() -> u32;
}

/// The core's device: its imports.
pub(crate) struct Device {
    _private: (),
}

impl Device {
    /// Whether there may be direct access to tensors.
    pub(crate) const HAS_DIRECT: bool = false;

    pub(crate) const fn new() -> Self {
        Self { _private: () }
    }

    pub(crate) fn core_id(&self) -> usize {
        core_id() as usize
    }

    pub(crate) fn core_count(&self) -> usize {
        core_count() as usize
    }

    pub(crate) fn tensor_type(&self, tensor: u32) -> abi::RawTensorType {
        let rank = tensor_rank(tensor).min(abi::MAX_RANK as u32);
        let mut dims = [0; abi::MAX_RANK];
        for (i, dim) in dims.iter_mut().enumerate().take(rank as usize) {
            *dim = tensor_dim(tensor, i as u32);
        }
        abi::RawTensorType { dtype: tensor_dtype(tensor), rank, dims }
    }

    pub(crate) fn tensor_rank(&self, tensor: u32) -> usize {
        tensor_rank(tensor) as usize
    }

    /// Size in dimension `dim`, which the tensor has.
    pub(crate) fn tensor_dim(&self, tensor: u32, dim: usize) -> usize {
        tensor_dim(tensor, dim as u32) as usize
    }

    pub(crate) fn tensor_len(&self, tensor: u32) -> usize {
        tensor_len(tensor) as usize
    }

    /// # Safety
    /// None here: it does nothing.
    pub(crate) unsafe fn direct(&self, _tensor: u32, _elements: &Range<usize>, _bytes: usize) -> Option<*mut u8> {
        None
    }

    pub(crate) fn is_in_place(&self) -> bool {
        false
    }

    /// The host's business: see the imports.
    pub(crate) fn pool_is_stale(&self) -> bool {
        false
    }

    pub(crate) fn claim(&self, _tensor: u32, _start: usize, _len: usize, _at: &'static Location<'static>) -> bool {
        true
    }

    pub(crate) fn output_in_place_of(&self, _tensor: u32) -> Option<u32> {
        None
    }

    pub(crate) fn tcm_left(&self) -> usize {
        tcm_left() as usize
    }

    /// `bytes` bytes of the pool, a multiple of 64.
    #[inline(always)]
    pub(crate) fn tcm_alloc(&self, bytes: usize, at: &'static Location<'static>) -> Option<*mut u8> {
        let (file, line, column) = parts(at);
        // SAFETY: the file's name lives through the call.
        let tcm = unsafe { tcm_alloc(bytes as u32, file.as_ptr(), file.len(), line, column) };
        if tcm.is_null() { None } else { Some(tcm) }
    }

    /// Frees what `tcm_alloc` returned.
    #[inline(always)]
    pub(crate) fn tcm_free(&self, tcm: *mut u8, bytes: usize, at: &'static Location<'static>) {
        let (file, line, column) = parts(at);
        // SAFETY: the file's name lives through the call; the import checks `tcm`.
        unsafe { tcm_free(tcm, bytes as u32, file.as_ptr(), file.len(), line, column) };
    }

    #[inline(always)]
    pub(crate) fn load(
        &self,
        tensor: u32,
        start: usize,
        len: usize,
        tcm: *mut u8,
        at: &'static Location<'static>,
    ) -> bool {
        let (file, line, column) = parts(at);
        // SAFETY: the import checks the range of the tensor; `tcm` is a reservation of at least `len` elements.
        let status = unsafe { load(tensor, start as u64, len as u64, tcm, file.as_ptr(), file.len(), line, column) };
        status == abi::STATUS_OK
    }

    #[inline(always)]
    pub(crate) fn store(
        &self,
        tensor: u32,
        start: usize,
        len: usize,
        tcm: *const u8,
        at: &'static Location<'static>,
    ) -> bool {
        let (file, line, column) = parts(at);
        // SAFETY: as for `load`.
        let status = unsafe { store(tensor, start as u64, len as u64, tcm, file.as_ptr(), file.len(), line, column) };
        status == abi::STATUS_OK
    }

    pub(crate) fn print_text(&self, text: &'static str) {
        // SAFETY: the text lives through the call.
        unsafe { print_text(text.as_ptr(), text.len()) };
    }

    pub(crate) fn print_float(&self, value: f64) {
        print_float(value);
    }

    pub(crate) fn print_signed(&self, value: i64) {
        print_signed(value);
    }

    pub(crate) fn print_unsigned(&self, value: u64) {
        print_unsigned(value);
    }

    pub(crate) fn fail(&self, code: u32, message: &str, at: &'static Location<'static>) {
        self.fail_with(code, message, &[], at);
    }

    /// As [`fail`](Self::fail), with every `{}` of the message replaced by the next of `numbers`.
    #[cold]
    pub(crate) fn fail_with(&self, code: u32, message: &str, numbers: &[usize], at: &'static Location<'static>) {
        let (file, line, column) = parts(at);
        let mut numbers = numbers.iter();
        let mut rest = message.as_bytes();
        while let Some(place) = rest.windows(2).position(|pair| pair == b"{}")
            && let (Some(number), Some((text, after))) = (numbers.next(), rest.split_at_checked(place))
        {
            // SAFETY: the text lives through the call.
            unsafe { fail_text(text.as_ptr(), text.len()) };
            fail_number(*number as u64);
            rest = after.get(2..).unwrap_or_default();
        }
        // SAFETY: both texts live through the calls.
        unsafe {
            fail_text(rest.as_ptr(), rest.len());
            fail(code, file.as_ptr(), file.len(), line, column);
        }
    }
}

fn parts<'a>(at: &Location<'a>) -> (&'a str, u32, u32) {
    (at.file(), at.line(), at.column())
}

/// Reports a panic and stops the core.
///
/// Formatting a message takes more stack than kernels do, and TCM has none to spare: what comes after `start_panic`
/// runs on a stack of its own, which the code generator does not count as the kernel's.
pub(crate) fn panicked(info: &PanicInfo<'_>) -> ! {
    let is_first = start_panic() != 0;
    report(info, is_first)
}

/// A panic while a message is formatted ends the message there.
#[cold]
#[inline(never)]
fn report(info: &PanicInfo<'_>, is_first: bool) -> ! {
    if is_first {
        // What the import takes does not fail.
        let _ = write!(FailText, "{}", info.message());
    }
    let (file, line, column) = info.location().map_or(("", 0, 0), parts);
    // SAFETY: the file's name lives through the call.
    unsafe { fail(abi::FAILURE_PANIC, file.as_ptr(), file.len(), line, column) };
    core::arch::wasm32::unreachable();
}

/// The message of a failure, in parts.
struct FailText;

impl Write for FailText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the text lives through the call.
        unsafe { fail_text(text.as_ptr(), text.len()) };
        Ok(())
    }
}
