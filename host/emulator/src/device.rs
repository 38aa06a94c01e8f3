//! The device table: what a kernel calls on an emulated core.
//!
//! Every call is answered by the core's [`EmulatedCore`], which `context` leads to. The calls run inside the kernel's
//! `extern "C"` frame and must not unwind: they record what is wrong and return.

use std::ffi::c_void;
use std::ops::{Deref, DerefMut};

use gpsimd_abi::{self as abi, Location, STATUS_FAILED, STATUS_OK, Text};

use crate::emulated_core::{EmulatedCore, Failure};
use crate::error::{Misuse, SourceLocation, Transfer, kernel_text};
use crate::guard::HostCall;
use crate::last_dma::Place;

/// The table of a core, for as long as nothing else uses `core`.
pub(crate) fn table(core: &mut EmulatedCore<'_, '_>) -> abi::DeviceTable {
    let (launch, pool) = (core.launch, &core.pool);
    abi::DeviceTable {
        core_id: core.id,
        core_count: launch.cores,
        tensors: launch.tensors.as_ptr(),
        tensor_count: launch.tensors.len() as u32,
        in_place: launch.in_place,
        tcm: pool.start(),
        tcm_bytes: pool.bytes() as u32,
        output_count: launch.outputs() as u32,
        tcm_top: pool.shared_top(),
        context: (&raw mut *core).cast(),
        tcm_alloc,
        tcm_free,
        tcm_left,
        load,
        store,
        print_text,
        print_float,
        print_signed,
        print_unsigned,
        fail,
        claim,
    }
}

/// The core that a call is for.
///
/// # Safety
/// `context` is that of the table that [`table`] made, whose kernel has not returned; the calls of one kernel do not
/// overlap.
#[inline]
unsafe fn core_of<'c, 'r, 'm>(context: *mut c_void) -> CoreCall<'c, 'r, 'm> {
    // SAFETY: the caller's promise.
    let core: &'c mut EmulatedCore<'r, 'm> = unsafe { &mut *context.cast() };
    let guard = core.guard;
    CoreCall { core, _host: guard.host_call() }
}

/// The core that a call is for, during the call. Made first and dropped last: the kernel may end with it.
struct CoreCall<'c, 'r, 'm> {
    core: &'c mut EmulatedCore<'r, 'm>,
    _host: HostCall<'r>,
}

impl<'r, 'm> Deref for CoreCall<'_, 'r, 'm> {
    type Target = EmulatedCore<'r, 'm>;

    fn deref(&self) -> &EmulatedCore<'r, 'm> {
        self.core
    }
}

impl<'r, 'm> DerefMut for CoreCall<'_, 'r, 'm> {
    fn deref_mut(&mut self) -> &mut EmulatedCore<'r, 'm> {
        self.core
    }
}

unsafe extern "C" fn tcm_alloc(context: *mut c_void, bytes: u32, location: *const Location) -> *mut u8 {
    // SAFETY: the kernel passes its table's context.
    let mut core = unsafe { core_of(context) };
    // SAFETY: the kernel passes a location or null.
    let place = unsafe { Place::of(location, core.launch.op.code()) };
    let tcm = core.pool.alloc(bytes, place);
    if tcm.is_null() {
        let (left, pool) = (core.pool.left(), core.pool.bytes());
        // SAFETY: the kernel waits for this call.
        let held = unsafe { core.pool.held() }.filter(|held| held.count > 1);
        let misuse = Misuse::TcmExhausted { asked: bytes, left, pool, held };
        // SAFETY: the kernel passes a location or null.
        core.exhausted = Some((misuse, unsafe { SourceLocation::read(location) }));
    } else {
        // SAFETY: the kernel passes a location or null.
        unsafe { core.record_tcm(tcm, Some(bytes), location) };
    }
    tcm
}

unsafe extern "C" fn tcm_free(context: *mut c_void, tcm: *mut u8, location: *const Location) {
    // SAFETY: the kernel passes its table's context.
    let mut core = unsafe { core_of(context) };
    if let Err(misuse) = core.pool.free(tcm) {
        // SAFETY: the kernel passes a location or null.
        unsafe { core.misused(misuse, location) };
    } else {
        // SAFETY: the kernel passes a location or null.
        unsafe { core.record_tcm(tcm, None, location) };
    }
}

unsafe extern "C" fn tcm_left(context: *mut c_void) -> u32 {
    // SAFETY: the kernel passes its table's context.
    unsafe { core_of(context) }.pool.left() as u32
}

