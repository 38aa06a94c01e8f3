//! Reading from and writing to the host. When the host is gone, so is the program.

use core::cell::UnsafeCell;
use core::panic::Location;

use gpsimd_abi::{self as abi, MAX_RANK, RawTensorType};

use crate::linux;

const CAPACITY: usize = 1024;

/// What has been written and not sent yet: a system call costs QEMU more than a short message.
struct Unsent {
    bytes: UnsafeCell<[u8; CAPACITY]>,
    len: UnsafeCell<usize>,
}
// SAFETY: the program has one thread.
unsafe impl Sync for Unsent {}

static UNSENT: Unsent = Unsent { bytes: UnsafeCell::new([0; CAPACITY]), len: UnsafeCell::new(0) };

/// Sends what was written.
pub(crate) fn flush() {
    // SAFETY: one thread, and no reference to the buffer outlives a function of this module.
    unsafe {
        let len = UNSENT.len.get().replace(0);
        send(UNSENT.bytes.get().cast(), len);
    }
}

/// Writes `len` bytes from `from`.
///
/// # Safety
/// `from` leads to `len` bytes, initialised.
pub(crate) unsafe fn put_raw(from: *const u8, len: usize) {
    // SAFETY: the caller's promise; one thread, as in `flush`; what does not fit after a flush is not copied.
    unsafe {
        if *UNSENT.len.get() + len > CAPACITY {
            flush();
        }
        if len > CAPACITY {
            send(from, len);
            return;
        }
        let to: *mut u8 = UNSENT.bytes.get().cast();
        core::ptr::copy_nonoverlapping(from, to.add(*UNSENT.len.get()), len);
        *UNSENT.len.get() += len;
    }
}

pub(crate) fn put_bytes(bytes: &[u8]) {
    // SAFETY: a slice.
    unsafe { put_raw(bytes.as_ptr(), bytes.len()) };
}

pub(crate) fn put_u32(value: u32) {
    put_bytes(&value.to_le_bytes());
}

pub(crate) fn put_u64(value: u64) {
    put_bytes(&value.to_le_bytes());
}

pub(crate) fn put_text(text: &[u8]) {
    put_u32(text.len() as u32);
    put_bytes(text);
}

/// A place, or none if `location` is null.
///
/// # Safety
/// `location` is null, or leads to a location whose text is readable.
pub(crate) unsafe fn put_location(location: *const abi::Location) {
    // SAFETY: the caller's promise.
    match unsafe { location.as_ref() } {
        // SAFETY: the caller's promise.
        Some(at) => put_place(unsafe { at.file.bytes() }, at.line, at.column),
        None => put_place(b"", 0, 0),
    }
}

pub(crate) fn put_caller(at: Option<&Location<'_>>) {
    match at {
        Some(at) => put_place(at.file().as_bytes(), at.line(), at.column()),
        None => put_place(b"", 0, 0),
    }
}

fn put_place(file: &[u8], line: u32, column: u32) {
    put_text(file);
    put_u32(line);
    put_u32(column);
}

pub(crate) fn put_type(ty: &RawTensorType) {
    put_u32(ty.dtype);
    put_u32(ty.rank);
    ty.dims.iter().for_each(|dim| put_u64(*dim));
}

/// Reads `len` bytes to `to`, after sending what was written: the host may be waiting for it.
///
/// # Safety
/// `to` leads to `len` bytes that may be written.
pub(crate) unsafe fn get_raw(to: *mut u8, len: usize) {
    flush();
    let mut done = 0;
    while done < len {
        // SAFETY: the caller's promise, of the rest.
        match unsafe { linux::read(to.add(done), len - done) } {
            0 => linux::exit(0),
            count if count < 0 => linux::exit(1),
            count => done += count as usize,
        }
    }
}

pub(crate) fn get_u32() -> u32 {
    let mut bytes = [0; 4];
    // SAFETY: four bytes.
    unsafe { get_raw(bytes.as_mut_ptr(), 4) };
    u32::from_le_bytes(bytes)
}

pub(crate) fn get_u64() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: eight bytes.
    unsafe { get_raw(bytes.as_mut_ptr(), 8) };
    u64::from_le_bytes(bytes)
}

pub(crate) fn get_type() -> RawTensorType {
    let (dtype, rank) = (get_u32(), get_u32());
    let mut dims = [0; MAX_RANK];
    dims.iter_mut().for_each(|dim| *dim = get_u64());
    RawTensorType { dtype, rank, dims }
}

/// # Safety
/// `from` leads to `len` bytes.
unsafe fn send(from: *const u8, len: usize) {
    let mut done = 0;
    while done < len {
        // SAFETY: the caller's promise, of the rest.
        match unsafe { linux::write(from.add(done), len - done) } {
            count if count <= 0 => linux::exit(1),
            count => done += count as usize,
        }
    }
}
