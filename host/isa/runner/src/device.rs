//! The device table that ops run with: every call is one of the host's table.

use core::cell::UnsafeCell;
use core::ffi::c_void;

use gpsimd_abi::{DType, DeviceTable, LaunchTensor, Location, Text};

use crate::protocol::{
    FAIL, LOAD, POOL_BYTES, PRINT_FLOAT, PRINT_SIGNED, PRINT_TEXT, PRINT_UNSIGNED, STORE, TCM_ALLOC, TCM_FREE, TCM_LEFT,
};
use crate::wire::{get_raw, get_u32, put_bytes, put_location, put_raw, put_text, put_u32, put_u64};

/// The core's TCM.
#[repr(C, align(64))]
struct Pool(UnsafeCell<[u8; POOL_BYTES]>);
// SAFETY: the program has one thread.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; POOL_BYTES]));

/// The address of the pool.
pub(crate) fn pool() -> *mut u8 {
    POOL.0.get().cast()
}

/// What a launch says of the core.
pub(crate) struct Launch<'a> {
    pub(crate) core_id: u32,
    pub(crate) core_count: u32,
    pub(crate) in_place: u32,
    pub(crate) tcm_bytes: u32,
    pub(crate) output_count: u32,
    pub(crate) tensors: &'a [LaunchTensor],
}

/// The table, for as long as `tensors` lives. Tensors are in the host's memory: there is no direct access.
pub(crate) fn table(launch: &Launch<'_>) -> DeviceTable {
    DeviceTable {
        // The tensors, whose types say how many bytes an element has.
        context: core::ptr::from_ref(launch).cast_mut().cast(),
        core_id: launch.core_id,
        core_count: launch.core_count,
        tensors: launch.tensors.as_ptr(),
        tensor_count: launch.tensors.len() as u32,
        in_place: launch.in_place,
        tcm: pool(),
        tcm_bytes: launch.tcm_bytes,
        output_count: launch.output_count,
        tcm_top: core::ptr::null_mut(),
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

unsafe extern "C" fn tcm_alloc(_: *mut c_void, bytes: u32, location: *const Location) -> *mut u8 {
    put_u32(TCM_ALLOC);
    put_u32(bytes);
    // SAFETY: the kernel passes a location or null.
    unsafe { put_location(location) };
    let address = get_u32() as *mut u8;
    if !address.is_null() {
        // SAFETY: the host allocates inside the pool, and the kernel uses none of it yet.
        unsafe { get_raw(address, bytes as usize) };
    }
    address
}

unsafe extern "C" fn tcm_free(_: *mut c_void, tcm: *mut u8, location: *const Location) {
    put_u32(TCM_FREE);
    put_u32(tcm as u32);
    // SAFETY: the kernel passes a location or null.
    unsafe { put_location(location) };
}

unsafe extern "C" fn tcm_left(_: *mut c_void) -> u32 {
    put_u32(TCM_LEFT);
    get_u32()
}

unsafe extern "C" fn load(
    _: *mut c_void,
    tensor: u32,
    start: u64,
    len: u64,
    tcm: *mut u8,
    location: *const Location,
) -> u32 {
    put_u32(LOAD);
    // SAFETY: the kernel passes a location or null.
    unsafe { put_transfer(tensor, start, len, tcm, location) };
    let status = get_u32();
    let bytes = get_u32();
    // SAFETY: the host sends what it found inside the pool.
    unsafe { get_raw(tcm, bytes as usize) };
    status
}

unsafe extern "C" fn store(
    context: *mut c_void,
    tensor: u32,
    start: u64,
    len: u64,
    tcm: *const u8,
    location: *const Location,
) -> u32 {
    // SAFETY: the kernel passes its table's context, which is the launch.
    let launch = unsafe { &*context.cast::<Launch<'_>>() };
    put_u32(STORE);
    // SAFETY: the kernel passes a location or null.
    unsafe { put_transfer(tensor, start, len, tcm, location) };
    let element = launch.tensors.get(tensor as usize).and_then(|tensor| DType::from_code(tensor.ty.dtype));
    let offset = (tcm as usize).wrapping_sub(pool() as usize);
    let in_pool = POOL_BYTES.saturating_sub(offset) as u64;
    let bytes = len.saturating_mul(element.map_or(0, DType::bytes) as u64).min(in_pool) as usize;
    put_u32(bytes as u32);
    // SAFETY: as many bytes from `tcm` are inside the pool.
    unsafe { put_raw(tcm, bytes) };
    get_u32()
}

/// # Safety
/// `location` is null, or leads to a location whose text is readable.
unsafe fn put_transfer(tensor: u32, start: u64, len: u64, tcm: *const u8, location: *const Location) {
    put_u32(tensor);
    put_u64(start);
    put_u64(len);
    put_u32(tcm as u32);
    // SAFETY: the caller's promise.
    unsafe { put_location(location) };
}

unsafe extern "C" fn print_text(_: *mut c_void, text: Text) {
    put_u32(PRINT_TEXT);
    // SAFETY: the kernel passes readable text.
    put_text(unsafe { text.bytes() });
}

unsafe extern "C" fn print_float(_: *mut c_void, value: f64) {
    put_u32(PRINT_FLOAT);
    put_u64(value.to_bits());
}

unsafe extern "C" fn print_signed(_: *mut c_void, value: i64) {
    put_u32(PRINT_SIGNED);
    put_bytes(&value.to_le_bytes());
}

unsafe extern "C" fn print_unsigned(_: *mut c_void, value: u64) {
    put_u32(PRINT_UNSIGNED);
    put_u64(value);
}

unsafe extern "C" fn fail(_: *mut c_void, code: u32, message: Text, location: *const Location) {
    put_u32(FAIL);
    put_u32(code);
    // SAFETY: the kernel passes a location or null.
    unsafe { put_location(location) };
    // SAFETY: the kernel passes readable text.
    put_text(unsafe { message.bytes() });
}

/// Nobody's call: there is no direct access.
unsafe extern "C" fn claim(_: *mut c_void, _tensor: u32, _start: u64, _len: u64, _: *const Location) -> u32 {
    gpsimd_abi::STATUS_FAILED
}
