//! The entry of the program, and the system calls that it makes.

use core::arch::{asm, global_asm};

// Linux starts a program with the stack pointer in a1; nothing of what is there is of interest.
global_asm!(
    ".section .text._start, \"ax\"",
    ".global _start",
    ".align 4",
    ".literal_position",
    "_start:",
    "movi a2, {serve}",
    "jx a2",
    serve = sym crate::serve::serve,
);

// Numbers of arch/xtensa/kernel/syscalls/syscall.tbl in Linux.
const READ: u32 = 12;
const WRITE: u32 = 13;
const MPROTECT: u32 = 82;
const EXIT: u32 = 118;
const SETRLIMIT: u32 = 188;

const RLIMIT_CORE: u32 = 4;

/// Bytes that were read to `to`, at most `len`; 0 at the end of the input, negative when it fails.
///
/// # Safety
/// `to` leads to `len` bytes that may be written.
pub(crate) unsafe fn read(to: *mut u8, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { call(READ, 0, to as u32, len as u32) }
}

/// Bytes of the `len` at `from` that were written; negative when it fails.
///
/// # Safety
/// `from` leads to `len` bytes.
pub(crate) unsafe fn write(from: *const u8, len: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { call(WRITE, 1, from as u32, len as u32) }
}

/// Makes `len` bytes at `start`, whole pages, neither readable nor writable.
///
/// # Safety
/// Nothing uses them from now on.
pub(crate) unsafe fn protect(start: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { call(MPROTECT, start as u32, len as u32, 0) };
}

/// Lets a program that dies leave no memory dump behind, neither its own nor QEMU's.
pub(crate) fn no_core_dumps() {
    let limits = [0_u32; 2];
    // SAFETY: the kernel reads the two limits.
    unsafe { call(SETRLIMIT, RLIMIT_CORE, limits.as_ptr() as u32, 0) };
}

/// Ends the program.
pub(crate) fn exit(status: u32) -> ! {
    loop {
        // SAFETY: takes no memory.
        unsafe { call(EXIT, status, 0, 0) };
    }
}

/// # Safety
/// The call `number` with these arguments does with memory only what Rust allows.
unsafe fn call(number: u32, a: u32, b: u32, c: u32) -> i32 {
    let result: i32;
    // SAFETY: a system call changes a2 and what its arguments lead to, which the caller vouches for.
    unsafe {
        asm!("syscall", inlateout("a2") number => result, in("a6") a, in("a3") b, in("a4") c, options(nostack));
    }
    result
}