unsafe extern "C" fn load(
    context: *mut c_void,
    tensor: u32,
    start: u64,
    len: u64,
    tcm: *mut u8,
    location: *const Location,
) -> u32 {
    // SAFETY: the kernel passes its table's context.
    let mut core = unsafe { core_of(context) };
    // SAFETY: the kernel passes a location or null.
    unsafe { core.begin_dma(Transfer::Load, tensor, start, len, location) };
    if core.guard.refuses_calls() {
        return STATUS_FAILED;
    }
    let (range, bytes) = match core.verify(Transfer::Load, tensor, start, len, tcm) {
        Ok(verified) => verified,
        // SAFETY: the kernel passes a location or null.
        Err(misuse) => return unsafe { core.misused(misuse, location) },
    };
    if let Some(output) = core.launch.output_replacing(tensor as usize)
        && core.launch.records(output)
    {
        if let Some(range) = core.accesses[output].written.first_in(&range) {
            let misuse = Misuse::ReadAfterReplace { tensor: core.launch.name(tensor as usize), range };
            // SAFETY: the kernel passes a location or null.
            return unsafe { core.misused(misuse, location) };
        }
        // SAFETY: the kernel passes a location or null.
        unsafe { core.accesses[output].load(range.clone(), location) };
    }
    core.trace_dma(Transfer::Load, tensor, start, bytes, tcm);
    core.report.loads += 1;
    core.report.load_bytes += bytes as u64;
    let mut to = tcm;
    for (hbm, bytes) in core.launch.memory(tensor as usize, &range) {
        // SAFETY: `verify` found the range inside the tensor and the TCM side inside the pool; these do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(hbm, to, bytes);
            to = to.add(bytes);
        }
    }
    // SAFETY: `verify` found the TCM side inside the pool; the kernel passes a location or null.
    unsafe { core.record_dma(Transfer::Load, tensor, start, bytes, tcm, location) };
    STATUS_OK
}

unsafe extern "C" fn store(
    context: *mut c_void,
    tensor: u32,
    start: u64,
    len: u64,
    tcm: *const u8,
    location: *const Location,
) -> u32 {
    // SAFETY: the kernel passes its table's context.
    let mut core = unsafe { core_of(context) };
    // SAFETY: the kernel passes a location or null.
    unsafe { core.begin_dma(Transfer::Store, tensor, start, len, location) };
    if core.guard.refuses_calls() {
        return STATUS_FAILED;
    }
    let (range, bytes) = match core.verify(Transfer::Store, tensor, start, len, tcm) {
        Ok(verified) => verified,
        // SAFETY: the kernel passes a location or null.
        Err(misuse) => return unsafe { core.misused(misuse, location) },
    };
    core.trace_dma(Transfer::Store, tensor, start, bytes, tcm);
    // SAFETY: `verify` found the TCM side inside the pool; the kernel passes a location or null.
    unsafe { core.record_dma(Transfer::Store, tensor, start, bytes, tcm, location) };
    core.report.stores += 1;
    core.report.store_bytes += bytes as u64;
    if bytes == 0 {
        return STATUS_OK;
    }
    // `verify` found an output.
    let output = tensor as usize - core.launch.first_output;
    // Cores may store to the same elements by mistake, which is found when all have ended: until then, in checked mode,
    // one at a time. In fast mode nothing is stored where another core has the output in hand.
    let is_checked = core.launch.is_checked();
    if !is_checked && core.launch.claims[output].are_any() {
        if let Err(misuse) = core.claim(output, &range) {
            // SAFETY: the kernel passes a location or null.
            return unsafe { core.misused(misuse, location) };
        }
    } else if !is_checked {
        core.stored[output].add(&range);
    }
    let mut tcm = tcm;
    for (hbm, bytes) in core.launch.memory(tensor as usize, &range) {
        // SAFETY: `verify` found the range inside the output and the TCM side inside the pool; these do not overlap.
        unsafe {
            if core.launch.compares {
                core.launch.compare(tcm, hbm, bytes);
            } else if is_checked {
                core.launch.store_alone(tcm, hbm, bytes);
            } else {
                std::ptr::copy_nonoverlapping(tcm, hbm, bytes);
            }
            tcm = tcm.add(bytes);
        }
    }
    if core.launch.records(output) {
        // SAFETY: the kernel passes a location or null.
        unsafe { core.accesses[output].store(range, location) };
    }
    STATUS_OK
}

unsafe extern "C" fn print_text(context: *mut c_void, text: Text) {
    // SAFETY: the kernel passes its table's context and readable text.
    unsafe { core_of(context).printer.text(&kernel_text(text)) };
}

unsafe extern "C" fn print_float(context: *mut c_void, value: f64) {
    // SAFETY: the kernel passes its table's context.
    unsafe { core_of(context) }.printer.float(value);
}

unsafe extern "C" fn print_signed(context: *mut c_void, value: i64) {
    // SAFETY: the kernel passes its table's context.
    unsafe { core_of(context) }.printer.text(&value.to_string());
}

unsafe extern "C" fn print_unsigned(context: *mut c_void, value: u64) {
    // SAFETY: the kernel passes its table's context.
    unsafe { core_of(context) }.printer.text(&value.to_string());
}

unsafe extern "C" fn fail(context: *mut c_void, kind: u32, message: Text, location: *const Location) {
    // SAFETY: the kernel passes its table's context.
    let mut core = unsafe { core_of(context) };
    let failure = if kind == abi::FAILURE_DROPPED { &mut core.dropped } else { &mut core.failure };
    if failure.is_none() {
        // SAFETY: the kernel passes readable text, and a location or null.
        let (message, location) = unsafe { (kernel_text(message), SourceLocation::read(location)) };
        *failure = Some(Failure { code: kind, message, location });
    }
}

unsafe extern "C" fn claim(context: *mut c_void, tensor: u32, start: u64, len: u64, location: *const Location) -> u32 {
    // SAFETY: the kernel passes its table's context.
    let mut core = unsafe { core_of(context) };
    let range = core.output_range(tensor, start, len);
    let claimed = range.and_then(|(output, range)| core.claim(output, &range));
    match claimed {
        Ok(()) => STATUS_OK,
        // SAFETY: the kernel passes a location or null.
        Err(misuse) => unsafe { core.misused(misuse, location) },
    }
}
