//! The stack that ops run on: apart from the runner's, so that the deepest point that an op reaches can be seen.

use core::arch::global_asm;
use core::cell::UnsafeCell;

use gpsimd_abi::{DeviceTable, OpFunctions};

use crate::linux;
use crate::protocol::STACK_BYTES;

/// What a word of the stack holds that nothing was written to.
const PAINT: u32 = 0xb5b5_b5b5;
const PAGE_BYTES: usize = 4096;
const WORDS: usize = STACK_BYTES / 4;

/// A page that nothing can be written to, and the stack, which grows down to it.
#[repr(C, align(4096))]
struct Stack {
    guard: UnsafeCell<[u8; PAGE_BYTES]>,
    words: UnsafeCell<[u32; WORDS]>,
}
// SAFETY: the program has one thread.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack { guard: UnsafeCell::new([0; PAGE_BYTES]), words: UnsafeCell::new([0; WORDS]) };

// call_on(function: a2, argument: a3, top of the stack: a4): the result of `function(argument)`.
global_asm!(
    ".section .text.gpsimd_isa_call_on, \"ax\"",
    ".global gpsimd_isa_call_on",
    ".type gpsimd_isa_call_on, @function",
    ".align 4",
    "gpsimd_isa_call_on:",
    "addi a4, a4, -16",
    "s32i a0, a4, 0",
    "s32i a1, a4, 4",
    "mov a1, a4",
    "mov a4, a2",
    "mov a2, a3",
    "callx0 a4",
    "l32i a0, a1, 0",
    "l32i a1, a1, 4",
    "ret",
    ".size gpsimd_isa_call_on, . - gpsimd_isa_call_on",
);

unsafe extern "C" {
    fn gpsimd_isa_call_on(function: *const (), argument: *const DeviceTable, top: *mut u32) -> u32;
}

/// Makes running out of stack the end of the program. To be called once, before the first op.
pub(crate) fn guard() {
    // SAFETY: nothing uses the page; it is aligned to one.
    unsafe { linux::protect(STACK.guard.get().cast(), PAGE_BYTES) };
}

/// Runs `op` on the stack; its status, and the bytes of stack between the first and the deepest.
///
/// Deepest are the device calls at times: they are part of what is measured, and on a core they would be the vendor's.
///
/// # Safety
/// As [`OpFunctions::run`]. Not from within itself.
pub(crate) unsafe fn run(op: &OpFunctions, device: &DeviceTable) -> (u32, u32) {
    let words: *mut u32 = STACK.words.get().cast();
    for i in 0..WORDS {
        // SAFETY: inside the stack, which nothing runs on now. Volatile: what runs there is out of the compiler's
        // sight.
        unsafe { words.add(i).write_volatile(PAINT) };
    }
    // SAFETY: the caller's promise; the stack is free, its top is its end, and aligned to 16.
    let status = unsafe { gpsimd_isa_call_on(op.run as *const (), device, words.add(WORDS)) };
    let mut untouched = 0;
    // SAFETY: inside the stack.
    while untouched < WORDS && unsafe { words.add(untouched).read_volatile() } == PAINT {
        untouched += 1;
    }
    (status, (STACK_BYTES - untouched * 4) as u32)
}
