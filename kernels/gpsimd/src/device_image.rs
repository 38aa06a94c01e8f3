//! The device as a kernel image sees it: imports, which the code generator turns into the vendor's C++ API.
//!
//! There is no direct access to HBM, no dynamic pool and no source location here: messages would be paid for in TCM.

use core::cell::Cell;
use core::panic::Location;

use gpsimd_abi as abi;

#[link(wasm_import_module = "gpsimd")]
unsafe extern "C" {
    safe fn core_id() -> u32;
    safe fn core_count() -> u32;
    safe fn tensor_count() -> u32;
    safe fn tensor_dtype(tensor: u32) -> u32;
    safe fn tensor_rank(tensor: u32) -> u32;
    safe fn tensor_dim(tensor: u32, dim: u32) -> u64;
    safe fn tensor_len(tensor: u32) -> u64;
    fn load(tensor: u32, start: u64, len: u64, tcm: *mut u8) -> u32;
    fn store(tensor: u32, start: u64, len: u64, tcm: *const u8) -> u32;
    fn print_text(text: *const u8, len: usize);
    safe fn print_float(value: f64);
    safe fn print_signed(value: i64);
    safe fn print_unsigned(value: u64);
    fn fail(code: u32, text: *const u8, len: usize);
}

/// The core's device: its imports, and the part of the TCM that buffers come from.
pub(crate) struct Device {
    pool: *mut u8,
    pool_bytes: usize,
    top: Cell<usize>,
}

impl Device {
    /// # Safety
    /// `pool` leads to `pool_bytes` bytes, aligned to [`abi::TCM_ALIGN`], that nothing else uses while the result lives.
    pub(crate) unsafe fn new(pool: *mut u8, pool_bytes: usize) -> Self {
        Self { pool, pool_bytes, top: Cell::new(0) }
    }

    pub(crate) fn core_id(&self) -> usize {
        core_id() as usize
    }

    pub(crate) fn core_count(&self) -> usize {
        core_count() as usize
    }

    pub(crate) fn tensor_count(&self) -> usize {
        tensor_count() as usize
    }

    pub(crate) fn tensor_type(&self, tensor: u32) -> abi::TensorType {
        let rank = tensor_rank(tensor).min(abi::MAX_RANK as u32);
        let mut dims = [0; abi::MAX_RANK];
        for (i, dim) in dims.iter_mut().enumerate().take(rank as usize) {
            *dim = tensor_dim(tensor, i as u32);
        }
        abi::TensorType { dtype: tensor_dtype(tensor), rank, dims }
    }

    pub(crate) fn tensor_len(&self, tensor: u32) -> usize {
        tensor_len(tensor) as usize
    }

    pub(crate) fn direct(&self, _tensor: u32) -> Option<*mut u8> {
        None
    }

    pub(crate) fn is_in_place(&self) -> bool {
        false
    }

    /// The host's business: see the imports.
    pub(crate) fn pool_is_stale(&self) -> bool {
        false
    }

    pub(crate) fn claim(&self, _start: usize, _len: usize, _at: &'static Location<'static>) -> bool {
        true
    }

    pub(crate) fn shares_storage_with_output(&self, _tensor: u32) -> bool {
        false
    }

    pub(crate) fn tcm_left(&self) -> usize {
        self.pool_bytes - self.top.get()
    }

    pub(crate) fn tcm_alloc(&self, bytes: usize, _at: &'static Location<'static>) -> Option<*mut u8> {
        if bytes > self.tcm_left() {
            return None;
        }
        let top = self.top.replace(self.top.get() + bytes);
        // SAFETY: `top + bytes` is inside the pool.
        Some(unsafe { self.pool.add(top) })
    }

    pub(crate) fn tcm_free(&self, tcm: *mut u8, bytes: usize, at: &'static Location<'static>) {
        let below = self.top.get().wrapping_sub(bytes);
        if self.pool.wrapping_add(below) == tcm {
            self.top.set(below);
        } else {
            self.fail(abi::FAILURE_REFUSED, "TCM buffers must be freed in reverse order", at);
        }
    }

    pub(crate) fn load(
        &self,
        tensor: u32,
        start: usize,
        len: usize,
        tcm: *mut u8,
        _at: &'static Location<'static>,
    ) -> bool {
        // SAFETY: the import checks the range of the tensor; `tcm` is a reservation of at least `len` elements.
        unsafe { load(tensor, start as u64, len as u64, tcm) == abi::STATUS_OK }
    }

    pub(crate) fn store(
        &self,
        tensor: u32,
        start: usize,
        len: usize,
        tcm: *const u8,
        _at: &'static Location<'static>,
    ) -> bool {
        // SAFETY: as for `load`.
        unsafe { store(tensor, start as u64, len as u64, tcm) == abi::STATUS_OK }
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

    /// As [`fail`](Self::fail), with every `{}` of the message replaced by the next of `numbers`.
    #[cold]
    pub(crate) fn fail_with(&self, code: u32, message: &str, _numbers: &[usize], at: &'static Location<'static>) {
        self.fail(code, message, at);
    }

    pub(crate) fn fail(&self, code: u32, message: &str, _at: &'static Location<'static>) {
        // SAFETY: the text lives through the call.
        unsafe { fail(code, message.as_ptr(), message.len()) };
    }
}

/// Reports a panic and stops the core. The message would bring `core::fmt` into the TCM, so only a fixed one is shown.
pub(crate) fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    let message = info.message().as_str().unwrap_or("the kernel panicked");
    // SAFETY: the text lives through the call.
    unsafe { fail(abi::FAILURE_PANIC, message.as_ptr(), message.len()) };
    core::arch::wasm32::unreachable();
}
