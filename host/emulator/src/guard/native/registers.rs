//! The registers of an interrupted thread, which its handler may change.

use std::ffi::c_void;

use corosensei::trap::TrapHandlerRegs;

/// # Safety
/// `context` is what a handler was given.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
unsafe fn registers<'a>(context: *mut c_void) -> &'a mut [libc::greg_t; 23] {
    // SAFETY: the caller's promise.
    unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs }
}

/// # Safety
/// `context` is what a handler was given.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
unsafe fn registers<'a>(context: *mut c_void) -> &'a mut libc::mcontext_t {
    // SAFETY: the caller's promise.
    unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext }
}

#[cfg(all(target_os = "macos", target_arch = "x86_64"))]
type Registers = libc::__darwin_x86_thread_state64;
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
type Registers = libc::__darwin_arm_thread_state64;

/// # Safety
/// `context` is what a handler was given.
#[cfg(target_os = "macos")]
unsafe fn registers<'a>(context: *mut c_void) -> &'a mut Registers {
    // SAFETY: the caller's promise.
    unsafe { &mut (*(*context.cast::<libc::ucontext_t>()).uc_mcontext).__ss }
}

/// Where the thread was.
///
/// # Safety
/// `context` is what a handler was given.
pub(super) unsafe fn instruction(context: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    let registers = unsafe { registers(context) };
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return registers[libc::REG_RIP as usize] as usize;
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    return registers.pc as usize;
    #[cfg(all(target_os = "macos", target_arch = "x86_64"))]
    return registers.__rip as usize;
    #[cfg(all(target_os = "macos", target_arch = "aarch64"))]
    return registers.__pc as usize;
}

/// Its stack pointer.
///
/// # Safety
/// `context` is what a handler was given.
pub(super) unsafe fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the caller's promise.
    let registers = unsafe { registers(context) };
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return registers[libc::REG_RSP as usize] as usize;
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    return registers.sp as usize;
    #[cfg(all(target_os = "macos", target_arch = "x86_64"))]
    return registers.__rsp as usize;
    #[cfg(all(target_os = "macos", target_arch = "aarch64"))]
    return registers.__sp as usize;
}

/// Where it goes on when the handler returns.
///
/// # Safety
/// `context` is what a handler was given, and `to` was made for the coroutine that the thread runs.
pub(super) unsafe fn set(context: *mut c_void, to: &TrapHandlerRegs) {
    // SAFETY: the caller's promise.
    let registers = unsafe { registers(context) };
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        registers[libc::REG_RIP as usize] = to.rip as i64;
        registers[libc::REG_RSP as usize] = to.rsp as i64;
        registers[libc::REG_RBP as usize] = to.rbp as i64;
        registers[libc::REG_RDI as usize] = to.rdi as i64;
        registers[libc::REG_RSI as usize] = to.rsi as i64;
        // Functions start with the direction flag clear; a copy that runs backwards sets it.
        registers[libc::REG_EFL as usize] &= !0x400;
    }
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    {
        registers.pc = to.pc;
        registers.sp = to.sp;
        registers.regs[0] = to.x0;
        registers.regs[1] = to.x1;
        registers.regs[29] = to.x29;
        registers.regs[30] = to.lr;
    }
    #[cfg(all(target_os = "macos", target_arch = "x86_64"))]
    {
        registers.__rip = to.rip;
        registers.__rsp = to.rsp;
        registers.__rbp = to.rbp;
        registers.__rdi = to.rdi;
        registers.__rsi = to.rsi;
        registers.__rflags &= !0x400;
    }
    #[cfg(all(target_os = "macos", target_arch = "aarch64"))]
    {
        registers.__pc = to.pc;
        registers.__sp = to.sp;
        registers.__x[0] = to.x0;
        registers.__x[1] = to.x1;
        registers.__fp = to.x29;
        registers.__lr = to.lr;
    }
}
